"""`Submit`: send a request whose intent is committed, and commit the token. `Call` and `Resubmit` end in it.

They do that in one block (`submit`), with a place and behind the shield from before the intent's commit, so that both are
given back wherever it breaks off. A `Submit` that follows from another transition gets them for itself (`perform`).

The order is the promise: the intent (the complete request and its key) is committed before, the token right after. When
the process dies

- before the intent's commit: nothing was sent; the node starts again;
- between the intent's commit and the token's: the fate is unknown, and the core decides what follows;
- after the token's commit: the token is there, and polling goes on.
"""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import RequestRef, State, Value
from ....nodes.errors import ProviderUnavailableError, SubmissionRejectedError, SubmissionUnknownError
from ....nodes.operations.capabilities import Paced, has_capability
from ....nodes.operations.protocol import Operation
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import OperationAddress, submission_key
from ...core.book import Change
from ...core.commands import Submit
from ...core.policy import Policy, poll_interval
from ...failures import describe, said, sentence
from .._changes import unknown
from .._hand_over import leave_handle
from .._places import Place
from .._shared import Commit, OwnedRun, Work, ends_the_task

log = logging.getLogger("perdure")


async def submit(
    owned: OwnedRun,
    work: Work,
    operation: OperationAddress,
    place: Place,
    commit: Commit,
    request: Value | None = None,
) -> None:
    """Commit the intent, send the request, commit the token: not interrupted by cancellation.

    Without a `request` the one that is stored is sent again. The place is left when the provider has replied.
    """
    key = submission_key(work.nonce, operation)
    intent = Change(
        events.SubmissionIntended(owned.shared.clock(), operation),
        operation=None if request is None else {"request": request},
        note={"key": key},
    )
    with owned.shared.shield():  # from before the intent's commit, so that nobody cancels in between
        if await commit(intent, then=Submit(operation)):
            await _submit(owned, work, operation, key, place, commit, request)


async def perform(owned: OwnedRun, command: Submit, commit: Commit) -> None:
    """Send what is stored. The intent is committed: nothing cancels the wait for a place, and a stop waits for it."""
    operation = command.operation
    with owned.shared.shield():
        async with Place(owned.shared.submissions) as place:
            work = await owned.work()  # after the wait, in which the run may have been lost
            known = None if work is None else work.state.operation(operation)
            if work is not None and known is not None and known.state is State.SUBMITTING:
                key = submission_key(work.nonce, operation)
                await _submit(owned, work, operation, key, place, commit)


async def _submit(
    owned: OwnedRun,
    work: Work,
    operation: OperationAddress,
    key: str,
    place: Place,
    commit: Commit,
    request: Value | None = None,
) -> None:
    """Send it and commit the reply, shielded. Leaves the place when the provider has replied."""
    reply = await _send(owned, work, operation, key, request)
    place.leave()
    if not isinstance(reply.event, events.Submitted):
        await commit(reply)
        return
    try:
        await commit(reply, tell=False)
    except Exception as error:  # whatever it is, the handle must not be lost with it
        known = work.state.operation(operation)
        number = 1 if known is None else known.submission
        raise await leave_handle(owned, reply, number, error) from error


async def _send(
    owned: OwnedRun, work: Work, operation: OperationAddress, key: str, request: Value | None
) -> Change:
    """Send the request once: what is known of it then."""
    try:
        adapter = owned.adapter(operation)
    except ProviderUnavailableError as error:  # since `prepare`: what is tried again stops the driving then
        certain = SubmissionRejectedError(str(error), code=error.code, retryable=True)
        return _refused(owned, work, operation, certain)
    if request is None:
        request = await work.values.stored(RequestRef(work.state.operation_key(operation)))
    assert request is not None, f"run {owned.run_id}: {operation} was submitted without an intent"
    try:
        token = await adapter.submit(unpack(request.data), key)
        data = token.to_dict()
        packed = pack(data)  # what can't be kept is no handle
    except SubmissionRejectedError as error:
        return _refused(owned, work, operation, error)
    except BaseException as error:  # any other error: an unknown fate
        if ends_the_task(error):
            raise  # the wait for it has an end; what it raises by itself is an error as any other
        told = _may_have_accepted(error)
        at, jitter = owned.shared.clock(), owned.shared.random.random()
        return unknown(owned, events.SubmissionUnknown(at, operation, jitter, told.retry_after), told)
    at = owned.shared.clock()
    poll_after = _first_poll(adapter, token, owned.policy(operation.address.node), owned)
    return Change(
        events.Submitted(at, operation, poll_after, token.handle_text),
        operation={"token": packed},
        note={"token": data},
    )


def _first_poll(adapter: Operation, token: ContinuationToken, policy: Policy, owned: OwnedRun) -> float:
    """Seconds until a fresh token is asked after. Nothing that the adapter says may keep it from being committed."""
    if has_capability(adapter, Paced):
        try:
            return float(adapter.poll_after(token))
        except BaseException as error:
            if ends_the_task(error):
                raise
            log.exception("run %s: %s did not say when to poll", owned.run_id, adapter.provider)
    return poll_interval(policy, 0.0, owned.shared.random.random())


def _refused(
    owned: OwnedRun, work: Work, operation: OperationAddress, error: SubmissionRejectedError
) -> Change:
    failure = describe(error)
    known = work.state.operation(operation)
    if error.retryable and known is not None and not known.refused:  # one that goes on is told once
        log.warning(
            "run %s: the submission of %s was refused, and is tried again: %s",
            owned.run_id,
            operation,
            sentence(failure),
        )
    packed = pack(failure)
    return Change(
        events.SubmissionRefused(
            owned.shared.clock(), operation, owned.shared.random.random(), error.retryable, error.retry_after
        ),
        {"error": packed},
        {"error": packed},
        {"error": packed},
        failure=failure,
        cause=error,
    )


def _may_have_accepted(error: BaseException) -> SubmissionUnknownError:
    """The error, as what it means here."""
    if isinstance(error, SubmissionUnknownError):
        return error
    told = SubmissionUnknownError(
        f"The provider may have accepted the submission: {type(error).__name__}: {said(error)}",
        code=getattr(error, "code", None),
    )
    told.__cause__ = error
    return told
