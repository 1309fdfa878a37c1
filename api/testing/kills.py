"""`kill_everywhere`: a run is killed at every commit, resumed, and compared with one that nobody disturbed.

The processes are real, the signal is SIGKILL, the database is a file. What a child does is in `_kill_child`, how it dies
in `_kill_store`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from perdure.checkpoints.codec import unpack
from perdure.checkpoints.records import ActivationKey, RunStatus
from perdure.checkpoints.sqlite import SQLiteStore
from perdure.checkpoints.view import View
from perdure.engine.graph import Workflow
from perdure.nodes.node import Node
from perdure.simulator import Simulator

from ._answers import encoded
from ._durable_fakes import asked_in
from ._fakes import agents_of, given_by_name
from ._kill_job import Commit, Fake, Job, KillPoint, When
from ._references import Reference, named, reference_to
from .errors import FakeError
from .report import KillReport

log = logging.getLogger("perdure")

I = TypeVar("I")  # noqa: E741  # the input

DURATION = 0.2
"""Seconds that a response of our own simulator takes."""
_SHOWN = 200  # characters of an output in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How one run ended, killed or not."""

    output: bytes | None
    """As it is stored; None where the run did not succeed."""
    submissions: Counter[str]
    """By node."""
    unknown: Counter[str]
    """Submissions of unknown fate, by node."""


def kill_everywhere(
    workflow: Workflow[I, Any] | str,
    value: I,
    *,
    agents: Mapping[Any, Any] | None = None,
    simulator: Simulator | None = None,
    folder: str | Path | None = None,
    processes: int | None = None,
    timeout: float = 60.0,
) -> KillReport:
    """Run the workflow undisturbed, then once for each commit with a SIGKILL right before it, and right after it.

    Each killed run is resumed by a new process. Raises `AssertionError`, which names the commits, unless every run
    ends with the same output, byte for byte in its database, and no agent's node was submitted more often than in the
    undisturbed run plus the submissions whose fate was recorded as unknown.

    - `workflow`: at the top level of a module, or its name as `module:attribute`.
    - `agents`: fakes by node or name, as for `run`, but an answer or a function at the top level of a module: a file
      stands in for the provider and counts. Other agents ask the `simulator`; without one, one is started, which needs
      the extra `simulator`. An agent with a client of its own asks whom that asks.
    - `folder`: where the databases and logs are kept; None: in a temporary folder.
    - `processes`: how many runs are under way at once; None: one for each processor.
    - `timeout`: seconds that a process may take.

    The output must depend on the input alone, not on the time, chance or the run's id. Functions run as they are, and
    may run twice around a kill. Timers wait. It blocks: in a coroutine, call it with `asyncio.to_thread`.
    """
    began = time.monotonic()
    found = (
        named(workflow)
        if isinstance(workflow, str)
        else reference_to(workflow, f"Workflow {workflow.name!r}")
    )
    real: Workflow[Any, Any] = found.load() if isinstance(workflow, str) else workflow
    fakes = {
        name: _fake(agents_of(real)[name], fake) for name, fake in given_by_name(real, agents or {}).items()
    }
    start = real.node(real.plan.start)
    with _folder(folder) as place, _simulator(real, fakes, simulator) as provider:
        kills = _Kills(
            workflow=real,
            reference=found,
            input=start.input_codec.encode(value).hex(),
            fakes=fakes,
            simulator=provider,
            folder=place,
            timeout=timeout,
        )
        with ThreadPoolExecutor(processes or os.cpu_count() or 1) as pool:
            return kills.play(pool, began)


def _fake(node: Node[Any, Any], given: object) -> Fake:
    """What a child needs to know of a fake. Raises `FakeError`."""
    if callable(given):
        return Fake(function=reference_to(given, f"The fake of {node.name!r}"))
    if isinstance(given, BaseException):
        raise FakeError(
            f"The fake of {node.name!r} is an exception, and only runs that succeed can be compared."
        )
    return Fake(answer=encoded(node, given).hex())


@contextmanager
def _folder(given: str | Path | None) -> Generator[Path]:
    if given is not None:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="perdure-kills-") as made:
        yield Path(made)


