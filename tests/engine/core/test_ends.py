"""How things end badly: failures, retries, cancels, and what is under way then. One test per rule."""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.commands import (
    Call,
    CancelCall,
    CancelRemote,
    Decode,
    EvaluateEdges,
    Finish,
    Submit,
    Wake,
)
from perdure.engine.core.plan import OnFailure

from ..graphs import Sketch
from .play import Play, at
from .refusals import refused

S = State


def three(*, on_failure: OnFailure = "cancel", retries: int = 1) -> Play:
    """a has succeeded; b, c and d run side by side and are joined by z."""
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
        sketch.policy(name, retries=retries)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()
    play.succeed("a")
    return play


# -- failure ---------------------------------------------------------------------------------------------


def test_a_failure_cancels_what_is_under_way_and_the_run_fails_when_that_is_done() -> None:
    play = three()
    play.submit("c")
    play.fail("b")
    assert play.states() == {"a": "succeeded", "b": "failed", "c": "cancelling", "d": "cancelling"}
    assert play.last(CancelCall, CancelRemote) == ["c", "d"]
    assert play.state.status is RunStatus.FAILING
    play.cancelled("d")
    assert play.finished is None
    play.cancelled("c")
    assert play.finished is RunStatus.FAILED


def test_a_backoff_is_cancelled_at_once() -> None:
    play = three()
    play.back_off("c")
    play.fail("b")
    assert play.of("c") == "cancelled"
    assert play.last(CancelCall, CancelRemote) == ["d"]


def test_a_workflow_can_let_the_others_finish() -> None:
    play = three(on_failure="finish")
    play.submit("d")
    play.fail("b")
    assert play.last(CancelCall, CancelRemote) == []
    assert play.state.status is RunStatus.FAILING
    play.succeed("d")
    assert play.finished is None
    play.succeed("c")
    assert play.finished is RunStatus.FAILED


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_nothing_is_tried_again_in_a_run_that_fails(policy: OnFailure) -> None:
    """Neither an attempt nor a submission: else the run would wait for what may not begin."""
    play = three(on_failure=policy)
    play.back_off("d")
    play.intend("c")
    play.refuse("c", passing=True)
    assert play.of("c") == play.of("d") == "backoff"
    play.fail("b")
    assert play.of("c") == play.of("d") == "cancelled"
    assert play.finished is RunStatus.FAILED
    play.retry()
    assert play.last(Call) == ["b", "c", "d"]


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failure_of_what_still_finishes_is_no_reason_for_another_attempt(policy: OnFailure) -> None:
    play = three(on_failure=policy)
    play.fail("b")
    play.fail("c", retryable=True)
    assert play.of("c") == "failed"
    assert play.rows[at("c")].failures == 1


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


@pytest.mark.parametrize("kind", [events.SubmissionIntended, events.Opened])
@pytest.mark.parametrize("crash", [False, True])
def test_in_a_run_that_fails_nothing_is_submitted_anew_and_a_retry_calls_it_again(
    crash: bool, kind: type[events.SubmissionIntended]
) -> None:
    play = three(on_failure="finish")
    play.fail("b")
    play.succeed("d")
    assert play.finished is None
    play.apply(kind(play.now, play.operation("c")))
    assert play.of("c") == "ready"
    assert play.last(Submit, Wake) == []
    assert play.finished is RunStatus.FAILED
    if crash:
        play.crash()
    play.retry()
    assert play.last(Call) == ["b", "c"]
    assert play.rows[at("c")].attempt == 1
    play.intend("c")
    assert play.last(Submit) == ["c"]


def test_a_run_that_cancels_what_is_under_way_takes_no_new_submission() -> None:
    play = three(on_failure="cancel")
    play.fail("b")
    refused(play, events.SubmissionIntended(play.now, play.operation("c")))


def test_a_node_whose_edges_cannot_be_evaluated_keeps_its_success_and_fails_the_run() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed_undecided("a")
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
    assert play.last(Call) == ["b", "c"]
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
    assert play.last(Call) == ["b", "d"]
    assert play.rows[at("d")].attempt == 1


