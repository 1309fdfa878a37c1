"""`Waking`: what is done when a moment of the wake queue has come: polls, ends of backoffs, cancels of strays."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from ...checkpoints.records import ActivationKey, OperationKey, OperationRecord, SubmissionKey
from ...nodes.errors import OperationError
from ..core.book import Change
from ..core.commands import CancelStray, Poll
from ..core.pending import backoff_due, due
from ..core.restore import operation_address, operation_of
from ._driver import Driver, Keeper, interrupted
from ._ended_runs import EndedRuns
from ._reading import read_runs
from ._shared import OwnedRun, Shared, ends_the_task
from ._wake_queue import Due
from .performers import ask

BATCH = 256
"""How many operations that are due are read from the store in one call."""


class WakingKeeper(Keeper, Protocol):
    """What drives runs, loads them, and gives them up."""

    @property
    def shared(self) -> Shared: ...
    @property
    def owned(self) -> Mapping[int, OwnedRun]: ...
    @property
    def ended_runs(self) -> EndedRuns: ...

    async def driver(self, run: int) -> Driver | None:
        """The run in memory; None where it is not driven here any more."""
        ...

    def stop_driving(self, run: int, error: BaseException, place: object = None) -> None:
        """Leave a run as it is committed, and tell those who wait for it why."""
        ...

    async def check_ownership(self, runs: Iterable[int]) -> None:
        """Give up those of these runs that were taken over meanwhile."""
        ...


class Waking:
    """It reads of a run no more than what is due, and loads it only where something has come of that."""

    def __init__(self, keeper: WakingKeeper) -> None:
        self._keeper = keeper

    def due(self, woken: list[Due]) -> None:
        """Begin what is due."""
        if self._keeper.shared.stopping:
            return
        operations: list[tuple[int, OperationKey]] = []
        for run, key in woken:
            if isinstance(key, SubmissionKey):
                self._keeper.create_task(self._cancel_stray(run, key))
            elif run not in self._keeper.owned:
                continue
            elif isinstance(key, OperationKey):
                operations.append((run, key))
            else:
                self._create_task_of(run, self._end_backoff(run, key))
        for start in range(0, len(operations), BATCH):
            self._keeper.create_task(self._wake(operations[start : start + BATCH]))

    async def _wake(self, woken: Sequence[tuple[int, OperationKey]]) -> None:
        due: dict[int, list[tuple[int, OperationKey]]] = {}
        for run, key in woken:
            due.setdefault(run, []).append((run, key))
        parts, errors = await read_runs(
            [self._keeper.owned[run] for run in due if run in self._keeper.owned],
            lambda view, runs: view.operations_by_key([entry for run in runs for entry in due[run]]),
        )
        for run, error in errors.items():
            self._keeper.stop_driving(run, error)
        for record in chain.from_iterable(parts):
            owned = self._keeper.owned.get(record.run)
            if owned is not None and not self._keeper.shared.stopping:
                self._create_task_of(record.run, self._woken(owned, record))

    def _create_task_of(self, run: int, work: Coroutine[Any, Any, None]) -> None:
        """A task that wakes a run. Nothing but a stop cancels it, except code that it comes to run."""

        def done(task: asyncio.Task[None]) -> None:
            owned = self._keeper.owned.get(run)
            if task.cancelled() and owned is not None and not self._keeper.shared.stopping:
                self._keeper.stop_driving(run, interrupted(owned.run_id, asyncio.CancelledError()))

        self._keeper.create_task(work, done)

    async def _woken(self, owned: OwnedRun, record: OperationRecord) -> None:
        """What is due for an operation, done without its run in memory where that is possible."""
        variables = contextvars.copy_context()
        try:
            effect = due(operation_of(record), operation_address(record), owned.policy(record.key.node))
            match effect:
                case None:
                    await self._keeper.check_ownership(
                        [record.run]
                    )  # an old entry, or somebody else moved it
                case Poll() if not owned.policy(record.key.node).once:
                    change = await ask(owned, record)
                    if change is not None:
                        await self._begin(owned, change, variables)
                case _:
                    driver = await self._keeper.driver(owned.run)
                    if driver is not None and _same(driver, record):
                        driver.begin(effect)
        except BaseException as error:  # the boundary: whoever waits for the run gets the error
            if ends_the_task(error):
                raise
            told = error
            if not isinstance(error, Exception):
                told = OperationError(
                    f"Asking after {operation_address(record)} was cancelled by its own adapter, not by us "
                    f"({type(error).__name__}). Resume the run to ask again.",
                    code="cancelled_by_adapter",
                )
                told.__cause__ = error
            self._keeper.stop_driving(record.run, told, operation_address(record))

    async def _begin(self, owned: OwnedRun, change: Change, variables: contextvars.Context) -> None:
        """Have the run go on, with these context variables: those that an adapter or decoding set are not its successors'."""
        driver = await self._keeper.driver(owned.run)
        if driver is not None:
            driver.begin(change, variables)

    async def _cancel_stray(self, run: int, key: SubmissionKey) -> None:
        try:
            driver = self._keeper.ended_runs.driver(run) or await self._keeper.driver(run)
        except Exception as error:  # noqa: BLE001  # the boundary: whoever waits for the run gets the error
            self._keeper.stop_driving(run, error)
            return
        strays = {} if driver is None else driver.state.strays
        stray = next((stray for stray, known in strays.items() if known == key), None)
        if driver is not None and stray is not None:
            driver.begin(CancelStray(*stray))

    async def _end_backoff(self, run: int, key: ActivationKey) -> None:
        try:
            driver = await self._keeper.driver(run)
            event = None if driver is None else backoff_due(driver.state, key, self._keeper.shared.clock())
            if driver is not None and event is not None:  # else an old entry
                driver.begin(Change(event))
        except Exception as error:  # noqa: BLE001  # the boundary: whoever waits for the run gets the error
            self._keeper.stop_driving(run, error)


def _same(driver: Driver, record: OperationRecord) -> bool:
    """Whether the operation is still as its row was read."""
    known = driver.state.operation(operation_address(record))
    return known is not None and known.state is record.state and known.submission == record.submission
