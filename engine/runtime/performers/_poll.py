"""`Poll` and `Fetch`: ask after an operation once. A run that was evicted is loaded only when something came of it."""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import OperationRecord, State, Value
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Fetched, Once, has_capability
from ....nodes.operations.outcomes import Outcome, Running
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.commands import Fetch, Poll
from ...core.policy import given_up, poll_interval
from ...core.restore import operation_address
from .._shared import Change, OwnedRun
from ._results import conclude

log = logging.getLogger("perdure")


async def perform(owned: OwnedRun, command: Poll | Fetch) -> Change | None:
    """As `ask`, for a run that is in memory."""
    work = await owned.work()
    if work is None:
        return None
    record = await owned.record(work.state.operation_key(command.operation))
    return None if record is None else await ask(owned, record)


async def ask(owned: OwnedRun, record: OperationRecord) -> Change | None:
    """Ask the provider once about an operation, of which this is the row."""
    if owned.workflow is None or record.token is None:
        return None
    node = owned.node(record.key.node)
    assert isinstance(node, OperationNode)
    token = ContinuationToken.from_dict(unpack(record.token))
    adapter = node.operation
    operation = operation_address(record)
    if has_capability(adapter, Once):
        if record.detail != "fetching":
            return Change(events.FetchStarted(owned.shared.clock(), operation))
        async with owned.shared.polls:
            fetched = await adapter.fetch(token)
        if isinstance(fetched, Fetched):
            return Change(
                events.Fetched(owned.shared.clock(), operation),
                operation={"outcome": Value(pack(fetched.raw))},
            )
        outcome: Outcome = fetched
    else:
        async with owned.shared.polls:
            outcome = await adapter.poll(token)
    if isinstance(outcome, Running):
        return _running(owned, record, token, outcome)
    work = await owned.work()
    if work is None or not _awaited(work.state.operation(operation)):
        return None
    return await conclude(owned, work, operation, outcome)


def _awaited(operation: object) -> bool:
    """Whether the outcome is still wanted: it may be about a token of an earlier attempt."""
    return getattr(operation, "state", None) in (State.WAITING, State.CANCELLING)


def _running(
    owned: OwnedRun, record: OperationRecord, token: ContinuationToken, running: Running
) -> Change | None:
    """It goes on: ask again later, unless the core gives it up."""
    at = owned.shared.clock()
    operation = operation_address(record)
    if running.problem is not None:
        log.warning("run %s: a poll of %s was inconclusive: %s", owned.run_id, operation, running.problem)
    policy = owned.policy(record.key.node)
    age = at - (at if record.accepted_at is None else record.accepted_at)
    wait = running.retry_after
    if wait is None:
        wait = poll_interval(policy, age, owned.shared.random.random())
    if running.problem is None and record.state is State.WAITING:
        reason = given_up(policy, age, queued=running.status == "queued")
        if reason is not None:
            return Change(events.GivenUp(at, operation, reason))
    if running.token != token:
        data = running.token.to_dict()
        return Change(
            events.TokenAdvanced(at, operation, wait), operation={"token": pack(data)}, note={"token": data}
        )
    owned.wake(wait, record.key)
    return None
