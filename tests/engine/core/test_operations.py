"""Operations: intents, refusals, unknown fates, look-ups, results that can be had once, second handles."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from perdure.checkpoints.records import RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.commands import (
    Call,
    CancelRemote,
    CancelStray,
    Decode,
    Fetch,
    Find,
    Hold,
    Poll,
    Resubmit,
    Submit,
    Wake,
)
from perdure.engine.core.handles import meaning, submission_number
from perdure.engine.core.pending import due, idle_wakes, pending
from perdure.engine.core.plan import OnFailure
from perdure.engine.core.replies import after_look

from ..graphs import Sketch
from .play import Play, at
from .refusals import refused

S = State


def one(*, on_failure: OnFailure = "cancel", **policy: Any) -> Play:
    """`b` with this policy, `c` beside it, both joined by z; both run."""
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.join(("b", "c"), "z")
    sketch.policy("b", **policy)
    play = Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()
    play.succeed("a")
    return play


def detail(play: Play) -> str | None:
    return play.stored.operation(play.operation("b")).detail


def waits_until(play: Play) -> float | None:
    """When b is to be looked at, from now."""
    at_ = play.stored.operation(play.operation("b")).wake_at
    return None if at_ is None else at_ - play.now


def what_is_due(play: Play) -> object:
    """What b's moment means, once it has come."""
    operation = play.state.operation(play.operation("b"))
    assert operation is not None
    return due(operation, play.operation("b"), play.state.policy("b"))


def lost(play: Play, **more: Any) -> None:
    play.apply(events.SubmissionUnknown(play.now, play.operation("b"), **more))


def found(
    play: Play, submission: int = 1, source: Literal["found", "person", "former_owner"] = "found"
) -> None:
    play.apply(events.HandleFound(play.now, play.operation("b"), submission, source))


def answer(play: Play, reply: Literal["resubmit", "fail"]) -> None:
    play.apply(events.FateDecided(play.now, play.operation("b"), reply))


# -- the way of a submission -----------------------------------------------------------------------------


def test_a_submission_goes_from_intent_to_handle_to_success() -> None:
    play = one()
    operation = play.operation("b")
    play.intend("b")
    assert play.of("b") == "submitting"
    assert play.last(Submit) == ["b"]
    assert pending(play.state)[:1] == [Call(at("c"))]  # it is under way: nothing is to be begun for it
    play.apply(events.Submitted(play.now, operation, poll_after=0.3))
    assert (play.of("b"), waits_until(play)) == ("waiting", pytest.approx(0.3))
    assert what_is_due(play) == Poll(operation)
    play.apply(events.TokenAdvanced(play.now, operation, poll_after=2.0))
    assert (play.of("b"), waits_until(play)) == ("waiting", 2.0)
    play.succeed("b")
    assert play.of("b") == "succeeded"
    assert [row.fate for row in play.stored.submissions.values()] == ["accepted"]


def test_an_operation_that_never_leaves_the_process_needs_no_submission() -> None:
    play = one()
    play.apply(events.Opened(play.now, play.operation("b"), poll_after=60.0))
    assert (play.of("b"), waits_until(play)) == ("waiting", 60.0)
    assert play.stored.submissions == {}
    refused(play, events.Opened(play.now, play.operation("b")))


@pytest.mark.parametrize("event", [events.AttemptFailed, events.Cancelled, events.Succeeded])
def test_a_submission_under_way_can_end_in_no_other_way_than_by_its_reply(event: Any) -> None:
    """Whoever says otherwise would lose a handle that is about to be known."""
    play = one()
    play.intend("b")
    operation = play.operation("b")
    refused(play, event(play.now, at("b"), operation=operation))
    play.cancel()
    refused(play, event(play.now, at("b"), operation=operation))
    play.accept("b")
    assert play.last(CancelRemote) == ["b"]


@pytest.mark.parametrize("event", [events.AttemptFailed, events.Succeeded])
def test_what_is_known_of_no_handle_has_no_outcome(event: Any) -> None:
    play = one(on_unknown_submit="hold")
    play.lose("b")
    refused(play, event(play.now, at("b"), operation=play.operation("b")))
    refused(play, event(play.now, at("b")))


# -- refusals --------------------------------------------------------------------------------------------


