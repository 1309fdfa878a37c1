"""The state machine: `advance(state, event) -> commands`.

It moves activations and operations through their states, decides retries, waits and unknown fates, which nodes start
(as soon as their own inputs are there, with no barrier), lets skips propagate so that nothing waits for what will not
come, and says when the run ends. Everything happens in a fixed order, so the same events give the same state and the
same commands, in any driver.

`advance` changes the state in place; a driver whose commit fails throws the state away and loads it again.
`restore.py` builds a state from rows, `fold` builds one from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...checkpoints.records import RunStatus
from ._attempts import advance_activation, retry
from ._flow import Step
from ._operations import advance_operation
from .addresses import Address
from .commands import Command
from .errors import IllegalEventError
from .events import (
    AttemptFailed,
    BackoffEnded,
    Cancelled,
    CancelRequested,
    CoreEvent,
    EdgesDecided,
    EdgesFailed,
    HandleFound,
    PoliciesChanged,
    RunRetried,
    RunStarted,
    StrayCancelled,
    Succeeded,
)
from .plan import Plan
from .state import RunState, Scope


def advance(state: RunState, event: CoreEvent) -> list[Command]:
    """Apply one event. Raises `IllegalEventError`, leaving the state as it was, if it can't happen now."""
    step = Step(state)
    ended = state.ended
    if ended and not isinstance(event, RunRetried | HandleFound | StrayCancelled):
        raise IllegalEventError(f"{type(event).__name__} is impossible: the run is {state.status}.")
    if not state.scopes and not isinstance(event, RunStarted):
        raise IllegalEventError(f"{type(event).__name__} is impossible: the run has not started.")
    match event:
        case Succeeded() | AttemptFailed() | BackoffEnded() | Cancelled() | EdgesDecided() | EdgesFailed():
            advance_activation(step, event)
        case RunStarted():
            if state.scopes:
                raise IllegalEventError("RunStarted is impossible: the run has started already.")
            state.policies = event.policies
            root = Scope(number=0, scope=0, parent=None, path=(), size=1, next=1, unresolved=1)
            state.open(root)
            step.activate(root, Address(state.plan.start))
        case PoliciesChanged():
            state.policies = event.policies
            step.fill_all()
        case CancelRequested():
            if state.outcome is RunStatus.CANCELLED:
                raise IllegalEventError(f"CancelRequested is impossible: the run is {state.status}.")
            state.outcome = RunStatus.CANCELLED
            step.stop()
        case RunRetried():
            if state.outcome is not RunStatus.FAILED or state.live:
                raise IllegalEventError(f"Only a failed run can be retried; this one is {state.status}.")
            if event.policies is not None:
                state.policies = event.policies
            retry(step, event.at)
        case _:
            advance_operation(step, event)
    step.drain()
    if not ended or isinstance(event, RunRetried):  # else it is about what outlives the run
        step.finish()
    return step.commands


def fold(plan: Plan, events: Iterable[CoreEvent]) -> RunState:
    """The state after these events, from the first on."""
    state = RunState(plan=plan)
    for event in events:
        advance(state, event)
    return state
