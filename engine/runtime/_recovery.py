"""Going on with runs that were claimed: resumed, retried and taken over alike.

Nothing is folded and no history is read. The rows of live activations and operations say where everything stands, and
`core.pending` what is to be done. A run of which everything waits is not even loaded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

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
from ..core.policy import Policies
from . import _signals
from ._changes import failed, unknown
from ._driver import Driver
from ._policies import stored_policies
from ._reading import read_runs, unreadable
from ._runtime import Runtime
from ._shared import OwnedRun

INTERRUPTED = (
    "The process that submitted it ended before the handle was committed: the provider may have accepted it."
)

CONSUMED = (
    "The provider hands its result out once, and the process that asked for it ended before it was kept. Nothing is asked "
    "or submitted again by itself; a retry submits it anew."
)


async def recover(runtime: Runtime, records: Sequence[RunRecord]) -> None:
    """Drive on these claimed runs from where they stand.

    One that can't be read is given back, and whoever waits for it is told why; the others go on.
    """
    plans = [await runtime.plan(record.signature) for record in records]  # all of them, before any is owned
    runs = {record.key: runtime.own(record, plan) for record, plan in zip(records, plans, strict=True)}
    parts, errors = await read_runs(
        list(runs.values()), lambda view, keys: (*view.live(keys), view.signals(keys))
    )
    live: dict[int, _Live] = defaultdict(_Live)
    for activations, operations, signals in parts:
        for activation in activations:
            live[activation.run].activations.append(activation)
        for operation in operations:
            live[operation.run].operations.append(operation)
        for signal in signals:
            live[signal.run].signals.append(signal)
    busy: list[int] = []
    for record in records:
        try:
            if record.key in errors:
                raise errors[record.key]
            if not _only_waits(runs[record.key], record, live[record.key]):
                busy.append(record.key)
        except Exception as error:  # noqa: BLE001  # the boundary of one run
            runtime.stop_driving(record.key, unreadable(runs[record.key], error))
    drivers = await asyncio.gather(*(runtime.driver(key) for key in busy), return_exceptions=True)
    for key, driver in zip(busy, drivers, strict=True):
        if isinstance(driver, BaseException):
            runtime.stop_driving(key, driver)  # this run alone; the others go on
        elif driver is not None:
            driver.spawn(_go_on(driver, live[key].signals))


@dataclass(slots=True)
class _Live:
    """What is stored of a run that has not ended, and what was left for it."""

    activations: list[ActivationRecord] = field(default_factory=list[ActivationRecord])
    operations: list[OperationRecord] = field(default_factory=list[OperationRecord])
    signals: list[Signal] = field(default_factory=list[Signal])


def _only_waits(owned: OwnedRun, record: RunRecord, live: _Live) -> bool:
    """Whether the run only waits; then it is woken at the times that its rows say, and not loaded before."""
    if live.signals or owned.policies != stored_policies(record):
        return False
    if idle_wakes(record.status, live.activations, live.operations) is None:
        return False
    wake_queue = owned.shared.wake_queue
    for row in live.operations:
        wake_queue.add(row.wake_at or 0.0, record.key, row.key)
    for row in live.activations:
        if row.wake_at is not None:
            wake_queue.add(row.wake_at, record.key, row.key)
    return True


async def retry(runtime: Runtime, driver: Driver) -> None:
    """Drive a failed run on, minding what was left for it meanwhile: its cancels are void, its answers count.

    Returns when that is committed; what follows, such as a provider's answer about a late handle, is not waited for.
    """
    parts, errors = await read_runs([driver.owned], lambda view, keys: view.signals(keys))
    if errors:
        raise errors[driver.run]
    signals = [signal for part in parts for signal in part]
    void = tuple(signal.id for signal in signals if signal.kind == "cancel")
    retried = events.RunRetried(driver.shared.clock(), _new_policies(driver))
    await driver.commit(Change(retried), signals=void)
    driver.spawn(_go_on(driver, [signal for signal in signals if signal.kind != "cancel"]))


def _new_policies(driver: Driver) -> Policies | None:
    """Those by which the run is driven from now on, None where they are as they were."""
    owned = driver.owned
    return None if owned.workflow is None or driver.state.policies == owned.policies else owned.policies


async def _go_on(driver: Driver, signals: Sequence[Signal]) -> None:
    """Say what nobody can know any more, act on what was left, then do what is pending."""
    owned, state = driver.owned, driver.state
    settled = [
        unknown(owned, operation, SubmissionUnknownError(INTERRUPTED, code="interrupted"))
        for operation in interrupted(state)
    ]
    policies = _new_policies(driver)
    if policies is not None:
        settled.insert(0, Change(events.PoliciesChanged(driver.shared.clock(), policies)))
    if settled:
        await driver.commit(*settled)
    while results := consumed(state):  # one by one: the first may have the others cancelled
        lost = OperationError(CONSUMED, code="result_lost")
        where, at = results[0], driver.shared.clock()
        event = events.AttemptFailed(at, where.address, 0.0, "lost", False, None, where)
        await driver.commit(failed(event, lost))
    for signal in signals:  # a late handle saves a second submission, so signals come first
        await _signals.act(driver, signal)
    driver.perform(pending(state))
