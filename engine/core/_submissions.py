"""What an event means for a submission: its intent, its refusal, its unknown fate, its handle by whichever way.

As everywhere in the core, what is refused has changed nothing.
"""

from __future__ import annotations

from typing import Literal

from ...checkpoints.records import (
    Fate,
    OperationKey,
    RunStatus,
    Source,
    State,
    SubmissionColumns,
    SubmissionKey,
)
from . import policy as policies
from ._flow import Step
from ._table import OPERATIONS, Move
from .addresses import OperationAddress
from .commands import CancelStray, Hold, SaveSubmission, Submit, Wake
from .errors import IllegalEventError
from .events import (
    FateDecided,
    HandleFound,
    NothingFound,
    Opened,
    OperationEvent,
    StrayCancelled,
    SubmissionIntended,
    SubmissionRefused,
    SubmissionUnknown,
    Submitted,
)
from .handles import meaning, submission_number
from .state import Activation, Operation, Scope

S = State


def settle(
    step: Step,
    scope: Scope,
    activation: Activation,
    address: OperationAddress,
    at: float,
    delay: float,
) -> None:
    """Say what becomes of a submission of unknown fate: looked for first, then as the node's policy says.

    Within the time for which the key is honoured sending again is safe, whatever the policy. What a person has decided,
    or is to decide, stays so.
    """
    operation = step.operation(activation, address)
    policy = step.state.policy(address.address.node)
    detail, wake_at = operation.detail, at + delay
    match detail:
        case "held":
            wait = False
        case "resubmit":
            wait = True
        case None if policy.find_after is not None:
            wait = True
        case _:
            wait = _may_resubmit(operation, policy, wake_at)
            if not wait and policy.on_unknown_submit == "fail":
                _fail(step, scope, activation, address)
                return
    if wait:
        step.save_operation(activation, address, Move.LOOK, wake_at=wake_at, detail=detail)
        step.commands.append(Wake(wake_at, address.address, address))
    else:
        step.save_operation(activation, address, Move.LOOK, detail="held")
        step.commands.append(Hold(address))


def _may_resubmit(operation: Operation, policy: policies.Policy, at: float) -> bool:
    """Whether the operation, whose fate is unknown, may be submitted again at that moment without asking anybody."""
    trying_since = at if operation.trying_since is None else operation.trying_since
    return at < trying_since + policy.idempotent_for or (
        policy.on_unknown_submit == "resubmit" and operation.unknown <= policies.RESUBMISSIONS
    )


# -- sending ------------------------------------------------------------------------------------------------


def intended(step: Step, event: SubmissionIntended) -> None:
    """Send it. Where the time in which that was safe has passed meanwhile, the policy decides instead.

    In a run that fails nothing new is sent: the activation is held back, and a retry calls it again.
    """
    address = event.operation
    scope, activation = step.locate(event, address.address)
    operation = activation.operation(address)
    if operation is None:
        require_new(step, event, activation)
        if not step.may_start:
            step.move(scope, activation, address.address, Move.HOLD_BACK)
            return
        submission = 1
        operation = step.create_operation(
            activation, address, Move.INTEND, submission=submission, trying_since=event.at, sent_at=event.at
        )
    else:
        expect(step, event, Move.INTEND)
        _require_settled(step, event, operation)
        policy = step.state.policy(address.address.node)
        if (
            operation.state is S.SUBMIT_UNKNOWN
            and operation.detail != "resubmit"
            and not _may_resubmit(operation, policy, event.at)
        ):
            settle(step, scope, activation, address, event.at, 0.0)
            return
        submission = operation.submission + 1
        step.save_operation(activation, address, Move.INTEND, submission=submission, sent_at=event.at)
    _save_submission(step, operation, submission, "sent")
    step.commands.append(Submit(address))


def _require_settled(step: Step, event: SubmissionIntended, operation: Operation) -> None:
    """Raise unless it is decided that the operation is submitted again."""
    policy = step.state.policy(event.operation.address.node)
    why = None
    if operation.detail == "held":
        why = "a person is to decide"
    elif not step.may_start:
        why = f"the run is {step.state.status}; it is settled when the run is retried"
    elif operation.looked_for(policy):
        why = "it is to be looked for first"
    if why is not None:
        raise IllegalEventError(f"SubmissionIntended of {event.operation} is impossible: {why}.")


