"""Which waiting runs stay in memory for a while: large ones, within a bound.

The rows of a run's open activations would be read again for each of them that moves. For a small run that is cheap, so
it is evicted at once; for a map of a thousand items it is not.
"""

from __future__ import annotations

from collections import OrderedDict

SMALL = 32
"""Open activations up to which a run is evicted as soon as it only waits."""
MOST = 50_000
"""Open activations of larger waiting runs that an executor keeps in memory, all in all."""


class DriverCache:
    """Runs, by their keys, that are idle and worth keeping; the least recently busy are given up first."""

    def __init__(self, *, small: int = SMALL, most: int = MOST) -> None:
        self._small = small
        self._most = most
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._size = 0

    def keep(self, run: int, size: int) -> list[int] | None:
        """Keep a run of so many activations. Returns those to give up for it; None when it is too small to be kept."""
        self.forget(run)
        if size <= self._small:
            return None
        self._sizes[run] = size
        self._size += size
        given_up: list[int] = []
        while self._size > self._most and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self.forget(oldest)
            given_up.append(oldest)
        return given_up

    def forget(self, run: int) -> None:
        """The run is gone, or busy again."""
        self._size -= self._sizes.pop(run, 0)
