"""A process is killed before, inside and after each commit in the life of a long-running operation, whatever its adapter
can: nothing is lost, nothing is paid for twice silently, and what can be had once is fetched once.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from perdure.checkpoints import RunStatus, State, unpack
from perdure.simulator import Simulator

from .cast import Cast, wanted
from .child import Job
from .desk import Small
from .kills import Step, When
from .nursery import Nursery
from .scenario import RESUBMISSIONS, Ending, Life, Scenario, at, ending, look, play, wait_for
from .small import entries, ledger

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

CRASHES = (1, 2, 3)
KILLED = -signal.SIGKILL
OUTPUT = "told: Answer: sea otters"
"""Of an undisturbed run around any small operation."""
CLAIMED = at("after", "claim")
SETTLES = {"settles_within": 0.3, "submit_takes": 0.2}
BELIEVED = 0.5
"""Seconds after a sending from which on it is believed that nothing is found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An operation, where it is killed the first, second and third time, and what that costs by the number of deaths."""

    small: Small = field(default_factory=Small)
    later: Small | None = None
    workflow: str = "small"
    before: tuple[Life, ...] = ()
    """Deaths that bring the run to where the lives are."""
    lives: tuple[Life, Life, Life]
    unknown: tuple[int, int, int] = (0, 0, 0)
    """How often the fate of a submission is unknown."""
    accepted: tuple[int, int, int] = (1, 1, 1)
    """How many operations the provider runs."""
    submitted: tuple[int, int, int] | None = None
    """How many submissions reach it, where that is not what it accepts."""
    asks_after: int | None = RESUBMISSIONS
    events: tuple[tuple[str, int], ...] = ()
    """How often the journal tells something."""


def always(life: Life) -> tuple[Life, Life, Life]:
    return (life, life, life)


def once(life: Life) -> tuple[Life, Life, Life]:
    """There, and then twice right after the run was taken up."""
    return (life, CLAIMED, CLAIMED)


def around(name: str, what: str, node: str | None = None, **options: Any) -> dict[str, Case]:
    """The same costs before, inside and after a commit that happens once."""
    return {
        f"before {name}": Case(lives=always(at("before", what, node)), **options),
        f"inside {name}": Case(lives=always(at("inside", what, node)), **options),
        f"after {name}": Case(lives=once(at("after", what, node)), **options),
    }


SENT = at("after", "submit")
"""The provider has accepted, and nobody was told."""
NOT_SENT = at("before", "submit")
"""The intent is committed, and nothing was sent."""

REFUSED = Small(request={"refuse": 3})
LOST = Small(request={"lose_replies": 1})
HELD = Small(request={"lose_replies": 1}, on_unknown_submit="hold")
IDEMPOTENT = Small(operation="idempotent")
FINDABLE = Small(operation="findable", options=SETTLES)
DOUBLED = Small(operation="findable", options=SETTLES, request={"doubles": 1, "takes": 3})
ONCE = Small(operation="once", request={"takes": 0.3})
MOVING = Small(operation="moving", request={"takes": 2})

CASES: dict[str, Case] = {
    # refused for certain
    "before a refusal": Case(
        small=REFUSED,
        lives=always(at("before", "submission_refused")),
        unknown=(1, 2, 3),
        submitted=(4, 4, 4),
    ),
    "inside a refusal": Case(
        small=REFUSED,
        lives=always(at("inside", "submission_refused")),
        unknown=(1, 2, 3),
        submitted=(4, 4, 4),
    ),
    "after a refusal": Case(
        small=REFUSED,
        lives=always(at("after", "submission_refused")),
        submitted=(4, 4, 4),
        events=(("submission_refused", 3),),
    ),
    # unknown, and nobody can tell
    **around("an unknown fate", "submission_unknown", small=LOST, unknown=(1, 1, 1), accepted=(2, 2, 2)),
    **around(
        "a person's answer",
        "fate_decided",
        small=HELD,
        unknown=(1, 1, 1),
        accepted=(2, 2, 2),
        asks_after=0,
        events=(("fate_decided", 1),),
    ),
    # under a key that is honoured
    "sent under a key": Case(
        small=IDEMPOTENT, lives=always(SENT), unknown=(1, 2, 3), submitted=(2, 3, 4), asks_after=None
    ),
    "before the token under a key": Case(
        small=IDEMPOTENT,
        lives=always(at("before", "submitted")),
        unknown=(1, 2, 3),
        submitted=(2, 3, 4),
        asks_after=None,
    ),
    "inside the token's commit under a key": Case(
        small=IDEMPOTENT,
        lives=always(at("inside", "submitted")),
        unknown=(1, 2, 3),
        submitted=(2, 3, 4),
        asks_after=None,
    ),
    "after the token under a key": Case(
        small=IDEMPOTENT, lives=once(at("after", "submitted")), asks_after=None
    ),
    "before it is sent again under its key": Case(
        small=IDEMPOTENT,
        before=(SENT,),
        lives=always(at("before", "submission_intended")),
        unknown=(1, 1, 1),
        submitted=(2, 2, 2),
        asks_after=None,
    ),
    "a key that has run out": Case(
        small=Small(operation="idempotent", options={"idempotent_for": 0.2}),
        lives=always(at("after", "submit", downtime=0.3)),
        unknown=(1, 2, 3),
        accepted=(2, 3, 4),
    ),
    # looked for
    **around("it is found", "handle_found", small=FINDABLE, before=(SENT,), unknown=(1, 1, 1)),
    "before it is found after look-ups that failed": Case(
        small=Small(operation="findable", options=SETTLES, request={"listing_fails": 2}),
        before=(SENT,),
        lives=always(at("before", "handle_found")),
        unknown=(1, 1, 1),
    ),
    "before nothing is found": Case(
        small=FINDABLE, before=(NOT_SENT,), lives=always(at("before", "nothing_found")), unknown=(1, 1, 1)
    ),
    "inside nothing is found": Case(
        small=FINDABLE, before=(NOT_SENT,), lives=always(at("inside", "nothing_found")), unknown=(1, 1, 1)
    ),
    "after nothing is found": Case(
        small=FINDABLE,
        before=(NOT_SENT,),
        lives=(
            at("after", "nothing_found"),
            at("before", "submission_intended"),
            at("inside", "submission_intended"),
        ),
        unknown=(1, 1, 1),
    ),
    "nothing is found each time": Case(small=FINDABLE, lives=always(NOT_SENT), unknown=(1, 2, 3)),
    **around(
        "two are found", "handle_found", small=DOUBLED, before=(SENT,), unknown=(1, 1, 1), accepted=(2, 2, 2)
    ),
    **around(
        "the second one's cancel is acknowledged",
        "stray_cancelled",
        small=DOUBLED,
        before=(SENT,),
        unknown=(1, 1, 1),
        accepted=(2, 2, 2),
        events=(("stray_cancelled", 1),),
    ),
    # had once
    "before it is fetched": Case(small=ONCE, lives=always(at("before", "fetch_started"))),
    "inside that it is fetched": Case(small=ONCE, lives=always(at("inside", "fetch_started"))),
    "after it was not there yet": Case(
        small=Small(operation="once", request={"takes": 2}), lives=always(at("after", "token_advanced"))
    ),
    "after what was fetched": Case(
        small=ONCE, lives=(at("after", "fetched"), CLAIMED, at("before", "succeeded", "work"))
    ),
    # moved
    "before the token moves": Case(small=MOVING, lives=always(at("before", "token_advanced"))),
    "inside the token's move": Case(small=MOVING, lives=always(at("inside", "token_advanced"))),
    "after the token has moved": Case(small=MOVING, lives=always(at("after", "token_advanced"))),
    # under new options
    **around(
        "new options",
        "policies_changed",
        small=Small(request={"takes": 0.5}),
        later=Small(request={"takes": 0.5}, retries=2, deadline=30.0),
        before=(at("after", "submitted"),),
        events=(("policies_changed", 1),),
    ),
    # timers
    **around(
        "a timer begins",
        "opened",
        workflow="pause",
        small=Small(pause=0.6),
        accepted=(0, 0, 0),
        events=(("opened", 1),),
    ),
    "before a timer's end": Case(
        workflow="pause",
        small=Small(pause=0.3),
        lives=always(at("before", "succeeded", "pause")),
        accepted=(0, 0, 0),
        events=(("opened", 1),),
    ),
}
UNDISTURBED = {"small": "small-undisturbed", "pause": "pause-undisturbed"}
NODE = {"small": "work", "pause": "pause"}


def name_of(case: str, count: int) -> str:
    return f"{case.replace(' ', '-').replace(chr(39), '')}-{count}"


@pytest.fixture(scope="module")
def cast(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    provider: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Cast]:
    scenarios = {
        name: Scenario(name=name, lives=(), workflow=workflow) for workflow, name in UNDISTURBED.items()
    }
    for name, count in wanted(request, "name", "count"):
        case = CASES[name]
        scenarios[name_of(name, count)] = Scenario(
            name=name_of(name, count),
            lives=(*case.before, *case.lives[:count]),
            workflow=case.workflow,
            small=case.small,
            later=case.later,
            asks_after=case.asks_after,
        )
    with Cast(nursery, provider, tmp_path_factory.mktemp("operations"), scenarios) as cast:
        yield cast


@pytest.mark.parametrize("count", CRASHES)
@pytest.mark.parametrize("name", CASES)
def test_killed(cast: Cast, name: str, count: int) -> None:
    case = CASES[name]
    killed = cast.ending(name_of(name, count))
    assert killed.crashes == len(case.before) + count
    output = cast.ending(UNDISTURBED[case.workflow]).output
    assert output == OUTPUT or case.workflow != "small"
    killed.assert_promises(output, {})
    assert killed.snapshot.unknown(NODE[case.workflow]) == case.unknown[count - 1]
    for event, times in case.events:
        assert told(killed, event) == times
    match case.workflow:
        case "small":
            assert_ledger(killed, case, count)
        case _:
            assert_opened_once(killed)


def told(over: Ending, event: str) -> int:
    return sum(entry.type == event for entry in over.snapshot.journal)


def assert_ledger(over: Ending, case: Case, count: int) -> None:
    """The provider's ledger tells the same as the rows."""
    kind, folder = case.small.operation, over.job.folder
    provider, accepted = ledger(folder), entries(folder, kind)
    assert len(accepted) == case.accepted[count - 1]
    (key,) = {entry.key for entry in accepted}
    submitted = case.accepted if case.submitted is None else case.submitted
    doubles = case.small.request.get("doubles", 0)
    assert provider.submitted(key) == submitted[count - 1] - doubles
    fates = over.snapshot.fates("work")
    assert fates.count("refused") == over.snapshot.operation("work").refused
    assert fates.count("accepted") == 1
    match kind:
        case "findable":
            assert_believed(over)
        case "once":
            assert [provider.fetched(entry.handle) for entry in accepted] == [1]
        case "moving":
            assert_never_went_back(over, case)
        case _:
            pass
    if doubles:
        wanted, stray = accepted
        assert sorted(fates) == ["accepted", "stray_cancelled"]
        assert over.snapshot.operation("work").key.attempt == 1
        assert (wanted.cancelled_at is None, stray.cancelled_at is None) == (True, False)


