"""Following runs that have ended: their late handles are acted on, and what nobody needs is cancelled at its provider.

Nobody owns such a run. Several processes may follow one: of what they commit the first counts, and the others leave it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...checkpoints.records import RunRecord, Signal
from ..core.commands import CancelStray
from ..core.pending import pending
from ..core.restore import restore
from . import _signals
from ._driver import Driver
from ._policies import stored_policies
from ._reading import unreadable
from ._runtime import Runtime, log


async def follow_unsettled(runtime: Runtime, run: int | None = None) -> None:
    """Follow those runs of this executor's workflows that have ended and left something; or that one."""
    unsettled = await runtime.shared.store.read(lambda view: view.unsettled())
    known = [record for record in unsettled if record.signature in runtime.workflows]
    await follow(runtime, [record for record in known if run in (None, record.key)])


async def follow(runtime: Runtime, records: Sequence[RunRecord]) -> set[int]:
    """Follow these runs, as far as they have ended and nobody retries them here.

    The ids of signals that can't be acted on, or not before the run is retried.
    """
    left: set[int] = set()
    for record in records:
        if _driven_here(runtime, record) or runtime.shared.stopping:
            continue
        try:
            left |= await _follow(runtime, record)
        except Exception as error:  # noqa: BLE001  # the boundary of one run
            owned = runtime.owned_run(record, await runtime.plan(record.signature), None)
            log.error("%s", unreadable(owned, error))
    return left


async def _follow(runtime: Runtime, record: RunRecord) -> set[int]:
    driver = runtime.ended_runs.get(record.key)
    begun = driver is not None
    if driver is None:
        loaded = await _loaded(runtime, record)
        if loaded is None:
            return set()
        driver = runtime.ended_runs.setdefault(record.key, loaded)  # somebody else may have been quicker
        begun = driver is not loaded
    signals = await runtime.shared.store.read(lambda view: view.signals([record.key]))
    left: set[int] = set()
    with driver.pinned():
        if not begun:
            driver.perform(effect for effect in pending(driver.state) if isinstance(effect, CancelStray))
        for signal in signals:
            if signal.kind == "handle" and driver.stopped is None and not await _act(driver, signal):
                left.add(signal.id)
    return left


async def _act(driver: Driver, signal: Signal) -> bool:
    effects = await _signals.act(driver, signal)
    if not isinstance(effects, list):
        return False
    driver.perform(effects)
    return True


def _driven_here(runtime: Runtime, record: RunRecord) -> bool:
    """Whether this executor drives the run, and has not lost it without having noticed."""
    owned = runtime.owned.get(record.key)
    return owned is not None and owned.fence >= record.fence


async def _loaded(runtime: Runtime, record: RunRecord) -> Driver | None:
    """The run in memory; None where it goes on again."""
    found = await runtime.shared.store.read(lambda view: view.load([record.key]))
    run = found[0].run
    if not run.status.finished or _driven_here(runtime, run):
        return None
    plan = await runtime.plan(run.signature)
    owned = runtime.owned_run(run, plan, runtime.workflows.get(run.signature))
    driver = Driver(runtime, owned, run, restore(plan, stored_policies(run), found[0]))
    owned.in_memory = driver.work
    return driver
