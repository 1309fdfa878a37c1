"""One run, several processes: one drives it. An owner that was stalled past its lease can't write any more, and a handle
that it got late is adopted or cancelled.
"""

from __future__ import annotations

import signal
import time
from functools import partial

import pytest
from perdure.checkpoints import RunStatus
from perdure.simulator import ConnectionLost, HttpError, Rule

from .nursery import Child
from .scenario import AT_ONCE, wait_for
from .stage import ANSWER, Acts, Played, Stage, answer_takes, slow_reply

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
LEASE = 1.0
"""Seconds; a stalled owner is given up after them."""


def stall(child: Child) -> None:
    """Stop a process until its lease has run out."""
    child.send(signal.SIGSTOP)
    time.sleep(LEASE + 0.3)


@ACTS.act
def of_many_that_resume_at_once_one_drives(stage: Stage) -> None:
    stage.script(answer_takes(2.5))
    first = stage.child()
    stage.until("submitted answer")
    first.send(signal.SIGKILL)
    first.wait()
    contenders = [stage.child(verb="resume") for _ in range(4)]
    assert sorted(child.wait() for child in contenders) == [0, 1, 1, 1]
    refused = [report for report in stage.reports("error") if report["type"] == "RunOwnedError"]
    assert len(refused) == 3
    (winner,) = stage.reports("result")
    for report in refused:
        assert f"is driven by process {winner['process']}" in report["message"]
        assert report["at"] < winner["at"]  # it left at once
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def who_resumes_what_another_drives_is_told_and_leaves(stage: Stage) -> None:
    stage.script(answer_takes(2.0))
    owner = stage.child()
    stage.until("submitted answer")
    other = stage.child(verb="resume")
    assert other.wait() == 1
    assert f"is driven by process {owner.pid}" in stage.error("RunOwnedError")
    assert not owner.ended(0)
    assert owner.wait() == 0
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def who_starts_what_another_drives_follows_it(stage: Stage) -> None:
    stage.script(answer_takes(1.5))
    owner = stage.child()
    stage.until("submitted answer")
    follower = stage.child()
    assert (owner.wait(), follower.wait()) == (0, 0)
    results = stage.reports("result")
    assert len(results) == 2
    assert results[0]["value"] == results[1]["value"]
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def a_follower_does_not_take_over_by_itself_but_a_resume_does(stage: Stage) -> None:
    stage.script(answer_takes(1.5))
    owner = stage.child()
    stage.until("submitted answer")
    follower = stage.child()
    wait_for("the follower", lambda: len(stage.reports("taken")) == 2)
    owner.send(signal.SIGKILL)
    owner.wait()
    assert stage.child(verb="resume").wait() == 0
    assert follower.wait() == 0
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def an_owner_that_was_stalled_while_waiting_cannot_commit(stage: Stage) -> None:
    stage.script(answer_takes(2.5))
    stalled = stage.child(lease=LEASE)
    stage.until("submitted answer")
    stall(stalled)
    began = time.monotonic()
    assert stage.child(verb="resume").wait() == 0
    assert time.monotonic() - began < AT_ONCE
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert "over" in stage.error("StaleFenceError")
    assert len(stage.reports("result")) == 1
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def an_owner_that_was_stalled_in_a_function_cannot_commit(stage: Stage) -> None:
    stalled = stage.child(lease=LEASE, options={"tell_seconds": 2.0})
    stage.until_running("tell")
    stall(stalled)
    assert stage.child(verb="resume").wait() == 0
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert "over" in stage.error("StaleFenceError")
    assert stage.journal().count("succeeded tell") == 1
    assert len(stage.reports("result")) == 1
    stage.assert_nothing_left()


@ACTS.act
def a_stalled_owner_is_left_alone_within_its_lease(stage: Stage) -> None:
    stage.script(answer_takes(1.0))
    owner = stage.child(lease=15.0)
    stage.until("submitted answer")
    owner.send(signal.SIGSTOP)
    assert stage.child(verb="resume").wait() == 1
    assert "is driven by" in stage.error("RunOwnedError")
    owner.send(signal.SIGCONT)
    assert owner.wait() == 0
    stage.assert_nothing_left()


def stalled_in_a_post(stage: Stage, *, takes: float, policy: str) -> Child:
    """An owner that was stopped while the provider had accepted its submission, and lost its lease."""
    stage.script(slow_reply(1.0, answer=takes), answer_takes(4.0))
    stalled = stage.child(lease=LEASE, on_unknown_submit=policy)
    stage.until_accepted()
    stall(stalled)
    return stalled


