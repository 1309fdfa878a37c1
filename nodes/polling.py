"""`Polling`: how often an operation is asked after, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Polling:
    """The policy of polls. All times in seconds, counted from the moment when the handle became known.

    It keeps no state, so it is the same before and after a crash: the age of the operation alone decides.
    """

    first: float = 2.0
    """The wait before the second poll of a new operation."""
    cap: float = 20.0
    """The longest wait between two polls."""
    jitter: float = 0.2
    """How far a wait may be off, as a share of it, so that many operations do not poll in step."""
    deadline: float = 24 * 3600.0
    """An operation that still runs at this age is cancelled at the provider and failed, not retried."""
    queue_limit: float = 3600.0
    """One that is still queued at this age is cancelled there and failed; a new submission may succeed."""
    timeout: float = 60.0
    """How long one poll, one cancel or one background submission may take, and a stream may be silent."""

    def interval(self, age: float, chance: float) -> float:
        """Seconds until the next poll; `chance` is drawn from 0 to 1.

        Waiting `first + age / 2` makes the waits 2, 3, 4.5, ... seconds: each 1.5 times the one before.
        """
        wait = min(self.cap, self.first + max(0.0, age) / 2)
        return wait * (1 + self.jitter * (2 * chance - 1))