def assert_believed(over: Ending) -> None:
    """What was not found was submitted again only when that was to be believed."""
    sendings = [entry.at for entry in over.snapshot.journal if entry.type == "submission_intended"]
    assert all(later - sooner >= BELIEVED for sooner, later in pairwise(sendings))


def assert_never_went_back(over: Ending, case: Case) -> None:
    """Each token was asked with that was committed; again only where the next one was not."""
    asked = [int(line) for line in (over.job.database.parent / "ledger" / "asked").read_text().split()]
    again = over.crashes if case.lives[0].steps[0].when != "after" else 0
    assert asked == [0] * again + list(range(asked[-1] + 1))


def assert_opened_once(over: Ending) -> None:
    """The time was committed once, and the timer did not end before it."""
    journal = over.snapshot.journal
    (opened,) = [unpack(entry.data) for entry in journal if entry.type == "opened"]
    until = opened["token"]["handle"]["until"]
    token = over.snapshot.operation("pause").token
    assert token is not None
    assert unpack(token)["handle"]["until"] == until
    (ended,) = [entry.at for entry in journal if (entry.type, entry.node) == ("succeeded", "pause")]
    assert ended >= until


# -- ends that are no success --------------------------------------------------------------------------------


LOST_AT = {
    "after it is said that it is fetched": (at("after", "fetch_started"), 0),
    "before it is asked for": (at("before", "fetch"), 0),
    "after it was handed out": (at("after", "fetch"), 1),
    "before what came is kept": (at("before", "fetched"), 1),
    "inside the commit of what came": (at("inside", "fetched"), 1),
}
"""Where a process dies that consumes a result, and how often it was handed out by then."""