def submitted(step: Step, event: Submitted) -> None:
    """The reply has brought the handle."""
    scope, activation, operation = expect(step, event, Move.ACCEPT)
    if operation.state is not S.SUBMITTING:
        raise illegal(event, operation.state)
    _save_handle(step, event.operation, operation, operation.submission, "accepted", "reply", event.handle)
    _accepted(step, scope, activation, event.operation, event.at, event.poll_after)


def _accepted(
    step: Step,
    scope: Scope,
    activation: Activation,
    address: OperationAddress,
    at: float,
    poll_after: float,
) -> None:
    """The handle is known: wait, or cancel where nobody wants it any more."""
    if step.unwanted(activation):
        step.save_operation(activation, address, Move.ACCEPT, accepted_at=at)
        step.cancel_operation(scope, activation, address)
        return
    wake_at = at + poll_after
    step.save_operation(activation, address, Move.ACCEPT, accepted_at=at, wake_at=wake_at)
    step.commands.append(Wake(wake_at, address.address, address))


def refused(step: Step, event: SubmissionRefused) -> None:
    scope, activation, operation = expect(step, event, Move.REFUSE)
    address = event.operation
    policy = step.state.policy(address.address.node)
    _save_submission(step, operation, operation.submission, "refused")
    refused = operation.refused + 1
    if step.unwanted(activation):
        step.save_operation(activation, address, Move.REFUSE, refused=refused)
        step.cancel_operation(scope, activation, address)
        return
    trying_since = event.at if operation.trying_since is None else operation.trying_since
    left = trying_since + policy.submit_timeout - event.at
    if event.passing and step.may_start and left > 0:
        wait = event.retry_after
        if wait is None:
            wait = policies.backoff(refused, event.jitter, policies.LONGEST_REFUSAL)
        wake_at = event.at + min(wait, left)
        step.save_operation(activation, address, Move.REFUSE, refused=refused, wake_at=wake_at)
        step.commands.append(Wake(wake_at, address.address, address))
        return
    _fail(step, scope, activation, address, refused=refused)


def unknown(step: Step, event: SubmissionUnknown) -> None:
    scope, activation, operation = expect(step, event, Move.LOSE)
    address = event.operation
    policy = step.state.policy(address.address.node)
    unknown = operation.unknown + 1
    _save_submission(step, operation, operation.submission, "unknown")
    step.save_operation(activation, address, Move.LOSE, unknown=unknown)
    if step.state.outcome is RunStatus.CANCELLED or activation.own is S.SUCCEEDED:
        step.cancel_operation(scope, activation, address)
    elif step.may_start or (operation.looked_for(policy) and not step.state.ended):
        # Else it is settled when the run is retried.
        wait = event.retry_after
        if wait is None:
            wait = policies.backoff(unknown, event.jitter)
        settle(step, scope, activation, address, event.at, min(wait, policies.UNKNOWN_RETRY_AFTER))


def nothing_found(step: Step, event: NothingFound) -> None:
    """Nothing was found: that is conclusive once enough time has passed since the sending."""
    address = event.operation
    scope, activation, operation = expect(step, event, Move.LOOK)
    if operation.detail is not None:
        raise IllegalEventError(
            f"NothingFound of {address} is impossible: nobody looks for it, it is {operation.detail}."
        )
    policy = step.state.policy(address.address.node)
    sent_at = event.at if operation.sent_at is None else operation.sent_at
    conclusive_at = sent_at + (policy.find_after or 0.0)
    if event.at < conclusive_at:
        delay = min(conclusive_at - event.at, policies.backoff(operation.unknown, event.jitter))
        settle(step, scope, activation, address, event.at, delay)
        return
    step.save_operation(activation, address, Move.LOOK, detail="absent")
    if step.may_start:  # else it is settled when the run is retried
        settle(step, scope, activation, address, event.at, 0.0)


def fate_decided(step: Step, event: FateDecided) -> None:
    scope, activation, _ = expect(step, event, Move.LOOK)
    if event.reply == "fail":
        _fail(step, scope, activation, event.operation)
        return
    step.save_operation(activation, event.operation, Move.LOOK, wake_at=event.at, detail="resubmit")
    if step.may_start:  # else it counts when the run is retried
        step.commands.append(Wake(event.at, event.operation.address, event.operation))


# -- handles that come by other ways ------------------------------------------------------------------------