def test_what_may_pass_is_submitted_again_and_is_no_failure_of_the_node() -> None:
    play, waits = one(retries=0), list[float | None]()
    play.intend("b")
    for _ in range(4):
        play.refuse("b", passing=True)
        assert play.of("b") == "backoff"
        waits.append(waits_until(play))
        assert what_is_due(play) == Resubmit(play.operation("b"))
        play.intend("b")
    assert waits == [0.5, 1.0, 2.0, 4.0]
    row = play.rows[at("b")]
    assert (row.attempt, row.failures) == (1, 0)
    assert play.stored.operation(play.operation("b")).refused == 4
    assert [row.fate for row in play.stored.submissions.values()] == [*["refused"] * 4, "sent"]


def test_the_wait_between_refusals_has_an_end_and_follows_the_providers_wish() -> None:
    play = one()
    play.intend("b")
    for _ in range(15):
        play.refuse("b", passing=True)
        play.intend("b")
    play.refuse("b", passing=True)
    assert waits_until(play) == 300.0
    play.intend("b")
    play.apply(events.SubmissionRefused(play.now, play.operation("b"), passing=True, retry_after=1_000.0))
    assert waits_until(play) == 1_000.0


def test_refusals_end_with_the_submit_timeout_after_one_last_try_at_its_very_end() -> None:
    play = one(submit_timeout=10.0)
    play.intend("b")
    play.now += 8.0
    play.apply(events.SubmissionRefused(play.now, play.operation("b"), passing=True, retry_after=60.0))
    assert waits_until(play) == 2.0
    play.now += 2.0
    play.intend("b")
    play.refuse("b", passing=True)
    assert play.of("b") == "failed"


def test_what_can_not_pass_fails_the_node_whatever_its_retries() -> None:
    play = one(retries=5)
    play.intend("b")
    play.refuse("b")
    assert play.of("b") == "failed"
    assert play.stored.operation(play.operation("b")).state is S.FAILED


@pytest.mark.parametrize(("policy", "state"), [("cancel", "cancelled"), ("finish", "failed")])
def test_a_refusal_in_a_run_that_fails_ends_the_submission(policy: OnFailure, state: str) -> None:
    play = one(on_failure=policy)
    play.intend("b")
    play.fail("c")
    play.refuse("b", passing=True)
    assert play.of("b") == state
    assert play.finished is RunStatus.FAILED


# -- unknown fates ---------------------------------------------------------------------------------------


def test_an_unknown_fate_is_submitted_again_twice_and_then_held_for_a_person() -> None:
    play = one()
    play.intend("b")
    for wait in (0.5, 1.0):
        lost(play)
        assert (play.of("b"), waits_until(play)) == ("submit_unknown", wait)
        assert what_is_due(play) == Resubmit(play.operation("b"))
        play.crash()
        play.intend("b")
    lost(play)
    assert (play.last(Hold), detail(play), waits_until(play)) == (["b"], "held", None)
    assert what_is_due(play) is None
    assert Hold(play.operation("b")) in pending(play.state)
    refused(play, events.SubmissionIntended(play.now, play.operation("b")))
    assert [row.fate for row in play.stored.submissions.values()] == ["unknown"] * 3


def test_the_provider_may_ask_for_an_hour_at_most_after_an_unknown_fate() -> None:
    for retry_after, wait in ((60.0, 60.0), (1e9, 3_600.0)):
        play = one()
        play.intend("b")
        lost(play, retry_after=retry_after)
        assert waits_until(play) == wait


def test_policy_says_what_becomes_of_an_unknown_fate() -> None:
    fail, hold = one(on_unknown_submit="fail", retries=3), one(on_unknown_submit="hold")
    for play in (fail, hold):
        play.lose("b")
    assert fail.of("b") == "failed"
    assert (hold.of("b"), detail(hold)) == ("submit_unknown", "held")


@pytest.mark.parametrize("policy", ["fail", "hold"])
def test_while_the_key_is_honoured_sending_again_is_safe_whatever_the_policy(policy: str) -> None:
    play = one(on_unknown_submit=policy, idempotent_for=100.0)
    play.intend("b")
    for _ in range(5):
        play.now += 19.0
        lost(play, retry_after=0.0)
        assert what_is_due(play) == Resubmit(play.operation("b"))
        play.intend("b")
    play.now += 5.0
    lost(play, retry_after=0.0)
    assert play.of("b") == ("failed" if policy == "fail" else "submit_unknown")
    assert detail(play) == (None if policy == "fail" else "held")


