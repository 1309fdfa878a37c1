"""`CancelCall`, `CancelRemote`, `CancelStray`: end what is under way, here or at a provider, until it is acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import OperationRecord, State, SubmissionColumns, SubmissionRecord
from ....nodes.errors import OperationCancelledError
from ....nodes.operation_node import OperationNode
from ....nodes.operations import operation_for
from ....nodes.operations.capabilities import Cancellable, Local, has_capability
from ....nodes.operations.outcomes import Asks, Cancelled, Outcome, Running, Usage
from ....nodes.operations.protocol import Operation
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import OperationAddress
from ...core.book import Change
from ...core.commands import CancelCall, CancelRemote, CancelStray
from ...core.policy import poll_interval
from ...core.replies import Again, after_cancel, cancelled
from ...errors import OperationUnknownError
from .._changes import failed
from .._replies import change_of, reply_of
from .._shared import Commit, OwnedRun, Work, ends_the_task

log = logging.getLogger("perdure")


async def call(owned: OwnedRun, command: CancelCall, _: Commit) -> Change | None:
    """Cancel an async function. A plain one in its thread is waited for: its end is what came of it."""
    work = await owned.work()
    if work is None:
        return None
    task = work.calls.get(command.address)
    if task is not None:
        task.cancel()
        return None
    if (owned.run, command.address) in owned.shared.threads.tasks:
        return None
    return Change(events.Cancelled(owned.shared.clock(), command.address))


async def remote(owned: OwnedRun, command: CancelRemote, _: Commit) -> Change | None:
    """Send the cancel once; if it is not acknowledged, have it sent again."""
    work = await owned.work()
    if work is None:
        return None
    operation = command.operation
    known = work.state.operation(operation)
    record = await owned.record(work.state.operation_key(operation))
    if known is None or record is None or record.state is not State.CANCELLING or record.token is None:
        return None
    token = ContinuationToken.from_dict(unpack(record.token))
    node = None if owned.workflow is None else owned.node(operation.address.node)
    adapter = _adapter(owned, operation, token)
    at, jitter = owned.shared.clock(), owned.shared.random.random()
    if not has_capability(adapter, Cancellable):
        note = None
        if not has_capability(adapter, Local):
            note = {"provider": "can't be cancelled there; runs on"}
            log.warning(
                "run %s: %s can't be cancelled at %s and runs on there",
                owned.run_id,
                operation,
                token.provider,
            )
        return _told(owned, record, Change(cancelled(operation, at, jitter), note=note))
    outcome = await adapter.cancel(token)
    if isinstance(outcome, Running) and outcome.problem is not None:
        log.warning("run %s: cancelling %s: %s", owned.run_id, operation, outcome.problem)
    meaning = after_cancel(
        owned.policy(operation.address.node),
        operation,
        known,
        reply_of(outcome, token),
        at,
        jitter,
        since=record.updated_at,
        decodable=isinstance(node, OperationNode),
    )
    if isinstance(meaning, Again):
        owned.wake(meaning.after, record.key)
        return None
    change = await change_of(owned, work, meaning, outcome)
    return None if change is None else _told(owned, record, change)


def _told(owned: OwnedRun, record: OperationRecord, change: Change) -> Change:
    """The change, with the reason why an operation that took too long was given up."""
    if not isinstance(change.event, events.Cancelled) or record.detail not in _GIVEN_UP:
        return change
    what, code = _GIVEN_UP[record.detail]
    age = change.event.at - (change.event.at if record.accepted_at is None else record.accepted_at)
    error = OperationCancelledError(
        f"Run {owned.run_id}: {change.event.operation} {what.format(age)}, and was cancelled. To wait longer, set "
        f"Polling(deadline=..., queue_limit=...) on the node, then: perdure retry {owned.run_id}",
        code=code,
    )
    usage = None if change.submission is None else change.submission.get("usage")
    return failed(change.event, error, usage=usage)._replace(note=change.note)


_GIVEN_UP: Mapping[str | None, tuple[str, str]] = {
    "deadline": ("still ran after {:.0f} seconds, its deadline", "deadline_exceeded"),
    "queue": ("was still queued after {:.0f} seconds", "stuck_in_queue"),
}


async def stray(owned: OwnedRun, command: CancelStray, _: Commit) -> Change | None:
    """Send the cancel of a submission that does not count once; if it is not acknowledged, have it sent again.

    Whatever keeps it from that stops the driving of no run.
    """
    work = await owned.work()
    if work is None:
        return None
    record = await _submission(owned, work, command)
    if record is None or record.token is None:
        return None
    operation = command.operation
    try:
        outcome = await _cancel_once(owned, operation, ContinuationToken.from_dict(unpack(record.token)))
    except BaseException as error:  # the boundary of one submission
        if ends_the_task(error):
            raise
        _cancel_again(owned, operation, record, None, f"{type(error).__name__}: {error}")
        return None
    if isinstance(outcome, Running):
        _cancel_again(owned, operation, record, outcome.retry_after, outcome.problem)
        return None
    match outcome:
        case None:
            what = "can't be cancelled at its provider and runs on there"
        case Cancelled():
            what = "was cancelled at its provider"
        case _:
            what = f"had ended at its provider: {type(outcome).__name__.lower()}"
    log.warning("run %s: a second submission of %s (%s) %s", owned.run_id, operation, record.handle, what)
    usage: Usage = {} if outcome is None or isinstance(outcome, Asks) else outcome.usage
    return Change(
        events.StrayCancelled(owned.shared.clock(), operation, command.submission), submission=_counted(usage)
    )


async def _cancel_once(
    owned: OwnedRun, operation: OperationAddress, token: ContinuationToken
) -> Outcome | None:
    """What the provider says to the cancel. None: its adapter can't cancel."""
    adapter = _adapter(owned, operation, token)
    return await adapter.cancel(token) if has_capability(adapter, Cancellable) else None


