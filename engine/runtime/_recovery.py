"""Going on with runs that were claimed: resumed, retried and taken over alike.

Nothing is folded and no history is read. The rows of live activations and operations say where everything stands, and
`core.pending` what is to be done. A run of which everything waits is not even loaded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ...checkpoints.records import (
    ActivationRecord,
    OperationRecord,
    RunRecord,
    Signal,
)
from ...nodes.errors import OperationError, SubmissionUnknownError
from ..core import events
from ..core.book import Change
from ..core.pending import consumed, idle_wakes, interrupted, pending
from . import _signals
from ._driver import Driver
from ._policies import stored_policies
from ._runtime import Runtime
from .performers._results import failed
from .performers._submit import unknown

INTERRUPTED = (
    "The process that submitted it ended before the handle was committed: the provider may have accepted it."
)

CONSUMED = (
    "The provider hands its result out once, and the process that asked for it ended before it was kept. Nothing is asked "
    "or submitted again by itself; a retry submits it anew."
)


async def recover(runtime: Runtime, records: Sequence[RunRecord]) -> None:
    """Drive on these claimed runs from where they stand."""
    keys = [record.key for record in records]
    (activations, operations), signals = await runtime.shared.store.read(
        lambda view: (view.live(keys), view.signals(keys))
    )
    live_activations: dict[int, list[ActivationRecord]] = defaultdict(list)
    live_operations: dict[int, list[OperationRecord]] = defaultdict(list)
    for activation in activations:
        live_activations[activation.run].append(activation)
    for operation in operations:
        live_operations[operation.run].append(operation)
    left = _by_run(signals)
    busy: list[int] = []
    for record in records:
        owned = runtime.own(record, await runtime.plan(record.signature))
        wakes = None
        if record.key not in left and owned.policies == stored_policies(record):
            wakes = idle_wakes(record.status, live_activations[record.key], live_operations[record.key])
        if wakes is None:
            busy.append(record.key)
            continue
        for row in live_operations[record.key]:
            runtime.shared.wake_queue.add(row.wake_at or 0.0, record.key, row.key)
        for row in live_activations[record.key]:
            if row.wake_at is not None:
                runtime.shared.wake_queue.add(row.wake_at, record.key, row.key)
    drivers = await asyncio.gather(*(runtime.driver(key) for key in busy), return_exceptions=True)
    for key, driver in zip(busy, drivers, strict=True):
        if isinstance(driver, BaseException):
            runtime.stop_driving(key, driver)  # this run alone; the others go on
        elif driver is not None:
            driver.spawn(_go_on(driver, left.get(key, ())))


async def retry(runtime: Runtime, driver: Driver) -> None:
    """Drive a failed run on, minding what was left for it meanwhile: its cancels are void, its answers count."""
    signals = await runtime.shared.store.read(lambda view: view.signals([driver.run]))
    void = tuple(signal.id for signal in signals if signal.kind == "cancel")
    await driver.commit(Change(events.RunRetried(driver.shared.clock())), signals=void)
    await _go_on(driver, [signal for signal in signals if signal.kind != "cancel"])


async def _go_on(driver: Driver, signals: Sequence[Signal]) -> None:
    """Say what nobody can know any more, act on what was left, then do what is pending."""
    owned, state = driver.owned, driver.state
    settled = [
        unknown(owned, operation, SubmissionUnknownError(INTERRUPTED, code="interrupted"))
        for operation in interrupted(state)
    ]
    if owned.workflow is not None and state.policies != owned.policies:
        settled.insert(0, Change(events.PoliciesChanged(driver.shared.clock(), owned.policies)))
    if settled:
        await driver.commit(*settled)
    while results := consumed(state):  # one by one: the first may have the others cancelled
        lost = OperationError(CONSUMED, code="result_lost")
        where = results[0].address
        await driver.commit(failed(owned, where, lost, operation=results[0], ending="lost", retryable=False))
    for signal in signals:  # a late handle saves a second submission, so signals come first
        await _signals.act(driver, signal)
    driver.perform(pending(state))


def _by_run(signals: Sequence[Signal]) -> Mapping[int, list[Signal]]:
    found: dict[int, list[Signal]] = {}
    for signal in signals:
        found.setdefault(signal.run, []).append(signal)
    return found