@pytest.mark.parametrize("policy", ["fail", "hold"])
def test_what_comes_to_be_sent_when_the_key_is_honoured_no_more_is_not_sent(policy: str) -> None:
    """The process was away meanwhile, or there was no place for it."""
    play = one(on_unknown_submit=policy, idempotent_for=100.0)
    play.lose("b")
    assert what_is_due(play) == Resubmit(play.operation("b"))
    play.now += 200.0
    play.intend("b")
    assert play.last(Submit) == []
    assert play.of("b") == ("failed" if policy == "fail" else "submit_unknown")
    assert [row.fate for row in play.stored.submissions.values()] == ["unknown"]


def test_a_person_decides_what_is_held() -> None:
    again, fail, adopt = (one(on_unknown_submit="hold") for _ in range(3))
    for play in (again, fail, adopt):
        play.lose("b")
    answer(again, "resubmit")
    assert what_is_due(again) == Resubmit(again.operation("b"))
    again.crash()
    again.submit("b")
    answer(fail, "fail")
    assert fail.of("b") == "failed"
    found(adopt, source="person")
    assert adopt.of("b") == "waiting"
    assert [(row.fate, row.source) for row in adopt.stored.submissions.values()] == [("accepted", "person")]


def test_what_is_looked_for_is_not_submitted_again_before_nothing_was_found() -> None:
    play = one(find_after=20.0)
    play.intend("b")
    play.now += 5.0
    lost(play)
    assert what_is_due(play) == Find(play.operation("b"))
    refused(play, events.SubmissionIntended(play.now, play.operation("b")))
    play.now += 5.0
    play.apply(events.NothingFound(play.now, play.operation("b")))  # too early to be believed
    assert (detail(play), what_is_due(play)) == (None, Find(play.operation("b")))
    assert waits_until(play) == 0.5
    play.now += 10.0
    play.crash()
    play.apply(events.NothingFound(play.now, play.operation("b")))
    assert (detail(play), what_is_due(play)) == ("absent", Resubmit(play.operation("b")))
    play.intend("b")
    lost(play)
    assert what_is_due(play) == Find(play.operation("b"))  # each submission is looked for


def test_what_is_found_is_adopted() -> None:
    play = one(find_after=20.0)
    play.lose("b")
    found(play)
    assert (play.of("b"), waits_until(play)) == ("waiting", 0.0)
    assert [(row.fate, row.source) for row in play.stored.submissions.values()] == [("accepted", "found")]


@pytest.mark.parametrize(("policy", "state"), [("fail", "failed"), ("hold", "submit_unknown")])
def test_policy_decides_when_nothing_was_found(policy: str, state: str) -> None:
    play = one(find_after=0.0, on_unknown_submit=policy)
    play.lose("b")
    assert play.of("b") == "submit_unknown"
    play.apply(events.NothingFound(play.now, play.operation("b")))
    assert play.of("b") == state


def test_a_look_up_that_comes_late_does_not_overrule_a_person() -> None:
    play = one(find_after=0.0, on_unknown_submit="hold")
    play.lose("b")
    answer(play, "resubmit")
    refused(play, events.NothingFound(play.now, play.operation("b")))
    assert what_is_due(play) == Resubmit(play.operation("b"))


# -- unknown fates in runs that end ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failing_run_does_not_wait_for_an_unknown_fate_and_a_retry_settles_it(policy: OnFailure) -> None:
    play = one(on_failure=policy)
    play.lose("b")
    play.fail("c")
    assert play.of("b") == "submit_unknown"
    assert play.finished is RunStatus.FAILED
    play.crash()
    play.retry()
    assert play.last(Wake) == ["b"]
    assert play.last(Call) == ["c"]
    play.submit("b")
    play.succeed("b", "c", "z")
    assert play.finished is RunStatus.SUCCEEDED


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failing_run_does_not_submit_again(policy: OnFailure) -> None:
    play = one(on_failure=policy)
    play.lose("b")
    play.intend("c")
    play.apply(events.SubmissionRefused(play.now, play.operation("c")))
    assert play.of("c") == "failed"
    play = one(on_failure=policy)
    play.intend("b")
    play.fail("c")
    lost(play)
    assert play.of("b") == "submit_unknown"
    assert play.finished is RunStatus.FAILED