def _cancel_again(
    owned: OwnedRun,
    operation: OperationAddress,
    record: SubmissionRecord,
    wait: float | None,
    problem: str | None,
) -> None:
    """Have it sent again, the more seldom the longer it takes."""
    if problem is not None:
        log.warning(
            "run %s: cancelling a second submission of %s (%s): %s",
            owned.run_id,
            operation,
            record.handle,
            problem,
        )
    if wait is None:
        age = owned.shared.clock() - record.updated_at
        wait = poll_interval(owned.policy(operation.address.node), age, owned.shared.random.random())
    owned.wake(wait, record.key)


def _counted(usage: Usage) -> SubmissionColumns | None:
    return {"usage": pack(dict(usage))} if usage else None


async def _submission(owned: OwnedRun, work: Work, command: CancelStray) -> SubmissionRecord | None:
    key = work.state.strays.get((command.operation, command.submission))
    submissions = await owned.shared.store.read(lambda view: view.submissions(owned.run))
    return next((record for record in submissions if record.key == key), None)


def _adapter(owned: OwnedRun, operation: OperationAddress, token: ContinuationToken) -> Operation:
    """The adapter that understands the token, from the workflow or, without it, from its provider's name."""
    node = None if owned.workflow is None else owned.node(operation.address.node)
    if isinstance(node, OperationNode):
        return owned.adapter(operation)
    if owned.policy(operation.address.node).per_context:
        raise OperationUnknownError(
            f"Run {owned.run_id}: {operation} waits at provider {token.provider!r}, and only the workflow knows with which "
            "client it is to be asked. Name the workflow with --app, or pass it to the executor.",
            run_id=owned.run_id,
        )
    adapter = operation_for(token.provider)
    if adapter is None:
        raise OperationUnknownError(
            f"Run {owned.run_id}: {operation} waits at provider {token.provider!r}, which this process has no adapter "
            "for. Name the workflow with --app, or pass it to the executor.",
            run_id=owned.run_id,
        )
    return adapter
