"""What an event means for an operation: intents, submissions, unknown fates, tokens, results, late handles.

Each function checks first and changes afterwards, so that an event that is refused has changed nothing.
"""

from __future__ import annotations

from typing import assert_never

from ...checkpoints.records import (
    Fate,
    OperationKey,
    RunStatus,
    State,
    SubmissionColumns,
    SubmissionKey,
)
from . import policy as policies
from ._flow import Step
from ._table import OPERATIONS, Move
from .addresses import OperationAddress
from .commands import (
    CancelRemote,
    CancelStray,
    Decode,
    Fetch,
    Hold,
    SaveSubmission,
    Submit,
    Wake,
)
from .errors import IllegalEventError
from .events import (
    Answered,
    Fetched,
    FetchStarted,
    GivenUp,
    HandleFound,
    NothingFound,
    Opened,
    OperationEvent,
    StrayCancelled,
    SubmissionIntended,
    SubmissionRefused,
    SubmissionUnknown,
    Submitted,
    TokenAdvanced,
)
from .state import Activation, Operation, Scope

S = State


def advance_operation(step: Step, event: OperationEvent) -> None:
    """Apply an event of an operation."""
    match event:
        case SubmissionIntended():
            _intended(step, event)
        case Opened():
            _opened(step, event)
        case Submitted():
            _, activation, operation = _expect(step, event, Move.ACCEPT)
            if operation.state is not S.SUBMITTING:
                raise _illegal(event, operation.state)
            _save_submission(step, event.operation, operation.submission, "accepted", source="reply")
            _accepted(step, activation, event.operation, operation, event.at, event.poll_after)
        case SubmissionRefused():
            _refused(step, event)
        case SubmissionUnknown():
            _unknown(step, event)
        case NothingFound():
            _nothing_found(step, event)
        case HandleFound():
            _handle_found(step, event)
        case StrayCancelled():
            stray = step.state.strays.pop((event.operation, event.submission), None)
            if stray is None:
                raise IllegalEventError(
                    f"StrayCancelled of {event.operation} is impossible: it has no such submission."
                )
            step.commands.append(SaveSubmission(stray, {"fate": "stray_cancelled"}))
        case Answered():
            _answered(step, event)
        case TokenAdvanced():
            _, _, operation = _expect(step, event, Move.GO_ON)
            wake_at = event.at + event.poll_after
            detail = operation.detail if operation.state is S.CANCELLING else None
            step.save_operation(operation, operation.state, wake_at=wake_at, detail=detail)
            step.commands.append(Wake(wake_at, event.operation.address, event.operation))
        case FetchStarted():
            _, _, operation = _expect(step, event, Move.GO_ON)
            if operation.state is not S.WAITING:
                raise _illegal(event, operation.state)
            step.save_operation(operation, S.WAITING, wake_at=operation.wake_at, detail="fetching")
            step.commands.append(Fetch(event.operation))
        case Fetched():
            _, _, operation = _expect(step, event, Move.GO_ON)
            detail = operation.detail if operation.state is S.CANCELLING else "fetched"
            step.save_operation(operation, operation.state, detail=detail, has_outcome=True)
            step.commands.append(Decode(event.operation))
        case GivenUp():
            _, activation, operation = _expect(step, event, Move.CANCEL)
            if operation.state is not S.WAITING:
                raise _illegal(event, operation.state)
            step.save_operation(operation, S.CANCELLING, detail=event.reason)
            step.follow(activation, S.CANCELLING)
            step.commands.append(CancelRemote(event.operation))
        case _:
            assert_never(event)


def settle(
    step: Step,
    scope: Scope,
    activation: Activation,
    address: OperationAddress,
    at: float,
    delay: float,
) -> None:
    """Say what becomes of a submission of unknown fate: looked for first, then as the node's policy says.

    Within the time for which the key is honoured sending again is safe, whatever the policy.
    """
    operation = step.operation(activation, address)
    policy = step.state.policy(address.address.node)
    trying_since = at if operation.trying_since is None else operation.trying_since
    wake_at = at + delay
    looked_for = policy.find_after is None or operation.detail == "absent"
    if not looked_for:
        step.save_operation(operation, S.SUBMIT_UNKNOWN, wake_at=wake_at, unknown=operation.unknown)
    elif wake_at < trying_since + policy.idempotent_for or (
        policy.on_unknown_submit == "resubmit" and operation.unknown <= policies.RESUBMISSIONS
    ):
        step.save_operation(
            operation,
            S.SUBMIT_UNKNOWN,
            wake_at=wake_at,
            unknown=operation.unknown,
            detail=operation.detail,
        )
    elif policy.on_unknown_submit == "fail":
        _fail(step, scope, activation, address, operation, unknown=operation.unknown)
        return
    else:
        step.save_operation(operation, S.SUBMIT_UNKNOWN, unknown=operation.unknown, detail="held")
        step.follow(activation, S.SUBMIT_UNKNOWN)
        step.commands.append(Hold(address))
        return
    step.follow(activation, S.SUBMIT_UNKNOWN)
    step.commands.append(Wake(wake_at, address.address, address))


