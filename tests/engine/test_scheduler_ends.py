"""How things end badly: failures, retries, submissions of unknown fate, cancels, and events that come late."""

from __future__ import annotations

from dataclasses import fields
from typing import assert_never, get_args

import pytest
from perdure.checkpoints import ActivationState, RunStatus
from perdure.engine.commands import Cancel, Decide, Finish, Settle, Start
from perdure.engine.errors import IllegalEventError
from perdure.engine.events import (
    NAMES,
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
from perdure.engine.plan import OnFailure
from perdure.engine.step import ALLOWED

from .graphs import Sketch
from .play import Play, at

S = ActivationState


def three(*, on_failure: OnFailure = "cancel") -> Play:
    """a has succeeded; b, c and d run side by side and are joined by z."""
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z", on_failure=on_failure)).begin()
    play.succeed("a")
    return play


# -- failure ---------------------------------------------------------------------------------------------


def test_a_failure_cancels_what_is_under_way_and_the_run_fails_when_that_is_done() -> None:
    play = three()
    play.submit("c")
    play.fail("b")
    assert play.states() == {"a": "succeeded", "b": "failed", "c": "cancelling", "d": "cancelling"}
    assert play.last(Cancel) == ["c", "d"]
    assert play.state.status is RunStatus.CANCELLING
    play.cancelled("d")
    assert play.finished is None
    play.cancelled("c")
    assert play.finished is RunStatus.FAILED


def test_a_backoff_is_cancelled_at_once() -> None:
    play = three()
    play.apply(BackedOff(at("c")))
    play.fail("b")
    assert play.of("c") == "cancelled"
    assert play.last(Cancel) == ["d"]


def test_a_workflow_can_let_the_others_finish() -> None:
    play = three(on_failure="finish")
    play.apply(BackedOff(at("d")))
    play.fail("b")
    assert play.last(Cancel) == []
    play.apply(AttemptStarted(at("d")))
    play.succeed("d")
    assert play.finished is None
    play.succeed("c")
    assert play.finished is RunStatus.FAILED


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_in_a_run_that_fails_successors_are_ready_and_do_not_start(policy: OnFailure) -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.edge("c", "d")
    sketch.join(("b", "d"), "z")
    play = Play(sketch.plan("z", on_failure=policy)).begin()
    play.succeed("a")
    play.fail("b")
    play.succeed("c")
    assert play.of("d") == "ready"
    assert play.finished is RunStatus.FAILED


def test_a_node_whose_edges_cannot_be_evaluated_keeps_its_success_and_fails_the_run() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.apply(Succeeded(at("a"), taken=None))
    assert play.of("a") == "succeeded"
    assert play.finished is RunStatus.FAILED


def test_a_skipped_end_cancels_what_is_under_way_by_the_workflows_policy() -> None:
    for policy, expected in (("cancel", "cancelling"), ("finish", "running")):
        sketch = Sketch("a")
        sketch.edge("a", "side")
        sketch.edge("a", "b")
        sketch.edge("b", "z", when=True)
        play = Play(sketch.plan("z", on_failure="cancel" if policy == "cancel" else "finish")).begin()
        play.succeed("a", "b")
        assert play.of("z") == "skipped"
        assert play.of("side") == expected


# -- retry -----------------------------------------------------------------------------------------------


def test_a_retry_starts_again_what_failed_or_was_cancelled_and_keeps_what_succeeded() -> None:
    play = three()
    play.succeed("d")
    play.fail("b")
    play.cancelled("c")
    play.retry()
    assert play.last(Start) == ["b", "c"]
    assert play.rows[at("b")].attempt == play.rows[at("c")].attempt == 2
    assert play.of("d") == "succeeded"
    play.succeed("b", "c", "z")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_retry_starts_what_was_held_back() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.edge("c", "d")
    sketch.join(("b", "d"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.fail("b")
    play.succeed("c")
    play.retry()
    assert play.last(Start) == ["b", "d"]
    assert play.rows[at("d")].attempt == 1


def test_a_retry_evaluates_the_edges_alone() -> None:
    sketch = Sketch("a")
    yes = sketch.edge("a", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.apply(Succeeded(at("a"), taken=None))
    play.retry()
    assert play.last(Start) == []
    assert play.last(Decide) == ["a"]
    play.apply(EdgesFailed(at("a")))
    assert play.finished is RunStatus.FAILED
    play.retry()
    play.apply(EdgesDecided(at("a"), taken=(yes,)))
    assert play.of("z") == "running"


def test_a_run_can_fail_again_and_be_retried_again() -> None:
    sketch = Sketch("a")
    play = Play(sketch.plan("a")).begin()
    for attempt in (1, 2, 3):
        assert play.rows[at("a")].attempt == attempt
        play.fail("a")
        play.retry()
    play.succeed("a")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_retry_opens_the_map_that_the_failure_held_back() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.map("c", "d")
    sketch.collect("d", "e")
    sketch.join(("b", "e"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.fail("b")
    play.succeed("c", items=2)
    assert play.of("d[0]") is None
    play.retry()
    assert play.last(Start) == ["b", "d[0]", "d[1]"]


def test_only_a_run_that_has_failed_can_be_retried() -> None:
    play = three()
    refused(play, RunRetried())
    play.fail("b")
    refused(play, RunRetried())  # c and d are not cancelled yet
    play.apply(CancelRequested())
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED
    refused(play, RunRetried())


# -- submissions -----------------------------------------------------------------------------------------


def test_a_submission_goes_from_intent_to_handle_to_success() -> None:
    play = three()
    states: list[str | None] = []
    for event in (SubmissionIntended, Submitted, TokenAdvanced, Succeeded):
        play.apply(event(at("b")))
        states.append(play.of("b"))
    assert states == ["submitting", "waiting", "waiting", "succeeded"]


def test_a_submission_of_unknown_fate_can_be_made_again_adopted_or_given_up() -> None:
    again, adopted, given_up = three(), three(), three()
    for play in (again, adopted, given_up):
        play.lose("b")
        assert play.of("b") == "submit_unknown"
        assert play.finished is None
    again.apply(SubmissionIntended(at("b")))
    assert again.of("b") == "submitting"
    adopted.apply(Submitted(at("b")))
    assert adopted.of("b") == "waiting"
    given_up.fail("b")
    assert given_up.of("b") == "failed"


def test_a_submission_under_way_is_not_cancelled_until_its_handle_is_known() -> None:
    play = three()
    play.apply(SubmissionIntended(at("c")))
    play.fail("b")
    assert play.of("c") == "submitting"
    assert play.last(Cancel) == ["d"]
    play.apply(Submitted(at("c")))
    assert play.of("c") == "cancelling"
    assert play.last(Cancel) == ["c"]


@pytest.mark.parametrize(
    ("event", "state"),
    [(BackedOff, "cancelled"), (Cancelled, "cancelled"), (Failed, "failed")],
)
def test_a_submission_that_was_refused_in_a_failing_run_is_over(
    event: type[BackedOff | Cancelled | Failed], state: str
) -> None:
    play = three()
    play.apply(SubmissionIntended(at("c")))
    play.fail("b")
    play.apply(event(at("c")))
    assert play.of("c") == state


def test_when_the_others_may_finish_so_may_a_submission() -> None:
    play = three(on_failure="finish")
    play.apply(SubmissionIntended(at("c")))
    play.fail("b")
    play.apply(Submitted(at("c")))
    assert play.of("c") == "waiting"


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failing_run_does_not_wait_for_a_submission_of_unknown_fate(policy: OnFailure) -> None:
    play = three(on_failure=policy)
    play.lose("c")
    play.succeed("d")
    play.fail("b")
    assert play.of("c") == "submit_unknown"
    assert play.finished is RunStatus.FAILED
    play.retry()
    assert play.last(Settle) == ["c"]
    assert play.last(Start) == ["b"]
    play.apply(Submitted(at("c")))
    play.succeed("b", "c", "z")
    assert play.finished is RunStatus.SUCCEEDED


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failing_run_does_not_submit_again(policy: OnFailure) -> None:
    play = three(on_failure=policy)
    play.lose("c")
    play.fail("b")
    assert play.finished is None
    refused(play, SubmissionIntended(at("c")))


def test_a_handle_that_turns_up_in_a_failing_run_is_cancelled() -> None:
    play = three()
    play.lose("c")
    play.fail("b")
    play.apply(Submitted(at("c")))
    assert play.last(Cancel) == ["c"]


def test_a_submission_whose_fate_is_lost_in_a_failing_run_is_parked() -> None:
    play = three()
    play.apply(SubmissionIntended(at("c")))
    play.fail("b")
    play.cancelled("d")
    assert play.finished is None
    play.apply(SubmissionUnknown(at("c")))
    assert play.of("c") == "submit_unknown"
    assert play.finished is RunStatus.FAILED


# -- backoff ---------------------------------------------------------------------------------------------


def test_each_attempt_starts_once() -> None:
    play = three()
    play.apply(BackedOff(at("b")))
    assert play.of("b") == "backoff"
    assert play.last(Start) == []
    play.apply(AttemptStarted(at("b")))
    assert play.last(Start) == ["b"]
    assert play.rows[at("b")].attempt == 2


# -- cancel ----------------------------------------------------------------------------------------------


def test_a_cancel_ends_everything_that_can_move() -> None:
    play = three()
    play.submit("c")
    play.lose("d")
    play.apply(CancelRequested())
    assert play.states() == {"a": "succeeded", "b": "cancelling", "c": "cancelling", "d": "cancelled"}
    assert play.last(Cancel) == ["b", "c"]
    play.cancelled("b", "c")
    assert play.finished is RunStatus.CANCELLED


def test_a_cancel_waits_for_the_handle_of_a_submission_under_way() -> None:
    known, lost = three(), three()
    for play in (known, lost):
        play.apply(SubmissionIntended(at("b")))
        play.apply(CancelRequested())
        play.cancelled("c", "d")
        assert play.finished is None
    known.apply(Submitted(at("b")))
    assert known.last(Cancel) == ["b"]
    lost.apply(SubmissionUnknown(at("b")))
    assert lost.of("b") == "cancelled"
    assert lost.finished is RunStatus.CANCELLED


def test_a_cancel_overrides_a_failure() -> None:
    play = three(on_failure="finish")
    play.lose("d")
    play.fail("b")
    play.apply(CancelRequested())
    assert play.states() == {"a": "succeeded", "b": "failed", "c": "cancelling", "d": "cancelled"}
    play.cancelled("c")
    assert play.finished is RunStatus.CANCELLED


def test_what_a_cancel_meets_on_its_way_to_a_failure_is_not_cancelled_twice() -> None:
    play = three()
    play.fail("b")
    play.apply(CancelRequested())
    assert play.last(Cancel) == []
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED


def test_a_success_that_overtakes_the_cancel_counts_and_starts_nothing() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("b", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.apply(CancelRequested())
    play.succeed("b")
    assert play.states() == {"a": "succeeded", "b": "succeeded", "z": "cancelled"}
    assert play.last(Start) == []
    assert play.finished is RunStatus.CANCELLED


def test_a_failure_after_a_cancel_leaves_the_run_cancelled() -> None:
    play = three()
    play.apply(CancelRequested())
    play.fail("b")
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED


def test_a_cancel_is_asked_for_once_and_not_after_the_end() -> None:
    play = three()
    play.apply(CancelRequested())
    refused(play, CancelRequested())
    done = Play(Sketch("a").plan("a")).begin()
    done.succeed("a")
    refused(done, CancelRequested())


def test_nothing_is_cancelled_that_nobody_wants_to_end() -> None:
    play = three(on_failure="finish")
    play.apply(SubmissionIntended(at("c")))
    refused(play, Cancelled(at("b")))
    refused(play, Cancelled(at("c")))
    play.fail("b")
    refused(play, Cancelled(at("c")))


# -- late and impossible events --------------------------------------------------------------------------

EVENTS = sorted(ALLOWED, key=lambda kind: NAMES[kind])

LEGAL: dict[ActivationState, dict[type[Event], ActivationState]] = {
    S.READY: {},
    S.RUNNING: {
        SubmissionIntended: S.SUBMITTING,
        Succeeded: S.SUCCEEDED,
        BackedOff: S.BACKOFF,
        Failed: S.FAILED,
    },
    S.SUBMITTING: {
        Submitted: S.WAITING,
        SubmissionUnknown: S.SUBMIT_UNKNOWN,
        BackedOff: S.BACKOFF,
        Failed: S.FAILED,
    },
    S.SUBMIT_UNKNOWN: {SubmissionIntended: S.SUBMITTING, Submitted: S.WAITING, Failed: S.FAILED},
    S.WAITING: {
        TokenAdvanced: S.WAITING,
        Succeeded: S.SUCCEEDED,
        BackedOff: S.BACKOFF,
        Failed: S.FAILED,
    },
    S.BACKOFF: {AttemptStarted: S.RUNNING},
    S.CANCELLING: {
        TokenAdvanced: S.CANCELLING,
        Succeeded: S.SUCCEEDED,
        Failed: S.FAILED,
        Cancelled: S.CANCELLED,
    },
    S.SUCCEEDED: {},
    S.FAILED: {},
    S.SKIPPED: {},
    S.CANCELLED: {},
}
"""What can happen to an activation, and what it then is, in a run that nobody cancels (of `cancelling` and
`cancelled`: that somebody does)."""


def refused(play: Play, event: Event) -> None:
    before = play.snapshot()
    with pytest.raises(IllegalEventError):
        play.apply(event)
    assert play.state == before


def in_state(state: ActivationState) -> Play:
    """A run in which b is in that state and c is under way."""
    sketch = Sketch("a")
    sketch.edge("a", "gate")
    sketch.edge("a", "c")
    sketch.edge("a", "d")
    taken = sketch.edge("gate", "b", when=True)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z", on_failure="finish")).begin()
    play.succeed("a")
    if state is S.READY:
        play.fail("d")
    play.succeed("gate", taken=() if state is S.SKIPPED else (taken,))
    match state:
        case S.READY | S.SKIPPED | S.RUNNING:
            pass
        case S.SUBMITTING:
            play.apply(SubmissionIntended(at("b")))
        case S.SUBMIT_UNKNOWN:
            play.lose("b")
        case S.WAITING:
            play.submit("b")
        case S.BACKOFF:
            play.apply(BackedOff(at("b")))
        case S.SUCCEEDED:
            play.succeed("b")
        case S.FAILED:
            play.fail("b")
        case S.CANCELLING:
            play.apply(CancelRequested())
        case S.CANCELLED:
            play.apply(CancelRequested())
            play.cancelled("b")
        case _:
            assert_never(state)
    assert play.of("b") == state
    assert play.finished is None
    return play


def test_the_table_knows_every_event_about_an_activation() -> None:
    about_one = {kind for kind in NAMES if "address" in {field.name for field in fields(kind)}}
    assert set(ALLOWED) == about_one
    assert set(NAMES) == set(get_args(Event))
    assert len(set(NAMES.values())) == len(NAMES)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("state", list(S))
def test_an_event_is_taken_where_it_can_happen_and_refused_elsewhere(
    state: ActivationState, kind: type[Submitted]
) -> None:
    play = in_state(state)
    if kind in LEGAL[state]:
        play.apply(kind(at("b")))
        assert play.of("b") == LEGAL[state][kind]
    else:
        refused(play, kind(at("b")))


@pytest.mark.parametrize("kind", EVENTS)
def test_nothing_happens_to_an_activation_that_does_not_exist(kind: type[Submitted]) -> None:
    play = in_state(S.RUNNING)
    refused(play, kind(at("z")))
    refused(play, kind(Address("b", (3,))))


@pytest.mark.parametrize("kind", EVENTS)
def test_nothing_happens_in_a_scope_that_is_closed(kind: type[Submitted]) -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.collect("b", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=1)
    play.succeed("b[0]")
    refused(play, kind(at("b[0]")))


@pytest.mark.parametrize("first", [Succeeded, Failed, Cancelled])
@pytest.mark.parametrize("second", [Succeeded, Failed, Cancelled])
def test_the_first_end_of_an_activation_wins(first: type[Succeeded], second: type[Succeeded]) -> None:
    play = in_state(S.CANCELLING)
    play.apply(first(at("b")))
    refused(play, second(at("b")))


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind is not RunRetried])
def test_nothing_but_a_retry_happens_to_a_run_that_has_failed(kind: type[Event]) -> None:
    parked = (
        three()
    )  # b is of unknown fate, c has undecided edges, d failed: all could move in a run that goes on
    parked.lose("b")
    parked.apply(Succeeded(at("c"), taken=None))
    parked.fail("d")
    assert parked.finished is RunStatus.FAILED
    for name in ("b", "c", "d"):
        refused(parked, kind(at(name)) if kind in ALLOWED else kind())  # type: ignore[arg-type]


def test_a_run_starts_once_and_before_anything_else() -> None:
    play = Play(Sketch("a").plan("a"))
    refused(play, Succeeded(at("a")))
    play.begin()
    refused(play, RunStarted())


def test_an_end_is_announced_once() -> None:
    play = three()
    play.fail("b")
    play.cancelled("c", "d")
    finishes = [command for commands in play.commands for command in commands if isinstance(command, Finish)]
    assert finishes == [Finish(RunStatus.FAILED)]
