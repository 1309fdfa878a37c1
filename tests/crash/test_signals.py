"""SIGTERM and Ctrl-C: the process ends gracefully, and a resume goes on without a second submission."""

from __future__ import annotations

import signal
import time

import pytest

from .scenario import AT_ONCE
from .stage import Acts, Played, Stage, answer_takes, slow_reply

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
TERMINATED = 128 + signal.SIGTERM
SLOW = 2.0
"""Seconds that a reply takes after the submission was accepted."""


def goes_on(stage: Stage) -> None:
    """A resume ends the run, with the one submission that was made."""
    assert stage.snapshot().run.owner is None
    assert stage.child(verb="resume").wait() == 0
    assert stage.output().startswith("told: ")
    assert len(stage.accepted()) == len(stage.provider.ledger().submissions(run=stage.run)) == 1
    assert stage.snapshot().unknown("answer") == 0
    stage.assert_nothing_left()


@ACTS.act
def sigterm_in_the_middle_of_a_post(stage: Stage) -> None:
    stage.script(slow_reply(SLOW))
    process = stage.fresh()
    stage.until_accepted()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == TERMINATED
    assert stage.journal()[-1] == "submitted answer"
    goes_on(stage)


@ACTS.act
def sigint_in_the_middle_of_a_post(stage: Stage) -> None:
    stage.script(slow_reply(SLOW))
    process = stage.fresh()
    stage.until_accepted()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT  # 130 for a shell
    assert stage.journal()[-1] == "submitted answer"
    goes_on(stage)


@ACTS.act
def sigterm_twice_in_the_middle_of_a_post(stage: Stage) -> None:
    stage.script(slow_reply(1.5 * SLOW))
    child = stage.child()
    stage.until_accepted()
    child.send(signal.SIGTERM)
    time.sleep(0.3)
    child.send(signal.SIGTERM)
    assert child.wait() == TERMINATED
    assert stage.journal()[-1] == "submitted answer"
    goes_on(stage)


@ACTS.act
def sigterm_in_an_async_function(stage: Stage) -> None:
    child = stage.child(options={"tell_seconds": 60})
    stage.until_running("tell")
    began = time.monotonic()
    child.send(signal.SIGTERM)
    assert child.wait() == TERMINATED
    assert time.monotonic() - began < AT_ONCE  # an async function is cancelled, not waited for
    goes_on(stage)
    assert [effect["attempt"] for effect in stage.effects() if effect["node"] == "tell"] == [1, 1]


@ACTS.act
def sigterm_in_a_plain_function(stage: Stage) -> None:
    child = stage.child(options={"ask_seconds": 1.5})
    stage.until_running("ask")
    child.send(signal.SIGTERM)
    assert child.wait() == TERMINATED
    assert "succeeded ask" in stage.journal()  # a thread can't be stopped: its result is waited for and kept
    goes_on(stage)
    assert stage.ran("ask") == 1


@ACTS.act
def sigterm_in_a_backoff(stage: Stage) -> None:
    child = stage.child(options={"tell_fails": 1})
    stage.until("attempt_failed tell")
    child.send(signal.SIGTERM)
    assert child.wait() in (TERMINATED, 0)
    goes_on(stage)
    assert [effect["attempt"] for effect in stage.effects() if effect["node"] == "tell"] == [1, 2]


@ACTS.act
def sigterm_while_waiting(stage: Stage) -> None:
    stage.script(answer_takes(2.5))
    child = stage.child()
    stage.until("submitted answer")
    child.send(signal.SIGTERM)
    assert child.wait() == TERMINATED
    assert stage.journal()[-1] == "submitted answer"
    goes_on(stage)


@ACTS.act
def sigint_while_waiting(stage: Stage) -> None:
    stage.script(answer_takes(2.5))
    process = stage.fresh()
    stage.until("submitted answer")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT
    goes_on(stage)


@pytest.mark.parametrize("act", ACTS.names)
def test_signal(played: Played, act: str) -> None:
    played[act].result()
