"""Which waiting runs stay in memory for a while: large ones, within a bound.

The rows of a run's open activations would be read again for each of them that moves. For a small run that is cheap,
so it is evicted at once; for a map of a thousand items it is not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .driver import Driver

SMALL = 32
"""Open activations up to which a run is evicted as soon as it only waits."""
MOST = 50_000
"""Open activations of larger waiting runs that an executor keeps in memory, all in all."""


class Idle:
    """Drivers of large runs in which nothing is busy; the least recently busy leave first."""

    def __init__(self, *, small: int = SMALL, most: int = MOST) -> None:
        self._small = small
        self._most = most
        self._drivers: OrderedDict[int, tuple[Driver, int]] = OrderedDict()
        self._size = 0

    def keep(self, driver: Driver) -> bool:
        """Keep the driver, and let others leave for it if need be; False when it is too small to be kept."""
        self.forget(driver.key)
        size = driver.size
        if size <= self._small:
            return False
        self._drivers[driver.key] = (driver, size)
        self._size += size
        while self._size > self._most and len(self._drivers) > 1:
            oldest, _ = next(iter(self._drivers.values()))
            self.forget(oldest.key)
            oldest.leave()
        return True

    def forget(self, run: int) -> None:
        """The run is gone, or busy again."""
        _, size = self._drivers.pop(run, (None, 0))
        self._size -= size
