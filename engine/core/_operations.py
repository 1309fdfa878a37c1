"""What an event means for an operation: tokens, results, ends. What it means for a submission is in `_submissions`.

Each function checks first and changes afterwards, so that an event that is refused has changed nothing.
"""

from __future__ import annotations

from typing import assert_never

from ...checkpoints.records import State
from . import _submissions as submissions
from ._flow import Step
from ._table import Move
from .commands import CancelRemote, Decode, Fetch, Wake
from .errors import IllegalEventError
from .events import (
    FateDecided,
    Fetched,
    FetchStarted,
    GivenUp,
    HandleFound,
    NothingFound,
    Opened,
    OperationEnded,
    OperationEvent,
    StrayCancelled,
    SubmissionIntended,
    SubmissionRefused,
    SubmissionUnknown,
    Submitted,
    TokenAdvanced,
)
from .state import Activation, Operation

S = State


def advance_operation(step: Step, event: OperationEvent) -> None:
    """Apply an event of an operation."""
    match event:
        case SubmissionIntended():
            submissions.intended(step, event)
        case Opened():
            _opened(step, event)
        case Submitted():
            submissions.submitted(step, event)
        case SubmissionRefused():
            submissions.refused(step, event)
        case SubmissionUnknown():
            submissions.unknown(step, event)
        case NothingFound():
            submissions.nothing_found(step, event)
        case HandleFound():
            submissions.handle_found(step, event)
        case StrayCancelled():
            submissions.stray_cancelled(step, event)
        case FateDecided():
            submissions.fate_decided(step, event)
        case TokenAdvanced():
            activation, operation = _going_on(step, event)
            if operation.state is S.CANCELLING:
                # The cancel is sent until it is acknowledged, with this token from now on.
                step.save_operation(activation, event.operation, Move.GO_ON, detail=operation.detail)
                return
            wake_at = event.at + event.poll_after
            step.save_operation(activation, event.operation, Move.GO_ON, wake_at=wake_at)
            step.commands.append(Wake(wake_at, event.operation.address, event.operation))
        case FetchStarted():
            activation, operation = _going_on(step, event)
            if operation.state is not S.WAITING:
                raise submissions.illegal(event, operation.state)
            if operation.detail == "fetching":
                raise IllegalEventError(
                    f"FetchStarted of {event.operation} is impossible: its result is being fetched."
                )
            step.save_operation(
                activation, event.operation, Move.GO_ON, wake_at=operation.wake_at, detail="fetching"
            )
            step.commands.append(Fetch(event.operation))
        case Fetched():
            activation, operation = _going_on(step, event)
            detail = operation.detail if operation.state is S.CANCELLING else "fetched"
            step.save_operation(activation, event.operation, Move.GO_ON, detail=detail, has_outcome=True)
            step.commands.append(Decode(event.operation))
        case OperationEnded():
            _ended(step, event)
        case GivenUp():
            activation, operation = _going_on(step, event)
            if operation.state is not S.WAITING:
                raise submissions.illegal(event, operation.state)
            step.save_operation(activation, event.operation, Move.CANCEL, detail=event.reason)
            step.commands.append(CancelRemote(event.operation))
        case _:
            assert_never(event)


def _opened(step: Step, event: Opened) -> None:
    """It is open. In a run that fails it is not: its activation is held back for a retry."""
    address = event.operation
    scope, activation = step.locate(event, address.address)
    if step.state.operation(address) is not None:
        raise IllegalEventError(f"Opened of {address} is impossible: it is open already.")
    submissions.require_new(step, event, activation)
    if not step.may_start:
        step.move(scope, activation, address.address, Move.HOLD_BACK)
        return
    wake_at = event.at + event.poll_after
    step.create_operation(activation, address, Move.OPEN, wake_at=wake_at, accepted_at=event.at)
    step.commands.append(Wake(wake_at, address.address, address))


def _ended(step: Step, event: OperationEnded) -> None:
    """The operation has ended, and its activation goes on; only a run that ends has no use for another turn."""
    address, ending = event.operation, event.ending
    kept = ending in ("succeeded", "undecodable")
    scope, activation, operation = submissions.expect(
        step, event, Move.MISS if ending == "lost" else Move.GO_ON
    )
    if not address.chain and ending != "succeeded":
        raise IllegalEventError(
            f"OperationEnded of {address} is impossible: an operation of its own chain that is {ending} ends its "
            "attempt."
        )
    given_up = operation.detail in ("deadline", "queue") and not step.ending
    if kept:
        step.save_operation(activation, address, Move.SUCCEED, has_outcome=True)
    elif ending == "lost":
        step.save_operation(activation, address, Move.MISS)
    elif operation.state is S.CANCELLING and not given_up:
        step.save_operation(activation, address, Move.ACKNOWLEDGE)
    else:
        step.save_operation(activation, address, Move.FAIL)
    if not address.chain:
        if step.ending:
            step.move(scope, activation, address.address, Move.ACKNOWLEDGE)
        else:
            step.commands.append(Decode(address))


def _going_on(step: Step, event: OperationEvent) -> tuple[Activation, Operation]:
    """The operation, if it goes on and has not given its result. Raises `IllegalEventError`."""
    _, activation, operation = submissions.expect(step, event, Move.GO_ON)
    if operation.has_outcome:
        raise IllegalEventError(
            f"{type(event).__name__} of {event.operation} is impossible: its result is there."
        )
    return activation, operation
