"""`Runtime`: the runs of one executor. It loads and evicts them, and gives up what it may not drive.

It keeps per run that it owns one small entry, per waiting activation or operation one entry of the wake queue's heap,
and a driver for runs in which something is or was busy lately.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

from ...checkpoints.errors import StaleFenceError
from ...checkpoints.records import Loaded, RunRecord
from ...checkpoints.store import Store
from ...nodes.context import NO_LABELS
from ..core.plan import Plan
from ..core.policy import NO_POLICIES, Policies
from ..core.restore import restore
from ..errors import ExecutorStoppedError
from ..graph.plan_form import decode_plan
from ._driver import Driver
from ._driver_cache import DriverCache
from ._ended_runs import EndedRuns
from ._exclusive import Exclusive
from ._policies import policies_of, stored_policies
from ._reading import read_runs, unreadable
from ._shared import AnyWorkflow, OwnedRun, Shared, Work
from ._stop_errors import not_driven, taken_over
from ._wake_queue import WakeQueue
from ._waking import Waking

log = logging.getLogger("perdure")


class Runtime:
    """The runs that an executor drives."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
        resources: Mapping[type, object] | None = None,
    ) -> None:
        self.shared = Shared(
            store=store,
            clock=clock,
            random=Random() if random is None else random,  # noqa: S311  # jitter, not a secret
            wake_queue=WakeQueue(clock, Waking(self).due),
            create_task=self.create_task,
            resources=resources or {},
            see_off=lambda run: self.ended_runs.see_off(run),
        )
        self.workflows: dict[str, AnyWorkflow] = {}  # by signature
        self.plans: dict[str, Plan] = {}
        self._policies: WeakKeyDictionary[AnyWorkflow, Policies] = WeakKeyDictionary()
        self.drivers: dict[int, Driver] = {}
        self.owned: dict[int, OwnedRun] = {}
        self.ended_runs: EndedRuns = EndedRuns(self)
        self.tasks: asyncio.TaskGroup | None = None
        self.working: set[asyncio.Task[None]] = set()
        self._loading: dict[int, list[asyncio.Future[None]]] = {}  # those who wait for runs to be loaded
        self._wanted: list[int] = []  # those of them whose load has not begun
        self._work = self.work  # one for all runs
        self.acting = Exclusive[int]()
        """Runs of which somebody acts on the signals now: they are acted on in order, each once."""
        self._leaving: dict[int, asyncio.Task[None]] = {}  # runs that are about to be given back
        self._cache = DriverCache()

    # -- workflows ---------------------------------------------------------------------------------------

    def know(self, workflow: AnyWorkflow) -> Plan:
        """Check a workflow, freeze it, and drive runs of it from now on. Of those of one shape the last counts."""
        plan = workflow.plan
        signature = workflow.signature
        self.workflows[signature] = workflow
        self.plans.setdefault(signature, plan)
        return plan

    async def plan(self, signature: str) -> Plan:
        """The plan of that signature, from a workflow or from the store."""
        if signature not in self.plans:
            record = await self.shared.store.read(lambda view: view.plan(signature))
            self.plans[signature] = decode_plan(record.plan)
        return self.plans[signature]

    def policies(self, workflow: AnyWorkflow | None) -> Policies:
        """The policies of a workflow's nodes."""
        if workflow is None:
            return NO_POLICIES
        known = self._policies.get(workflow)
        if known is None:
            known = self._policies[workflow] = policies_of(workflow)
        return known

    # -- tasks -------------------------------------------------------------------------------------------

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

    def busy(self) -> set[asyncio.Task[Any]]:
        """Tasks that a stop waits for: submissions and verbs under way, and plain functions, which can't be stopped."""
        return self.shared.shielded | set(self.shared.threads.tasks.values())

    def cancel_idle(self) -> None:
        """Cancel all tasks but those."""
        for task in self.working - self.busy():
            task.cancel()

    # -- runs --------------------------------------------------------------------------------------------

    def new_run(self, run_id: str, workflow: AnyWorkflow, labels: Mapping[str, str] = NO_LABELS) -> OwnedRun:
        """A run that is about to be inserted. Its key is known after that (`Driver.created`)."""
        return OwnedRun(
            shared=self.shared,
            run=0,
            run_id=run_id,
            fence=1,
            workflow=workflow,
            plan=workflow.plan,
            policies=self.policies(workflow),
            load=self._work,
            labels=labels,
        )

    def own(self, record: RunRecord) -> OwnedRun:
        """A run that was claimed is ours to drive. Its plan is known (`plan`)."""
        owned = self.known_run(record)
        self.keep(owned)
        return owned

    def known_run(self, record: RunRecord) -> OwnedRun:
        """What performers know of a stored run. Its plan is known (`plan`)."""
        workflow = self.workflows.get(record.signature)
        return OwnedRun(
            shared=self.shared,
            run=record.key,
            run_id=record.id,
            fence=record.fence,
            workflow=workflow,
            plan=self.plans[record.signature],
            policies=stored_policies(record) if workflow is None else self.policies(workflow),
            load=self._work,
            labels=record.labels,
        )

    def keep(self, owned: OwnedRun) -> None:
        """The run is ours to drive."""
        self.shared.waiters.driven(owned.run)
        self.ended_runs.retried(owned.run)
        self.owned[owned.run] = owned

    async def work(self, run: int) -> Work | None:
        """What performers know of a run in memory, loaded if it was evicted; None when it is not ours any more."""
        driver = self.ended_runs.driver(run) or await self.driver(run)
        return None if driver is None else driver.work

    async def driver(self, run: int) -> Driver | None:
        """The driver of an owned run, loaded if it was evicted; None when the run is not ours any more.

        Whoever asks while it is being loaded waits for that load.
        """
        while run in self.owned:
            driver = self.drivers.get(run)
            if driver is not None:
                return driver
            loop = asyncio.get_running_loop()
            loaded: asyncio.Future[None] = loop.create_future()
            waiting = self._loading.setdefault(run, [])
            waiting.append(loaded)
            if len(waiting) == 1:
                if not self._wanted:
                    loop.call_soon(self._load_wanted)
                self._wanted.append(run)
            await loaded
        return None

    def _load_wanted(self) -> None:
        """Load all runs that were asked for in this turn of the loop, in one call of the store."""
        wanted, self._wanted = self._wanted, []
        if self.tasks is None or self.shared.stopping:
            self._not_loaded(wanted)
        else:
            self.create_task(self._load(wanted), lambda _: self._not_loaded(wanted))

    async def _load(self, wanted: list[int]) -> None:
        ours = [self.owned[run] for run in wanted if run in self.owned]
        parts, errors = await read_runs(ours, lambda view, keys: view.load(keys))
        found = {one.run.key: one for part in parts for one in part}
        for run in wanted:
            self._loaded(run, errors.get(run) or self._restored(run, found.get(run)))

    def _restored(self, run: int, loaded: Loaded | None) -> Exception | None:
        """Have the run in memory again; what keeps it from that is returned."""
        owned = self.owned.get(run)
        if owned is None or run in self.drivers:
            return None
        try:
            self._restore(owned, loaded)
        except Exception as error:  # noqa: BLE001  # the boundary: rows of one run that make no sense
            return unreadable(owned.run_id, error)
        return None

    def _loaded(self, run: int, error: Exception | None) -> None:
        for future in self._loading.pop(run, ()):
            if future.done():  # whoever asked was cancelled
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # retrieved: whoever asked may be cancelled in this very turn
        # After those who asked, who may have wanted no more than a look.
        asyncio.get_running_loop().call_soon(self._idle_if_unused, run)

    def _idle_if_unused(self, run: int) -> None:
        driver = self.drivers.get(run)
        if driver is not None and not driver.busy:
            self.idle(driver)

    def _not_loaded(self, wanted: Iterable[int]) -> None:
        """Whoever still waits after a load waits for nothing: the executor stops."""
        for run in wanted:
            owned = self.owned.get(run)
            which = "the run" if owned is None else f"run {owned.run_id}"
            told = f"The executor stopped before {which} was loaded. Everything is committed: resume it."
            self._loaded(run, ExecutorStoppedError(told))

    def _restore(self, owned: OwnedRun, loaded: Loaded | None) -> None:
        if loaded is None or loaded.run.fence != owned.fence:
            self._lost(owned.run, owned.run_id)
        else:
            run = loaded.run
            state = restore(owned.plan, stored_policies(run), loaded)
            self.adopt(Driver(self, owned, state, nonce=run.nonce, position=run.position, error=run.error))

    def adopt(self, driver: Driver) -> None:
        """Keep a driver until its run is evicted or ends."""
        self.drivers[driver.run] = driver
        driver.owned.in_memory = driver.work

    def _unload(self, run: int) -> None:
        """The run is not in memory any more."""
        driver = self.drivers.pop(run, None)
        if driver is not None:
            driver.owned.in_memory = None

    # -- what drivers tell -------------------------------------------------------------------------------

    def idle(self, driver: Driver) -> None:
        """Nothing of the run is busy: keep it for a while, and evict others for it."""
        self.ended_runs.idle(driver)
        if self.drivers.get(driver.run) is not driver:
            return
        for run in self._cache.keep(driver.run, driver.size):
            kept = self.drivers.get(run)
            if kept is not None and not kept.busy:
                self._unload(run)

    def ended(self, driver: Driver) -> None:
        """The run has ended. What is still to be cancelled of it is followed."""
        if self.owned.get(driver.run) is driver.owned:
            self._forget(driver.run)
        self.ended_runs.keep(driver)

    def aborted(self, driver: Driver, error: BaseException, place: object) -> None:
        """The run can't be driven on here, because of something at that place in it; it stays as it was committed."""
        owned = driver.owned
        if self.owned.get(driver.run) is not owned:  # it has ended, or was taken again since
            log.info("run %s, which has ended, is not followed on here: %s", driver.run_id, error)
            self.ended_runs.leave(driver)
            return
        self._forget(driver.run)
        if isinstance(error, StaleFenceError):
            log.warning("run %s: %s", driver.run_id, error)
        else:
            log.error("run %s is not driven on: %s: %s", driver.run_id, type(error).__name__, error)
        self.shared.waiters.stopped(driver.run, not_driven(error, driver.run_id, place))
        if not self.shared.stopping:
            self._leave(owned, driver)

    def _forget(self, run: int) -> None:
        self._cache.forget(run)
        self._unload(run)
        self.owned.pop(run, None)

    def stop_driving(self, run: int, error: BaseException, place: object = None) -> None:
        """Leave a run as it is committed, and tell those who wait for it why, and at which place in it."""
        driver = self.drivers.get(run)
        if driver is not None:
            driver.abort(error, place)
            return
        owned = self.owned.pop(run, None)
        if owned is None:
            return
        log.error("run %s is not driven on: %s: %s", owned.run_id, type(error).__name__, error)
        self.shared.waiters.stopped(run, not_driven(error, owned.run_id, place))
        if not self.shared.stopping:
            self._leave(owned, None)

    def _leave(self, owned: OwnedRun, driver: Driver | None) -> None:
        """Give a run back once nothing of it is under way here."""
        run = owned.run
        self._leaving[run] = self.create_task(
            self._release(run, owned.run_id, owned.fence, driver), lambda task: self._left(run, task)
        )

    @asynccontextmanager
    async def given_back(self, *records: RunRecord) -> AsyncGenerator[None]:
        """Give these claimed runs back when what is done with them raises before they are driven here."""
        try:
            yield
        except BaseException:
            for record in records:
                if record.key not in self.owned:
                    await self._release(record.key, record.id, record.fence, None)
            raise

    def _left(self, run: int, task: asyncio.Task[None]) -> None:
        if self._leaving.get(run) is task:
            del self._leaving[run]

    async def _release(self, run: int, run_id: str, fence: int, driver: Driver | None) -> None:
        try:
            if driver is not None:
                await driver.wait_for_uninterruptible()
            store = self.shared.store
            records = await store.read(lambda view: view.runs_by_key([run]))
            await store.release([record for record in records if record.fence == fence])
        except Exception as error:  # noqa: BLE001  # the run has its error already
            log.warning(
                "run %s could not be given back, so others can't take it before this process ends: %s",
                run_id,
                error,
            )

    def leaving(self, run: int) -> asyncio.Task[None] | None:
        """The task that gives the run back, if this executor is about to: only after it may it take the run again."""
        return self._leaving.get(run)

    def _lost(self, run: int, run_id: str) -> None:
        self.owned.pop(run, None)
        error = taken_over(run_id)
        log.warning("%s", error)
        self.shared.waiters.stopped(run, error)

    async def check_ownership(self, runs: Iterable[int]) -> None:
        """Give up those of these runs that were taken over meanwhile, which tells those who wait for them."""
        keys = list(runs)
        fences = await self.shared.store.read(lambda view: view.fences(keys))
        for run, fence in fences.items():
            owned = self.owned.get(run)
            if owned is None or owned.fence == fence:
                continue
            driver = self.drivers.get(run)
            if driver is None:
                self._lost(run, owned.run_id)
            else:
                driver.abort(taken_over(owned.run_id))
