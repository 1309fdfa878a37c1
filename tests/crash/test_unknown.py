"""The fate of a submission is unknown: the node's policy decides, a person where it says so, and it is always recorded."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import pytest
from perdure.checkpoints import RunStatus
from perdure.simulator import BrokenReply, ConnectionLost, HttpError, Rule

from .nursery import Child
from .scenario import wait_for
from .stage import ANSWER, Acts, Played, Stage, answer_takes

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
UNKNOWN = "submission_unknown answer"
KILLED = -signal.SIGKILL
REFUSALS = 5
"""More than the retries of an agent's node."""

FAULTS: dict[str, ConnectionLost | HttpError | BrokenReply | None] = {
    "reply lost": ConnectionLost(accepted=True),
    "500 after acceptance": HttpError(status=500, accepted=True),
    "bad gateway after acceptance": BrokenReply(form="html", accepted=True),
    "crash": None,
}


def begin(stage: Stage, cause: str, policy: str, **more: object) -> Child:
    """A process that drives a run whose submission was accepted, and that does not know it."""
    fault = FAULTS[cause]
    if fault is not None:
        stage.script(Rule(match=ANSWER, fault=fault))
        return stage.child(on_unknown_submit=policy, **more)
    dying = stage.child(
        on_unknown_submit=policy, steps=({"when": "after", "what": "POST", "node": "answer", "nth": 1},)
    )
    assert dying.wait() == KILLED
    return stage.child(on_unknown_submit=policy, verb="resume", **more)


def recorded(stage: Stage, *, accepted: int, unknown: int = 1) -> None:
    """The journal, the row and the provider's ledger tell the same."""
    assert len(stage.accepted()) == accepted
    assert stage.snapshot().unknown("answer") == unknown
    requests = stage.provider.ledger().submissions(run=stage.run)
    assert len({request.idempotency_key for request in requests}) == 1


def resubmitted(stage: Stage, cause: str) -> None:
    assert begin(stage, cause, "resubmit").wait() == 0
    assert stage.output().startswith("told: ")
    recorded(stage, accepted=2)
    stage.assert_nothing_left()


def failed_and_retried(stage: Stage, cause: str) -> None:
    assert begin(stage, cause, "fail").wait() == 1
    assert "SubmissionUnknownError" in stage.error("RunFailedError")
    recorded(stage, accepted=1)
    assert stage.snapshot().activations["answer"].state == "failed"
    stage.assert_nothing_left(RunStatus.FAILED)
    assert stage.child(on_unknown_submit="fail", verb="retry").wait() == 0
    assert len(stage.accepted()) == 2
    assert stage.ran("ask") == 1
    stage.assert_nothing_left()


def asked_in_the_same_process(stage: Stage, cause: str, reply: str) -> None:
    if reply == "HANDLE":  # known beforehand only from a first process
        asking = begin(stage, cause, "hold")
        stage.until(UNKNOWN)
        asking.send(signal.SIGTERM)
        asking.wait()
        answer = ("answer", stage.accepted()[0].id)
        owner = stage.child(
            on_unknown_submit="hold", verb="resume", then="answer", after="claim", answer=answer
        )
    else:
        owner = begin(
            stage, cause, "hold", then="answer", after="submission_unknown", answer=("answer", reply)
        )
    settled(stage, owner, reply)


def asked_through_a_signal(stage: Stage, cause: str, reply: str) -> None:
    owner = begin(stage, cause, "hold")
    stage.until(UNKNOWN)
    assert stage.snapshot().run.status is RunStatus.WAITING
    given = stage.accepted()[0].id if reply == "HANDLE" else reply
    other = stage.child(verb="answer", answer=("answer", given), on_unknown_submit="hold", wait=False)
    assert other.wait() == 0
    settled(stage, owner, reply)


def asked_when_nobody_drives(stage: Stage, cause: str, reply: str) -> None:
    owner = begin(stage, cause, "hold")
    stage.until(UNKNOWN)
    owner.send(signal.SIGKILL)
    owner.wait()
    given = stage.accepted()[0].id if reply == "HANDLE" else reply
    settled(stage, stage.child(verb="answer", answer=("answer", given), on_unknown_submit="hold"), reply)