@pytest.mark.parametrize("point", LOST_AT)
def test_a_result_that_may_be_lost_is_fetched_and_submitted_again_by_a_decision_only(
    nursery: Nursery, provider: Simulator, tmp_path: Path, point: str
) -> None:
    life, handed_out = LOST_AT[point]
    scenario = Scenario(
        name="lost", lives=(life,), workflow="small", small=Small(operation="once", retries=3)
    )
    failed = play(scenario, nursery, provider, tmp_path / "run")
    assert failed.codes == [KILLED, 1]
    assert "The provider hands its result out once" in failed.error("RunFailedError")
    assert failed.snapshot.operation("work").state is State.LOST
    failed.assert_nothing_left(RunStatus.FAILED)
    (entry,) = entries(failed.job.folder, "once")
    assert ledger(failed.job.folder).fetched(entry.handle) == handed_out

    over = again(failed, nursery, provider, replace(failed.job, verb="retry"))
    assert over.output == OUTPUT
    first, second = entries(failed.job.folder, "once")
    provided = ledger(failed.job.folder)
    assert (provided.fetched(first.handle), provided.fetched(second.handle)) == (handed_out, 1)
    over.assert_nothing_left(RunStatus.SUCCEEDED)


def test_a_provider_that_will_not_talk_has_handed_out_nothing(
    nursery: Nursery, provider: Simulator, tmp_path: Path
) -> None:
    scenario = Scenario(name="closed", lives=(), workflow="small", small=Small(operation="closed"))
    stopped = play(scenario, nursery, provider, tmp_path / "run")
    assert stopped.codes == [1]
    told = stopped.error("ProviderUnavailableError")
    assert told.startswith("Run closed is not driven on here: work: The ledger is closed. ")
    assert "`perdure resume closed`" in told
    assert stopped.snapshot.run.status is RunStatus.WAITING
    over = again(stopped, nursery, provider, replace(stopped.job, verb="resume"))
    assert over.output == OUTPUT
    (entry,) = entries(over.job.folder, "closed")
    assert ledger(over.job.folder).fetched(entry.handle) == 1
    over.assert_nothing_left(RunStatus.SUCCEEDED)


