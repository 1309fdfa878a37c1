"""`Poll` and `Fetch`: ask after an operation once. A run that was evicted is loaded only when something came of it."""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import OperationRecord, State, Value
from ....nodes.errors import ProviderUnavailableError
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Once, has_capability
from ....nodes.operations.outcomes import Running
from ....nodes.operations.protocol import Operation
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.book import Change
from ...core.commands import Fetch, Poll
from ...core.policy import given_up, poll_interval
from ...core.restore import operation_address
from .._shared import OwnedRun
from ._results import conclude

log = logging.getLogger("perdure")


async def poll(owned: OwnedRun, command: Poll) -> Change | None:
    """As `ask`, for a run that is in memory."""
    work = await owned.work()
    record = None if work is None else await owned.record(work.state.operation_key(command.operation))
    return None if record is None else await ask(owned, record)


async def fetch(owned: OwnedRun, command: Fetch) -> Change | None:
    """Ask once for a result that can be had once; that this begins is committed.

    When the provider will not talk to us it has handed out nothing, which is committed before the driving stops.
    """
    work = await owned.work()
    record = None if work is None else await owned.record(work.state.operation_key(command.operation))
    if record is None or record.token is None or record.detail != "fetching":
        return None
    adapter = _adapter(owned, record)
    assert has_capability(adapter, Once), f"{command.operation} was to be fetched, and its adapter can't"
    token = ContinuationToken.from_dict(unpack(record.token))
    try:
        async with owned.shared.polls:
            fetched = await adapter.fetch(token)
    except ProviderUnavailableError as error:
        return Change(events.TokenAdvanced(owned.shared.clock(), command.operation), stop=error)
    if isinstance(fetched, Running):
        return _running(owned, record, token, fetched)
    return Change(
        events.Fetched(owned.shared.clock(), command.operation),
        operation={"outcome": Value(pack(fetched.raw))},
    )


async def ask(owned: OwnedRun, record: OperationRecord) -> Change | None:
    """Ask the provider once about an operation, of which this is the row."""
    if owned.workflow is None or record.token is None:
        return None
    token = ContinuationToken.from_dict(unpack(record.token))
    adapter = _adapter(owned, record)
    operation = operation_address(record)
    if has_capability(adapter, Once):
        if record.detail is not None:  # it is being fetched, or was
            return None
        return Change(events.FetchStarted(owned.shared.clock(), operation))
    async with owned.shared.polls:
        outcome = await adapter.poll(token)
    if isinstance(outcome, Running):
        return _running(owned, record, token, outcome)
    work = await owned.work()
    if work is None or not _awaited(work.state.operation(operation)):
        return None
    return await conclude(owned, work, operation, outcome)


def _adapter(owned: OwnedRun, record: OperationRecord) -> Operation:
    node = owned.node(record.key.node)
    assert isinstance(node, OperationNode)
    return node.operation


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
    if running.token != token or record.detail == "fetching":
        data = running.token.to_dict()
        return Change(
            events.TokenAdvanced(at, operation, wait), operation={"token": pack(data)}, note={"token": data}
        )
    owned.wake(wait, record.key)
    return None
