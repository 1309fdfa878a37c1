"""`WakeQueue`: one heap over everything that waits. No task and no state per thing that waits.

An entry says what is due when; each has one time, the last that was given. All that are due together are handed over in
one batch, so that their rows are read in one call.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from ...checkpoints.records import ActivationKey, OperationKey, SubmissionKey

Waiting: TypeAlias = ActivationKey | OperationKey | SubmissionKey
Due: TypeAlias = tuple[int, Waiting]
"""A run's key, and an activation or operation in it, or a submission that is to be cancelled."""

SLOT = 0.02
"""Seconds. What falls due within one is woken together at its end, so that a crowd is read, loaded and written in few calls."""
LONGEST_SLEEP = 30.0
"""Seconds after which the wall clock is looked at again, in case it was set."""


@runtime_checkable
class MovableClock(Protocol):
    """A clock that stands until somebody moves it, and tells of that. Nothing falls due in between."""

    def __call__(self) -> float:
        """Seconds since the epoch."""
        ...

    def follow(self, moved: Callable[[], None]) -> Callable[[], None]:
        """Have this called after each move, on the thread that moves the clock. What it returns ends that."""
        ...


class WakeQueue:
    """Calls `wake` with what is due, on the running event loop, at the times given (seconds since the epoch)."""

    def __init__(self, clock: Callable[[], float], wake: Callable[[list[Due]], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._heap: list[tuple[float, int, int, Waiting]] = []
        self._times: dict[Due, float] = {}  # an entry of the heap with another time is out of date
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._moves = isinstance(clock, MovableClock)
        self._unfollow = clock.follow(self._moved) if isinstance(clock, MovableClock) else None
        self._variables = contextvars.copy_context()  # what is woken inherits nothing from who had it woken

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float, run: int, key: Waiting, *, replace: bool = True) -> None:
        """Wake this at that time, and not at a time that was given before. With `replace=False` that one stays."""
        if not replace and (run, key) in self._times:
            return
        if math.isnan(at):  # neither before nor after any other time: it would hold up the whole queue
            at = self._clock()
        self._count += 1
        self._times[run, key] = at
        heapq.heappush(self._heap, (at, self._count, run, key))
        if self._timer is None or at < self._timer_at:
            self._arm()

    @property
    def first(self) -> float | None:
        """When the next of all that waits is due, seconds since the epoch; None when nothing waits."""
        while self._heap and self._times.get(self._heap[0][2:]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def due(self) -> bool:
        """Whether something is to be woken now."""
        return bool(self._heap) and self._heap[0][0] <= self._clock()

    def close(self) -> None:
        """Wake nothing any more."""
        self._closed = True
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        self._heap.clear()
        self._times.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._heap or self._closed:
            return
        self._loop = asyncio.get_running_loop()
        self._timer_at = self._heap[0][0]
        now = self._clock()
        delay = min(max(0.0, self._timer_at - now), LONGEST_SLEEP)
        if delay and self._moves:
            return  # the clock stands: it tells when it is moved
        if delay:
            delay += -(now + delay) % SLOT
        self._timer = self._loop.call_later(delay, self._fire, context=self._variables)

    def _moved(self) -> None:
        """The clock was moved, on whatever thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arm, context=self._variables)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock()
        due: list[Due] = []
        while self._heap and self._heap[0][0] <= now:
            at, _, run, key = heapq.heappop(self._heap)
            if self._times.get((run, key)) == at:
                del self._times[run, key]
                due.append((run, key))
        if due:
            self._wake(due)
        self._arm()