def settled(stage: Stage, owner: Child, reply: str) -> None:
    """How the run ends after that reply."""
    code = owner.wait()
    if reply == "fail":
        assert code == 1
        told = stage.error("RunFailedError")
        assert "failed at answer: SubmissionUnknownError: The fate of 1 submission(s) is unknown" in told
        assert "a person decided to fail the node" in told
        recorded(stage, accepted=1)
        stage.assert_nothing_left(RunStatus.FAILED)
        return
    assert code == 0
    assert stage.output().startswith("told: ")
    recorded(stage, accepted=2 if reply == "resubmit" else 1)
    assert stage.signals() == 0
    stage.assert_nothing_left()


def take(name: str, story: Callable[..., None], *arguments: str) -> None:
    ACTS.named(name)(partial(_told, story, arguments))


def _told(story: Callable[..., None], arguments: tuple[str, ...], stage: Stage) -> None:
    story(stage, *arguments)


for _cause in FAULTS:
    take(f"resubmit, {_cause}", resubmitted, _cause)
    take(f"fail, {_cause}", failed_and_retried, _cause)
ASKED = {
    "in the same process": asked_in_the_same_process,
    "through a signal": asked_through_a_signal,
    "when nobody drives": asked_when_nobody_drives,
}
CAUSES = ("reply lost", "500 after acceptance", "crash")
for _row, (_where, _story) in enumerate(ASKED.items()):
    for _column, _reply in enumerate(("resubmit", "fail", "HANDLE")):
        # Each cause with each reply and in each place, in nine of the twenty-seven ways.
        _cause = CAUSES[(_row + _column) % 3]
        take(f"hold, {_cause}, {_reply} {_where}", _story, _cause, _reply)


@ACTS.act
def an_answer_is_not_lost_when_its_owner_dies_over_it(stage: Stage) -> None:
    intent = {"what": "submission_intended", "node": "answer"}
    owner = begin(
        stage,
        "reply lost",
        "hold",
        steps=({"when": "after", **intent}, {"when": "before", **intent}),
    )
    stage.until(UNKNOWN)
    answer = ("answer", "resubmit")
    assert stage.child(verb="answer", answer=answer, on_unknown_submit="hold", wait=False).wait() == 0
    assert owner.wait() == KILLED
    assert stage.child(verb="resume", on_unknown_submit="hold").wait() == 0
    recorded(stage, accepted=2)
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def a_handle_that_was_given_is_not_lost_when_its_owner_dies_over_it(stage: Stage) -> None:
    step = {"when": "before", "what": "handle_found", "node": "answer", "nth": 1}
    owner = begin(stage, "reply lost", "hold", steps=(step,))
    stage.until(UNKNOWN)
    answer = ("answer", stage.accepted()[0].id)
    assert stage.child(verb="answer", answer=answer, on_unknown_submit="hold", wait=False).wait() == 0
    assert owner.wait() == KILLED
    assert stage.child(verb="resume", on_unknown_submit="hold").wait() == 0
    recorded(stage, accepted=1)
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def of_two_answers_the_first_counts(stage: Stage) -> None:
    stage.script(answer_takes(0.4), answer_takes(2.5))
    owner = begin(stage, "reply lost", "hold")
    stage.until(UNKNOWN)
    owner.send(signal.SIGSTOP)  # so that it finds both at once
    answers = [
        stage.child(verb="answer", answer=("answer", reply), on_unknown_submit="hold", wait=False)
        for reply in ("resubmit", "resubmit")
    ]
    assert [child.wait() for child in answers] == [0, 0]
    assert stage.signals() == 2
    owner.send(signal.SIGCONT)
    assert owner.wait() == 0
    recorded(stage, accepted=2)
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def an_answer_to_what_was_never_asked_is_refused(stage: Stage) -> None:
    stage.script(answer_takes(1.0))
    owner = stage.child()
    stage.until("submitted answer")
    other = stage.child(verb="answer", answer=("answer", "resubmit"), wait=False)
    assert other.wait() == 1
    assert "waits for no answer" in stage.error("AnswerError")
    assert owner.wait() == 0
    assert stage.signals() == 0
    stage.assert_nothing_left()


