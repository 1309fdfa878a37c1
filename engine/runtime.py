"""The runtime of one executor: its store, its drivers, its poller, and what it owns. Joins the other rooms.

It keeps per run that it owns one small entry, per waiting activation one entry of the poller's heap, and a
driver only for runs in which something is busy now.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from ..checkpoints import (
    ActivationColumns,
    ActivationKey,
    ActivationRecord,
    ActivationState,
    Loaded,
    RunRecord,
    StaleFenceError,
    Store,
    pack,
)
from ..nodes import FunctionNode, OperationError, OperationNode
from .driver import Driver
from .errors import ExecutorStoppedError, OperationUnknownError
from .events import Address, AttemptStarted, BackedOff
from .failure import describe, sentence
from .functions import Functions
from .graph import Workflow
from .hub import Hub
from .idle import Idle
from .plan import Plan
from .poller import Due, Poller
from .polls import Polls
from .restore import restore
from .submissions import Submissions
from .values import Budget

log = logging.getLogger("perdure")
S = ActivationState
AnyWorkflow: TypeAlias = Workflow[Any, Any]

VALUES_IN_MEMORY = 64 * 1024 * 1024
"""Bytes of encoded values that an executor keeps in memory for consumers to come."""
BATCH = 256
"""How many due activations are read from the store in one call."""


@dataclass(slots=True)
class Owned:
    """A run that this executor drives, whether it is in memory or not."""

    run_id: str
    fence: int
    workflow: AnyWorkflow | None
    plan: Plan


class Runtime:
    """What the rooms of one executor share."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time, random: Random | None = None):
        self.store = store
        self.clock = clock
        self.random = Random() if random is None else random  # noqa: S311  # jitter, not a secret
        self.hub = Hub()
        self.budget = Budget(VALUES_IN_MEMORY)
        self.functions = Functions(self)
        self.submissions = Submissions(self)
        self.polls = Polls(self)
        self.poller = Poller(clock, self._due)
        self.workflows: dict[str, AnyWorkflow] = {}  # by signature
        self.plans: dict[str, Plan] = {}
        self.drivers: dict[int, Driver] = {}
        self.owned: dict[int, Owned] = {}
        self.stopping = False
        self.tasks: asyncio.TaskGroup | None = None
        self.working: set[asyncio.Task[None]] = set()
        self._loading: dict[int, list[asyncio.Future[None]]] = {}  # who waits for which run to be loaded
        self._leaving: dict[int, asyncio.Task[None]] = {}  # runs that are about to be given back
        self.idle = Idle()

    # -- workflows ---------------------------------------------------------------------------------------

    def know(self, workflow: AnyWorkflow) -> Plan:
        """Check a workflow, freeze it, and drive runs of it from now on. Of those of one shape the last counts."""
        plan = workflow.plan
        self.workflows[plan.signature] = workflow
        self.plans.setdefault(plan.signature, plan)
        return plan

    async def plan(self, signature: str) -> Plan:
        """The plan of that signature, from a workflow or from the store."""
        if signature not in self.plans:
            self.plans[signature] = Plan.decode((await self.store.plan(signature)).plan)
        return self.plans[signature]

    # -- tasks and drivers -------------------------------------------------------------------------------

    def create_task(
        self,
        work: Coroutine[Any, Any, None],
        done: Callable[[asyncio.Task[None]], object] | None = None,
        variables: contextvars.Context | None = None,
    ) -> asyncio.Task[None]:
        """A task of the executor."""
        if self.tasks is None:
            work.close()
            raise ExecutorStoppedError(
                "The executor is not running: use it inside `async with Executor(...)`."
            )
        task = self.tasks.create_task(work, context=variables)
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        if done is not None:
            task.add_done_callback(done)
        return task

    def own(self, record: RunRecord, plan: Plan, workflow: AnyWorkflow | None = None) -> None:
        """The run is ours to drive, with that very workflow where it is given."""
        self.hub.driven(record.key)
        workflow = workflow or self.workflows.get(record.signature)
        self.owned[record.key] = Owned(record.id, record.fence, workflow, plan)

    async def driver(self, run: int) -> Driver | None:
        """The driver of an owned run, loaded if it was evicted; None when the run is not ours any more."""
        while run in self.owned:
            driver = self.drivers.get(run)
            if driver is not None:
                return driver
            loop = asyncio.get_running_loop()
            if not self._loading:
                loop.call_soon(self._load_wanted)
            loaded: asyncio.Future[None] = loop.create_future()
            self._loading.setdefault(run, []).append(loaded)
            await loaded
        return None

    def _load_wanted(self) -> None:
        """Load all runs that were asked for in this turn of the loop, in one call of the store."""
        wanted, self._loading = self._loading, {}
        if self.tasks is None or self.stopping:
            self._not_loaded(wanted)
        else:
            self.create_task(self._load(wanted), lambda _: self._not_loaded(wanted))

    async def _load(self, wanted: dict[int, list[asyncio.Future[None]]]) -> None:
        try:
            found = {loaded.run.key: loaded for loaded in await self.store.load(list(wanted))}
        except Exception as error:  # noqa: BLE001  # the boundary: those who asked get it
            for futures in wanted.values():
                _answer(futures, error)
            return
        for run, futures in wanted.items():
            try:
                if run not in self.drivers:  # another batch may have been faster
                    self._restore(run, found.get(run))
            except Exception as error:  # noqa: BLE001  # the boundary: rows of one run that can't be read
                _answer(futures, error)
            else:
                _answer(futures, None)

    @staticmethod
    def _not_loaded(wanted: dict[int, list[asyncio.Future[None]]]) -> None:
        """Whoever still waits after a load waits for nothing: the executor stops."""
        for futures in wanted.values():
            _answer(futures, ExecutorStoppedError("The executor stopped before the run was loaded."))

    def _restore(self, run: int, loaded: Loaded | None) -> None:
        owned = self.owned.get(run)
        if owned is None:
            return
        if loaded is None:
            self._lost(run, owned.run_id)
        elif loaded.run.fence != owned.fence:
            self._lost(run, loaded.run.id)
        else:
            state = restore(owned.plan, loaded.run.outcome, loaded.scopes, loaded.activations)
            self.adopt(Driver(self, loaded.run, owned.workflow, state))

    def adopt(self, driver: Driver) -> Driver:
        """Keep a driver until its run is evicted or ends."""
        self.drivers[driver.key] = driver
        return driver

    def evict(self, driver: Driver) -> None:
        """Nothing of the run is busy: forget all but that it is ours, unless it is too large to be read again."""
        if not self.idle.keep(driver):
            self.drivers.pop(driver.key, None)

    def forget(self, driver: Driver) -> None:
        """The run has ended."""
        self.idle.forget(driver.key)
        self.drivers.pop(driver.key, None)
        self.owned.pop(driver.key, None)

    def abort(self, driver: Driver, error: BaseException) -> None:
        """The run can't be driven on here; it stays as it was committed."""
        self.idle.forget(driver.key)
        self.drivers.pop(driver.key, None)
        owned = self.owned.pop(driver.key, None)
        if isinstance(error, StaleFenceError):
            log.warning("run %s: %s", driver.run_id, error)
        else:
            log.error("run %s is not driven on: %s: %s", driver.run_id, type(error).__name__, error)
        self.hub.stopped(driver.key, error)
        if owned is not None and not self.stopping:
            self._leave(driver.key, owned, driver)

    def _leave(self, run: int, owned: Owned, driver: Driver | None) -> None:
        """Give a run back once nothing of it is under way here."""
        self._leaving[run] = self.create_task(
            self._release(run, owned, driver), lambda task: self._left(run, task)
        )

    def _left(self, run: int, task: asyncio.Task[None]) -> None:
        if self._leaving.get(run) is task:
            del self._leaving[run]

    async def _release(self, run: int, owned: Owned, driver: Driver | None) -> None:
        try:
            if driver is not None:
                await driver.quiet()
            ours = [record for record in await self.store.runs_by_key([run]) if record.fence == owned.fence]
            await self.store.release(ours)
        except Exception as error:  # noqa: BLE001  # the run has its error already
            log.warning(
                "run %s could not be given back, so others can't take it before this process ends: %s",
                owned.run_id,
                error,
            )

    async def left(self, run: int) -> None:
        """Return when this executor has given the run back, if it is about to: only then may it take it again."""
        task = self._leaving.get(run)
        if task is not None:
            await asyncio.wait([task])

    def _lost(self, run: int, run_id: str) -> None:
        self.owned.pop(run, None)
        error = StaleFenceError(f"Run {run_id} was taken over by another executor.")
        log.warning("%s", error)
        self.hub.stopped(run, error)

    async def check_ownership(self, runs: Iterable[int]) -> None:
        """Give up those of these runs that were taken over meanwhile, which tells those who wait for them."""
        for record in await self.store.runs_by_key(list(runs)):
            owned = self.owned.get(record.key)
            if owned is None or owned.fence == record.fence:
                continue
            driver = self.drivers.get(record.key)
            if driver is None:
                self._lost(record.key, record.id)
            else:
                driver.abort(StaleFenceError(f"Run {record.id} was taken over by another executor."))

    def at_work(self, driver: Driver, address: Address) -> bool:
        """Whether a plain function of this activation runs in a thread now: its end is waited for."""
        return (driver.key, address) in self.functions.in_threads

    def busy(self) -> set[asyncio.Task[Any]]:
        """Tasks that a stop waits for: submissions under way, and plain functions, which can't be stopped."""
        return self.submissions.under_way | set(self.functions.in_threads.values())

    def cancel_idle(self) -> None:
        """Cancel all tasks but those."""
        for task in self.working - self.busy():
            task.cancel()

    # -- starting ----------------------------------------------------------------------------------------

    async def start(self, driver: Driver, address: Address) -> None:
        """Run an activation's node, whose start is committed, and what follows it in a row."""
        following: Address | None = address
        while following is not None:
            node = driver.node(following)
            if isinstance(node, FunctionNode):
                following = await self.functions.run(driver, following, node)
            elif isinstance(node, OperationNode):
                await self.submissions.start(driver, following, node)
                return
            else:
                raise OperationUnknownError(
                    f"Run {driver.run_id}: {following} is a {node.kind}, which this version can't run.",
                    run_id=driver.run_id,
                )

    async def back_off(
        self,
        driver: Driver,
        address: Address,
        wake_at: float,
        error: BaseException,
        columns: ActivationColumns | None = None,
    ) -> None:
        """Commit that an attempt failed and when the next one begins; wake it then."""
        columns = {} if columns is None else columns
        columns.update(wake_at=wake_at, error=pack(describe(error)))
        note = {"error": sentence(describe(error)), "wake_at": wake_at}
        await driver.apply((BackedOff(address), columns, note))
        if driver.state_of(address) is S.BACKOFF:
            self.poller.add(wake_at, driver.key, driver.state.key(address))

    # -- waking ------------------------------------------------------------------------------------------

    def _due(self, due: list[Due]) -> None:
        due = [(run, key) for run, key in due if run in self.owned]
        if not self.stopping:
            for start in range(0, len(due), BATCH):
                self.create_task(self._wake(due[start : start + BATCH]))

    async def _wake(self, due: Sequence[tuple[int, ActivationKey]]) -> None:
        try:
            records = await self.store.activations_by_key(due)
        except Exception as error:  # noqa: BLE001  # the boundary: all these runs get the error
            for run in {run for run, _ in due}:
                self.stop_driving(run, error)
            return
        for record in records:
            if record.run in self.owned and not self.stopping:
                self.create_task(self._woken(record))

    async def _woken(self, record: ActivationRecord) -> None:
        address = Address(record.key.node, record.path)
        try:
            if record.state is S.WAITING:
                await self.polls.poll(record, address)
                return
            if record.state is S.SUBMIT_UNKNOWN and record.wake_at is None:
                return  # it waits for a person; this entry is of an earlier attempt
            if record.state not in (S.BACKOFF, S.SUBMIT_UNKNOWN, S.CANCELLING):
                await self.check_ownership([record.run])  # an old entry, or somebody else moved it
                return
            driver = await self.driver(record.run)
            if driver is not None and driver.state_of(address) is record.state:
                await driver.guard(self._resume(driver, address, record))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            told = f"Asking after {address} was cancelled by its own adapter, not by us. Resume the run to ask again."
            self.stop_driving(record.run, OperationError(told, code="cancelled_by_adapter"))
        except Exception as error:  # noqa: BLE001  # the boundary: whoever waits for the run gets the error
            self.stop_driving(record.run, error)

    async def _resume(self, driver: Driver, address: Address, record: ActivationRecord) -> None:
        if record.state is S.BACKOFF:
            await driver.apply((AttemptStarted(address), {}, {}))
        elif record.state is S.CANCELLING:
            await self.polls.cancel(driver, address)
        else:
            node = driver.node(address)
            assert isinstance(node, OperationNode)
            await self.submissions.resubmit(driver, address, node, record.unknown)

    def stop_driving(self, run: int, error: BaseException) -> None:
        """Leave a run as it is committed, and tell those who wait for it why."""
        driver = self.drivers.get(run)
        if driver is not None:
            driver.abort(error)
            return
        owned = self.owned.pop(run, None)
        if owned is None:
            return
        log.error("run %s is not driven on: %s: %s", owned.run_id, type(error).__name__, error)
        self.hub.stopped(run, error)
        if not self.stopping:
            self._leave(run, owned, None)


def _answer(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # whoever asked was cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
