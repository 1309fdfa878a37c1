"""`Polling`: how often an operation is polled, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

_QUICK_UP_TO = 2.0  # seconds: as long as waits are shorter they double


@dataclass(frozen=True, kw_only=True, slots=True)
class Polling:
    """The policy of polls. All times in seconds, counted from the moment when the handle became known.

    It keeps no state, so it is the same before and after a crash: the age of the operation alone decides.
    """

    first: float = 0.3
    """The wait before the first poll of a new operation."""
    cap: float = 20.0
    """The longest wait between two polls, unless the provider asks for a longer one."""
    jitter: float = 0.2
    """How far a wait may be off, as a share of it, so that many operations do not poll in step."""
    deadline: float = 24 * 3600.0
    """An operation that still runs at this age is cancelled at the provider and fails; it is not retried."""
    queue_limit: float = 3600.0
    """One that is still queued at this age is cancelled there and fails; a new operation may succeed."""
    timeout: float = 60.0
    """How long one poll, one cancel or one background submission may take, and a stream may be silent."""

    def interval(self, age: float, chance: float) -> float:
        """Seconds until the next poll of an operation of this age; `chance` is drawn from 0 to 1.

        With the defaults the waits double from 0.3 to 2 seconds, then each is half as long again as the one before,
        up to the cap. The engine's core computes the same.
        """
        age = max(0.0, age)
        quick = min(self.first + age, max(self.first, _QUICK_UP_TO))
        wait = min(self.cap, max(quick, self.first + age / 2))
        return wait * (1 + self.jitter * (2 * chance - 1))