def _simulator(workflow: Workflow[Any, Any], fakes: Mapping[str, Fake], given: Simulator | None) -> Any:
    """The provider of the agents that are not faked, if there are any."""
    if given is not None or fakes.keys() == agents_of(workflow).keys():
        return nullcontext(given)
    return Simulator(duration=DURATION)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kills:
    """One call of `kill_everywhere`."""

    workflow: Workflow[Any, Any]
    reference: Reference
    input: str
    fakes: Mapping[str, Fake]
    simulator: Simulator | None
    folder: Path
    timeout: float

    def play(self, pool: ThreadPoolExecutor, began: float) -> KillReport:
        name = self.workflow.name
        undisturbed, commits = pool.submit(self._undisturbed).result()
        whens: tuple[When, ...] = ("before", "after")
        points = [KillPoint(commit=commit, when=when) for commit in commits for when in whens]
        log.info("kill_everywhere: %s has %d commits, %d kills to come", name, len(commits), len(points))
        trials = [pool.submit(partial(self._killed, point, number)) for number, point in enumerate(points, 1)]
        told: list[str] = []
        not_reached: list[str] = []
        unknown = 0
        for number, (point, trial) in enumerate(zip(points, trials, strict=True), 1):
            killed, ending = trial.result()
            if not killed:
                not_reached.append(str(point))
            wrong = [ending] if isinstance(ending, str) else differences(undisturbed, ending)
            if not isinstance(ending, str):
                unknown += ending.unknown.total()
            told += [f"killed {point}: {what}" for what in wrong]
            verdict = "; ".join(wrong) or ("the same" if killed else "not reached, and the same")
            log.info("kill_everywhere: %s %d/%d, killed %s: %s", name, number, len(points), point, verdict)
        if told:
            lines = "\n".join(f"  {line}" for line in told)
            raise AssertionError(f"Workflow {name!r} does not survive every kill:\n{lines}")
        return KillReport(
            workflow=name,
            commits=tuple(map(str, commits)),
            kills=len(points) - len(not_reached),
            not_reached=tuple(not_reached),
            submissions=dict(undisturbed.submissions),
            unknown_fates=unknown,
            seconds=time.monotonic() - began,
        )

    def _undisturbed(self) -> tuple[Ending, list[Commit]]:
        job = self._job("undisturbed")
        problem = self._child(job)
        if problem is not None:
            raise AssertionError(f"The undisturbed run of {self.workflow.name!r} {problem}")
        commits = [Commit(**data) for data in json.loads(job.commits.read_text(encoding="utf-8"))]
        return self._ending(job), commits

    def _killed(self, point: KillPoint, number: int) -> tuple[bool, Ending | str]:
        """Whether a process was killed there, and how the run ended; in words where it did not."""
        job = self._job(f"{number:03d}")
        problem = self._child(replace(job, kill=point))
        killed = problem == _KILLED
        if problem is not None and not killed:
            return False, f"before that, the run {problem}"
        if killed:
            problem = self._child(job)
            if problem is not None:
                return True, f"the resumed run {problem}"
        return killed, self._ending(job)

    def _job(self, name: str) -> Job:
        folder = self.folder / name
        folder.mkdir()
        run = f"{self.folder.name}-{name}".removeprefix("perdure-")  # a random name may begin with any letter
        return Job(
            folder=str(folder), run=run, workflow=self.reference, input=self.input, fakes=dict(self.fakes)
        )

    def _child(self, job: Job) -> str | None:
        """Run a process to its end. None if that is a good one, else what happened."""
        file = Path(job.folder) / "job.json"
        file.write_text(job.to_json(), encoding="utf-8")
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        environment = {**os.environ, "PYTHONPATH": path} | (self.simulator.env if self.simulator else {})
        with job.log.open("ab") as output:
            try:
                code = subprocess.run(  # noqa: S603  # our own module, no shell
                    [sys.executable, "-m", "perdure.testing._kill_child", str(file)],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=self.timeout,
                ).returncode
            except subprocess.TimeoutExpired:
                return f"did not end within {self.timeout:g} s"
        if code == 0:
            return None
        if code == -signal.SIGKILL:
            return _KILLED
        lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
            "It said nothing."
        ]
        return f"failed: {lines[-1]}"

    def _ending(self, job: Job) -> Ending:
        return asyncio.run(self._read(job))

    async def _read(self, job: Job) -> Ending:
        async with SQLiteStore(job.database, create=False) as store:
            output, unknown = await store.read(partial(self._stored, job.run))
        submissions = asked_in(job.asked)
        if self.simulator is not None:
            accepted = self.simulator.ledger().accepted(run=job.run)
            submissions += Counter(one.metadata["node"].partition("[")[0] for one in accepted)
        return Ending(output=output, submissions=submissions, unknown=unknown)

    def _stored(self, run: str, view: View) -> tuple[bytes | None, Counter[str]]:
        record = view.run(run)
        events = view.events(record.key)
        unknown = Counter(str(event.node) for event in events if event.type == "submission_unknown")
        if record.status is not RunStatus.SUCCEEDED:
            return None, unknown
        ends = (ActivationKey(scope=0, node=end, item=0) for end in self.workflow.plan.ends)
        value = next((value for key in ends if (value := view.value(record.key, key)) is not None), None)
        assert value is not None, f"run {run} succeeded without an output"
        return value.data, unknown


_KILLED = "was killed"


def differences(undisturbed: Ending, ending: Ending) -> list[str]:
    """What a killed run has other than it should."""
    found: list[str] = []
    if ending.output is None:
        found.append("the run did not succeed")
    elif ending.output != undisturbed.output:
        found.append(
            f"the output is {_shown(ending.output)}, and undisturbed it is {_shown(undisturbed.output)}"
        )
    for node, count in sorted(ending.submissions.items()):
        once, unknown = undisturbed.submissions[node], ending.unknown[node]
        if count > once + unknown:
            found.append(
                f"{node} was submitted {count} times, undisturbed {once} times, and {unknown} unknown fates were recorded"
            )
    return found


def _shown(output: bytes | None) -> str:
    text = repr(None if output is None else unpack(output))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
