"""`Desk`: what the nodes of one process work with. It is handed to the functions that build workflows."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.nodes import Agent, Context, OnUnknownSubmit, Polling

from .kills import When

if TYPE_CHECKING:
    from openai import AsyncOpenAI

QUICK = Polling(first=0.1, cap=0.2)
"""Polls that follow each other quickly, for responses that take tenths of a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Small:
    """Which operation, and how its node uses it. Plain JSON."""

    operation: str = "plain"
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the adapter: `settles_within`, `idempotent_for`."""
    request: dict[str, Any] = field(default_factory=dict[str, Any])
    """What happens to it at the ledger."""
    retries: int = 0
    deadline: float = 60.0
    on_unknown_submit: OnUnknownSubmit = "resubmit"
    bad_answer: bool = False
    """Whether the answer can't be read."""
    pause: float = 0.0
    """Seconds, of the timer."""


def _nowhere(_when: When, _what: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """What the nodes of one process work with."""

    client: AsyncOpenAI
    effects: Path
    seen: Counter[str] = field(default_factory=Counter[str])
    """How often this process has committed an event of each type, and claimed a run (`claim`)."""
    options: dict[str, float] = field(default_factory=dict[str, float])
    on_unknown_submit: OnUnknownSubmit = "resubmit"
    folder: Path = Path(os.devnull)
    """Of the run: the ledger of a small operation is in it."""
    small: Small = field(default_factory=Small)
    reached: Callable[[When, str], None] = _nowhere
    """Told of each point that this process is at."""

    def note(self, context: Context) -> None:
        """Write down, durably, that a node's function runs now: this is its effect on the world."""
        line = {
            "run": context.run_id,
            "node": context.node,
            "path": list(context.path),
            "attempt": context.attempt,
            "key": context.idempotency_key,
            "process": os.getpid(),
            "at": time.time(),
        }
        file = os.open(self.effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def option(self, name: str, default: float = 0.0) -> float:
        """How a scenario wants a node to behave."""
        return self.options.get(name, default)

    def agent(self, name: str) -> Agent[str]:
        """An agent that asks this desk's client."""
        return Agent(name, model="o3", client=self.client, polling=QUICK)