@ACTS.act
def a_late_handle_is_cancelled_when_the_submission_was_made_again(stage: Stage) -> None:
    stalled = stalled_in_a_post(stage, takes=60.0, policy="resubmit")
    owner = stage.child(verb="resume")
    stage.until("submitted answer")
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert "over" in stage.error("StaleFenceError")
    wait_for("the cancel", lambda: stage.accepted()[0].status == "cancelled")
    assert owner.wait() == 0
    assert [response.status for response in stage.accepted()] == ["cancelled", "completed"]
    assert stage.snapshot().unknown("answer") == 1
    assert stage.signals() == 0
    stage.assert_nothing_left()


def cancelled_whoever_dies_over_it(stage: Stage, when: str, what: str) -> None:
    """The new owner dies around the commit of a late handle, or of its cancel's acknowledgement: once more each time."""
    stalled = stalled_in_a_post(stage, takes=60.0, policy="resubmit")
    step = {"when": when, "what": what, "node": "answer", "nth": 1}
    dying = stage.child(verb="resume", steps=(step,))
    stage.until("submitted answer")
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert dying.wait() == -signal.SIGKILL
    for _ in range(0 if when == "after" else 2):
        assert stage.child(verb="resume", steps=(step,)).wait() == -signal.SIGKILL
    assert stage.child(verb="resume").wait() == 0
    assert [response.status for response in stage.accepted()] == ["cancelled", "completed"]
    assert stage.snapshot().unknown("answer") == 1
    assert sorted(stage.snapshot().fates("answer")) == ["accepted", "stray_cancelled"]
    for event in ("handle_found answer", "stray_cancelled answer"):
        assert stage.journal().count(event) == 1
    stage.assert_nothing_left()


for _what in ("handle_found", "stray_cancelled"):
    for _when in ("before", "inside", "after"):
        ACTS.named(f"a late handle is cancelled, its owner dies {_when} {_what}")(
            partial(cancelled_whoever_dies_over_it, when=_when, what=_what)
        )


@ACTS.act
def a_late_handle_is_adopted_where_a_person_would_be_asked(stage: Stage) -> None:
    stalled = stalled_in_a_post(stage, takes=0.5, policy="hold")
    owner = stage.child(verb="resume", on_unknown_submit="hold")
    stage.until("submission_unknown answer")
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert owner.wait() == 0
    assert [response.status for response in stage.accepted()] == ["completed"]
    assert stage.snapshot().unknown("answer") == 1
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def an_owner_that_was_stalled_while_a_person_was_asked_notices_it(stage: Stage) -> None:
    stage.script(Rule(match=ANSWER, fault=ConnectionLost()))
    stalled = stage.child(lease=LEASE, on_unknown_submit="hold")
    stage.until("submission_unknown answer")
    stall(stalled)
    answer = ("answer", "resubmit")
    assert stage.child(verb="answer", answer=answer, on_unknown_submit="hold").wait() == 0
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert "over" in stage.error("StaleFenceError")
    assert len(stage.reports("result")) == 1
    assert len(stage.accepted()) == 2
    stage.assert_nothing_left()


@ACTS.act
def a_late_handle_that_nobody_was_there_to_take_is_adopted_at_the_next_resume(stage: Stage) -> None:
    stalled = stalled_in_a_post(stage, takes=0.5, policy="hold")
    owner = stage.child(verb="resume", on_unknown_submit="hold")
    stage.until("submission_unknown answer")
    owner.send(signal.SIGKILL)
    owner.wait()
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert stage.signals() == 1
    assert stage.child(verb="resume", on_unknown_submit="hold").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def a_late_handle_of_a_run_that_has_ended_is_cancelled(stage: Stage) -> None:
    stage.script(
        slow_reply(1.0, answer=60.0), Rule(match=ANSWER, on="cancel", fault=HttpError(status=503), times=2)
    )
    stalled = stage.child(lease=LEASE)
    stage.until_accepted()
    stall(stalled)
    assert stage.child(verb="resume").wait() == 0
    stalled.send(signal.SIGCONT)
    assert stalled.wait() == 1
    assert [response.status for response in stage.accepted()] == ["cancelled", "completed"]
    assert stage.snapshot().unknown("answer") == 1
    stage.assert_nothing_left(RunStatus.SUCCEEDED)


@pytest.mark.parametrize("act", ACTS.names)
def test_owners(played: Played, act: str) -> None:
    played[act].result()
