"""`Job`: what one child process is to do, and `KillPoint`: when it shall die. Plain JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ._references import Reference

When: TypeAlias = Literal["before", "after"]
"""Right before the commit is asked for, or right after it has returned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit of a run, named by the last of its events."""

    event: str
    """`succeeded research[2]`."""
    nth: int
    """It is the nth commit with such an event, from 1."""

    def __str__(self) -> str:
        return self.event if self.nth == 1 else f"{self.event} (no. {self.nth})"


@dataclass(frozen=True, kw_only=True, slots=True)
class KillPoint:
    """Where a process dies."""

    commit: Commit
    when: When

    def __str__(self) -> str:
        return f"right {self.when} the commit of `{self.commit}`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fake:
    """What is in place of an agent: an answer, or a function of the prompt."""

    answer: str | None = None
    """As it is stored, in hexadecimal."""
    function: Reference | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One child's work: begin the run, or go on with it, until its end or the kill."""

    folder: str
    run: str
    workflow: Reference
    input: str
    """The run's input as it is stored, in hexadecimal."""
    fakes: dict[str, Fake] = field(default_factory=dict[str, Fake])
    kill: KillPoint | None = None

    @property
    def database(self) -> Path:
        return Path(self.folder) / "perdure.db"

    @property
    def asked(self) -> Path:
        """What the fakes were asked: a line for each submission."""
        return Path(self.folder) / "asked.jsonl"

    @property
    def commits(self) -> Path:
        """The commits of a child that was not killed."""
        return Path(self.folder) / "commits.json"

    @property
    def log(self) -> Path:
        """What the children print."""
        return Path(self.folder) / "log.txt"

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def read_job(text: str) -> Job:
    """What `Job.to_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    fakes = {name: _fake(**fake) for name, fake in data.pop("fakes").items()}
    workflow, kill = data.pop("workflow"), data.pop("kill")
    if kill is not None:
        kill = KillPoint(commit=Commit(**kill["commit"]), when=kill["when"])
    return Job(**data, workflow=Reference(**workflow), fakes=fakes, kill=kill)


def _fake(answer: str | None, function: dict[str, Any] | None) -> Fake:
    return Fake(answer=answer, function=None if function is None else Reference(**function))
