"""`Scenario`: one run through several deaths. It is played out with real processes, and its ending is looked at.

What an `Ending` asserts holds after any crash at all; what a certain point of death must have led to (how many
submissions, how many of unknown fate) is asserted by the test that knows the point.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from perdure.checkpoints import (
    ActivationRecord,
    DatabaseCorruptError,
    EventRecord,
    OperationRecord,
    RunNotFoundError,
    RunRecord,
    RunStatus,
    SQLiteView,
    State,
    SubmissionKey,
    SubmissionRecord,
    View,
    unpack,
)
from perdure.engine import Plan
from perdure.engine.core.addresses import Address
from perdure.engine.core.journal import from_journal
from perdure.engine.core.machine import fold
from perdure.engine.core.policy import NO_POLICIES, Policies
from perdure.engine.core.restore import restore
from perdure.engine.core.state import RunState
from perdure.engine.graph.plan_form import decode_plan
from perdure.simulator import Answer, Match, ReceivedRequest, Rule, SimulatedResponse, Simulator

from .child import Job, Verb
from .desk import Small
from .kills import Step, When
from .nursery import PATIENCE, Child, Nursery

RESUBMISSIONS = 2
"""How often an operation of unknown fate is submitted again before a person is asked."""
AT_ONCE = 5.0
"""Seconds within which a run whose owner was killed must be taken over: a third of the lease."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One process that is to die: at the last of these steps, or by our hand after so many seconds."""

    steps: Sequence[Step] = ()
    delay: float = 0.0
    killed_after: float | None = None
    verb: Verb | None = None
    downtime: float = 0.0
    """Seconds that pass before the next process comes."""


def at(
    when: When, what: str, node: str | None = None, *, nth: int = 1, delay: float = 0.0, downtime: float = 0.0
) -> Life:
    """A life that ends at one point."""
    return Life(steps=(Step(when=when, what=what, node=node, nth=nth),), delay=delay, downtime=downtime)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A run, and the processes that die over it. The one after the last of them is left in peace."""

    name: str
    lives: Sequence[Life]
    workflow: str = "briefing"
    options: Mapping[str, float] = field(default_factory=dict[str, float])
    durations: Mapping[str, float] = field(default_factory=dict[str, float])
    """Seconds that the provider takes over the first submission of a node (`research[1]`)."""
    small: Small = field(default_factory=Small)
    """Of the workflow `small`, in the first process."""
    later: Small | None = None
    """The same in all that follow, where it differs."""
    asks_after: int | None = RESUBMISSIONS
    """How many submissions of unknown fate a person is not asked about. None: never asked."""


TAKEN_UP: tuple[Verb, ...] = ("resume", "start", "resume_all")
"""How the second, third and fourth process take the run up: all must do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A run as it is in the database."""

    run: RunRecord
    journal: Sequence[EventRecord]
    activations: Mapping[str, ActivationRecord]
    operations: Sequence[OperationRecord]
    submissions: Sequence[SubmissionRecord]
    signals: int
    """How many signals were left for the run and not acted on."""
    plan: Plan
    restored: RunState

    def succeeded(self) -> set[str]:
        """The activations whose success is committed."""
        return {where(event) for event in self.journal if event.type == "succeeded"}

    def unknown(self, address: str) -> int:
        """How often the fate of a submission was unknown, by the operations' rows; the journal must agree."""
        rows = sum(row.unknown for row in self.operations if place_of(row) == address)
        told = sum(event.type == "submission_unknown" and where(event) == address for event in self.journal)
        assert rows == told, f"{address}: {rows} in its operations, {told} in the journal"
        return rows

    def operation(self, address: str) -> OperationRecord:
        """The newest operation of an activation."""
        return max((row for row in self.operations if place_of(row) == address), key=lambda row: row.key)

    def held(self) -> list[str]:
        """The activations whose submission a person is to decide."""
        return [place_of(row) for row in self.operations if row.detail == "held"]

    def fates(self, address: str) -> list[str]:
        """What became of the submissions of an activation, in order."""
        return [row.fate for row in self.submissions if place_of(row) == address]

    def handles(self) -> set[str]:
        """The ids of all responses whose handle was ever committed."""
        return {row.handle for row in self.submissions if row.handle is not None}


def place_of(row: OperationRecord | SubmissionRecord) -> str:
    """`research[3]`."""
    key = row.key.operation if isinstance(row.key, SubmissionKey) else row.key
    return str(Address(key.node, row.path))


def where(event: EventRecord) -> str:
    """`research[3]`."""
    return str(Address(event.node or "", event.path))