# -- submissions -------------------------------------------------------------------------------------------


def _intended(step: Step, event: SubmissionIntended) -> None:
    address = event.operation
    _, activation = step.locate(event, address.address)
    known = step.state.operation(address)
    if known is None:
        operation = _new(step, event, Move.INTEND)
        operation.trying_since = event.at
    else:
        operation = known
        _expect(step, event, Move.INTEND)
        if operation.detail == "held":
            raise IllegalEventError(f"SubmissionIntended of {address} is impossible: a person is to decide.")
        if step.state.outcome is not None:
            raise IllegalEventError(
                f"SubmissionIntended of {address} is impossible: the run is {step.state.status}; it is settled "
                "when the run is retried."
            )
    step.save_operation(
        operation,
        S.SUBMITTING,
        submission=operation.submission + 1,
        trying_since=operation.trying_since,
        sent_at=event.at,
    )
    step.follow(activation, S.SUBMITTING)
    _save_submission(step, address, operation.submission, "sent")
    step.commands.append(Submit(address))


def _opened(step: Step, event: Opened) -> None:
    _, activation = step.locate(event, event.operation.address)
    if step.state.operation(event.operation) is not None:
        raise IllegalEventError(f"Opened of {event.operation} is impossible: it is open already.")
    operation = _new(step, event, Move.OPEN)
    wake_at = event.at + event.poll_after
    step.save_operation(operation, S.WAITING, wake_at=wake_at, accepted_at=event.at)
    step.follow(activation, S.WAITING)
    step.commands.append(Wake(wake_at, event.operation.address, event.operation))


def _new(step: Step, event: SubmissionIntended | Opened, move: Move) -> Operation:
    address = event.operation
    _, activation = step.locate(event, address.address)
    if (
        activation.state is not S.RUNNING
        or activation.attempt != address.attempt
        or step.state.open_operation(address.address) is not None
    ):
        raise _illegal(event, activation.state)
    to = OPERATIONS[move][None]
    key = OperationKey(*step.state.key(address.address), address.attempt, address.chain, address.number)
    operation = Operation(to, key)
    if activation.operations is None:
        activation.operations = {}
    activation.operations[address.chain, address.number] = operation
    return operation


def _accepted(
    step: Step,
    activation: Activation,
    address: OperationAddress,
    operation: Operation,
    at: float,
    poll_after: float,
) -> None:
    """The handle is known: wait, or cancel where the run is ending."""
    if step.state.outcome is not None and step.ending:
        step.save_operation(operation, S.CANCELLING, accepted_at=at, detail="run")
        step.follow(activation, S.CANCELLING)
        step.commands.append(CancelRemote(address))
        return
    wake_at = at + poll_after
    step.save_operation(operation, S.WAITING, accepted_at=at, wake_at=wake_at)
    step.follow(activation, S.WAITING)
    step.commands.append(Wake(wake_at, address.address, address))


def _refused(step: Step, event: SubmissionRefused) -> None:
    scope, activation, operation = _expect(step, event, Move.REFUSE)
    address = event.operation
    policy = step.state.policy(address.address.node)
    _save_submission(step, address, operation.submission, "refused")
    if step.ending:
        step.save_operation(operation, S.CANCELLED)
        step.move(scope, activation, address.address, S.CANCELLED)
        return
    refused = operation.refused + 1
    trying_since = event.at if operation.trying_since is None else operation.trying_since
    left = trying_since + policy.submit_timeout - event.at
    if event.passing and step.state.outcome is None and left > 0:
        wait = event.retry_after
        if wait is None:
            wait = policies.backoff(refused, event.jitter, policies.LONGEST_REFUSAL)
        wake_at = event.at + min(wait, left)
        step.save_operation(operation, S.BACKOFF, refused=refused, wake_at=wake_at)
        step.follow(activation, S.BACKOFF)
        step.commands.append(Wake(wake_at, address.address, address))
        return
    _fail(step, scope, activation, address, operation, refused=refused)


