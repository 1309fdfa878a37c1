"""What a handle means that came by another way than the reply: a look-up, a webhook, a person, a former owner.

One decision for all of them, in the moment in which it is committed, also when the run has ended meanwhile. And under
which number each is recorded, because a provider may have accepted more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from ...checkpoints.records import State, SubmissionRecord
from .errors import IllegalEventError
from .events import HandleFound
from .state import RunState

S = State

HandleMeaning: TypeAlias = Literal["adopt", "same", "stray"]
"""`adopt`: the operation goes on with it. `same`: it is known already, as where a provider honours keys. `stray`: it is
of a run at the provider that nobody needs, to be cancelled there."""


def meaning(state: RunState, event: HandleFound) -> HandleMeaning | None:
    """What the handle means; None while that can't be said.

    While a submission is under way its reply may bring the same handle, and what a failed run has not settled is
    settled when it is retried. Raises `IllegalEventError` where the operation has no such submission.
    """
    address = event.operation
    operation = state.operation(address)
    if event.submission < 1:
        raise _unknown(event)
    if operation is None:
        if event.scope is None:
            raise _unknown(event)
        return "same" if event.known else "stray"
    if event.handle and event.handle in operation.handles.values():
        return "same"
    unsettled = operation.state in (S.SUBMITTING, S.SUBMIT_UNKNOWN, S.BACKOFF)
    # A provider may have made several of one sending: those beside the one that was adopted count on.
    if event.submission > operation.submission and (unsettled or event.source != "found"):
        raise _unknown(event)
    if not unsettled:
        return "stray"
    return None if state.ended or operation.state is S.SUBMITTING else "adopt"


def submission_number(handle: str, sent: int | None, handles: Mapping[int, str | None], newest: int) -> int:
    """The number of the submission that the handle is recorded under. `handles` are those known, by submission.

    `sent` is the sending that brought it; None where nobody knows, as of what was looked up: it counts as that of the
    newest sending whose handle is unknown. Where each has another handle the provider has accepted one sending twice,
    and this handle counts as a submission of its own, after all others.
    """
    for number in range(newest, 0, -1) if sent is None else (sent,):
        known = handles.get(number)
        if known is None or (handle and handle == known):
            return number
    return 1 + max(newest, *handles)


def with_rows(event: HandleFound, rows: Iterable[SubmissionRecord]) -> HandleFound:
    """The event, with what the rows of its operation say, which the state does not hold any more.

    `rows` are submissions of the run, those of other operations too. It is left as it is where it has no such submission.
    """
    key = tuple(event.operation[1:])
    own = {
        row.key.submission: row
        for row in rows
        if (row.key.operation.node, row.path) == event.operation.address and row.key.operation[3:] == key
    }
    if event.submission not in own:
        return event
    handles = {number: row.handle for number, row in own.items()}
    return event._replace(
        submission=submission_number(event.handle, event.submission, handles, max(own)),
        scope=own[event.submission].key.operation.scope,
        known=event.handle in handles.values(),
    )


def _unknown(event: HandleFound) -> IllegalEventError:
    return IllegalEventError(f"HandleFound of {event.operation} is impossible: it has no such submission.")