def test_a_handle_that_turns_up_in_a_failing_run_is_cancelled_or_finishes() -> None:
    for policy, state in (("cancel", "cancelling"), ("finish", "waiting")):
        sketch = Sketch("a")
        for name in ("b", "c", "d"):
            sketch.edge("a", name)
        sketch.join(("b", "c", "d"), "z")
        play = Play(sketch.plan("z", on_failure="cancel" if policy == "cancel" else "finish")).begin()
        play.succeed("a")
        play.lose("b")
        play.fail("c")
        refused(play, events.SubmissionIntended(play.now, play.operation("b")))
        found(play)
        assert play.of("b") == state


def still_open(*, on_failure: OnFailure = "finish", **policy: Any) -> Play:
    """`b` with this policy beside c and d, which is being submitted: a run that fails waits for its reply."""
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
    sketch.policy("b", **policy)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()
    play.succeed("a")
    play.intend("d")
    return play


def looks(play: Play) -> list[object]:
    """When b is to be looked at, as after a crash."""
    return [command.at for command in play.pending() if isinstance(command, Wake)]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("lost_first", [False, True])
@pytest.mark.parametrize(("policy", "state"), [("cancel", "cancelling"), ("finish", "waiting")])
def test_a_failing_run_looks_for_an_unknown_fate_and_adopts_what_it_finds(
    policy: OnFailure, state: str, lost_first: bool, crash: bool
) -> None:
    play = still_open(on_failure=policy, find_after=0.0)
    play.intend("b")
    if lost_first:
        lost(play)
        play.fail("c")
    else:
        play.fail("c")
        lost(play)
        assert play.last(Wake) == ["b"]
    assert play.finished is None
    if crash:
        play.crash()
    assert looks(play) == [play.stored.operation(play.operation("b")).wake_at]
    assert what_is_due(play) == Find(play.operation("b"))
    found(play)
    assert play.of("b") == state


def test_a_failing_run_looks_again_until_that_is_conclusive_and_leaves_the_rest_to_a_retry() -> None:
    play = still_open(find_after=20.0)
    play.lose("b")
    play.fail("c")
    play.apply(events.NothingFound(play.now, play.operation("b")))
    assert play.last(Wake) == ["b"]
    assert detail(play) is None
    play.now += 20.0
    play.apply(events.NothingFound(play.now, play.operation("b")))
    assert play.last(Wake) == looks(play) == []
    assert detail(play) == "absent"
    play.apply(events.SubmissionRefused(play.now, play.operation("d")))
    assert play.finished is RunStatus.FAILED
    play.retry()
    assert play.last(Wake) == ["b"]
    assert what_is_due(play) == Resubmit(play.operation("b"))


def test_a_run_that_has_failed_looks_for_nothing() -> None:
    play = still_open(find_after=0.0)
    play.intend("b")
    play.fail("c")
    play.apply(events.SubmissionRefused(play.now, play.operation("d")))
    assert play.finished is None
    lost(play)
    assert play.finished is RunStatus.FAILED
    assert play.last(Wake) == looks(play) == []


def test_a_failing_run_looks_for_nothing_where_its_provider_cant_be_asked() -> None:
    play = still_open()
    play.intend("b")
    play.fail("c")
    lost(play)
    assert play.finished is None
    assert play.last(Wake) == looks(play) == []


def test_a_retry_starts_nothing_when_an_unknown_fate_fails_the_run_again() -> None:
    play = one(on_unknown_submit="fail")
    play.intend("b")
    play.fail("c")
    lost(play)
    play.retry()
    assert play.states() == {"a": "succeeded", "b": "failed", "c": "failed"}
    assert play.last(Call) == []
    assert play.finished is RunStatus.FAILED
    play.retry()
    assert play.last(Call) == ["b", "c"]