def handle_found(step: Step, event: HandleFound) -> None:
    """Adopt the handle where it is wanted; one that nobody needs is to be cancelled at its provider."""
    address, submission = event.operation, event.submission
    match meaning(step.state, event):
        case "adopt":
            scope, activation = step.locate(event, address.address)
            operation = activation.operation(address)
            _save_handle(step, address, operation, submission, "accepted", event.source, event.handle)
            _accepted(step, scope, activation, address, event.at, 0.0)
        case "same":
            operation = step.state.operation(address)
            if (
                operation is not None
                and submission <= operation.submission
                and submission not in operation.handles
            ):
                _save_handle(step, address, operation, submission, "accepted", event.source, event.handle)
        case "stray":
            operation = step.state.operation(address)
            if operation is not None:
                submission = submission_number(
                    event.handle, submission, operation.handles, operation.submission
                )
            _save_handle(
                step, address, operation, submission, "stray", event.source, event.handle, event.scope
            )
            step.commands.append(CancelStray(address, submission))
        case None:
            raise IllegalEventError(
                f"HandleFound of {address} is impossible: what it means is said when its submission is settled."
            )


def stray_cancelled(step: Step, event: StrayCancelled) -> None:
    """Nothing of it is left at the provider."""
    key = step.state.strays.pop((event.operation, event.submission), None)
    if key is None:
        raise IllegalEventError(
            f"StrayCancelled of {event.operation} is impossible: it has no such submission."
        )
    step.commands.append(SaveSubmission(key, {"fate": "stray_cancelled"}))


# -- checks, for other events of operations too ------------------------------------------------------------------------------------------------


def expect(step: Step, event: OperationEvent, move: Move) -> tuple[Scope, Activation, Operation]:
    """The operation, if the move is possible. Raises `IllegalEventError`."""
    scope, activation = step.locate(event, event.operation.address)
    operation = activation.operation(event.operation)
    if operation is None:
        raise IllegalEventError(
            f"{type(event).__name__} of {event.operation} is impossible: it has no such operation."
        )
    if operation.state not in OPERATIONS[move]:
        raise illegal(event, operation.state)
    return scope, activation, operation


def require_new(step: Step, event: SubmissionIntended | Opened, activation: Activation) -> None:
    """Raise unless the activation is at work on its request, and its chain has come to this number.

    In a run that fails, an operation of another chain is refused, because its function goes on without it; one of its
    own chain is the caller's to hold back.
    """
    address = event.operation
    newest = activation.newest(address.chain)
    if (
        activation.own is not S.RUNNING
        or activation.attempt != address.attempt
        or step.ending
        or activation.open_in(address.chain) is not None
    ):
        raise illegal(event, activation.state)
    if address.chain and not step.may_start:
        raise IllegalEventError(
            f"{type(event).__name__} of {address} is impossible: the run is {step.state.status}, nothing new starts in it."
        )
    if address.number != (0 if newest is None else newest + 1):
        raise IllegalEventError(
            f"{type(event).__name__} of {address} is impossible: "
            f"{'it has none before' if newest is None else f'the one before is number {newest}'}."
        )


def illegal(event: OperationEvent, state: State) -> IllegalEventError:
    return IllegalEventError(f"{type(event).__name__} of {event.operation} is impossible: it is {state}.")


def _fail(
    step: Step, scope: Scope, activation: Activation, address: OperationAddress, **changed: object
) -> None:
    """The operation came to nothing, and where it is of its own chain the activation did too, for good."""
    step.save_operation(activation, address, Move.FAIL, **changed)
    if address.chain:
        return
    activation.failures += 1
    step.fail(scope, activation, address.address, Move.FAIL, {"failures": activation.failures})


def _save_submission(step: Step, operation: Operation, number: int, fate: Fate) -> None:
    step.commands.append(SaveSubmission(SubmissionKey(operation.key, number), {"fate": fate}))


def _save_handle(
    step: Step,
    address: OperationAddress,
    operation: Operation | None,
    number: int,
    fate: Literal["accepted", "stray"],
    source: Source,
    handle: str,
    scope: int | None = None,
) -> None:
    """The handle of a submission is known. Of an operation that is gone `scope` says where its row is."""
    if operation is not None:
        key = operation.key
        if handle:
            operation.handles[number] = handle
    else:
        assert scope is not None, f"{address} is gone, and nobody said where its row is"
        node, item = step.state.plan.place(address.address)
        key = OperationKey(scope, node, item, address.attempt, address.chain, address.number)
    saved = SubmissionKey(key, number)
    if fate == "stray":
        step.state.strays[address, number] = saved
    columns: SubmissionColumns = {"fate": fate, "source": source}
    if handle:
        columns["handle"] = handle
    step.commands.append(SaveSubmission(saved, columns))