def _unknown(step: Step, event: SubmissionUnknown) -> None:
    scope, activation, operation = _expect(step, event, Move.LOSE)
    address = event.operation
    _save_submission(step, address, operation.submission, "unknown")
    unknown = operation.unknown + 1
    if step.state.outcome is RunStatus.CANCELLED:
        step.save_operation(operation, S.CANCELLED, unknown=unknown)
        step.move(scope, activation, address.address, S.CANCELLED)
        return
    if step.state.outcome is not None:  # settled when the run is retried
        step.save_operation(operation, S.SUBMIT_UNKNOWN, unknown=unknown)
        step.follow(activation, S.SUBMIT_UNKNOWN)
        return
    operation.unknown = unknown
    wait = event.retry_after
    if wait is None:
        wait = policies.backoff(unknown, event.jitter)
    settle(step, scope, activation, address, event.at, min(wait, policies.UNKNOWN_RETRY_AFTER))


def _nothing_found(step: Step, event: NothingFound) -> None:
    """Nothing was found: that counts once a look-up is to be believed."""
    scope, activation, operation = _expect(step, event, Move.LOOK)
    policy = step.state.policy(event.operation.address.node)
    sent_at = event.at if operation.sent_at is None else operation.sent_at
    believed_at = sent_at + (policy.find_after or 0.0)
    if event.at >= believed_at:
        operation.detail = "absent"
    if step.state.outcome is not None:
        step.save_operation(operation, S.SUBMIT_UNKNOWN, detail=operation.detail)
        return
    delay = 0.0
    if event.at < believed_at:
        delay = min(believed_at - event.at, policies.backoff(operation.unknown, event.jitter))
    settle(step, scope, activation, event.operation, event.at, delay)


# -- handles that come by other ways ------------------------------------------------------------------------


def _handle_found(step: Step, event: HandleFound) -> None:
    """Adopt the handle where it is wanted; else it is a run that nobody needs, to be cancelled at its provider."""
    step.locate(event, event.operation.address)
    operation = step.state.operation(event.operation)
    if operation is not None and operation.state is S.SUBMIT_UNKNOWN:
        _, activation, operation = _expect(step, event, Move.ACCEPT)
        _save_submission(step, event.operation, event.submission, "accepted", source=event.source)
        _accepted(step, activation, event.operation, operation, event.at, 0.0)
        return
    if operation is not None and operation.state is S.SUBMITTING and event.submission >= operation.submission:
        raise _illegal(event, operation.state)
    key = SubmissionKey(step.state.operation_key(event.operation), event.submission)
    step.state.strays[event.operation, event.submission] = key
    _save_submission(step, event.operation, event.submission, "stray", source=event.source)
    step.commands.append(CancelStray(event.operation, event.submission))


def _answered(step: Step, event: Answered) -> None:
    scope, activation, operation = _expect(step, event, Move.LOOK)
    if event.reply == "fail":
        _fail(step, scope, activation, event.operation, operation)
        return
    step.save_operation(operation, S.SUBMIT_UNKNOWN, wake_at=event.at, detail="resubmit")
    step.commands.append(Wake(event.at, event.operation.address, event.operation))


def _fail(
    step: Step,
    scope: Scope,
    activation: Activation,
    address: OperationAddress,
    operation: Operation,
    **changed: object,
) -> None:
    """The operation came to nothing, and with it its activation, for good."""
    step.save_operation(operation, S.FAILED, **changed)
    activation.failures += 1
    step.fail(scope, activation, address.address, S.FAILED, {"failures": activation.failures})


# -- checks ------------------------------------------------------------------------------------------------


def _expect(step: Step, event: OperationEvent, move: Move) -> tuple[Scope, Activation, Operation]:
    """The operation, if the move is possible. Raises `IllegalEventError`."""
    scope, activation = step.locate(event, event.operation.address)
    operation = step.state.operation(event.operation)
    if operation is None:
        raise IllegalEventError(
            f"{type(event).__name__} of {event.operation} is impossible: it has no such operation."
        )
    if operation.state not in OPERATIONS[move]:
        raise _illegal(event, operation.state)
    return scope, activation, operation


def _illegal(event: OperationEvent, state: State) -> IllegalEventError:
    return IllegalEventError(f"{type(event).__name__} of {event.operation} is impossible: it is {state}.")


def _save_submission(
    step: Step, address: OperationAddress, number: int, fate: Fate, **columns: object
) -> None:
    key = SubmissionKey(step.state.operation_key(address), number)
    changed: SubmissionColumns = {"fate": fate, **columns}  # pyright: ignore[reportAssignmentType]  # names are the record's
    step.commands.append(SaveSubmission(key, changed))
