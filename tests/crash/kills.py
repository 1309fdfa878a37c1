"""`KillPlan`: at which point a process shall die by SIGKILL, and the parts that notice that it is there.

Nothing here is a hook in the library: the store is a subclass that looks at what it is told to write, the HTTP
client is one with httpx's own event hooks. A plan is a row of steps; each is reached in turn, and at the last one
the process is killed, `delay` seconds later where that is given.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from perdure.checkpoints import Claim, NewRun, PlanRecord, RunRecord, SQLiteStore, Transition

When: TypeAlias = Literal["before", "inside", "after"]
"""Before the COMMIT is asked for (or the request sent), inside its transaction, after it returned (or the reply's
head arrived)."""


ANYTHING = "anything"
"""Every point counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A point in the life of a process. `what` is the type of an event, `create`, `claim`, a request (`POST`, `GET`,
    `CANCEL`), or `ANYTHING`."""

    when: When = "after"
    what: str
    node: str | None = None
    nth: int = 1


@dataclass(kw_only=True, slots=True)
class KillPlan:
    """The steps to the kill."""

    steps: Sequence[Step]
    delay: float = 0.0
    stop: int = signal.SIGKILL
    """SIGSTOP instead stalls the process."""
    _at: int = 0
    _seen: int = 0

    def reached(self, when: When, what: str, node: str | None = None) -> None:
        """The process is at this point now."""
        if self._at == len(self.steps):
            return
        step = self.steps[self._at]
        if step.what != ANYTHING and (
            (step.when, step.what) != (when, what) or step.node not in (None, node)
        ):
            return
        self._seen += 1
        if self._seen < step.nth:
            return
        self._at, self._seen = self._at + 1, 0
        if self._at == len(self.steps):
            self._strike()

    def _strike(self) -> None:
        if self.delay:
            threading.Timer(self.delay, os.kill, (os.getpid(), self.stop)).start()
        else:
            os.kill(os.getpid(), self.stop)


class WatchedStore(SQLiteStore):
    """The real store, which tells a kill plan what it is about to write and what it has written.

    `first_commit` is when this process moved a run for the first time (seconds since the epoch), `seen` how often it has
    created and claimed runs and committed events, by type (`succeeded`) and by type and node (`succeeded plan`).
    """

    def __init__(
        self, path: str, kills: KillPlan, *, lease: float = 15.0, busy_timeout: float = 10.0
    ) -> None:
        super().__init__(path, lease=lease, busy_timeout=busy_timeout)
        self._kills = kills
        self.seen: Counter[str] = Counter()
        self.disk_full_before = ""
        self.first_commit: float | None = None
        self._writing: list[tuple[str, str | None]] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self._call(lambda connection: connection.set_trace_callback(self._executing))
        return self

    def _executing(self, statement: str) -> None:
        """On the connection's thread, as SQLite begins with a statement."""
        if statement == "COMMIT":
            for what, node in list(self._writing):
                self._kills.reached("inside", what, node)

    async def create(self, run: NewRun, plan: PlanRecord, transition: Transition) -> RunRecord:
        self._kills.reached("before", "create")
        self._writing.append(("create", None))
        record = await super().create(run, plan, transition)
        self._writing.remove(("create", None))
        self.seen["create"] += 1
        self.first_commit = self.first_commit or time.time()
        self._kills.reached("after", "create")
        return record

    async def claim(self, run_id: str, *, failed: bool = False) -> Claim:
        claim = await super().claim(run_id, failed=failed)
        if claim.granted:
            self.seen["claim"] += 1
            self._kills.reached("after", "claim")
        return claim

    async def claim_all(self, signatures: Sequence[str], *, exclude: Collection[int] = ()) -> list[Claim]:
        claims = await super().claim_all(signatures, exclude=exclude)
        if any(claim.granted for claim in claims):
            self.seen["claim"] += 1
            self._kills.reached("after", "claim")
        return claims

    async def commit(self, transition: Transition) -> None:
        events = [(event.type, event.node) for event in transition.events]
        for what, node in events:
            self._kills.reached("before", what, node)
            if what == self.disk_full_before:
                self._fill_disk()
        self._writing += events
        await super().commit(transition)
        for event in events:
            self._writing.remove(event)
            self.seen[event[0]] += 1
            self.seen[f"{event[0]} {event[1]}"] += 1
        self.first_commit = self.first_commit or time.time()
        for what, node in events:
            self._kills.reached("after", what, node)

    def _fill_disk(self) -> None:
        """From now on each write behind the first byte of a file fails, as on a disk without room."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def empty_disk(self) -> None:
        """There is room again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
