"""What an event means for an activation's attempt: success, failure, backoff, cancel, retry.

Each function checks first and changes afterwards, so that an event that is refused has changed nothing.
"""

from __future__ import annotations

from typing import assert_never

from ...checkpoints.records import ActivationColumns, State
from . import policy as policies
from ._flow import Step
from ._submissions import settle
from ._table import OPERATIONS, Move
from .addresses import Address, OperationAddress
from .commands import Call, Decode, EvaluateEdges, Save, Wake
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
            step.move(scope, activation, event.address, Move.DECIDE, columns)
            step.agenda.append((scope, event.address, activation))
        case EdgesFailed():
            scope, activation = _undecided(step, event)
            step.fail(scope, activation, event.address, Move.DECIDE, {})
        case AttemptFailed():
            _failed(step, event)
        case BackoffEnded():
            scope, activation = step.locate(event, event.address)
            if activation.own is not S.BACKOFF or activation.open():
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

    A result that the provider gave and our decoding refused is decoded again before anything is paid anew. Submissions
    of unknown fate come first: a node whose policy is to fail then fails the run again before anything starts.
    """
    state = step.state
    state.outcome = None
    for open_, _ in list(state.open_operations()):  # nothing else is open in a run that has failed
        scope, activation = step.locate(step, open_.address)
        settle(step, scope, activation, open_, at, 0.0)
    if state.outcome is not None:
        step.commands = [command for command in step.commands if isinstance(command, Save)]
        return
    for address in list(state.addresses([*S])):
        scope, activation = step.locate(step, address)
        match activation.own:
            case S.FAILED | S.CANCELLED:
                activation.failures = 0
                outcome = undecoded(activation, address)
                if outcome is not None:
                    step.move(scope, activation, address, Move.START, {"failures": 0})
                    step.commands.append(Decode(outcome))
                elif activation.open():  # the next attempt begins when these have ended
                    activation.wake_at = at
                    step.move(scope, activation, address, Move.BACK_OFF, {"failures": 0, "wake_at": at})
                else:
                    _start_again(step, scope, activation, address)
            case S.RUNNING if activation.open_in() is None:  # it waited for those of other chains
                step.commands.append(at_work(activation, address))
            case S.READY:
                step.move(scope, activation, address, Move.START)
                step.commands.append(at_work(activation, address))
            case S.SUCCEEDED if activation.taken is None:
                step.commands.append(EvaluateEdges(address))
            case _:
                pass
    step.fill_all()


def at_work(activation: Activation, address: Address) -> Call | Decode:
    """What an activation is at that runs, and whose own chain has no open operation."""
    outcome = undecoded(activation, address)
    return Call(address) if outcome is None else Decode(outcome)


def undecoded(activation: Activation, address: Address) -> OperationAddress | None:
    """The last operation of the activation's own chain where its result is stored and not decoded, else None."""
    number = activation.newest()
    if number is None or activation.operations is None:
        return None
    operation = activation.operations["", number]
    if operation.state is S.SUCCEEDED and operation.has_outcome:
        return OperationAddress(address, activation.attempt, "", number)
    return None


def _succeeded(step: Step, event: Succeeded) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    step.check(Move.SUCCEED, event, activation, address)
    _require_end(event, activation)
    if event.operation is not None:
        operation = _operation(event, activation, event.operation, Move.SUCCEED, Move.DECIDE)
        step.save_operation(activation, event.operation, _ended_well(operation))
    step.abandon(scope, activation, address)
    if event.taken is None:
        step.state.undecided += 1
        step.fail(scope, activation, address, Move.SUCCEED, {"taken": None})
        return
    activation.taken, activation.items = event.taken, event.items
    columns: ActivationColumns = {"taken": event.taken}
    if event.items is not None:
        columns["items"] = event.items
    step.move(scope, activation, address, Move.SUCCEED, columns)
    step.agenda.append((scope, address, activation))


