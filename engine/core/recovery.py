"""What is to be recorded first when a driver goes on with a run that it has loaded: resumed, retried or taken over.

A driver records what `next_event` gives until that is None, acts on the signals that were left (a late handle saves a
second submission), and then does what is `pending`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...checkpoints.records import State
from .addresses import OperationAddress
from .events import AttemptFailed, CoreEvent, OperationEnded, PoliciesChanged, RunRetried, SubmissionUnknown
from .policy import Policies
from .state import Operation, RunState

S = State


def retried(state: RunState, at: float, policies: Policies) -> RunRetried:
    """A failed run is opened again; from now on it is driven by these policies."""
    return RunRetried(at, None if policies == state.policies else policies)


def next_event(state: RunState, at: float, jitter: float, policies: Policies) -> CoreEvent | None:
    """The next thing to record before anything is done; None when there is nothing more.

    First the policies, where they have changed. Then what was lost with the process: the fates of submissions that were
    under way, and results that can be fetched once and were being fetched. One at a time, because each may cancel what
    is still open.
    """
    if state.ended:
        return None
    if policies != state.policies:
        return PoliciesChanged(at, policies)
    first = min(
        _unsettled(state), key=lambda operation: (operation.state is S.WAITING, operation.key), default=None
    )
    if first is None:
        return None
    address = state.address(first.key.activation)
    assert address is not None, f"the scope of {first.key} is closed"
    where = OperationAddress(address, first.key.attempt, first.key.chain, first.key.number)
    if first.state is S.SUBMITTING:
        return SubmissionUnknown(at, where, jitter)
    if where.chain:  # its activation goes on, and decides what that means
        return OperationEnded(at, where, "lost")
    return AttemptFailed(at, address, jitter, "lost", retryable=False, operation=where)


def _unsettled(state: RunState) -> Iterator[Operation]:
    """The operations whose fate was lost with the process, in no order: few of many, so only these are sorted."""
    for scope in state.scopes.values():
        for activation in scope.activations.values():
            if activation.operations is None:
                continue
            for operation in activation.operations.values():
                consumed = operation.state is S.WAITING and operation.detail == "fetching"
                if consumed or operation.state is S.SUBMITTING:
                    yield operation
