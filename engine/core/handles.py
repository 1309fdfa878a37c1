"""What a handle means that came by another way than the reply: a look-up, a webhook, a person, a former owner.

One decision for all of them, in the moment in which it is committed, also when the run has ended meanwhile.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...checkpoints.records import State
from .errors import IllegalEventError
from .events import HandleFound
from .state import RunState

S = State

Meaning: TypeAlias = Literal["adopt", "same", "stray"]
"""`adopt`: the operation goes on with it. `same`: it is known already, as where a provider honours keys. `stray`: it is
of a run at the provider that nobody needs, to be cancelled there."""


def meaning(state: RunState, event: HandleFound) -> Meaning | None:
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


def _unknown(event: HandleFound) -> IllegalEventError:
    return IllegalEventError(f"HandleFound of {event.operation} is impossible: it has no such submission.")
