"""`Poll`: ask after an operation once. A run that was evicted is loaded only when something came of it.

A result that can be had once is fetched instead: that this begins is committed before, what came before it is decoded.
"""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import OperationRecord, Value
from ....nodes.errors import ProviderUnavailableError
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Fetched, Once, has_capability
from ....nodes.operations.outcomes import Outcome, Running
from ....nodes.operations.protocol import Operation
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.book import Change
from ...core.commands import Fetch, Poll
from ...core.replies import Again, after_poll
from ...core.restore import operation_address, operation_of
from .._replies import change_of, reply_of
from .._shared import Commit, OwnedRun

log = logging.getLogger("perdure")


async def perform(owned: OwnedRun, command: Poll, commit: Commit) -> Change | None:
    """As `ask`, for a run that is in memory; or fetch its result, where that can be had once."""
    work = await owned.work()
    record = None if work is None else await owned.record(work.state.operation_key(command.operation))
    if record is None or record.token is None:
        return None
    adapter = _adapter(owned, record)
    if has_capability(adapter, Once):
        token = ContinuationToken.from_dict(unpack(record.token))
        return await _fetch(owned, record, adapter, token, commit)
    return await ask(owned, record)


async def ask(owned: OwnedRun, record: OperationRecord) -> Change | None:
    """Ask the provider once about an operation, of which this is the row. Its run need not be in memory."""
    if owned.workflow is None or record.token is None:
        return None
    token = ContinuationToken.from_dict(unpack(record.token))
    async with owned.shared.polls:
        outcome = await _adapter(owned, record).poll(token)
    if isinstance(outcome, Running):
        return await _running(owned, record, token, outcome)
    work = await owned.work()
    known = None if work is None else work.state.operation(operation_address(record))
    if work is None or known is None:
        return None
    at, jitter = owned.shared.clock(), owned.shared.random.random()
    policy = owned.policy(record.key.node)
    meaning = after_poll(policy, operation_address(record), known, reply_of(outcome), at, jitter)
    return await change_of(owned, work, meaning, outcome)


def _adapter(owned: OwnedRun, record: OperationRecord) -> Operation:
    node = owned.node(record.key.node)
    assert isinstance(node, OperationNode)
    return node.operation


async def _fetch(
    owned: OwnedRun, record: OperationRecord, adapter: Once, token: ContinuationToken, commit: Commit
) -> Change | None:
    """Fetch the result if it is there.

    When the provider will not talk to us it has handed out nothing, which is committed before the driving stops.
    """
    operation = operation_address(record)
    with owned.shared.shield():
        started = Change(events.FetchStarted(owned.shared.clock(), operation))
        if not await commit(started, then=Fetch(operation)):
            return None
        try:
            async with owned.shared.polls:
                fetched = await adapter.fetch(token)
        except ProviderUnavailableError:
            await commit(Change(events.TokenAdvanced(owned.shared.clock(), operation)))
            raise
        if isinstance(fetched, Fetched):
            event = events.Fetched(owned.shared.clock(), operation)
            await commit(Change(event, operation={"outcome": Value(pack(fetched.raw))}))
            return None
        fetching = await owned.record(record.key)
        change = None if fetching is None else await _running(owned, fetching, token, fetched)
        if change is not None:
            await commit(change)
        return None


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
        owned.wake(meaning.after, record.key)
        return None
    outcome: Outcome = running
    work = await owned.work()
    return None if work is None else await change_of(owned, work, meaning, outcome)
