"""What an event means for an activation's attempt: success, failure, backoff, cancel, retry.

Each function checks first and changes afterwards, so that an event that is refused has changed nothing.
"""

from __future__ import annotations

from typing import assert_never

from ...checkpoints.records import ActivationColumns, State
from . import policy as policies
from ._flow import Step
from ._operations import settle
from ._table import OPERATIONS, Move
from .addresses import Address, OperationAddress
from .commands import Call, Decode, EvaluateEdges, Wake
from .errors import IllegalEventError
from .events import (
    ActivationEvent,
    AttemptFailed,
    BackoffEnded,
    Cancelled,
    EdgesDecided,
    EdgesFailed,
    Succeeded,
)
from .state import Activation, Operation, Scope

S = State


def advance_activation(step: Step, event: ActivationEvent) -> None:
    """Apply an event of an activation."""
    match event:
        case Succeeded():
            _succeeded(step, event)
        case EdgesDecided():
            scope, activation = _undecided(step, event)
            step.state.undecided -= 1
            activation.taken, activation.items = event.taken, event.items
            columns: ActivationColumns = {"taken": event.taken, "error": None}
            if event.items is not None:
                columns["items"] = event.items
            step.move(scope, activation, event.address, S.SUCCEEDED, columns)
            step.agenda.append((scope, event.address, activation))
        case EdgesFailed():
            scope, activation = _undecided(step, event)
            step.fail(scope, activation, event.address, S.SUCCEEDED, {})
        case AttemptFailed():
            _failed(step, event)
        case BackoffEnded():
            scope, activation = step.locate(event, event.address)
            if activation.state is not S.BACKOFF or step.state.open_operation(event.address) is not None:
                raise IllegalEventError(
                    f"BackoffEnded of {event.address} is impossible: it is {activation.state}."
                )
            _start_again(step, scope, activation, event.address)
        case Cancelled():
            _cancelled(step, event)
        case _:
            assert_never(event)


def retry(step: Step, at: float) -> None:
    """Start again what failed or was cancelled for it; keep what succeeded.

    A result that the provider gave and our decoding refused is decoded again before anything is paid anew.
    """
    state = step.state
    state.outcome = None
    again = (S.FAILED, S.CANCELLED, S.READY, S.SUBMIT_UNKNOWN, S.SUCCEEDED)
    for address in list(state.addresses(again)):
        scope, activation = step.locate(step, address)
        match activation.state:
            case S.FAILED | S.CANCELLED:
                activation.failures = 0
                outcome = undecoded(activation, address)
                if outcome is None:
                    _start_again(step, scope, activation, address)
                else:
                    step.move(scope, activation, address, S.RUNNING, {"failures": 0})
                    step.commands.append(Decode(outcome))
            case S.READY:
                step.move(scope, activation, address, S.RUNNING)
                step.commands.append(Call(address))
            case S.SUBMIT_UNKNOWN:
                open_ = state.open_operation(address)
                assert open_ is not None
                if step.operation(activation, open_).detail != "held":
                    settle(step, scope, activation, open_, at, 0.0)
            case _ if activation.taken is None:
                step.commands.append(EvaluateEdges(address))
            case _:
                pass
    for number in sorted(state.scopes):
        if number:
            step.fill(state.scopes[number])


def undecoded(activation: Activation, address: Address) -> OperationAddress | None:
    """The operation of the current attempt whose result is stored and not decoded, None where there is none."""
    for (chain, number), operation in (activation.operations or {}).items():
        if operation.state is S.SUCCEEDED and operation.has_outcome:
            return OperationAddress(address, activation.attempt, chain, number)
    return None


def _succeeded(step: Step, event: Succeeded) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    step.next_state(Move.SUCCEED, event, activation, address)
    if event.operation is None:
        if step.state.open_operation(address) is not None:
            raise IllegalEventError(f"Succeeded of {address} is impossible: its operation has not ended.")
    else:
        operation = _operation(step, event, event.operation, Move.SUCCEED)
        if operation.state is not S.SUCCEEDED:
            step.save_operation(operation, S.SUCCEEDED)
    activation.operations = None
    if event.taken is None:
        step.state.undecided += 1
        step.fail(scope, activation, address, S.SUCCEEDED, {"taken": None})
        return
    activation.taken, activation.items = event.taken, event.items
    if event.items is None:
        step.move(scope, activation, address, S.SUCCEEDED, {"taken": event.taken})
    else:
        step.move(scope, activation, address, S.SUCCEEDED, {"taken": event.taken, "items": event.items})
    step.agenda.append((scope, address, activation))