def test_nor_does_it_look_at_other_unknown_fates_then() -> None:
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
    sketch.policy("c", on_unknown_submit="fail")
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z"), sketch.policies).begin()
    play.succeed("a")
    play.intend("b")
    play.intend("c")
    play.fail("d")
    lost(play)
    play.apply(events.SubmissionUnknown(play.now, play.operation("c")))
    play.retry()
    assert play.states() == {"a": "succeeded", "b": "submit_unknown", "c": "failed", "d": "failed"}
    assert play.last(Wake) == []
    play.retry()
    assert (play.last(Call), play.last(Wake)) == (["c", "d"], ["b"])


def test_an_answer_given_in_a_failing_run_counts_after_a_retry() -> None:
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
    sketch.policy("b", on_unknown_submit="hold")
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z", on_failure="finish"), sketch.policies).begin()
    play.succeed("a")
    play.lose("b")
    play.fail("c")
    answer(play, "resubmit")
    play.succeed("d")
    assert play.finished is RunStatus.FAILED
    play.crash()
    play.retry()
    assert what_is_due(play) == Resubmit(play.operation("b"))
    held = one(on_unknown_submit="hold")
    held.lose("b")
    held.fail("c")
    held.retry()
    assert held.last(Hold) == ["b"]


def test_a_cancelled_run_forgets_unknown_fates() -> None:
    play = one()
    play.lose("b")
    play.cancel()
    assert play.of("b") == "cancelled"
    late = one()
    late.intend("b")
    late.cancel()
    lost(late)
    assert late.of("b") == "cancelled"
    assert [row.fate for row in late.stored.submissions.values()] == ["unknown"]


def test_a_refusal_while_the_run_is_cancelled_ends_the_submission() -> None:
    play = one()
    play.intend("b")
    play.cancel()
    play.refuse("b", passing=True)
    assert play.of("b") == "cancelled"


# -- cancels at the provider -----------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "again"), [("deadline", "failed"), ("queue", "backoff")])
def test_what_takes_too_long_is_cancelled_and_has_failed(reason: Any, again: str) -> None:
    play = one(retries=1)
    play.submit("b")
    play.apply(events.GivenUp(play.now, play.operation("b"), reason))
    assert (play.of("b"), play.last(CancelRemote)) == ("cancelling", ["b"])
    play.crash()
    play.cancelled("b")
    assert play.of("b") == again


@pytest.mark.parametrize(("reason", "again"), [("deadline", "failed"), ("queue", "backoff")])
def test_a_failure_that_overtakes_such_a_cancel_means_the_same(reason: Any, again: str) -> None:
    play = one(retries=1)
    play.submit("b")
    play.apply(events.GivenUp(play.now, play.operation("b"), reason))
    play.fail("b", retryable=False)
    assert play.of("b") == again


def test_a_success_that_overtakes_a_cancel_counts() -> None:
    play = one()
    play.submit("b")
    play.apply(events.GivenUp(play.now, play.operation("b"), "deadline"))
    play.succeed("b")
    assert play.of("b") == "succeeded"


def test_what_was_given_up_and_is_then_cancelled_with_the_run_is_cancelled() -> None:
    play = one(retries=1)
    play.submit("b")
    play.apply(events.GivenUp(play.now, play.operation("b"), "queue"))
    play.cancel()
    play.cancelled("b", "c")
    assert play.of("b") == "cancelled"
    assert play.finished is RunStatus.CANCELLED


# -- results that can be had once ------------------------------------------------------------------------


def fetched() -> Play:
    """b's result was consumed and is stored, and not decoded yet."""
    play = one(once=True)
    play.submit("b")
    play.apply(events.FetchStarted(play.now, play.operation("b")))
    play.apply(events.Fetched(play.now, play.operation("b")))
    return play


def test_a_result_is_fetched_once_and_then_decoded() -> None:
    play = one(once=True)
    play.submit("b")
    play.apply(events.FetchStarted(play.now, play.operation("b")))
    assert (play.last(Fetch), detail(play)) == (["b"], "fetching")
    refused(play, events.FetchStarted(play.now, play.operation("b")))  # two polls met
    play.apply(events.Fetched(play.now, play.operation("b")))
    assert (play.last(Decode), detail(play)) == (["b"], "fetched")
    assert what_is_due(play) == Decode(play.operation("b"))
    play.succeed("b")


