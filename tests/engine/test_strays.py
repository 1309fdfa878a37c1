"""Submissions that do not count: their cancels belong to the run, which is not over before they are acknowledged."""

from __future__ import annotations

import pytest
from perdure.checkpoints import RunStatus
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.commands import CancelStray, Finish
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.core.machine import advance, fold
from perdure.engine.core.pending import pending
from perdure.engine.core.plan import Plan
from perdure.engine.core.state import RunState

from .batches import Works, batch_node
from .bench import chain, first

PRINT = OperationAddress(Address("print"))
STRAY = events.StrayCancelled(9.0, PRINT, 1)


@pytest.fixture
def plan(works: Works) -> Plan:
    return chain("w", first, batch_node("print", works)).plan


def with_stray(plan: Plan) -> RunState:
    """A run whose submission was made twice: the second one counts, the handle of the first came late."""
    return fold(
        plan,
        [
            events.RunStarted(1.0),
            events.Succeeded(2.0, Address("first")),
            events.SubmissionIntended(3.0, PRINT),
            events.SubmissionUnknown(4.0, PRINT),
            events.SubmissionIntended(5.0, PRINT),
            events.Submitted(6.0, PRINT),
            events.HandleFound(7.0, PRINT, 1, "former_owner"),
        ],
    )


def test_a_run_that_has_succeeded_is_over_when_its_stray_is_cancelled(plan: Plan) -> None:
    state = with_stray(plan)
    commands = advance(state, events.Succeeded(8.0, PRINT.address, operation=PRINT))
    assert Finish(RunStatus.SUCCEEDED) not in commands
    assert state.status is RunStatus.WAITING
    assert pending(state) == [CancelStray(PRINT, 1)]
    assert advance(state, STRAY)[-1] == Finish(RunStatus.SUCCEEDED)
    assert state.status is RunStatus.SUCCEEDED


def test_a_run_that_fails_is_failing_until_its_stray_is_cancelled(plan: Plan) -> None:
    state = with_stray(plan)
    advance(state, events.AttemptFailed(8.0, PRINT.address, retryable=False, operation=PRINT))
    assert state.status is RunStatus.FAILING
    assert pending(state) == [CancelStray(PRINT, 1)]
    assert advance(state, STRAY)[-1] == Finish(RunStatus.FAILED)


def test_a_stray_is_cancelled_once(plan: Plan) -> None:
    state = with_stray(plan)
    advance(state, STRAY)
    assert pending(state)[-1] != CancelStray(PRINT, 1)
    with pytest.raises(IllegalEventError, match="it has no such submission"):
        advance(state, STRAY)
