"""What is to be recorded first when a driver goes on with a run that it has loaded: resumed, retried or taken over.

A driver records what `next_event` gives until that is None, acts on the signals that were left (a late handle saves a
second submission), and then does what is `pending`.
"""

from __future__ import annotations

from ...checkpoints.records import State
from .addresses import OperationAddress
from .events import AttemptFailed, Event, OperationEnded, PoliciesChanged, RunRetried, SubmissionUnknown
from .policy import Policies
from .state import Operation, RunState

S = State


def retried(state: RunState, at: float, policies: Policies) -> RunRetried:
    """A failed run is opened again; from now on it is driven by these policies."""
    return RunRetried(at, None if policies == state.policies else policies)


def next_event(state: RunState, at: float, jitter: float, policies: Policies) -> Event | None:
    """The next thing to record before anything is done; None when there is nothing more.

    First that the run is driven by these policies, where they are others than before. Then what nobody can know any
    more, because the process that was at it is gone: the fates of submissions that were under way, and results that can
    be had once and were being consumed. One at a time, because each may have what is still open cancelled.
    """
    if state.ended:
        return None
    if policies != state.policies:
        return PoliciesChanged(at, policies)
    lost: OperationAddress | None = None
    for address, operation in state.open_operations():
        if operation.state is S.SUBMITTING:
            return SubmissionUnknown(at, address, jitter)
        if lost is None and _consumed(operation):
            lost = address
    if lost is None:
        return None
    if lost.chain:  # its activation goes on, and decides what that means
        return OperationEnded(at, lost, "lost")
    return AttemptFailed(at, lost.address, jitter, "lost", retryable=False, operation=lost)


def _consumed(operation: Operation) -> bool:
    """Whether its result was being consumed: the provider may have handed it out, and nobody has kept it."""
    return operation.state is S.WAITING and operation.detail == "fetching"
