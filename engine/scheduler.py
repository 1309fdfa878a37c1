"""The scheduler: `advance(state, event) -> commands`. Pure: no IO, no clock, no randomness, no payloads.

It moves activations through their states, decides which nodes start (as soon as their own inputs are there,
with no barrier), lets skips propagate so that nothing waits for what will not come, opens and closes the
scopes of maps, and says when the run ends. Everything happens in a fixed order, so the same events give the
same state and the same commands, here and in any other driver.

`advance` changes the state in place; a driver whose commit fails throws the state away and loads it again.
`restore.py` builds a state from rows, `fold` builds one from the journal. What follows from an event is worked out
in `step.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from ..checkpoints import ActivationState, RunStatus
from .commands import Cancel, Command, Start
from .errors import IllegalEventError
from .events import (
    Address,
    AttemptStarted,
    BackedOff,
    Cancelled,
    CancelRequested,
    EdgesDecided,
    EdgesFailed,
    Event,
    Failed,
    RunRetried,
    RunStarted,
    SubmissionIntended,
    SubmissionUnknown,
    Submitted,
    Succeeded,
    TokenAdvanced,
)
from .plan import EdgeKind, Plan, PlanEdge
from .state import Scope, State
from .step import Step, fires

S = ActivationState


def advance(state: State, event: Event) -> list[Command]:
    """Apply one event. Raises `IllegalEventError`, leaving the state as it was, if it can't happen now."""
    step = Step(state)
    if state.outcome is not None and not state.live and not isinstance(event, RunRetried):
        raise IllegalEventError(f"{type(event).__name__} is impossible: the run is {state.status}.")
    match event:
        case RunStarted():
            if state.scopes:
                raise IllegalEventError("The run has started already.")
            root = _begin(state)
            root.unresolved = 1
            step.activate(root, Address(state.plan.start))
        case SubmissionIntended(address):
            step.move(*step.expect(event, address), address, S.SUBMITTING)
        case SubmissionUnknown(address):
            cancelled = state.outcome is RunStatus.CANCELLED
            step.move(*step.expect(event, address), address, S.CANCELLED if cancelled else S.SUBMIT_UNKNOWN)
        case Submitted(address):
            scope, activation = step.expect(event, address)
            if state.outcome is not None and step.ending:
                step.move(scope, activation, address, S.CANCELLING)
                step.commands.append(Cancel(address))
            else:
                step.move(scope, activation, address, S.WAITING)
        case TokenAdvanced(address):
            step.expect(event, address)
        case Succeeded(address, taken, items):
            scope, activation = step.expect(event, address)
            if taken is None:
                state.undecided += 1
                step.fail(scope, activation, address, S.SUCCEEDED)
            else:
                activation.taken, activation.items = taken, items
                step.move(scope, activation, address, S.SUCCEEDED)
                step.agenda.append((scope, address, activation))
        case EdgesDecided(address, taken, items):
            scope, activation = step.expect(event, address)
            state.undecided -= 1
            activation.taken, activation.items = taken, items
            step.save(scope, address, activation)
            step.agenda.append((scope, address, activation))
        case EdgesFailed(address):
            step.fail(*step.expect(event, address), address, S.SUCCEEDED)
        case BackedOff(address):
            scope, activation = step.expect(event, address)
            step.move(scope, activation, address, S.CANCELLED if step.ending else S.BACKOFF)
        case AttemptStarted(address):
            scope, activation = step.expect(event, address)
            activation.attempt += 1
            step.move(scope, activation, address, S.RUNNING)
            step.commands.append(Start(address))
        case Failed(address):
            step.fail(*step.expect(event, address), address, S.FAILED)
        case Cancelled(address):
            step.move(*step.expect(event, address), address, S.CANCELLED)
        case CancelRequested():
            if state.outcome is RunStatus.CANCELLED:
                raise IllegalEventError(f"The run can't be cancelled: it is {state.status}.")
            state.outcome = RunStatus.CANCELLED
            step.cancel_all()
        case RunRetried():
            if state.outcome is not RunStatus.FAILED or state.live:
                raise IllegalEventError(f"Only a failed run can be retried; this one is {state.status}.")
            step.retry()
        case _:
            assert_never(event)
    step.drain()
    step.finish()
    return step.commands


def fold(plan: Plan, events: Iterable[Event]) -> State:
    """The state after these events, from the first on."""
    state = State(plan=plan)
    for event in events:
        advance(state, event)
    return state


def inputs(state: State, address: Address) -> tuple[PlanEdge, ...]:
    """The incoming edges that delivered something to the activation at that address, in order.

    More than one, where they are no join, means that alternatives were taken together: an error.
    """
    delivered: list[PlanEdge] = []
    plan = state.plan
    for edge in plan.incoming[address.node]:
        if edge.kind is EdgeKind.COLLECT:
            assert edge.scope is not None
            taken = (edge.scope, address.path) in state.numbers
        else:
            path = address.path[: plan.scopes[plan.node[edge.source].scope].depth]
            source = state.find(Address(edge.source, path))
            taken = source is not None and fires(edge, source)
        if taken:
            delivered.append(edge)
    return tuple(delivered)


def _begin(state: State) -> Scope:
    root = state.scopes[0] = Scope(number=0, scope=0, parent=None, path=(), size=1, next=1)
    state.numbers[0, ()] = 0
    return root