def _failed(step: Step, event: AttemptFailed) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    step.next_state(Move.FAIL, event, activation, address)
    retryable = event.retryable
    if event.operation is None:
        if step.state.open_operation(address) is not None:
            raise IllegalEventError(f"AttemptFailed of {address} is impossible: its operation has not ended.")
    else:
        undecodable = event.ending == "undecodable"
        operation = _operation(step, event, event.operation, Move.SUCCEED if undecodable else Move.FAIL)
        detail, was = operation.detail, operation.state
        if undecodable:
            step.save_operation(operation, S.SUCCEEDED, has_outcome=True)
            retryable = False
        elif was is S.CANCELLING and (detail == "run" or step.ending):
            step.save_operation(operation, S.CANCELLED)
            step.move(scope, activation, address, S.CANCELLED)
            return
        else:
            step.save_operation(operation, S.FAILED)
            if was is S.CANCELLING:
                retryable = detail == "queue"
    _try_again_or_fail(step, scope, activation, event, retryable, event.retry_after)


def _try_again_or_fail(
    step: Step,
    scope: Scope,
    activation: Activation,
    event: AttemptFailed | Cancelled,
    retryable: bool,
    retry_after: float | None,
) -> None:
    address = event.address
    retries = step.state.policy(address.node).retries
    again = retryable and step.state.outcome is None and activation.failures < retries
    activation.failures += 1
    if not again:
        step.fail(scope, activation, address, S.FAILED, {"failures": activation.failures})
        return
    wait = policies.backoff(activation.failures, event.jitter) if retry_after is None else retry_after
    activation.wake_at = event.at + wait
    columns: ActivationColumns = {"failures": activation.failures, "wake_at": activation.wake_at}
    step.move(scope, activation, address, S.BACKOFF, columns)
    step.commands.append(Wake(activation.wake_at, address))


def _start_again(step: Step, scope: Scope, activation: Activation, address: Address) -> None:
    """The next attempt, which begins with nothing of the last one."""
    activation.attempt += 1
    activation.operations = None
    activation.wake_at = None
    step.move(
        scope,
        activation,
        address,
        S.RUNNING,
        {"attempt": activation.attempt, "failures": activation.failures, "wake_at": None},
    )
    step.commands.append(Call(address))


def _cancelled(step: Step, event: Cancelled) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    to = step.next_state(Move.ACKNOWLEDGE, event, activation, address)
    if event.operation is None:
        if not step.ending or step.state.open_operation(address) is not None:
            raise IllegalEventError(f"Cancelled of {address} is impossible: nobody cancels it.")
        step.move(scope, activation, address, to)
        return
    operation = _operation(step, event, event.operation, Move.ACKNOWLEDGE)
    if operation.detail in ("deadline", "queue") and not step.ending:
        retryable = operation.detail == "queue"
        step.save_operation(operation, S.FAILED)
        _try_again_or_fail(step, scope, activation, event, retryable, None)
        return
    if not step.ending and operation.detail != "run":
        raise IllegalEventError(f"Cancelled of {address} is impossible: nobody cancels it.")
    step.save_operation(operation, S.CANCELLED)
    step.move(scope, activation, address, S.CANCELLED)


def _undecided(step: Step, event: EdgesDecided | EdgesFailed) -> tuple[Scope, Activation]:
    scope, activation = step.locate(event, event.address)
    if activation.state is not S.SUCCEEDED or activation.taken is not None:
        why = "its edges are decided" if activation.taken is not None else f"it is {activation.state}"
        raise IllegalEventError(f"{type(event).__name__} of {event.address} is impossible: {why}.")
    return scope, activation


def _operation(step: Step, event: ActivationEvent, address: OperationAddress, move: Move) -> Operation:
    operation = step.state.operation(address)
    if operation is None or operation.state not in OPERATIONS[move] or address.address != event.address:
        now = "unknown" if operation is None else operation.state
        raise IllegalEventError(f"{type(event).__name__} of {address} is impossible: its operation is {now}.")
    return operation
