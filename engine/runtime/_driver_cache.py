"""Which waiting runs stay in memory for a while: those that were busy last, within a bound.

The rows of a run's open activations would be read again whenever one of them moves. What does not fit is evicted: nothing
is lost by that, it is loaded again from what is committed.
"""

from __future__ import annotations

from collections import OrderedDict

RUN = 16
"""What a run takes beside its open activations, in activations: about 6 KB."""
MOST = 50_000
"""What an executor keeps of waiting runs, all in all, in activations; 0 keeps none."""


class DriverCache:
    """Runs, by their keys, that are idle; the least recently busy are given up first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._size = 0

    def keep(self, run: int, activations: int) -> list[int]:
        """Keep a run with so many open activations, the last one however large. Returns the runs to give up for it."""
        self.forget(run)
        size = self._sizes[run] = RUN + activations
        self._size += size
        given_up: list[int] = []
        while self._size > self._most and (len(self._sizes) > 1 or not self._most):
            oldest = next(iter(self._sizes))
            self.forget(oldest)
            given_up.append(oldest)
        return given_up

    def forget(self, run: int) -> None:
        """The run is gone, or busy again."""
        self._size -= self._sizes.pop(run, 0)
