"""`Stage` and `Acts`: stories of a few processes that are told step by step, many at once.

An act is a function that is given a stage: a folder, a run's id, and ways to start processes and to look. A module's acts
all begin when its first test waits, and each test reports one of them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from perdure.checkpoints import RunStatus
from perdure.simulator import (
    Answer,
    Match,
    OnCancel,
    ReceivedRequest,
    Rule,
    SimulatedResponse,
    Simulator,
    SlowReply,
)

from .child import Job
from .nursery import Child, Nursery, fresh
from .scenario import Snapshot, assert_nothing_left, lines, look, wait_for, where

Act: TypeAlias = "Callable[[Stage], None]"
Played: TypeAlias = Mapping[str, Future[None]]
"""Acts that are under way, by name."""


ANSWER = Match(metadata={"node": "answer"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What an act has."""

    run: str
    folder: Path
    provider: Simulator
    nursery: Nursery
    started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    def job(self, **options: Any) -> Job:
        """A job of this stage's run."""
        job = Job(
            folder=str(self.folder),
            run=self.run,
            workflow="question",
            base_url=self.provider.base_url,
            api_key=self.provider.api_key,
        )
        return replace(job, **options)

    def child(self, **options: Any) -> Child:
        """A forked process with that job."""
        return self.nursery.start(self.job(**options))

    def fresh(self, **options: Any) -> subprocess.Popen[bytes]:
        """A process of its own interpreter with that job."""
        process = fresh(self.job(**options))
        self.started.append(process)
        return process

    def script(self, *rules: Rule) -> None:
        """Rules for the requests of this run only."""
        self.provider.script(
            *(
                replace(rule, match=replace(rule.match, metadata={**rule.match.metadata, "run": self.run}))
                for rule in rules
            )
        )

    def snapshot(self) -> Snapshot:
        """The run as it is committed."""
        snapshot = look(self.job().database, self.run)
        assert snapshot is not None
        return snapshot

    def journal(self) -> list[str]:
        """The events, e.g. `submitted answer`."""
        snapshot = look(self.job().database, self.run)
        events = snapshot.journal if snapshot else ()
        return [f"{event.type} {where(event)}".strip() for event in events]

    def until(self, event: str, count: int = 1) -> None:
        """Wait until the journal holds that event so many times."""
        wait_for(f"{self.run}: {event}", lambda: self.journal().count(event) >= count)

    def until_running(self, node: str, count: int = 1) -> None:
        """Wait until a node's function has begun so many times."""
        wait_for(f"{self.run}: {node} runs", lambda: self.ran(node) >= count)

    def until_accepted(self, count: int = 1) -> Sequence[SimulatedResponse]:
        """Wait until the provider has accepted so many submissions."""
        wait_for(f"{self.run}: {count} accepted", lambda: len(self.accepted()) >= count)
        return self.accepted()

    def ran(self, node: str) -> int:
        """How often a node's function has begun."""
        return sum(effect["node"] == node for effect in self.effects())

    def effects(self) -> list[dict[str, Any]]:
        """All that functions have written down."""
        return lines(self.job().effects)

    def reports(self, what: str) -> list[dict[str, Any]]:
        """What processes have reported of that kind."""
        return [report for report in lines(self.job().reports) if report["what"] == what]

    def error(self, kind: str) -> str:
        """The message of the one error of that type that was reported."""
        (message,) = [report["message"] for report in self.reports("error") if report["type"] == kind]
        return message

    def output(self) -> Any:
        """The one result that was reported."""
        (report,) = self.reports("result")
        return report["value"]

    def accepted(self) -> Sequence[SimulatedResponse]:
        """The submissions that the provider accepted, oldest first."""
        responses = self.provider.ledger().accepted(run=self.run)
        return sorted(responses, key=lambda response: response.created_at)

    def requests(self, route: Any) -> Sequence[ReceivedRequest]:
        """The requests for responses of this run."""
        account = self.provider.ledger()
        ids = {response.id for response in account.accepted(run=self.run)}
        return [request for request in account.calls(route) if request.response_id in ids]

    def signals(self) -> int:
        """How many signals are left for the run."""
        return self.snapshot().signals

    def log(self) -> str:
        """What the processes have printed."""
        return self.job().log.read_text()

    def assert_nothing_left(self, status: RunStatus = RunStatus.SUCCEEDED) -> None:
        """The run ended so, and left nothing behind here or at the provider."""
        assert_nothing_left(self.snapshot(), self.job(), self.accepted(), status)

    def stop(self) -> None:
        """Leave no process of ours behind."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


class Acts:
    """The acts of a module, by name."""

    def __init__(self) -> None:
        self._acts: dict[str, Act] = {}

    def act(self, act: Act) -> Act:
        """Take up a function; its name is the test's id."""
        return self.named(act.__name__)(act)

    def named(self, name: str) -> Callable[[Act], Act]:
        """The same under another name."""

        def take(act: Act) -> Act:
            assert name not in self._acts
            self._acts[name] = act
            return act

        return take

    @property
    def names(self) -> list[str]:
        return list(self._acts)

    @contextmanager
    def playing(
        self, names: Sequence[str], nursery: Nursery, provider: Simulator, folder: Path
    ) -> Generator[Played]:
        """Play these acts, a few at a time."""
        pool = ThreadPoolExecutor(6)

        def play(name: str) -> None:
            slug = re.sub(r"\W+", "-", name).strip("-")
            run = f"{folder.name}-{slug}"
            (folder / slug).mkdir()
            stage = Stage(run=run, folder=folder / slug, provider=provider, nursery=nursery)
            try:
                self._acts[name](stage)
            finally:
                stage.stop()

        try:
            yield {name: pool.submit(play, name) for name in names}
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def answer_takes(seconds: float, *, times: int = 1, on_cancel: OnCancel = "cancelled") -> Rule:
    """The provider takes so long over the node `answer`."""
    return Rule(match=ANSWER, answer=Answer(duration=seconds, on_cancel=on_cancel), times=times)


def slow_reply(seconds: float, *, answer: float = 0.4) -> Rule:
    """The reply to the submission of `answer` comes so long after the provider accepted it."""
    return Rule(
        match=ANSWER, fault=SlowReply(seconds=seconds, accepted=True), answer=Answer(duration=answer), times=1
    )