def _failed(step: Step, event: AttemptFailed) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    step.check(Move.FAIL, event, activation, address)
    _require_end(event, activation)
    retryable = event.retryable
    if event.operation is not None:
        moves = (Move.MISS,) if event.ending == "lost" else (Move.GO_ON, Move.DECIDE)
        operation = _operation(event, activation, event.operation, *moves)
        detail, was = operation.detail, operation.state
        if event.ending == "undecodable" or was is S.SUCCEEDED:
            step.save_operation(activation, event.operation, _ended_well(operation), has_outcome=True)
            retryable = False
        elif event.ending == "lost":
            step.save_operation(activation, event.operation, Move.MISS)
            retryable = False
        elif was is S.CANCELLING and (detail == "run" or step.ending):
            step.save_operation(activation, event.operation, Move.ACKNOWLEDGE)
            step.move(scope, activation, address, Move.ACKNOWLEDGE)
            return
        else:
            step.save_operation(activation, event.operation, Move.FAIL)
            if was is S.CANCELLING:
                retryable = detail == "queue"
    _try_again_or_fail(step, scope, activation, event, retryable, event.retry_after)


def _ended_well(operation: Operation) -> Move:
    return Move.DECIDE if operation.state is S.SUCCEEDED else Move.SUCCEED


def _try_again_or_fail(
    step: Step,
    scope: Scope,
    activation: Activation,
    event: AttemptFailed | Cancelled,
    retryable: bool,
    retry_after: float | None,
) -> None:
    address = event.address
    policy = step.state.policy(address.node)
    again = retryable and step.may_start and activation.failures < policy.retries
    activation.failures += 1
    if not again:
        step.fail(scope, activation, address, Move.FAIL, {"failures": activation.failures})
        return
    wait = retry_after
    if wait is None:
        wait = policies.backoff(
            activation.failures, event.jitter, policy.longest_backoff, policy.first_backoff
        )
    activation.wake_at = event.at + wait
    columns: ActivationColumns = {"failures": activation.failures, "wake_at": activation.wake_at}
    step.move(scope, activation, address, Move.BACK_OFF, columns)
    if not activation.open():  # else when these have ended
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
        Move.START,
        {"attempt": activation.attempt, "failures": activation.failures, "wake_at": None},
    )
    step.commands.append(Call(address))


def _cancelled(step: Step, event: Cancelled) -> None:
    address = event.address
    scope, activation = step.locate(event, address)
    step.check(Move.ACKNOWLEDGE, event, activation, address)
    _require_end(event, activation)
    if event.operation is None and activation.own is S.RUNNING:
        raise IllegalEventError(f"Cancelled of {address} is impossible: nobody has cancelled it.")
    if event.operation is not None:
        operation = _operation(event, activation, event.operation, Move.ACKNOWLEDGE)
        if operation.has_outcome:
            raise IllegalEventError(f"Cancelled of {event.operation} is impossible: its result is there.")
        if operation.detail in ("deadline", "queue") and not step.ending:
            retryable = operation.detail == "queue"
            step.save_operation(activation, event.operation, Move.FAIL)
            _try_again_or_fail(step, scope, activation, event, retryable, None)
            return
        step.save_operation(activation, event.operation, Move.ACKNOWLEDGE)
    step.move(scope, activation, address, Move.ACKNOWLEDGE)


def _require_end(event: Succeeded | AttemptFailed | Cancelled, activation: Activation) -> None:
    """Raise where the event is about the activation alone, and its own chain's operation has not ended."""
    if event.operation is None and activation.open_in() is not None:
        raise IllegalEventError(
            f"{type(event).__name__} of {event.address} is impossible: its operation has not ended."
        )


def _undecided(step: Step, event: EdgesDecided | EdgesFailed) -> tuple[Scope, Activation]:
    scope, activation = step.locate(event, event.address)
    if activation.own is not S.SUCCEEDED or activation.taken is not None:
        why = "its edges are decided" if activation.taken is not None else f"it is {activation.state}"
        raise IllegalEventError(f"{type(event).__name__} of {event.address} is impossible: {why}.")
    return scope, activation


def _operation(
    event: Succeeded | AttemptFailed | Cancelled,
    activation: Activation,
    address: OperationAddress,
    *moves: Move,
) -> Operation:
    """The newest of its own chain, if one of these moves is possible. Raises `IllegalEventError`."""
    operation = activation.operation(address)
    if (
        operation is None
        or address.address != event.address
        or (address.chain, address.number) != ("", activation.newest())
        or not any(operation.state in OPERATIONS[move] for move in moves)
    ):
        now = "unknown" if operation is None else operation.state
        raise IllegalEventError(f"{type(event).__name__} of {address} is impossible: its operation is {now}.")
    return operation
