"""Group commit: what is ready together is written in one transaction.

While one group is being written the next one gathers. There is no task here that could be cancelled: groups are
started by callbacks of the event loop, and every waiter gets an answer, also when the connection fails. How a
group is written stands in `_writer.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from ..errors import StoreError
from ..records import RunRecord, Transition
from ._writer import Job, JobResult, refused_with

GROUP_LIMIT = 1_000
"""Most transitions in one transaction, so that other processes wait some tens of milliseconds at most."""

WriteGroup: TypeAlias = Callable[[sqlite3.Connection, list[Job]], list[JobResult]]
_Waiter: TypeAlias = "asyncio.Future[RunRecord | None]"


class _Thread(Protocol):
    """The part of `Connection` that is used here."""

    def submit(
        self, work: Callable[[sqlite3.Connection], list[JobResult]], /
    ) -> asyncio.Future[list[JobResult]]: ...


class Committer:
    """The queue in front of the writer. Belongs to one event loop."""

    def __init__(self, thread: _Thread, write: WriteGroup) -> None:
        self._thread = thread
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._jobs: list[Job] = []
        self._waiters: list[_Waiter] = []
        self._busy = False
        self._idle: list[asyncio.Future[None]] = []

    def put(self, job: Job) -> _Waiter:
        """Queue a job. The future gets its outcome after the COMMIT; cancelling it does not cancel the write."""
        waiter: _Waiter = self._loop.create_future()
        self._jobs.append(job)
        self._waiters.append(waiter)
        if not self._busy:
            self._busy = True
            # One turn later, so that what becomes ready in this turn is in the same group.
            self._loop.call_soon(self._start)
        return waiter

    async def drained(self) -> None:
        """Return when all that was queued has its answer."""
        while self._busy:
            idle: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(idle)
            await idle

    def _start(self) -> None:
        jobs, waiters = self._jobs, self._waiters
        if len(jobs) > GROUP_LIMIT:
            self._jobs, self._waiters = jobs[GROUP_LIMIT:], waiters[GROUP_LIMIT:]
            jobs, waiters = jobs[:GROUP_LIMIT], waiters[:GROUP_LIMIT]
        else:
            self._jobs, self._waiters = [], []
        try:
            written = self._thread.submit(lambda connection: self._write(connection, jobs))
        except StoreError as error:
            self._answer(jobs, waiters, [error] * len(waiters))
        else:
            written.add_done_callback(partial(self._written, jobs, waiters))

    def _written(
        self, jobs: list[Job], waiters: list[_Waiter], written: asyncio.Future[list[JobResult]]
    ) -> None:
        error = written.exception()
        if error is None:
            self._answer(jobs, waiters, written.result())
        elif isinstance(error, Exception):
            self._answer(jobs, waiters, [error] * len(waiters))
        else:
            failed = StoreError(f"the writer was interrupted: {error!r}")
            self._answer(jobs, waiters, [failed] * len(waiters))

    def _answer(self, jobs: list[Job], waiters: list[_Waiter], outcomes: list[JobResult]) -> None:
        refused: dict[tuple[int, int], Exception] = {}
        for job, waiter, outcome in zip(jobs, waiters, outcomes, strict=True):
            _tell(waiter, outcome)
            if isinstance(outcome, Exception) and isinstance(job, Transition):
                refused.setdefault((job.run, job.fence), outcome)
        if refused and self._jobs:
            self._refuse(refused)
        if self._jobs:
            # After the tasks that were just woken, so that what they commit at once joins this group.
            self._loop.call_soon(self._start)
            return
        self._busy = False
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)

    def _refuse(self, refused: dict[tuple[int, int], Exception]) -> None:
        """Take what waits behind a refused transition of its run out of the queue: it builds on it."""
        queue, self._jobs, self._waiters = list(zip(self._jobs, self._waiters, strict=True)), [], []
        for job, waiter in queue:
            if isinstance(job, Transition) and (job.run, job.fence) in refused:
                _tell(waiter, refused_with(refused[job.run, job.fence]))
            else:
                self._jobs.append(job)
                self._waiters.append(waiter)


def _tell(waiter: _Waiter, outcome: JobResult) -> None:
    if waiter.done():  # its caller was cancelled
        return
    if isinstance(outcome, Exception):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)