def look(database: Path, run_id: str) -> Snapshot | None:
    """Read a run, as any reader may while others write."""
    if not database.exists():
        return None
    try:
        with SQLiteView.open(database) as view, view.snapshot():
            return _read(view, run_id)
    except RunNotFoundError:
        return None
    except DatabaseCorruptError as error:
        if "the file is empty" in str(error):  # it is being made
            return None
        raise


def _read(view: View, run_id: str) -> Snapshot:
    run = view.run(run_id)
    plan = decode_plan(view.plan(run.signature).plan)
    policies = Policies.from_plain(unpack(run.policies)) if run.policies else NO_POLICIES
    (loaded,) = view.load([run.key])
    return Snapshot(
        run=run,
        journal=view.events(run.key),
        activations={str(Address(row.key.node, row.path)): row for row in view.activations(run.key)},
        operations=view.operations(run.key),
        submissions=view.submissions(run.key),
        signals=len(view.signals([run.key])),
        plan=plan,
        restored=restore(plan, policies, loaded),
    )


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_nothing_left(
    snapshot: Snapshot, job: Job, responses: Sequence[SimulatedResponse], status: RunStatus
) -> None:
    """Nothing is live in the database or runs at the provider, no lock is left, and the journal tells it all.

    A response whose handle was lost runs to its end by itself: nobody can know it.
    """
    assert snapshot.run.status is status
    assert snapshot.run.owner is None
    live = {
        address: row.state
        for address, row in snapshot.activations.items()
        if not row.state.terminal and row.state is not State.READY
    }
    assert live == {}
    assert [(place_of(row), row.state) for row in snapshot.operations if not row.state.terminal] == []
    assert {row.fate for row in snapshot.submissions} <= {"accepted", "refused", "unknown", "stray_cancelled"}
    assert snapshot.signals == 0
    assert list(job.database.parent.glob("*.lock")) == []
    handles = snapshot.handles()
    assert [response.id for response in responses if response.running and response.id in handles] == []
    assert_journal_tells_it_all(snapshot)


