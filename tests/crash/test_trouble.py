"""What goes wrong around a run while it runs: a clear message, nothing lost, and it goes on when the cause is gone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from perdure.checkpoints import RunStatus
from perdure.simulator import Answer, HttpError, Match, Rule, SlowReply

from .scenario import wait_for
from .stage import ANSWER, Acts, Played, Stage, answer_takes, slow_reply

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
WRONG_KEY = "sk-wrong-Zk3v9QwErTy0123456789abcdef"  # a made-up key, which the simulator refuses


# -- keys ------------------------------------------------------------------------------------------------------


@ACTS.act
def a_wrong_key_at_the_submission(stage: Stage) -> None:
    assert stage.child(api_key=WRONG_KEY).wait() == 1
    message = stage.error("RunFailedError")
    assert "answer: SubmissionRejectedError" in message
    assert "answered 401" in message
    assert "Check OPENAI_API_KEY" in message
    stage.assert_nothing_left(RunStatus.FAILED)
    assert stage.child(verb="retry").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.ran("ask") == 1
    assert stage.snapshot().unknown("answer") == 0
    stage.assert_nothing_left()
    for file in stage.folder.iterdir():  # database, log and reports
        assert WRONG_KEY.encode() not in file.read_bytes(), file
        assert WRONG_KEY[:16].encode() not in file.read_bytes(), file


@ACTS.act
def a_key_that_is_revoked_while_it_waits(stage: Stage) -> None:
    stage.script(
        answer_takes(1.5), Rule(match=ANSWER, on="retrieve", fault=HttpError(status=401), nth=2, times=1)
    )
    assert stage.child().wait() == 1
    assert "answered 401" in stage.error("ProviderUnavailableError")
    assert stage.snapshot().run.status is RunStatus.WAITING
    assert stage.snapshot().run.owner is None
    assert stage.child(verb="resume").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.snapshot().unknown("answer") == 0
    stage.assert_nothing_left()


@ACTS.act
def a_key_that_is_revoked_is_told_to_who_asks_later(stage: Stage) -> None:
    stage.script(
        answer_takes(1.0), Rule(match=ANSWER, on="retrieve", fault=HttpError(status=401), nth=2, times=1)
    )
    assert stage.child(look_late=True).wait() == 1
    assert "answered 401" in stage.error("ProviderUnavailableError")
    assert stage.child(verb="resume").wait() == 0
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def a_key_that_is_revoked_while_another_submission_is_under_way(stage: Stage) -> None:
    dig, search = (Match(metadata={"node": name}) for name in ("dig", "search"))
    stage.script(
        Rule(match=dig, on="retrieve", fault=HttpError(status=403), times=1),
        Rule(match=dig, answer=Answer(duration=2.0)),
        Rule(match=search, fault=SlowReply(seconds=1.0, accepted=True)),
    )
    assert stage.child(workflow="errand").wait() == 1
    assert "answered 403" in stage.error("ProviderUnavailableError")
    assert "submitted search" in stage.journal()  # its handle was waited for and kept
    assert stage.child(workflow="errand", verb="resume").wait() == 0
    assert len(stage.accepted()) == 2
    stage.assert_nothing_left()


# -- code ------------------------------------------------------------------------------------------------------


def fails_then_goes_on(stage: Stage, option: str, node: str, *told: str) -> None:
    """A run fails by the workflow's own code, and is retried with better code."""
    assert stage.child(workflow="faulty", options={option: 1}).wait() == 1
    message = stage.error("RunFailedError")
    assert f"failed at {node}: " in message
    for text in told:
        assert text in message
    assert "retry" in message
    stage.assert_nothing_left(RunStatus.FAILED)
    assert stage.child(workflow="faulty", verb="retry").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.ran("last") == 1
    stage.assert_nothing_left()


@ACTS.act
def a_value_that_cannot_be_stored(stage: Stage) -> None:
    fails_then_goes_on(stage, "bad_value", "first", "ValueNotStorableError", "[1]")
    assert stage.ran("first") == 2


@ACTS.act
def an_exception_in_a_node(stage: Stage) -> None:
    fails_then_goes_on(stage, "bad_node", "first", "RuntimeError: first can't sea otters")
    assert stage.ran("first") == 2


