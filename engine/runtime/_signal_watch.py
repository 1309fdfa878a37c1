"""`SignalWatch`: looks for signals of the runs that are driven here, and for late handles of runs that have ended.

Each run has a queue of its own, so none holds another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ...checkpoints.errors import DatabaseCorruptError, StoreError
from ...checkpoints.records import RunRecord, Signal
from ...checkpoints.view import View
from . import _signals
from ._reading import read_runs
from ._runtime import Runtime
from ._signals import Left

log = logging.getLogger("perdure")

INTERVAL = 1.0
"""Seconds between two looks."""
STALL = 0.5
"""Seconds by which a look may be late. Later than that, the process was stopped or swapped out, and its lease may have
run out meanwhile."""


class SignalWatch:
    """Has each signal of a run that is driven here acted on once, in order."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._unreadable: set[int] = set()  # runs whose signals make no sense
        self._left: set[int] = set()  # signals that can't be acted on here; they stay in the store

    async def watch(self, executor: str) -> None:
        """Look for signals of the runs that the store's executor with that id owns, until cancelled."""
        runtime = self._runtime
        while True:
            due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            try:
                if time.monotonic() > due + STALL:
                    # What waits for a person moves by no commit that could be refused.
                    await runtime.check_ownership(runtime.owned)
                for run in await self._look(executor):
                    if run in runtime.owned and runtime.acting.under_way(run) is None:
                        ended = runtime.acting.begin(run)
                        runtime.create_task(self._act_aside(run), _saying(ended))
                await self._look_at_ended_runs()
            except StoreError as error:
                log.warning("the signals could not be read: %s", error)

    async def act(self, run: int) -> bool:
        """Act now on all that was left for the run. False: it is not driven here any more, and something may be left.

        Raises `StoreError` when the signals can't be read.
        """
        await self._runtime.acting.free(run)
        with self._runtime.acting.held(run):
            return await self._act(run)

    async def _look(self, executor: str) -> list[int]:
        """The runs for which something was left."""
        try:
            found = await self._runtime.shared.store.read(lambda view: view.signals(owner=executor))
        except Exception as error:  # the boundary of each run, whose rows may make no sense
            if isinstance(error, StoreError) and not isinstance(error, DatabaseCorruptError):
                raise
            found = await self._look_at_each()
        return list({signal.run: None for signal in found if signal.id not in self._left})

    async def _look_at_each(self) -> list[Signal]:
        """The signals of all runs of which they can be read."""
        runs = [owned for key, owned in self._runtime.owned.items() if key not in self._unreadable]
        parts, errors = await read_runs(runs, lambda view, keys: view.signals(keys))
        for run, error in errors.items():
            if not isinstance(error, DatabaseCorruptError):
                raise error
            self._unreadable.add(run)
            log.error("%s Its signals are not acted on.", error)
        return [signal for part in parts for signal in part]

    async def _look_at_ended_runs(self) -> None:
        ended = await self._runtime.shared.store.read(self._with_late_handles)
        self._left |= await self._runtime.ended_runs.follow(ended)

    def _with_late_handles(self, view: View) -> list[RunRecord]:
        ended = [run for run in view.unsettled() if run.signature in self._runtime.workflows]
        signals = view.signals([run.key for run in ended]) if ended else []
        late = {signal.run for signal in signals if signal.kind == "handle" and signal.id not in self._left}
        return [run for run in ended if run.key in late]

    async def _act_aside(self, run: int) -> None:
        try:
            await self._act(run)
        except StoreError as error:
            log.warning("the signals could not be read: %s", error)

    async def _act(self, run: int) -> bool:
        try:
            driver = await self._runtime.driver(run)
        except Exception as error:  # noqa: BLE001  # the boundary: whoever waits for this run gets the error
            self._runtime.stop_driving(run, error)
            return False
        if driver is None:
            return False
        with driver.pinned():
            parts, errors = await read_runs([driver.owned], lambda view, keys: view.signals(keys))
            for problem in errors.values():
                raise problem
            for signal in (signal for part in parts for signal in part):
                if signal.id in self._left:
                    continue
                if driver.stopped is not None:
                    return False
                try:
                    effects = await _signals.act(driver, signal)
                except StoreError as error:
                    driver.abort(error)
                    return False
                if effects is Left.FOR_GOOD:
                    self._left.add(signal.id)
                elif effects is not Left.FOR_NOW:
                    driver.perform(effects)
        return True


def _saying(ended: Callable[[], None]) -> Callable[[asyncio.Task[None]], None]:
    """A callback for a task that is done: say that what it did has ended."""
    return lambda _: ended()