def assert_journal_tells_it_all(snapshot: Snapshot) -> None:
    """Folding the journal gives the very state that the rows describe."""
    events = [
        from_journal(event.type, event.at, event.node, event.path, unpack(event.data))
        for event in snapshot.journal
    ]
    folded = fold(snapshot.plan, events)
    assert folded.status is snapshot.run.status
    assert folded == snapshot.restored
    assert [event.position for event in snapshot.journal] == list(range(1, len(events) + 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What was left when the last process had ended."""

    scenario: Scenario
    job: Job
    codes: Sequence[int]
    """Of each process in turn."""
    snapshot: Snapshot
    again: Sequence[str]
    """Functions that ran although their success was committed."""
    reports: Sequence[Mapping[str, Any]]
    requests: Sequence[ReceivedRequest]
    """The submissions of this run that reached the provider."""
    responses: Sequence[SimulatedResponse]
    """Those that it accepted."""
    answers: Sequence[str] = ()
    """The activations of which a person decided a held submission."""

    @property
    def output(self) -> Any:
        """The run's result, as the last process reported it, and maybe one that was killed right after."""
        (result,) = {report["value"] for report in self.reports if report["what"] == "result"}
        return result

    def error(self, kind: str) -> str:
        """The message of the one error of that type that was reported."""
        (message,) = [report["message"] for report in self.reports if report.get("type") == kind]
        return message

    @property
    def crashes(self) -> int:
        """How many processes were killed."""
        return sum(code == -signal.SIGKILL for code in self.codes)

    def accepted(self, address: str) -> int:
        """How many submissions of an activation the provider accepted."""
        return sum(response.metadata["node"] == address for response in self.responses)

    def sent(self, address: str) -> list[ReceivedRequest]:
        """The submissions of an activation that arrived."""
        return [request for request in self.requests if request.body["metadata"]["node"] == address]

    def assert_promises(self, output: Any, submissions: Mapping[str, int]) -> None:
        """All that must hold whatever happened: `submissions` is what an undisturbed run sends, by activation."""
        assert self.codes[-1] == 0, self.reports
        assert set(self.codes[:-1]) <= {-signal.SIGKILL}
        assert self.output == output
        self.assert_paid_once(submissions)
        self.assert_held_as_late_as_possible()
        self.assert_nothing_again()
        self.assert_nothing_left(RunStatus.SUCCEEDED)
        self.assert_taken_over_at_once()

    def assert_paid_once(self, submissions: Mapping[str, int]) -> None:
        """Each activation was submitted once, and once more for each time that its fate was recorded as unknown."""
        assert {response.metadata["node"] for response in self.responses} == set(submissions)
        for address, expected in submissions.items():
            unknown = self.snapshot.unknown(address)
            sent = self.sent(address)
            assert unknown <= self.crashes
            assert expected <= self.accepted(address) <= expected + unknown, (address, unknown)
            assert len(sent) == self.accepted(address)
            assert len({request.idempotency_key for request in sent}) == expected
            assert len({json.dumps(request.body) for request in sent}) == expected  # the same bytes each time

    def assert_held_as_late_as_possible(self) -> None:
        """A person was asked exactly about what had been submitted again as often as the policy says already."""
        after = self.scenario.asks_after
        if after is None:
            assert self.answers == []
            return
        asked = {
            address: max(0, self.snapshot.unknown(address) - after) for address in self.snapshot.activations
        }
        assert Counter(self.answers) == Counter(asked)

    def assert_nothing_again(self) -> None:
        """No function ran after its success had been committed, and no activation succeeded twice."""
        assert list(self.again) == []
        succeeded = Counter(where(event) for event in self.snapshot.journal if event.type == "succeeded")
        assert set(succeeded.values()) <= {1}

    def assert_nothing_left(self, status: RunStatus) -> None:
        """As the function of that name."""
        assert_nothing_left(self.snapshot, self.job, self.responses, status)

    def assert_taken_over_at_once(self) -> None:
        """Nobody waited for the lease of a process that was dead."""
        taken = [report["after"] for report in self.reports if report["what"] == "taken"]
        moved = [report["after"] for report in self.reports if report["what"] == "moved" and report["after"]]
        assert max([*taken, *moved]) < AT_ONCE


def play(scenario: Scenario, nursery: Nursery, provider: Simulator, folder: Path) -> Ending:
    """Let the processes live and die, then the last one end; look at what is there."""
    folder.mkdir()
    provider.script(
        *(
            Rule(
                match=Match(metadata={"run": scenario.name, "node": node}),
                answer=Answer(duration=seconds),
                times=1,
            )
            for node, seconds in scenario.durations.items()
        )
    )
    codes: list[int] = []
    again: list[str] = []
    answers: list[str] = []
    ran = 0
    done: set[str] = set()
    job = Job(
        folder=str(folder),
        run=scenario.name,
        workflow=scenario.workflow,
        base_url=provider.base_url,
        api_key=provider.api_key,
        options=dict(scenario.options),
        small=scenario.small,
    )
    for number, life in enumerate([*scenario.lives, None]):
        job = replace(
            job,
            verb=(life.verb if life else None) or ("start" if number == 0 else TAKEN_UP[(number - 1) % 3]),
            steps=tuple(asdict(step) for step in life.steps) if life else (),
            delay=life.delay if life else 0.0,
            small=scenario.later if number and scenario.later is not None else scenario.small,
        )
        child = nursery.start(job)
        if life is not None and life.killed_after is not None and not child.ended(life.killed_after):
            child.send(signal.SIGKILL)
        answers += decide_while_running(job, child, nursery)
        codes.append(child.wait())
        effects = lines(job.effects)
        again += [
            address
            for effect in effects[ran:]
            if (address := str(Address(effect["node"], tuple(effect["path"])))) in done
        ]
        ran = len(effects)
        snapshot = look(job.database, job.run)
        done = snapshot.succeeded() if snapshot else set()
        if codes[-1] != -signal.SIGKILL:
            break
        time.sleep(life.downtime if life else 0.0)
    return replace(ending(scenario, job, codes, again, provider), answers=answers)


def decide_while_running(job: Job, child: Child, nursery: Nursery) -> list[str]:
    """Be the person who has each submission that is held sent again; the activations that were decided."""
    decided: list[str] = []
    until = time.monotonic() + PATIENCE
    while not child.ended(1.0) and time.monotonic() < until:
        snapshot = look(job.database, job.run)
        if snapshot is None or snapshot.signals:
            continue
        for address in snapshot.held():
            answer = replace(job, verb="answer", answer=(address, "resubmit"), steps=(), wait=False)
            assert nursery.start(answer).wait() == 0
            decided.append(address)
    return decided


def ending(
    scenario: Scenario, job: Job, codes: Sequence[int], again: Sequence[str], provider: Simulator
) -> Ending:
    """Look at what is there now."""
    snapshot = look(job.database, job.run)
    assert snapshot is not None, f"run {job.run} was never created"
    account = provider.ledger()
    return Ending(
        scenario=scenario,
        job=job,
        codes=codes,
        snapshot=snapshot,
        again=again,
        reports=lines(job.reports),
        requests=account.submissions(run=job.run),
        responses=account.accepted(run=job.run),
    )


def wait_for(what: str, condition: Any, timeout: float = 20.0) -> Any:
    """Poll until the condition is true; its value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not after {timeout:g} s"
        time.sleep(0.05)
    return value
