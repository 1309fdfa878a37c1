"""A cancel is committed first, sent until it is acknowledged, and wins over whatever the provider says later."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import pytest
from perdure.checkpoints import RunStatus
from perdure.simulator import HttpError, Rule

from .nursery import Child
from .stage import ANSWER, Acts, Played, Stage, answer_takes, slow_reply

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
KILLED = -signal.SIGKILL
SLOW = 1.5
"""Seconds that the moment lasts in which the cancel comes."""


def cancelled(stage: Stage, child: Child, *, accepted: int) -> None:
    """The run is cancelled for good, here and at the provider."""
    assert child.wait() == 1
    assert stage.error("RunCancelledError")
    assert [response.status for response in stage.accepted()] == ["cancelled"] * accepted
    stage.assert_nothing_left(RunStatus.CANCELLED)
    states = {row.state for row in stage.snapshot().activations.values()}
    assert states <= {"succeeded", "cancelled"}


# -- where it comes ------------------------------------------------------------------------------------------


def while_waiting(stage: Stage, **then: object) -> Child:
    stage.script(answer_takes(60.0))
    child = stage.child(after="submitted", **then)
    stage.until("submitted answer")
    return child


def while_submitting(stage: Stage, **then: object) -> Child:
    stage.script(slow_reply(SLOW, answer=60.0))
    child = stage.child(after="submission_intended", **then)
    stage.until_accepted()
    return child


def in_a_backoff(stage: Stage, **then: object) -> Child:
    child = stage.child(after="attempt_failed", options={"tell_fails": 3}, **then)
    stage.until("attempt_failed tell")
    return child


def in_a_thread(stage: Stage, **then: object) -> Child:
    child = stage.child(after="create", options={"ask_seconds": SLOW}, **then)
    stage.until_running("ask")
    return child


def in_an_async_function(stage: Stage, **then: object) -> Child:
    child = stage.child(after="succeeded answer", options={"tell_seconds": 60.0}, **then)
    stage.until_running("tell")
    return child


AFTER_ANSWER = (in_a_backoff, in_an_async_function)


def by_its_own_process(moment: Callable[..., Child], stage: Stage) -> None:
    child = moment(stage, then="cancel")
    if moment in AFTER_ANSWER:
        assert child.wait() == 1
        assert stage.error("RunCancelledError")
        assert [response.status for response in stage.accepted()] == ["completed"]
        stage.assert_nothing_left(RunStatus.CANCELLED)
    else:
        cancelled(stage, child, accepted=0 if moment is in_a_thread else 1)
    ended(stage)


def by_another_process(moment: Callable[..., Child], stage: Stage) -> None:
    child = moment(stage)
    assert stage.child(verb="cancel", wait=False).wait() == 0
    if moment in AFTER_ANSWER:
        assert child.wait() == 1
        assert stage.error("RunCancelledError")
        stage.assert_nothing_left(RunStatus.CANCELLED)
    else:
        cancelled(stage, child, accepted=0 if moment is in_a_thread else 1)
    ended(stage)


def ended(stage: Stage) -> None:
    """It stays cancelled, whoever asks for it again; no node has run after the cancel."""
    journal = stage.journal()
    ran = len(stage.effects())
    for verb in ("resume", "start", "retry"):
        assert stage.child(verb=verb).wait() == 1
    assert stage.journal() == journal
    assert len(stage.effects()) == ran
    assert stage.signals() == 0
    assert "only a failed run can be retried" in stage.error("RunNotRetryableError")


MOMENTS = (while_waiting, while_submitting, in_a_thread, in_an_async_function)
for _moment in (*MOMENTS, in_a_backoff):
    ACTS.named(f"{_moment.__name__}, by its own process")(partial(by_its_own_process, _moment))
for _moment in MOMENTS:
    ACTS.named(f"{_moment.__name__}, by another process")(partial(by_another_process, _moment))


# -- crashes -------------------------------------------------------------------------------------------------


@ACTS.act
def of_a_run_whose_owner_is_dead(stage: Stage) -> None:
    owner = while_waiting(stage)
    owner.send(signal.SIGKILL)
    owner.wait()
    cancelled(stage, stage.child(verb="cancel"), accepted=1)


@ACTS.act
def of_a_run_that_nobody_drives_returns_when_it_is_committed(stage: Stage) -> None:
    owner = while_waiting(stage)
    owner.send(signal.SIGKILL)
    owner.wait()
    assert stage.child(verb="cancel", wait=False).wait() == 0
    cancelled(stage, stage.child(verb="resume"), accepted=1)


@ACTS.act
def crash_of_who_cancels_for_a_dead_owner(stage: Stage) -> None:
    owner = while_waiting(stage)
    owner.send(signal.SIGKILL)
    owner.wait()
    step = {"when": "before", "what": "cancel_requested", "node": None, "nth": 1}
    assert stage.child(verb="cancel", steps=(step,)).wait() == KILLED
    cancelled(stage, stage.child(verb="resume"), accepted=1)  # the request was left in the inbox before
    assert stage.signals() == 0


@ACTS.act
def in_a_long_backoff_by_another_process(stage: Stage) -> None:
    stage.script(Rule(match=ANSWER, fault=HttpError(status=429, retry_after=100)))
    child = stage.child()
    stage.until("submission_refused answer")
    assert stage.child(verb="cancel", wait=False).wait() == 0
    cancelled(stage, child, accepted=0)


@ACTS.act
def crash_between_its_commit_and_its_sending(stage: Stage) -> None:
    owner = while_waiting(
        stage, then="cancel", steps=({"when": "after", "what": "cancel_requested", "node": None, "nth": 1},)
    )
    assert owner.wait() == KILLED
    assert stage.snapshot().run.status is RunStatus.CANCELLING
    for when, what in (("before", "CANCEL"), ("after", "CANCEL"), ("before", "cancelled")):
        step = {"when": when, "what": what, "node": None, "nth": 1}
        assert stage.child(verb="resume", steps=(step,)).wait() == KILLED
    cancelled(stage, stage.child(verb="resume"), accepted=1)


@ACTS.act
def crash_in_the_middle_of_a_post_that_is_to_be_cancelled(stage: Stage) -> None:
    stage.script(slow_reply(SLOW, answer=3.0))
    owner = stage.child()
    stage.until_accepted()
    assert stage.child(verb="cancel", wait=False).wait() == 0
    stage.until("cancel_requested")
    owner.send(signal.SIGKILL)
    owner.wait()
    assert stage.child(verb="resume").wait() == 1
    assert stage.error("RunCancelledError")
    assert (
        stage.snapshot().unknown("answer") == 1
    )  # nobody knows its handle: it is recorded, and not made again
    assert len(stage.accepted()) == 1
    assert stage.provider.wait_until_idle()
    stage.assert_nothing_left(RunStatus.CANCELLED)


# -- what the provider says ----------------------------------------------------------------------------------


@ACTS.act
def what_completes_after_it_stays_cancelled(stage: Stage) -> None:
    stage.script(answer_takes(2.0, on_cancel="completes"))
    child = stage.child(after="submitted", then="cancel")
    assert child.wait() == 1
    assert stage.error("RunCancelledError")
    assert stage.snapshot().run.status is RunStatus.CANCELLED
    (response,) = stage.provider.wait_until_idle().accepted(run=stage.run)
    assert response.status == "completed"
    ended(stage)


@ACTS.act
def is_sent_until_it_is_acknowledged(stage: Stage) -> None:
    stage.script(
        answer_takes(60.0, on_cancel="late"),
        Rule(match=ANSWER, on="cancel", fault=HttpError(status=503), times=2),
    )
    child = stage.child(after="submitted", then="cancel")
    cancelled(stage, child, accepted=1)
    assert len(stage.requests("cancel")) > 3


@ACTS.act
def of_what_has_completed_meanwhile_is_still_a_cancel(stage: Stage) -> None:
    stage.script(answer_takes(0.0), Rule(match=ANSWER, on="retrieve", fault=HttpError(status=503), times=0))
    child = stage.child(then="cancel", after="submitted")
    assert child.wait() == 1
    assert stage.error("RunCancelledError")
    assert [response.status for response in stage.accepted()] == ["completed"]
    assert stage.ran("tell") == 0
    assert stage.snapshot().run.status is RunStatus.CANCELLED


@pytest.mark.parametrize("act", ACTS.names)
def test_cancel(played: Played, act: str) -> None:
    played[act].result()