def test_nothing_is_asked_any_more_of_an_operation_whose_result_is_there() -> None:
    play = fetched()
    operation = play.operation("b")
    refused(play, events.FetchStarted(play.now, operation))
    refused(play, events.Fetched(play.now, operation))
    refused(play, events.TokenAdvanced(play.now, operation))
    refused(play, events.GivenUp(play.now, operation, "deadline"))


def test_a_result_that_was_fetched_outlives_the_failure_of_the_run() -> None:
    play = fetched()
    play.fail("c")
    assert play.of("b") == "cancelled"
    refused(play, events.Succeeded(play.now, at("b"), operation=play.operation("b")))
    play.crash()
    play.retry()
    assert (play.last(Decode), play.last(Call)) == (["b"], ["c"])
    play.apply(events.Succeeded(play.now, at("b"), operation=play.operation("b")))
    assert len(play.stored.submissions) == 1


def test_a_result_that_comes_while_it_is_cancelled_counts() -> None:
    play = one(once=True)
    play.submit("b")
    play.apply(events.FetchStarted(play.now, play.operation("b")))
    play.fail("c")
    assert play.of("b") == "cancelling"
    play.apply(events.Fetched(play.now, play.operation("b")))
    play.crash()
    assert pending(play.state) == [Decode(play.operation("b"))]
    refused(play, events.Cancelled(play.now, at("b"), operation=play.operation("b")))
    play.succeed("b")
    assert play.finished is RunStatus.FAILED


# -- second handles --------------------------------------------------------------------------------------


def test_a_second_submission_that_was_accepted_is_cancelled() -> None:
    play = one()
    play.lose("b")
    play.submit("b")
    found(play, 1, "former_owner")
    assert [command for command in play.commands[-1] if isinstance(command, CancelStray)] == [
        CancelStray(play.operation("b"), 1)
    ]
    assert play.of("b") == "waiting"
    play.succeed("c")
    assert play.state.status is RunStatus.RUNNING  # somebody is at it, and resumes it
    assert idle_wakes(play.stored.status, *play.stored.live()) is None
    play.crash()
    play.apply(events.StrayCancelled(play.now, play.operation("b"), 1))
    refused(play, events.StrayCancelled(play.now, play.operation("b"), 1))
    assert [row.fate for row in play.stored.submissions.values()] == ["stray_cancelled", "accepted"]


def test_a_handle_of_an_earlier_attempt_is_a_second_one() -> None:
    play = one(retries=1)
    play.lose("b")
    operation = play.operation("b")
    play.submit("b")
    play.back_off("b")
    play.apply(events.BackoffEnded(play.now, at("b")))
    refused(play, events.HandleFound(play.now, operation, 1, "former_owner", "job-1"))  # which rows say so?
    play.apply(events.HandleFound(play.now, operation, 1, "former_owner", "job-1", scope=0))
    assert CancelStray(operation, 1) in pending(play.state)
    play.apply(events.HandleFound(play.now, operation, 1, "former_owner", "job-1", scope=0, known=True))
    assert play.commands[-1] == []


def test_a_handle_of_a_submission_that_was_never_made_is_refused() -> None:
    play = one()
    play.lose("b")
    operation = play.operation("b")
    refused(play, events.HandleFound(play.now, operation, 2, "person"))
    refused(play, events.HandleFound(play.now, operation, 0, "person"))
    refused(play, events.HandleFound(play.now, operation._replace(attempt=2), 1, "person"))


def test_the_handle_of_a_submission_under_way_comes_with_its_reply() -> None:
    play = one()
    play.intend("b")
    refused(play, events.HandleFound(play.now, play.operation("b"), 1, "webhook"))


def test_what_a_handle_means_is_said_when_the_reply_of_a_later_submission_is_there() -> None:
    """A provider that honours the key gives the same handle again; another one gives another."""
    for reply, means in (("job-1", "same"), ("job-2", "stray")):
        play = one(idempotent_for=60.0)
        play.lose("b")
        play.intend("b")
        late = events.HandleFound(play.now, play.operation("b"), 1, "former_owner", "job-1")
        assert meaning(play.state, late) is None
        refused(play, late)
        play.apply(events.Submitted(play.now, play.operation("b"), handle=reply))
        assert meaning(play.state, late) == means
        play.apply(late)
        assert (play.of("b"), len(play.state.strays)) == ("waiting", means == "stray")
        assert [row.handle for row in play.stored.submissions.values()] == ["job-1", reply]
        play.crash()
        assert meaning(play.state, late) == "same"