@ACTS.act
def it_is_submitted_again_twice_then_held(stage: Stage) -> None:
    """Under `resubmit` a provider that never replies well is asked three times, then a person is."""
    stage.script(Rule(match=ANSWER, fault=HttpError(status=500, retry_after_ms=20), times=0))
    owner = stage.child()
    stage.until(UNKNOWN, 3)
    assert stage.snapshot().held() == ["answer"]
    assert stage.snapshot().run.status is RunStatus.WAITING
    assert not owner.ended(1.0)
    assert len(stage.provider.ledger().submissions(run=stage.run)) == 3
    recorded(stage, accepted=0, unknown=3)
    assert stage.child(verb="answer", answer=("answer", "fail"), wait=False).wait() == 0
    assert owner.wait() == 1
    assert "The fate of 3 submission(s) is unknown" in stage.error("RunFailedError")
    recorded(stage, accepted=0, unknown=3)
    assert stage.snapshot().fates("answer") == ["unknown"] * 3
    stage.assert_nothing_left(RunStatus.FAILED)


@ACTS.act
def crashes_count_as_much_as_lost_replies_before_it_is_held(stage: Stage) -> None:
    step = {"when": "after", "what": "POST", "node": "answer", "nth": 1}
    for verb in ("start", "resume", "resume"):
        assert stage.child(verb=verb, steps=(step,)).wait() == KILLED
    owner = stage.child(verb="resume")
    stage.until(UNKNOWN, 3)
    assert stage.snapshot().held() == ["answer"]
    recorded(stage, accepted=3, unknown=3)
    adopted = stage.accepted()[1].id
    assert stage.child(verb="answer", answer=("answer", adopted), wait=False).wait() == 0
    assert owner.wait() == 0
    recorded(stage, accepted=3, unknown=3)
    assert stage.snapshot().handles() == {adopted}
    stage.assert_nothing_left()


@ACTS.act
def what_was_certainly_not_accepted_is_no_unknown(stage: Stage) -> None:
    """It waits, and uses up none of the node's retries: this one has fewer than there are refusals."""
    stage.script(Rule(match=ANSWER, fault=HttpError(status=429, retry_after_ms=20), times=REFUSALS))
    assert stage.child().wait() == 0
    assert len(stage.accepted()) == 1
    assert stage.snapshot().unknown("answer") == 0
    assert stage.snapshot().activations["answer"].attempt == 1
    assert stage.snapshot().activations["answer"].failures == 0
    assert stage.snapshot().operation("answer").refused == REFUSALS
    assert stage.snapshot().fates("answer") == ["refused"] * REFUSALS + ["accepted"]
    stage.assert_nothing_left()


@ACTS.act
def a_run_that_waits_for_a_person_stays_so_over_crashes(stage: Stage) -> None:
    owner = begin(stage, "reply lost", "hold")
    stage.until(UNKNOWN)
    for _ in range(3):
        owner.send(signal.SIGKILL)
        owner.wait()
        taken = len(stage.reports("taken"))
        owner = stage.child(verb="resume", on_unknown_submit="hold")
        wait_for("the resume", lambda taken=taken: len(stage.reports("taken")) > taken)
    recorded(stage, accepted=1)
    handle = stage.accepted()[0].id
    other = stage.child(verb="answer", answer=("answer", handle), on_unknown_submit="hold", wait=False)
    assert (other.wait(), owner.wait()) == (0, 0)
    recorded(stage, accepted=1)
    stage.assert_nothing_left()


@pytest.mark.parametrize("act", ACTS.names)
def test_unknown(played: Played, act: str) -> None:
    played[act].result()