def test_a_graceful_stop_waits_for_what_is_being_fetched(
    nursery: Nursery, provider: Simulator, tmp_path: Path
) -> None:
    job = job_of(tmp_path, provider, Small(operation="slow"))
    child = nursery.start(job)
    wait_for("the fetch", lambda: entries_fetched(job.folder, "slow"))
    child.send(signal.SIGTERM)
    assert child.wait() == 128 + signal.SIGTERM
    snapshot = look(job.database, job.run)
    assert snapshot is not None
    assert snapshot.journal[-1].type == "fetched"
    assert nursery.start(replace(job, verb="resume")).wait() == 0
    over = ending(Scenario(name=job.run, lives=()), job, [0], [], provider)
    assert over.output == OUTPUT
    assert entries_fetched(job.folder, "slow") == 1
    over.assert_nothing_left(RunStatus.SUCCEEDED)


DEADLINE = Small(operation="cancellable", request={"takes": 600}, deadline=0.3)


@pytest.mark.parametrize("count", CRASHES)
@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_given_up(nursery: Nursery, provider: Simulator, tmp_path: Path, when: When, count: int) -> None:
    life = at(when, "given_up")
    lives = (once(life) if when == "after" else always(life))[:count]
    scenario = Scenario(name="given-up", lives=lives, workflow="small", small=DEADLINE)
    failed = play(scenario, nursery, provider, tmp_path / "run")
    assert failed.codes == [*[KILLED] * count, 1]
    assert "its deadline, and was cancelled" in failed.error("RunFailedError")
    assert told(failed, "given_up") == 1
    failed.assert_nothing_left(RunStatus.FAILED)
    (entry,) = entries(failed.job.folder, "cancellable")
    assert entry.cancelled_at is not None
    assert failed.snapshot.unknown("work") == 0


