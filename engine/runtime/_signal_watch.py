"""`SignalWatch`: looks for signals of the runs that are driven here, and for late handles of runs that have ended.

Each run has a queue of its own, so none holds another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

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
        self._acting: set[int] = set()
        self._unreadable: set[int] = set()  # runs whose signals make no sense
        self._left: set[int] = set()  # signals that can't be acted on here; they stay in the store

    async def watch(self) -> None:
        """Until cancelled."""
        runtime = self._runtime
        while True:
            due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            try:
                if runtime.owned:
                    if time.monotonic() > due + STALL:
                        # What waits for a person moves by no commit that could be refused.
                        await runtime.check_ownership(runtime.owned)
                    await self._look()
                await self._look_at_ended_runs()
            except StoreError as error:
                log.warning("the signals could not be read: %s", error)

    async def _look(self) -> None:
        runs = [owned for key, owned in self._runtime.owned.items() if key not in self._unreadable]
        parts, errors = await read_runs(runs, lambda view, keys: view.signals(keys))
        for run, error in errors.items():
            if not isinstance(error, DatabaseCorruptError):
                raise error
            self._unreadable.add(run)
            log.error("%s Its signals are not acted on.", error)
        self._begin([signal for part in parts for signal in part])

    async def _look_at_ended_runs(self) -> None:
        ended = await self._runtime.shared.store.read(self._with_late_handles)
        self._left |= await self._runtime.ended_runs.follow(ended)

    def _with_late_handles(self, view: View) -> list[RunRecord]:
        ended = [run for run in view.unsettled() if run.signature in self._runtime.workflows]
        signals = view.signals([run.key for run in ended]) if ended else []
        late = {signal.run for signal in signals if signal.kind == "handle" and signal.id not in self._left}
        return [run for run in ended if run.key in late]

    def _begin(self, signals: Sequence[Signal]) -> None:
        by_run: dict[int, list[Signal]] = {}
        for signal in signals:
            if signal.run not in self._acting and signal.id not in self._left:
                by_run.setdefault(signal.run, []).append(signal)
        for run, queue in by_run.items():
            self._acting.add(run)
            self._runtime.create_task(self._act(run, queue), lambda _, run=run: self._acting.discard(run))

    async def _act(self, run: int, queue: Sequence[Signal]) -> None:
        try:
            driver = await self._runtime.driver(run)
        except Exception as error:  # noqa: BLE001  # the boundary: whoever waits for this run gets the error
            self._runtime.stop_driving(run, error)
            return
        if driver is None:
            return
        with driver.pinned():
            for signal in queue:
                if driver.stopped is not None:
                    return
                try:
                    effects = await _signals.act(driver, signal)
                except StoreError as error:
                    driver.abort(error)
                    return
                if effects is Left.FOR_GOOD:
                    self._left.add(signal.id)
                elif effects is not Left.FOR_NOW:
                    driver.perform(effects)