def test_a_handle_that_comes_before_the_next_try_is_adopted() -> None:
    """The first submission's fate is unknown, the second was refused: nothing is paid for twice."""
    play = one()
    play.lose("b")
    play.intend("b")
    play.refuse("b", passing=True)
    play.apply(events.HandleFound(play.now, play.operation("b"), 1, "former_owner", "job-1"))
    assert (play.of("b"), play.state.strays) == ("waiting", {})
    play.succeed("b")
    assert [row.fate for row in play.stored.submissions.values()] == ["accepted", "refused"]


def test_another_handle_of_a_submission_whose_handle_is_known_has_a_row_of_its_own() -> None:
    """A person had adopted something else for it."""
    play = one()
    play.lose("b")
    operation = play.operation("b")
    play.apply(events.HandleFound(play.now, operation, 1, "person", "job-9"))
    play.apply(events.HandleFound(play.now, operation, 1, "former_owner", "job-1"))
    assert play.state.strays.keys() == {(operation, 2)}
    assert {row.handle: row.fate for row in play.stored.submissions.values()} == {
        "job-9": "accepted",
        "job-1": "stray",
    }


@pytest.mark.parametrize(
    ("sent", "handles", "number"),
    [
        (1, {}, 1),
        (1, {1: None, 2: "job-2"}, 1),
        (1, {1: "job-1"}, 1),
        (1, {1: "job-9"}, 3),
        (1, {1: "job-9", 3: "job-3"}, 4),
        (None, {}, 2),
        (None, {2: "job-2"}, 1),
        (None, {1: "job-9", 2: "job-2"}, 3),
    ],
)
def test_a_handle_is_recorded_under_its_sending_unless_that_has_another(
    sent: int | None, handles: dict[int, str | None], number: int
) -> None:
    assert submission_number("job-1", sent, handles, 2) == number


def test_of_several_that_are_found_one_is_adopted_and_each_is_of_a_sending_as_long_as_there_are_some() -> (
    None
):
    play = one(idempotent_for=60.0)
    play.lose("b")
    play.lose("b")
    operation = play.operation("b")
    known = play.state.operation(operation)
    assert known is not None
    several = after_look(operation, known, ["job-2", "job-1", "job-3"], None, play.now, 0.0)
    assert isinstance(several, list)
    for event in several:
        play.apply(event)
    assert play.of("b") == "waiting"
    assert {key.submission: (row.handle, row.fate) for key, row in play.stored.submissions.items()} == {
        1: ("job-1", "stray"),
        2: ("job-2", "accepted"),
        3: ("job-3", "stray"),
    }


def test_a_late_handle_of_a_run_that_has_ended_is_cancelled() -> None:
    play = one(on_failure="finish")
    play.lose("b")
    operation = play.operation("b")
    play.submit("b")
    play.succeed("b", "c", "z")
    assert play.finished is RunStatus.SUCCEEDED
    play.apply(events.HandleFound(play.now, operation, 1, "former_owner", "job-1", scope=0))
    assert play.commands[-1][1:] == [CancelStray(operation, 1)]
    assert play.stored.status is RunStatus.SUCCEEDED
    play.crash()
    assert CancelStray(operation, 1) in pending(play.state)
    play.apply(events.StrayCancelled(play.now, operation, 1))
    assert [row.fate for row in play.stored.submissions.values()] == ["stray_cancelled", "accepted"]


def test_a_late_handle_of_what_a_failed_run_has_not_settled_waits_for_the_retry() -> None:
    play = one(on_failure="finish")
    play.lose("b")
    play.fail("c")
    assert play.finished is RunStatus.FAILED
    late = events.HandleFound(play.now, play.operation("b"), 1, "former_owner", "job-1")
    assert meaning(play.state, late) is None
    refused(play, late)
    play.retry()
    play.apply(late)
    assert (play.of("b"), play.state.strays) == ("waiting", {})
