"""`Poll`: ask after an operation once. A run that was evicted is loaded only when something came of it.

A result that can be had once is fetched instead: that this begins is committed before, what came before it is decoded.
"""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import OperationRecord, Value
from ....nodes.errors import ProviderUnavailableError
from ....nodes.operations.capabilities import Fetched, Once, has_capability
from ....nodes.operations.outcomes import Outcome, Running
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import OperationAddress
from ...core.book import Change
from ...core.commands import Fetch, Poll
from ...core.replies import Again, after_poll
from ...core.restore import operation_address, operation_of
from .._places import Place
from .._replies import change_of, reply_of
from .._shared import Commit, OwnedRun

log = logging.getLogger("perdure")


async def perform(owned: OwnedRun, command: Poll, commit: Commit) -> Change | None:
    """As `ask`, for a run that is in memory; or fetch its result, where that can be had once.

    That begins once there is a place for it: what only waits for one is not lost when the process dies.
    """
    operation = command.operation
    if not has_capability(owned.declared(operation.address.node), Once):
        record = await _record(owned, operation)
        return None if record is None else await ask(owned, record)
    async with Place(owned.shared.polls) as place:
        record = await _record(owned, operation)  # after the wait, in which it may have gone on
        if record is None:
            return None
        with owned.shared.shield():
            started = Change(events.FetchStarted(owned.shared.clock(), operation))
            if await commit(started, then=Fetch(operation)):
                await _fetch(owned, record, place, commit)
    return None


async def fetch(owned: OwnedRun, command: Fetch, commit: Commit) -> None:
    """Fetch a result. That this begins is committed: nothing cancels the wait for a place, and a stop waits for it."""
    with owned.shared.shield():
        async with Place(owned.shared.polls) as place:
            record = await _record(owned, command.operation)
            if record is not None and record.detail == "fetching":
                await _fetch(owned, record, place, commit)


async def _record(owned: OwnedRun, operation: OperationAddress) -> OperationRecord | None:
    """The operation's row, where the run is ours and the operation has a token."""
    work = await owned.work()
    record = None if work is None else await owned.record(work.state.operation_key(operation))
    return None if record is None or record.token is None else record


async def ask(owned: OwnedRun, record: OperationRecord) -> Change | None:
    """Ask the provider once about an operation, of which this is the row. Its run need not be in memory."""
    if owned.workflow is None or record.token is None:
        return None
    token = ContinuationToken.from_dict(unpack(record.token))
    operation = operation_address(record)
    async with Place(owned.shared.polls):
        outcome = await owned.adapter(operation).poll(token)
    if isinstance(outcome, Running):
        return await _running(owned, record, token, outcome)
    work = await owned.work()
    known = None if work is None else work.state.operation(operation)
    if work is None or known is None:
        return None
    at, jitter = owned.shared.clock(), owned.shared.random.random()
    meaning = after_poll(owned.policy(record.key.node), operation, known, reply_of(outcome), at, jitter)
    return await change_of(owned, work, meaning, outcome)


async def _fetch(owned: OwnedRun, record: OperationRecord, place: Place, commit: Commit) -> None:
    """Fetch the result if it is there, shielded. Leaves the place when the provider has replied.

    When the provider will not talk to us it has handed out nothing, which is committed before the driving stops.
    """
    operation = operation_address(record)
    assert record.token is not None
    token = ContinuationToken.from_dict(unpack(record.token))
    try:
        adapter = owned.adapter(operation)
        assert has_capability(adapter, Once), (
            f"run {owned.run_id}: {operation} was to be fetched, and its adapter can't"
        )
        fetched = await adapter.fetch(token)
    except ProviderUnavailableError:
        await commit(Change(events.TokenAdvanced(owned.shared.clock(), operation)))
        raise
    place.leave()
    if isinstance(fetched, Fetched):
        event = events.Fetched(owned.shared.clock(), operation)
        await commit(Change(event, operation={"outcome": Value(pack(fetched.raw))}))
        return
    fetching = await owned.record(record.key)
    change = None if fetching is None else await _running(owned, fetching, token, fetched)
    if change is not None:
        await commit(change)


async def _running(
    owned: OwnedRun, record: OperationRecord, token: ContinuationToken, running: Running
) -> Change | None:
    """It goes on: what the core makes of that."""
    operation = operation_address(record)
    if running.problem is not None:
        log.warning("run %s: a poll of %s was inconclusive: %s", owned.run_id, operation, running.problem)
    meaning = after_poll(
        owned.policy(record.key.node),
        operation,
        operation_of(record),
        reply_of(running, token),
        owned.shared.clock(),
        owned.shared.random.random(),
    )
    if isinstance(meaning, Again):
        # Whoever moved the operation while it was polled has set a time: that of a cancel is not put off by this reply.
        owned.wake(meaning.after, record.key, replace=False)
        return None
    outcome: Outcome = running
    work = await owned.work()
    return None if work is None else await change_of(owned, work, meaning, outcome)
