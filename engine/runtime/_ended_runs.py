"""`EndedRuns`: runs that have ended and left something at a provider. Late handles of them are acted on, and what nobody
needs is cancelled until that is acknowledged.

Nobody owns such a run. Several processes may follow one: of what they commit the first counts, and the others leave it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from ...checkpoints.records import RunRecord, Signal
from ..core.commands import CancelStray
from ..core.pending import pending
from ..core.plan import Plan
from ..core.restore import restore
from . import _signals
from ._driver import Driver, Keeper
from ._policies import stored_policies
from ._reading import unreadable
from ._shared import AnyWorkflow, OwnedRun, Shared

log = logging.getLogger("perdure")

PATIENCE = 5.0
"""Seconds that a process which lost a run takes to cancel a handle that came too late: it may be about to end."""
LOOK = 0.3
"""Seconds between two looks at that."""


class EndedRunsKeeper(Keeper, Protocol):
    """What drives runs, and knows which are driven."""

    @property
    def shared(self) -> Shared: ...
    @property
    def workflows(self) -> Mapping[str, AnyWorkflow]: ...
    @property
    def owned(self) -> Mapping[int, OwnedRun]: ...

    async def plan(self, signature: str) -> Plan:
        """The plan of that signature."""
        ...

    def known_run(self, record: RunRecord) -> OwnedRun:
        """What performers know of a stored run. Its plan is known (`plan`)."""
        ...


class EndedRuns:
    """Those that this executor follows."""

    def __init__(self, keeper: EndedRunsKeeper) -> None:
        self._keeper = keeper
        self._drivers: dict[int, Driver] = {}

    def driver(self, run: int) -> Driver | None:
        """The driver of a run that is followed."""
        return self._drivers.get(run)

    def keep(self, driver: Driver) -> None:
        """Follow a run that has just ended here, where something of it is still to be cancelled."""
        if driver.state.strays and driver.run not in self._keeper.owned:
            self._drivers[driver.run] = driver

    def idle(self, driver: Driver) -> None:
        """Nothing of the run is busy: one of which nothing is left is not followed any more."""
        if not driver.state.strays:
            self.leave(driver)

    def leave(self, driver: Driver) -> None:
        """Somebody else follows the run, or retries it."""
        if self._drivers.get(driver.run) is driver:
            del self._drivers[driver.run]

    def retried(self, run: int) -> None:
        """The run is driven here again."""
        self._drivers.pop(run, None)

    async def follow_unsettled(self, run: int | None = None) -> None:
        """Follow those runs of this executor's workflows that have ended and left something; or that one."""
        unsettled = await self._keeper.shared.store.read(lambda view: view.unsettled())
        known = [record for record in unsettled if record.signature in self._keeper.workflows]
        await self.follow([record for record in known if run in (None, record.key)])

    async def follow(self, records: Sequence[RunRecord]) -> set[int]:
        """Follow these runs, as far as they have ended and are not driven here.

        The ids of signals that can't be acted on, or not before the run is retried.
        """
        left: set[int] = set()
        for record in records:
            try:
                left |= await self._follow(record)
            except Exception as error:  # noqa: BLE001  # the boundary of one run
                log.error("%s", unreadable(record.id, error))
        return left

    async def see_off(self, run: int) -> None:
        """Cancel what was left of a run, where it has ended, for some seconds, also while the executor stops."""
        shared, loop = self._keeper.shared, asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        try:
            await self.follow(await shared.store.read(lambda view: view.runs_by_key([run])))
            driver = self._drivers.get(run)
            while (
                driver is not None and driver.stopped is None and driver.state.strays and loop.time() < until
            ):
                if shared.stopping:  # nothing is woken any more
                    for stray in sorted(driver.state.strays):
                        await asyncio.wait([driver.begin(CancelStray(*stray))])
                await asyncio.sleep(LOOK)
        except Exception as error:  # noqa: BLE001  # the boundary: it is stored, so others can go on with it
            log.info("run number %d, which has ended, is not followed on here: %s", run, error)

    async def _follow(self, record: RunRecord) -> set[int]:
        driver = self._drivers.get(record.key)
        begun = driver is not None
        if driver is None:
            loaded = await self._loaded(record)
            if loaded is None:
                return set()
            driver = self._drivers.setdefault(record.key, loaded)  # somebody else may have been quicker
            begun = driver is not loaded
        signals = await self._keeper.shared.store.read(lambda view: view.signals([record.key]))
        left: set[int] = set()
        with driver.pinned():
            if not begun:
                driver.perform(effect for effect in pending(driver.state) if isinstance(effect, CancelStray))
            for signal in signals:
                if signal.kind == "handle" and driver.stopped is None and not await _act(driver, signal):
                    left.add(signal.id)
        return left

    async def _loaded(self, record: RunRecord) -> Driver | None:
        """The run in memory; None where it goes on."""
        keeper = self._keeper
        (found,) = await keeper.shared.store.read(lambda view: view.load([record.key]))
        run = found.run
        owned = keeper.owned.get(run.key)
        # A run that somebody else has taken and ended is ours in name only.
        if not run.status.finished or (owned is not None and owned.fence >= run.fence):
            return None
        plan = await keeper.plan(run.signature)
        owned = keeper.known_run(run)
        state = restore(plan, stored_policies(run), found)
        driver = Driver(keeper, owned, state, nonce=run.nonce, position=run.position, error=run.error)
        owned.in_memory = driver.work
        return driver


async def _act(driver: Driver, signal: Signal) -> bool:
    """Whether the signal is dealt with."""
    effects = await _signals.act(driver, signal)
    if not isinstance(effects, list):
        return False
    driver.perform(effects)
    return True
