"""A node fails while others wait at the provider: their cancels are sent until they are acknowledged, whoever dies
in between; a retry goes on from there.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from perdure.checkpoints import RunStatus, State
from perdure.simulator import Answer, Match, Rule, Simulator

from .cast import Cast
from .child import Job
from .kills import When
from .nursery import Nursery
from .scenario import Scenario, at, ending, lines, look, place_of, play

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

LIVES = {
    "failure committed, cancels not sent": (
        at("after", "attempt_failed", "check"),
        at("before", "CANCEL"),
        at("before", "CANCEL"),
    ),
    "failure not committed": (at("before", "attempt_failed", "check"),) * 3,
    "cancel sent, its end not committed": (
        at("before", "cancelled", "dig"),
        at("inside", "cancelled", "dig"),
        at("after", "cancelled", "dig"),
    ),
}
CRASHES = (1, 2, 3)
UNDISTURBED = "errand-undisturbed"
LONG = {"dig": 60.0, "search": 60.0}


def name_of(point: str, count: int) -> str:
    return f"errand-{point.replace(' ', '-').replace(',', '')}-{count}"


@pytest.fixture(scope="module")
def cast(nursery: Nursery, provider: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Generator[Cast]:
    scenarios = {UNDISTURBED: Scenario(name=UNDISTURBED, lives=(), workflow="errand")}
    for point, lives in LIVES.items():
        for count in CRASHES:
            name = name_of(point, count)
            scenarios[name] = Scenario(
                name=name,
                lives=lives[:count],
                workflow="errand",
                options={"check_fails": 1},
                durations=LONG,
            )
    with Cast(nursery, provider, tmp_path_factory.mktemp("errands"), scenarios) as cast:
        yield cast


@pytest.mark.parametrize("count", CRASHES)
@pytest.mark.parametrize("point", LIVES)
def test_killed(cast: Cast, nursery: Nursery, provider: Simulator, point: str, count: int) -> None:
    failed = cast.ending(name_of(point, count))
    assert failed.crashes == count
    assert failed.codes[-1] == 1
    (error,) = [report for report in failed.reports if report["what"] == "error"]
    assert error["type"] == "RunFailedError"
    assert "check: RuntimeError: sea otters can't be checked." in error["message"]
    failed.assert_nothing_left(RunStatus.FAILED)
    failed.assert_nothing_again()
    failed.assert_paid_once({"dig": 1, "search": 1})
    failed.assert_taken_over_at_once()
    assert {response.status for response in failed.responses} == {"cancelled"}

    retried = nursery.start(replace(failed.job, verb="retry", options={}))
    over = ending(failed.scenario, failed.job, [retried.wait()], [], provider)
    assert over.codes == [0]
    assert over.output == cast.ending(UNDISTURBED).output
    over.assert_nothing_left(RunStatus.SUCCEEDED)
    assert {address: over.accepted(address) for address in LONG} == {"dig": 2, "search": 2}
    assert sum(effect["node"] == "begin" for effect in lines(over.job.effects)) == 1


@pytest.mark.parametrize("step", ["before", "inside", "after"])
def test_killed_over_a_retry(
    nursery: Nursery, provider: Simulator, tmp_path: Path, step: When, cast: Cast
) -> None:
    scenario = Scenario(
        name=f"errand-retried-{step}", lives=(), workflow="errand", options={"check_fails": 1}, durations=LONG
    )
    failed = play(scenario, nursery, provider, tmp_path / "run")
    assert failed.snapshot.run.status is RunStatus.FAILED
    retry = replace(failed.job, verb="retry", options={})
    dying = replace(retry, steps=({"when": step, "what": "run_retried", "node": None, "nth": 1},))
    assert nursery.start(dying).wait() == -signal.SIGKILL
    assert nursery.start(retry).wait() == 0
    over = ending(scenario, failed.job, [0], [], provider)
    assert over.output == cast.ending(UNDISTURBED).output
    over.assert_nothing_left(RunStatus.SUCCEEDED)
    assert {address: over.accepted(address) for address in LONG} == {"dig": 2, "search": 2}
    assert sum(event.type == "run_retried" for event in over.snapshot.journal) == 1


def test_it_is_failing_until_the_cancels_are_acknowledged(
    nursery: Nursery, provider: Simulator, tmp_path: Path
) -> None:
    """Whoever looks meanwhile sees a run that fails, not one that somebody cancels."""
    step = {"when": "after", "what": "attempt_failed", "node": "check", "nth": 1}
    job = Job(
        folder=str(tmp_path),
        run="errand-failing",
        workflow="errand",
        base_url=provider.base_url,
        api_key=provider.api_key,
        options={"check_fails": 1},
        steps=(step,),
    )
    provider.script(
        *(
            Rule(match=Match(metadata={"run": job.run, "node": node}), answer=Answer(duration=seconds))
            for node, seconds in LONG.items()
        )
    )
    assert nursery.start(job).wait() == -signal.SIGKILL
    failing = look(job.database, job.run)
    assert failing is not None
    assert (failing.run.status, failing.run.outcome) == (RunStatus.FAILING, RunStatus.FAILED)
    assert {place_of(row): row.state for row in failing.operations} == dict.fromkeys(LONG, State.CANCELLING)
    assert nursery.start(replace(job, verb="resume", steps=())).wait() == 1
    failed = look(job.database, job.run)
    assert failed is not None
    assert failed.run.status is RunStatus.FAILED
    assert {place_of(row): row.state for row in failed.operations} == dict.fromkeys(LONG, State.CANCELLED)


@pytest.mark.parametrize("step", ["before", "inside", "after"])
def test_a_fate_that_was_unknown_when_the_run_failed_is_settled_by_a_retry(
    nursery: Nursery, provider: Simulator, tmp_path: Path, step: When, cast: Cast
) -> None:
    """While it fails nothing is submitted; what others do at the provider ends and is kept."""
    scenario = Scenario(
        name=f"errand-unsettled-{step}",
        lives=(at("after", "POST", "dig"),),
        workflow="errand",
        options={"check_fails": 1, "finish": 1},
    )
    failed = play(scenario, nursery, provider, tmp_path / "run")
    assert failed.codes == [-signal.SIGKILL, 1]
    assert failed.snapshot.run.status is RunStatus.FAILED
    assert failed.snapshot.operation("dig").state is State.SUBMIT_UNKNOWN
    assert failed.snapshot.unknown("dig") == 1
    assert failed.accepted("dig") == 1
    retry = replace(failed.job, verb="retry", options={"finish": 1})
    dying = replace(retry, steps=({"when": step, "what": "run_retried", "node": None, "nth": 1},))
    assert nursery.start(dying).wait() == -signal.SIGKILL
    assert nursery.start(retry).wait() == 0
    over = ending(scenario, failed.job, [0], [], provider)
    assert over.output == cast.ending(UNDISTURBED).output
    over.assert_nothing_left(RunStatus.SUCCEEDED)
    assert over.accepted("dig") == 2
    assert over.snapshot.unknown("dig") == 1
    assert len({request.idempotency_key for request in over.sent("dig")}) == 1
    # The kill may have come before search's intent, before its POST arrived, or after: each has its own exact bill.
    intended = any(place_of(row) == "search" for row in failed.snapshot.operations)
    assert failed.accepted("search") <= intended
    again = over.snapshot.unknown("search") if intended else 1
    assert over.accepted("search") == failed.accepted("search") + again
