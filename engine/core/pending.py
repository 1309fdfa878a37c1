"""What is to be done for a state, however it was reached: live, resumed, retried, taken over.

`pending` gives the commands of everything that can go on, once `recovery` has recorded what a restart can no longer find out; `due` and
`backoff_due` say what a moment that has come means. A run of which everything only waits need not be loaded for that:
`idle_wakes` reads it off its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ...checkpoints.records import (
    ActivationKey,
    ActivationRecord,
    OperationKey,
    OperationRecord,
    RunStatus,
    State,
)
from ._attempts import at_work
from .addresses import Address, OperationAddress
from .commands import (
    CancelCall,
    CancelRemote,
    CancelStray,
    Decode,
    Effect,
    EvaluateEdges,
    Find,
    Finish,
    Hold,
    Poll,
    Resubmit,
    Wake,
)
from .events import BackoffEnded
from .policy import Policy
from .state import Operation, RunState

S = State

Moment: TypeAlias = tuple[float, ActivationKey | OperationKey]
"""When to look at what, by the key of its row."""


def moment(state: RunState, wake: Wake) -> Moment:
    """The moment that a wake asks for."""
    if wake.operation is None:
        return wake.at, state.key(wake.address)
    return wake.at, state.operation_key(wake.operation)


def pending(state: RunState) -> list[Effect]:
    """What is to be done, in a fixed order. What was interrupted is recorded before (`recovery`), which may end the run."""
    effects: list[Effect] = []
    if state.live or state.outcome is None:
        for address in state.addresses(S):
            effects += _pending_of(state, address)
    effects += [CancelStray(*stray) for stray in sorted(state.strays)]
    if state.outcome is not None and not state.live:
        effects.append(Finish(state.outcome))
    return effects


def _pending_of(state: RunState, address: Address) -> Iterator[Effect]:
    """What is to be done for the activation itself, then for each of its operations."""
    activation = state.find(address)
    assert activation is not None
    match activation.own:
        case S.RUNNING if state.open_operation(address) is None:
            yield at_work(activation, address)
        case S.CANCELLING:
            yield CancelCall(address)
        case S.BACKOFF if not activation.open():
            yield Wake(activation.wake_at or 0.0, address)
        case S.SUCCEEDED if activation.taken is None and state.outcome is None:
            yield EvaluateEdges(address)
        case _:
            pass
    for open_, operation in state.open_operations(address):
        effect = _pending_operation(state, open_, operation)
        if effect is not None:
            yield effect


def _pending_operation(state: RunState, address: OperationAddress, operation: Operation) -> Effect | None:
    policy = state.policy(address.address.node)
    match operation.state:
        case S.WAITING | S.CANCELLING if operation.has_outcome:
            return Decode(address)
        case S.CANCELLING:
            return CancelRemote(address)
        case S.WAITING | S.BACKOFF:
            return Wake(operation.wake_at or 0.0, address.address, address)
        case S.SUBMIT_UNKNOWN if operation.detail == "held":
            return Hold(address)
        case S.SUBMIT_UNKNOWN if state.outcome is None or operation.looked_for(policy):
            return Wake(operation.wake_at or 0.0, address.address, address)
        case _:
            return None


def due(operation: Operation, address: OperationAddress, policy: Policy) -> Effect | None:
    """What to do for an operation whose moment has come; None where it does not wait for one any more."""
    match operation.state:
        case S.WAITING | S.CANCELLING if operation.has_outcome:
            return Decode(address)
        case S.WAITING:
            return Poll(address)
        case S.CANCELLING:
            return CancelRemote(address)
        case S.BACKOFF:
            return Resubmit(address)
        case S.SUBMIT_UNKNOWN if operation.detail == "held":
            return None
        case S.SUBMIT_UNKNOWN if operation.looked_for(policy):
            return Find(address)
        case S.SUBMIT_UNKNOWN:
            return Resubmit(address)
        case _:
            return None


def backoff_due(state: RunState, key: ActivationKey, at: float) -> BackoffEnded | None:
    """What it means that an activation's moment has come; None where it does not wait for one any more."""
    address = state.address(key)
    activation = None if address is None else state.find(address)
    if address is None or activation is None or activation.own is not S.BACKOFF or activation.open():
        return None
    return BackoffEnded(at, address)


def idle_wakes(
    status: RunStatus,
    activations: Sequence[ActivationRecord],
    operations: Sequence[OperationRecord],
) -> list[Moment] | None:
    """When to wake what of a run of which these rows are live, if `pending` gives nothing but moments; else None."""
    if status is not RunStatus.WAITING:
        return None
    wakes: list[Moment] = []
    waiting: set[ActivationKey] = set()  # of which the own chain waits
    working: set[ActivationKey] = set()  # of which any does
    for operation in operations:
        if (
            operation.state not in (S.WAITING, S.BACKOFF)
            or operation.detail == "fetching"
            or operation.has_outcome
        ):
            return None
        wakes.append((operation.wake_at or 0.0, operation.key))
        working.add(operation.key.activation)
        if not operation.key.chain:
            waiting.add(operation.key.activation)
    for record in activations:
        if record.state is S.BACKOFF:
            if record.key not in working:  # else when these have ended
                wakes.append((record.wake_at or 0.0, record.key))
        elif record.key not in waiting:
            return None
    return wakes or None
