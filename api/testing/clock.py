"""`Clock`: the time, in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta


class Clock:
    """A clock that stands until it is moved: `Executor(..., clock=Clock())`. Moving it wakes what is then due.

    Its executor's timers, backoffs, polls and deadlines go by it. What the functions of nodes do does not: their
    `asyncio.sleep`, their `timeout` and their `datetime.now()` are real. It only moves forward.
    """

    def __init__(self, now: float | None = None) -> None:
        """`now` is in seconds since the epoch; None: the real time, as it is now."""
        self._now = time.time() if now is None else now
        self._followers: dict[object, Callable[[], None]] = {}

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def __call__(self) -> float:
        """As `now`: it is a clock for all that takes a function."""
        return self._now

    def advance(self, by: timedelta | float) -> None:
        """Move it forward by a duration, or by seconds. Raises `ValueError` for one below 0.

        Returns at once: `await executor.settled()` waits until what fell due is done.
        """
        self.move_to(self._now + (by.total_seconds() if isinstance(by, timedelta) else by))

    def move_to(self, moment: float) -> None:
        """Move it forward to that time, seconds since the epoch. Raises `ValueError` for one that has passed."""
        if not moment >= self._now:
            raise ValueError(
                f"The clock shows {self._now} and can't be moved to {moment}: it only moves forward."
            )
        self._now = moment
        for moved in list(self._followers.values()):
            moved()

    def follow(self, moved: Callable[[], None]) -> Callable[[], None]:
        """Have this called after each move; what is returned ends that. For executors."""
        key = object()
        self._followers[key] = moved

        def unfollow() -> None:
            self._followers.pop(key, None)

        return unfollow

    def __repr__(self) -> str:
        return f"<clock at {self._now}>"