@ACTS.act
def an_exception_in_a_condition(stage: Stage) -> None:
    fails_then_goes_on(
        stage, "bad_when", "first", "ConditionError", "ValueError: nobody knows of 1 topics", "is kept"
    )
    assert stage.ran("first") == 1  # its result was kept, and only the edge was evaluated again
    assert stage.journal().count("succeeded first") == 1
    assert "edges_decided first" in stage.journal()


@ACTS.act
def an_exception_in_a_condition_that_goes_on(stage: Stage) -> None:
    assert stage.child(workflow="faulty", options={"bad_when": 1}).wait() == 1
    assert stage.child(workflow="faulty", options={"bad_when": 1}, verb="retry").wait() == 1
    assert stage.journal().count("edges_failed first") == 1
    assert stage.child(workflow="faulty", verb="retry").wait() == 0
    assert stage.ran("first") == 1
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@ACTS.act
def an_exception_in_a_prompt(stage: Stage) -> None:
    fails_then_goes_on(stage, "bad_prompt", "answer", "KeyError", "sea otters")
    assert stage.ran("first") == 1


# -- the database ----------------------------------------------------------------------------------------------


@contextmanager
def locked(stage: Stage) -> Generator[None]:
    """Another process (this one) writes to the database and does not come to an end."""
    connection = sqlite3.connect(stage.job().database, isolation_level=None, timeout=20)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@ACTS.act
def a_locked_database_while_a_result_is_committed(stage: Stage) -> None:
    stage.script(answer_takes(1.0))
    child = stage.child(busy_timeout=0.5)
    stage.until("submitted answer")
    with locked(stage):
        wait_for("the end", lambda: "another process has held its lock" in stage.log())
    assert child.wait() == 1
    (error,) = stage.reports("error")
    assert error["type"] == "DatabaseLockedError"
    assert "another process has held its lock for more than 0.5 s" in error["message"]
    assert stage.reports("result") == []
    assert stage.child(verb="resume").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.snapshot().unknown("answer") == 0
    stage.assert_nothing_left()


@ACTS.act
def a_database_that_is_locked_for_a_while_is_waited_for(stage: Stage) -> None:
    stage.script(answer_takes(0.5))
    child = stage.child()
    stage.until("submitted answer")
    with locked(stage):
        assert not child.ended(2.0)
    assert child.wait() == 0
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


def handle_in(message: str) -> str:
    """The handle that a message gives to the user."""
    (handle,) = set(re.findall(r"resp_[0-9a-f]{48}", message))
    return handle


@ACTS.act
def a_locked_database_while_a_token_is_committed(stage: Stage) -> None:
    stage.script(slow_reply(2.0))
    child = stage.child(busy_timeout=0.5, on_unknown_submit="hold")
    (response,) = stage.until_accepted()
    with locked(stage):
        wait_for("the end", lambda: "could not be committed" in stage.log())
    assert child.wait() == 1
    message = stage.error("HandleNotCommittedError")
    assert handle_in(message) == response.id
    assert "another process has held its lock" in message
    assert stage.signals() == 1  # the stop could store it, since the lock was gone by then
    assert stage.child(verb="resume", on_unknown_submit="hold").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def a_full_disk_while_a_token_is_committed(stage: Stage) -> None:
    child = stage.child(disk_full_before="submitted", on_unknown_submit="hold")
    assert child.wait() == 1
    (response,) = stage.accepted()
    message = stage.error("HandleNotCommittedError")
    assert handle_in(message) == response.id
    adopted(stage, message)


def adopted(stage: Stage, message: str) -> None:
    """The person does what the message says, and nothing is submitted again."""
    assert stage.reports("result") == []
    assert "submitted answer" not in stage.journal()
    assert f"perdure answer {stage.run} 'answer' {handle_in(message)}" in message
    answer = ("answer", handle_in(message))
    assert stage.child(verb="answer", answer=answer, on_unknown_submit="hold").wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.snapshot().unknown("answer") == 1
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def a_full_disk_while_a_result_is_committed(stage: Stage) -> None:
    stage.script(answer_takes(0.5))
    assert stage.child(disk_full_before="succeeded").wait() == 1
    assert stage.reports("result") == []
    (error,) = stage.reports("error")
    assert error["type"] == "StoreError"
    assert stage.child(verb="resume").wait() == 0
    assert len(stage.accepted()) == 1
    stage.assert_nothing_left()


@pytest.mark.parametrize("act", ACTS.names)
def test_trouble(played: Played, act: str) -> None:
    played[act].result()