def test_a_retry_evaluates_the_edges_alone() -> None:
    sketch = Sketch("a")
    yes = sketch.edge("a", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed_undecided("a")
    play.retry()
    assert play.last(Call) == []
    assert play.last(EvaluateEdges) == ["a"]
    play.apply(events.EdgesFailed(play.now, at("a")))
    assert play.finished is RunStatus.FAILED
    play.retry()
    play.decide("a", taken=(yes,))
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
    assert play.last(Call) == ["b", "d[0]", "d[1]"]


def test_only_a_run_that_has_failed_can_be_retried() -> None:
    play = three()
    refused(play, events.RunRetried(play.now))
    play.fail("b")
    refused(play, events.RunRetried(play.now))  # c and d are not cancelled yet
    play.cancel()
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED
    refused(play, events.RunRetried(play.now))


# -- attempts --------------------------------------------------------------------------------------------


def test_each_attempt_starts_once_after_its_backoff() -> None:
    play = three()
    play.back_off("b")
    assert play.last(Call) == []
    assert play.rows[at("b")].wake_at == play.now + 0.5
    play.apply(events.BackoffEnded(play.now, at("b")))
    assert play.last(Call) == ["b"]
    assert play.rows[at("b")].attempt == 2
    assert play.rows[at("b")].wake_at is None


def test_attempts_back_off_longer_each_time_until_the_retries_are_used_up() -> None:
    play, waits = three(retries=3), list[float]()
    for _ in range(3):
        play.back_off("b")
        waits.append((play.rows[at("b")].wake_at or 0.0) - play.now)
        play.apply(events.BackoffEnded(play.now, at("b")))
    assert waits == [0.5, 1.0, 2.0]
    play.fail("b", retryable=True)
    assert play.of("b") == "failed"


def test_jitter_takes_up_to_half_of_a_backoff_off_and_retry_after_stands_above_both() -> None:
    for jitter, retry_after, wait in ((0.0, None, 0.5), (0.5, None, 0.375), (0.5, 7.0, 7.0)):
        play = three()
        play.apply(events.AttemptFailed(play.now, at("b"), jitter, retry_after=retry_after))
        assert play.rows[at("b")].wake_at == play.now + wait


def test_what_is_not_worth_another_attempt_gets_none() -> None:
    play = three(retries=5)
    play.apply(events.AttemptFailed(play.now, at("b"), retryable=False))
    assert play.of("b") == "failed"


def test_a_retry_by_hand_counts_failures_from_nothing() -> None:
    play = three()
    play.back_off("b")
    play.apply(events.BackoffEnded(play.now, at("b")))
    play.fail("b", retryable=True)
    play.cancelled("c", "d")
    assert play.rows[at("b")].failures == 2
    play.retry()
    assert (play.rows[at("b")].attempt, play.rows[at("b")].failures) == (3, 0)
    play.back_off("b")


def test_a_retry_decodes_a_result_that_was_refused_before_anything_is_asked_anew() -> None:
    play = three()
    play.submit("b")
    operation = play.operation("b")
    for _ in range(2):
        play.apply(events.AttemptFailed(play.now, at("b"), ending="undecodable", operation=operation))
        assert play.of("b") == "failed"  # decoding again gives the same: no attempt is made of it
        play.cancelled(*(name for name in ("c", "d") if play.of(name) == "cancelling"))
        play.retry()
        assert play.last(Decode) == ["b"]
        assert "b" not in play.last(Call)
        play.crash()
    play.apply(events.Succeeded(play.now, at("b"), operation=operation))
    play.succeed("c", "d", "z")
    assert play.finished is RunStatus.SUCCEEDED
    assert [row.fate for row in play.stored.submissions.values()] == ["accepted"]


# -- cancel ----------------------------------------------------------------------------------------------


def test_a_cancel_ends_everything_that_can_move() -> None:
    play = three()
    play.submit("c")
    play.lose("d")
    play.cancel()
    assert play.states() == {"a": "succeeded", "b": "cancelling", "c": "cancelling", "d": "cancelled"}
    assert play.last(CancelCall, CancelRemote) == ["b", "c"]
    play.cancelled("b", "c")
    assert play.finished is RunStatus.CANCELLED


def test_a_cancel_waits_for_the_handle_of_a_submission_under_way() -> None:
    known, lost = three(), three()
    for play in (known, lost):
        play.intend("b")
        play.cancel()
        play.cancelled("c", "d")
        assert play.finished is None
    known.accept("b")
    assert known.last(CancelRemote) == ["b"]
    lost.apply(events.SubmissionUnknown(lost.now, lost.operation("b")))
    assert lost.of("b") == "cancelled"
    assert lost.finished is RunStatus.CANCELLED


def test_a_cancel_overrides_a_failure() -> None:
    play = three(on_failure="finish")
    play.lose("d")
    play.fail("b")
    play.cancel()
    assert play.states() == {"a": "succeeded", "b": "failed", "c": "cancelling", "d": "cancelled"}
    play.cancelled("c")
    assert play.finished is RunStatus.CANCELLED


def test_what_a_cancel_meets_on_its_way_to_a_failure_is_not_cancelled_twice() -> None:
    play = three()
    play.fail("b")
    play.cancel()
    assert play.last(CancelCall, CancelRemote) == []
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED


def test_a_success_that_overtakes_the_cancel_counts_and_starts_nothing() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("b", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.cancel()
    play.succeed("b")
    assert play.states() == {"a": "succeeded", "b": "succeeded", "z": "cancelled"}
    assert play.last(Call) == []
    assert play.finished is RunStatus.CANCELLED


def test_a_failure_after_a_cancel_leaves_the_run_cancelled() -> None:
    play = three()
    play.cancel()
    play.fail("b")
    play.cancelled("c", "d")
    assert play.finished is RunStatus.CANCELLED


def test_a_cancel_is_asked_for_once_and_not_after_the_end() -> None:
    play = three()
    play.cancel()
    refused(play, events.CancelRequested(play.now))
    done = Play(Sketch("a").plan("a")).begin()
    done.succeed("a")
    refused(done, events.CancelRequested(done.now))


def test_nothing_is_cancelled_that_nobody_wants_to_end() -> None:
    play = three(on_failure="finish")
    play.intend("c")
    refused(play, events.Cancelled(play.now, at("b")))
    refused(play, events.Cancelled(play.now, at("c")))
    play.fail("b")
    refused(play, events.Cancelled(play.now, at("c")))


def test_an_end_is_announced_once() -> None:
    play = three()
    play.fail("b")
    play.cancelled("c", "d")
    finishes = [command for commands in play.commands for command in commands if isinstance(command, Finish)]
    assert finishes == [Finish(RunStatus.FAILED)]


def test_a_run_starts_once_and_before_anything_else() -> None:
    play = Play(Sketch("a").plan("a"))
    refused(play, events.Succeeded(play.now, at("a")))
    refused(play, events.CancelRequested(play.now))
    refused(play, events.PoliciesChanged(play.now, play.policies))
    play.begin()
    refused(play, events.RunStarted(play.now))