UNREADABLE = {kind: Small(operation=kind, bad_answer=True) for kind in ("plain", "once")}
DECODED = (
    ("before", "run_retried"),
    ("inside", "run_retried"),
    ("after", "run_retried"),
    ("before", "succeeded"),
    ("inside", "succeeded"),
)
"""What happens between the retry and the output that was paid for before."""


@pytest.mark.parametrize(("when", "what"), DECODED)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_was_paid_for_is_decoded_by_a_retry_and_not_bought_again(
    nursery: Nursery, provider: Simulator, tmp_path: Path, kind: str, when: When, what: str
) -> None:
    unreadable = UNREADABLE[kind]
    lives = (at("before", "attempt_failed"), at("inside", "attempt_failed"))
    scenario = Scenario(name="unreadable", lives=lives, workflow="small", small=unreadable)
    failed = play(scenario, nursery, provider, tmp_path / "run")
    assert failed.codes == [KILLED, KILLED, 1]
    assert "ValueError: nobody can read" in failed.error("RunFailedError")
    failed.assert_nothing_left(RunStatus.FAILED)
    retry = replace(failed.job, verb="retry", small=replace(unreadable, bad_answer=False))
    step = asdict(Step(when=when, what=what, node="work" if what == "succeeded" else None))
    for _ in range(1 if when == "after" else 3):
        assert nursery.start(replace(retry, steps=(step,))).wait() == KILLED
    over = again(failed, nursery, provider, retry)
    assert over.output == OUTPUT
    assert told(over, "run_retried") == 1
    (entry,) = entries(over.job.folder, kind)
    if kind == "once":
        assert ledger(over.job.folder).fetched(entry.handle) == 1
    assert over.snapshot.activations["work"].attempt == 1
    over.assert_nothing_left(RunStatus.SUCCEEDED)


def test_a_timer_that_ended_while_nobody_was_there_is_due_at_once(
    nursery: Nursery, provider: Simulator, tmp_path: Path
) -> None:
    small = Small(pause=4.0)
    scenario = Scenario(
        name="downtime", lives=(at("after", "opened", downtime=4.2),), workflow="pause", small=small
    )
    over = play(scenario, nursery, provider, tmp_path / "run")
    assert over.codes == [KILLED, 0]
    assert_opened_once(over)
    came = max(report["at"] for report in over.reports if report["what"] == "ready")
    (ended,) = [
        entry.at for entry in over.snapshot.journal if (entry.type, entry.node) == ("succeeded", "pause")
    ]
    assert ended - came < small.pause  # it did not wait again
    over.assert_nothing_left(RunStatus.SUCCEEDED)


def job_of(folder: Path, provider: Simulator, small: Small) -> Job:
    return Job(
        folder=str(folder),
        run="job",
        workflow="small",
        base_url=provider.base_url,
        api_key=provider.api_key,
        small=small,
    )


def entries_fetched(folder: str, kind: str) -> int:
    """How often results were handed out."""
    return sum(ledger(folder).fetched(entry.handle) for entry in entries(folder, kind))


def again(before: Ending, nursery: Nursery, provider: Simulator, job: Job) -> Ending:
    """One more process, which ends well."""
    assert nursery.start(job).wait() == 0
    return ending(before.scenario, job, [0], [], provider)
