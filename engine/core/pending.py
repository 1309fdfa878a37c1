"""What is to be done for a state, however it was reached: live, resumed, retried, taken over.

`pending` gives the commands of everything that can go on; `interrupted` and `consumed` name what nobody can know after
the process that was at it is gone; `due` says what a moment that has come means. A run of which everything only waits need not be
loaded for that: `idle_wakes` reads it off its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...checkpoints.records import ActivationRecord, OperationRecord, RunStatus, State
from ._attempts import undecoded
from .addresses import Address, OperationAddress
from .commands import (
    Call,
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
from .policy import Policy
from .state import Operation, RunState

S = State


def interrupted(state: RunState) -> list[OperationAddress]:
    """Operations that were being submitted: if the process that sent them is gone, their fate is unknown."""
    found = [state.open_operation(address) for address in state.addresses([S.SUBMITTING])]
    return [address for address in found if address is not None]


def consumed(state: RunState) -> list[OperationAddress]:
    """Operations whose result was being consumed: if the process that did it is gone, the result may be lost with it."""
    found: list[OperationAddress] = []
    for address in state.addresses([S.WAITING]):
        open_ = state.open_operation(address)
        operation = None if open_ is None else state.operation(open_)
        if open_ is not None and operation is not None and operation.detail == "fetching":
            found.append(open_)
    return found


def pending(state: RunState) -> list[Effect]:
    """What is to be done, in a fixed order. What was interrupted is to be settled before, which may have ended the run."""
    effects: list[Effect] = []
    if state.live or state.outcome is None:
        for address in state.addresses(S):
            effect = _pending_of(state, address)
            if effect is not None:
                effects.append(effect)
    effects += [CancelStray(*stray) for stray in sorted(state.strays)]
    if state.outcome is not None and not state.live:
        effects.append(Finish(state.outcome))
    return effects


def _pending_of(state: RunState, address: Address) -> Effect | None:
    activation = state.find(address)
    assert activation is not None
    open_ = state.open_operation(address)
    operation = None if open_ is None else state.operation(open_)
    if open_ is not None and operation is not None:
        return _pending_operation(state, open_, operation)
    match activation.state:
        case S.RUNNING:
            outcome = undecoded(activation, address)
            return Call(address) if outcome is None else Decode(outcome)
        case S.CANCELLING:
            return CancelCall(address)
        case S.BACKOFF:
            return Wake(activation.wake_at or 0.0, address)
        case S.SUCCEEDED if activation.taken is None and state.outcome is None:
            return EvaluateEdges(address)
        case _:
            return None


def _pending_operation(state: RunState, address: OperationAddress, operation: Operation) -> Effect | None:
    match operation.state:
        case S.WAITING | S.CANCELLING if operation.has_outcome:
            return Decode(address)
        case S.CANCELLING:
            return CancelRemote(address)
        case S.WAITING | S.BACKOFF:
            return Wake(operation.wake_at or 0.0, address.address, address)
        case S.SUBMIT_UNKNOWN if operation.detail == "held":
            return Hold(address)
        case S.SUBMIT_UNKNOWN if state.outcome is None:
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
        case S.SUBMIT_UNKNOWN if policy.find_after is not None and operation.detail is None:
            return Find(address)
        case S.SUBMIT_UNKNOWN:
            return Resubmit(address)
        case _:
            return None


def idle_wakes(
    status: RunStatus,
    activations: Sequence[ActivationRecord],
    operations: Sequence[OperationRecord],
) -> list[Wake] | None:
    """What `pending` gives for a run of which these rows are live, if that is nothing but moments; else None."""
    if status is not RunStatus.WAITING:
        return None
    wakes: list[Wake] = []
    waiting: set[tuple[object, int]] = set()
    for record in operations:
        if record.state not in (S.WAITING, S.BACKOFF) or record.detail == "fetching" or record.has_outcome:
            return None
        address = Address(record.key.node, record.path)
        operation = OperationAddress(address, record.key.attempt, record.key.chain, record.key.number)
        wakes.append(Wake(record.wake_at or 0.0, address, operation))
        waiting.add((record.key.activation, record.key.attempt))
    for record in activations:
        if record.state is S.BACKOFF:
            wakes.append(Wake(record.wake_at or 0.0, Address(record.key.node, record.path)))
        elif (record.key, record.attempt) not in waiting:
            return None
    return wakes or None
