"""Going on with runs that were claimed: resumed, retried and taken over alike.

Nothing is folded and no history is read. The rows of live activations and operations say where everything stands,
`core.recovery` what is to be recorded first, and `core.pending` what is to be done. A run of which everything waits is not even loaded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...checkpoints.records import (
    ActivationRecord,
    OperationRecord,
    RunRecord,
    RunStatus,
    Signal,
)
from ...nodes.errors import OperationError, SubmissionUnknownError
from ..core import events
from ..core.book import Change
from ..core.pending import idle_wakes, pending
from ..core.recovery import next_event, retried
from ..core.requests import VOID_WHEN_RETRIED
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
    """Drive on these claimed runs from where they stand; those that have failed are retried. Their plans are known.

    One that can't be read is given back, and whoever waits for it is told why; the others go on.
    """
    runs = {record.key: runtime.own(record) for record in records}
    # Nobody else acts on what was left for them before it is acted on here.
    acted = {key: runtime.acting.begin(key) for key in runs}
    try:
        live, errors = await _read(runs)
        busy: list[int] = []
        for record in records:
            try:
                if record.key in errors:
                    raise errors[record.key]
                if not _only_waits(runs[record.key], record, live[record.key]):
                    busy.append(record.key)
            except Exception as error:  # noqa: BLE001  # the boundary of one run
                runtime.stop_driving(record.key, unreadable(record.id, error))
        begun = await asyncio.gather(
            *(_begin(runtime, key, live[key].signals, acted) for key in busy), return_exceptions=True
        )
        for key, failure in zip(busy, begun, strict=True):
            if failure is not None:
                runtime.stop_driving(key, failure)  # this run alone; the others go on
    finally:
        for end in acted.values():
            end()


async def _begin(
    runtime: Runtime, run: int, signals: Sequence[Signal], acted: dict[int, Callable[[], None]]
) -> None:
    driver = await runtime.driver(run)
    if driver is None:
        return
    with driver.pinned():
        if driver.state.status is RunStatus.FAILED:
            signals = await _retry(driver, signals)
        end = acted.pop(run)
        driver.spawn(_go_on(driver, signals)).add_done_callback(lambda _: end())


async def _read(runs: Mapping[int, OwnedRun]) -> tuple[dict[int, _Live], dict[int, Exception]]:
    """What is stored of these runs, and the errors of those that can't be read, by key."""
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
    return live, errors


@dataclass(slots=True)
class _Live:
    """What is stored of a run that has not ended, and what was left for it."""

    activations: list[ActivationRecord] = field(default_factory=list[ActivationRecord])
    operations: list[OperationRecord] = field(default_factory=list[OperationRecord])
    signals: list[Signal] = field(default_factory=list[Signal])


def _only_waits(owned: OwnedRun, record: RunRecord, live: _Live) -> bool:
    """Whether the run only waits; then it is woken at the times that its rows say, and not loaded before."""
    if record.status is RunStatus.FAILED or live.signals or owned.policies != stored_policies(record):
        return False
    wakes = idle_wakes(record.status, live.activations, live.operations)
    if wakes is None:
        return False
    for at, key in wakes:
        owned.shared.wake_queue.add(at, record.key, key)
    return True


async def _retry(driver: Driver, signals: Sequence[Signal]) -> list[Signal]:
    """Open a failed run again. The signals that were left for it meanwhile and still mean something are returned."""
    void = tuple(signal.id for signal in signals if signal.kind in VOID_WHEN_RETRIED)
    event = retried(driver.state, driver.shared.clock(), driver.owned.policies)
    await driver.commit([Change(event)], signals=void)
    return [signal for signal in signals if signal.id not in void]


async def _go_on(driver: Driver, signals: Sequence[Signal]) -> None:
    """Record what a restart can no longer find out, act on the signals, then do what is pending."""
    if _next_event(driver) is not None:
        await driver.commit(_recorded_first(driver))
    for signal in signals:
        await _signals.act(driver, signal)
    driver.perform(pending(driver.state))


def _recorded_first(driver: Driver) -> Iterator[Change]:
    """All that is to be recorded first. Each change follows from the state to which the one before has led."""
    while (event := _next_event(driver)) is not None:
        match event:
            case events.SubmissionUnknown():
                yield unknown(driver.owned, event, SubmissionUnknownError(INTERRUPTED, code="interrupted"))
            case events.AttemptFailed() | events.OperationEnded():
                yield failed(event, OperationError(CONSUMED, code="result_lost"))
            case _:
                yield Change(event)


def _next_event(driver: Driver) -> events.CoreEvent | None:
    shared = driver.shared
    return next_event(driver.state, shared.clock(), shared.random.random(), driver.owned.policies)
