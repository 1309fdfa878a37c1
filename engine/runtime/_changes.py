"""Changes that several performers make, and recovery too: outputs with the edges that they take, failures, unknown fates."""

from __future__ import annotations

import logging
from typing import Any

from ...checkpoints.codec import pack
from ...checkpoints.errors import StoreError
from ...checkpoints.records import ActivationColumns, OperationColumns, SubmissionColumns, Value
from ...nodes.errors import SubmissionUnknownError
from ...nodes.function import FunctionNode
from ...nodes.node import Node
from ...nodes.operation_node import OperationNode
from ...nodes.operations.tokens import Json
from ...nodes.retry import Retry
from ..core import events
from ..core.addresses import Address, OperationAddress
from ..core.book import Change
from ..core.plan import EdgeKind
from ..errors import ConditionError, NoEdgeTakenError
from ..failures import describe, sentence
from ..graph.conditions import taken_edges
from ._shared import OwnedRun, Work, ends_the_task

log = logging.getLogger("perdure")


def encode(node: Node[Any, Any], output: object, given: Value | None) -> Value:
    """The output, encoded. One that equals the input to the byte is the same `Value`: stored and hashed once."""
    data = node.output_codec.encode(output)
    return given if given is not None and given.data == data else Value(data)


def succeeded(
    owned: OwnedRun,
    work: Work,
    address: Address,
    value: Value,
    operation: OperationAddress | None = None,
    submission: SubmissionColumns | None = None,
) -> Change:
    """The activation has this output, and takes these edges; or they can't be evaluated."""
    at = owned.shared.clock()
    columns: ActivationColumns = {"result": value}
    try:
        taken, items = decide(owned, work, address, value)
    except (ConditionError, NoEdgeTakenError) as error:
        failure = describe(error)
        return Change(
            events.Succeeded(at, address, None, None, operation),
            {"result": value, "error": pack(failure)},
            submission=submission,
            failure=failure,
            cause=error,
        )
    return Change(
        events.Succeeded(at, address, taken, items, operation),
        columns,
        submission=submission,
    )


def decide(owned: OwnedRun, work: Work, address: Address, value: Value) -> tuple[tuple[int, ...], int | None]:
    """Which conditional edges the output takes, and its length where it is mapped.

    Raises `ConditionError` and `NoEdgeTakenError`.
    """
    plan = owned.plan
    mapped = any(edge.kind is EdgeKind.MAP for edge in plan.outgoing[address.node])
    items = work.values.count(work.state.key(address), value) if mapped else None
    return taken_edges(plan, owned.workflow, owned.run_id, address, value), items


def attempt_failed(
    owned: OwnedRun, address: Address, error: BaseException, *, retryable: bool = True
) -> Change:
    """The activation's attempt failed of this error, before any operation was its own."""
    at, jitter = owned.shared.clock(), owned.shared.random.random()
    return failed(
        events.AttemptFailed(
            at, address, jitter, "failed", retryable and not is_final(owned, address, error)
        ),
        error,
    )


def failed(
    event: events.AttemptFailed | events.Cancelled | events.OperationEnded,
    error: BaseException,
    *,
    outcome: Value | None = None,
    usage: bytes | None = None,
) -> Change:
    """The event, with the error that it is about and what else is to be kept. An activation that goes on has none."""
    failure = describe(error)
    packed = pack(failure)
    operation: OperationColumns | None = None
    submission: SubmissionColumns | None = None
    if event.operation is not None:
        operation = {"error": packed}
        if outcome is not None:
            operation["outcome"] = outcome
        if usage is not None:
            submission = {"usage": usage}
    activation: ActivationColumns | None = None
    if not isinstance(event, events.OperationEnded):
        activation = {"error": packed}
    return Change(event, activation, operation, submission, failure=failure, cause=error)


def is_final(owned: OwnedRun, address: Address, error: BaseException) -> bool:
    """Whether the node's `Retry` says that such an error is worth no other attempt."""
    if owned.workflow is None:
        return False
    node = owned.node(address.node)
    retries = node.retries if isinstance(node, FunctionNode | OperationNode) else 0
    return isinstance(retries, Retry) and isinstance(error, retries.unless)


async def decoded(
    owned: OwnedRun,
    work: Work,
    operation: OperationAddress,
    value: Json,
    *,
    usage: bytes | None = None,
    stored: bool = False,
) -> Change:
    """The output that the provider's result gives, or that it can't be decoded. `stored`: it is kept already."""
    address = operation.address
    node = owned.node(address.node)
    assert isinstance(node, OperationNode), f"{address} has an operation and is a {node.kind}"
    try:
        encoded = await output_of(owned, work, address, node, value)
    except StoreError:  # its input could not be read: no fault of the node's
        raise
    except BaseException as error:  # the boundary: all of them are committed
        if ends_the_task(error):
            raise
        at, jitter = owned.shared.clock(), owned.shared.random.random()
        event = events.AttemptFailed(at, address, jitter, "undecodable", False, None, operation)
        kept = None if stored else Value(pack(value))
        return failed(event, error, outcome=kept, usage=usage)
    submission: SubmissionColumns | None = None if usage is None else {"usage": usage}
    return succeeded(owned, work, address, encoded, operation, submission)


async def output_of(
    owned: OwnedRun, work: Work, address: Address, node: OperationNode[Any, Any], value: Json
) -> Value:
    """The node's output, made of what its operation gave. Raises what the user's code raises."""
    if node.passes_on:
        given, encoded = await work.values.input(address)
        return encode(node, given, encoded)
    return encode(node, node.finish(value), None)


def unknown(owned: OwnedRun, event: events.SubmissionUnknown, error: SubmissionUnknownError) -> Change:
    """The provider may have accepted the submission, with the error that tells why."""
    failure = describe(error)
    packed = pack(failure)
    log.warning(
        "run %s: the fate of the submission of %s is unknown (%s)",
        owned.run_id,
        event.operation,
        sentence(failure),
    )
    return Change(
        event,
        {"error": packed},
        operation={"error": packed},
        submission={"error": packed},
        failure=failure,
        cause=error,
    )
