"""Which waiting runs stay in memory for a while: those that were busy last, within bounds.

The rows of a run's open activations would be read again whenever one of them moves. What does not fit is evicted: nothing
is lost by that, it is loaded again from what is committed.
"""

from __future__ import annotations

from collections import OrderedDict

RUNS = 1_000
"""Waiting runs that an executor keeps: some 5 KB each, beside their activations. 0 keeps none."""
ACTIVATIONS = 50_000
"""Open activations of those runs, all in all: about half a KB each."""


class DriverCache:
    """Runs, by their keys, that are idle; the least recently busy are given up first."""

    def __init__(self, *, runs: int = RUNS, activations: int = ACTIVATIONS) -> None:
        self._most_runs = runs
        self._most_activations = activations
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._activations = 0

    def keep(self, run: int, activations: int) -> list[int]:
        """Keep a run with so many open activations. Returns the runs to give up for it, which may be itself."""
        self.forget(run)
        self._kept[run] = activations
        self._activations += activations
        given_up: list[int] = []
        while len(self._kept) > self._most_runs or (
            self._activations > self._most_activations
            and len(self._kept) > 1  # the last one stays, however large
        ):
            oldest = next(iter(self._kept))
            self.forget(oldest)
            given_up.append(oldest)
        return given_up

    def forget(self, run: int) -> None:
        """The run is gone, or busy again."""
        self._activations -= self._kept.pop(run, 0)
