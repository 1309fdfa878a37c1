"""What an output or an outcome comes to: encoding, the edges that it takes, decoding what a provider gave."""

from __future__ import annotations

from typing import Any, assert_never

from ....checkpoints.codec import pack
from ....checkpoints.errors import StoreError
from ....checkpoints.records import ActivationColumns, OperationColumns, SubmissionColumns, Value
from ....nodes.errors import OperationError
from ....nodes.node import Node
from ....nodes.operation_node import OperationNode
from ....nodes.operations.outcomes import (
    Asks,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Outcome,
    Running,
    Succeeded,
)
from ....nodes.operations.tokens import Json
from ...core import events
from ...core.addresses import Address, OperationAddress
from ...core.book import Change
from ...core.plan import EdgeKind
from ...errors import ConditionError, NoEdgeTakenError
from ...failures import describe
from ...graph.conditions import taken_edges
from .._shared import OwnedRun, Work, ends_the_task


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


def failed(
    owned: OwnedRun,
    address: Address,
    error: BaseException,
    *,
    operation: OperationAddress | None = None,
    ending: events.Ending = "failed",
    retryable: bool = True,
    retry_after: float | None = None,
    outcome: Value | None = None,
    usage: bytes | None = None,
) -> Change:
    """The activation's attempt failed of this error."""
    failure = describe(error)
    packed = pack(failure)
    operation_columns: OperationColumns | None = None
    submission: SubmissionColumns | None = None
    if operation is not None:
        operation_columns = {"error": packed}
        if outcome is not None:
            operation_columns["outcome"] = outcome
        if usage is not None:
            submission = {"usage": usage}
    return Change(
        events.AttemptFailed(
            owned.shared.clock(),
            address,
            owned.shared.random.random(),
            ending,
            retryable,
            retry_after,
            operation,
        ),
        {"error": packed},
        operation_columns,
        submission,
        failure=failure,
        cause=error,
    )


async def conclude(
    owned: OwnedRun,
    work: Work,
    operation: OperationAddress,
    outcome: Outcome,
    *,
    stored: bool = False,
) -> Change | None:
    """What an operation's outcome comes to, other than that it goes on. `stored`: the outcome is kept already."""
    address = operation.address
    node = owned.node(address.node)
    assert isinstance(node, OperationNode), f"{address} has an operation and is a {node.kind}"
    match outcome:
        case Running():
            return None
        case Succeeded(value=value, usage=usage):
            counted = pack(dict(usage)) if usage else None
            try:
                encoded = await output_of(owned, work, address, node, value)
            except StoreError:  # its input could not be read: no fault of the node's
                raise
            except BaseException as error:  # the boundary: all of them are committed
                if ends_the_task(error):
                    raise
                kept = None if stored else Value(pack(value))
                return failed(
                    owned,
                    address,
                    error,
                    operation=operation,
                    ending="undecodable",
                    outcome=kept,
                    usage=counted,
                )
            submission: SubmissionColumns | None = None if counted is None else {"usage": counted}
            return succeeded(owned, work, address, encoded, operation, submission)
        case Failed(error=error, retryable=retryable, usage=usage):
            return _ended(owned, operation, error, "failed", retryable, usage)
        case Incomplete(error=error, usage=usage):
            return _ended(owned, operation, error, "incomplete", False, usage)
        case Expired(error=error, usage=usage):
            return _ended(owned, operation, error, "expired", False, usage)
        case Cancelled(error=error, usage=usage):
            return _ended(owned, operation, error, "cancelled", False, usage)
        case Asks(question=question):
            error = OperationError(
                f"The provider waits for an input, which this node can't give: {question}", code="needs_input"
            )
            return _ended(owned, operation, error, "failed", False, {})
        case Calls(calls=calls, usage=usage):
            names = ", ".join(call.name for call in calls)
            error = OperationError(
                f"The provider asks for calls that this node can't make: {names}", code="needs_calls"
            )
            return _ended(owned, operation, error, "failed", False, usage)
        case _:
            assert_never(outcome)


def _ended(
    owned: OwnedRun,
    operation: OperationAddress,
    error: OperationError,
    ending: events.Ending,
    retryable: bool,
    usage: Any,
) -> Change:
    counted = pack(dict(usage)) if usage else None
    return failed(
        owned,
        operation.address,
        error,
        operation=operation,
        ending=ending,
        retryable=retryable,
        usage=counted,
    )


async def output_of(
    owned: OwnedRun, work: Work, address: Address, node: OperationNode[Any, Any], value: Json
) -> Value:
    """The node's output, made of what its operation gave. Raises what the user's code raises."""
    if node.passes_on:
        given, encoded = await work.values.input(address)
        return encode(node, given, encoded)
    return encode(node, node.finish(value), None)
