"""`KillStore`: the real store, in a process that dies at one of its commits."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from perdure.checkpoints.records import EventRecord, NewRun, PlanRecord, RunRecord, Transition
from perdure.checkpoints.sqlite import SQLiteStore

from ._kill_job import Commit, KillPoint, When


class KillStore(SQLiteStore):
    """Writes what it is told, remembers the commits, and kills its process at one of them."""

    def __init__(self, path: Path, kill: KillPoint | None) -> None:
        super().__init__(path)
        self._kill = kill
        self._seen: Counter[str] = Counter()
        self.commits: list[Commit] = []
        """In the order in which they were asked for."""

    async def create(self, run: NewRun, plan: PlanRecord, transition: Transition) -> RunRecord:
        here = self._begin(transition)
        self._die("before", here)
        record = await super().create(run, plan, transition)
        self._die("after", here)
        return record

    async def commit(self, transition: Transition) -> None:
        here = self._begin(transition)
        self._die("before", here)
        await super().commit(transition)
        self._die("after", here)

    def _begin(self, transition: Transition) -> list[Commit]:
        """The names of a commit: by each of its events, since another process may write them in other company."""
        names: list[Commit] = []
        for event in [event_name(event) for event in transition.events] or ["no event"]:
            self._seen[event] += 1
            names.append(Commit(event=event, nth=self._seen[event]))
        self.commits.append(names[-1])
        return names

    def _die(self, when: When, here: list[Commit]) -> None:
        if self._kill is not None and self._kill.when == when and self._kill.commit in here:
            os.kill(os.getpid(), signal.SIGKILL)


def event_name(event: EventRecord) -> str:
    """`succeeded research[2]`."""
    path = f"[{', '.join(map(str, event.path))}]" if event.path else ""
    return event.type if event.node is None else f"{event.type} {event.node}{path}"
