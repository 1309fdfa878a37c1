"""`Executor`: drives runs of workflows against a store. The public face of the engine."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Never, ParamSpec, Self, TypeVar

from ..checkpoints.codec import pack
from ..checkpoints.errors import RunExistsError, StaleFenceError, StoreError, ValueNotStorableError
from ..checkpoints.records import NewRun, RunRecord, RunStatus, Value
from ..checkpoints.store import Store
from ._run_ids import check_run_id
from .core import events
from .core.book import Change
from .core.commands import Effect
from .core.plan import Plan
from .core.state import RunState
from .errors import ExecutorStoppedError, RunNotRetryableError
from .fates import fate_data, undecided_address
from .graph import Workflow
from .run import Run
from .runtime import _signals as signals
from .runtime._admission import (
    require_granted,
    require_same_input,
    require_same_workflow,
    why_not,
    workflow_of,
)
from .runtime._driver import Driver
from .runtime._garbage import raise_threshold, restore_threshold
from .runtime._recovery import recover, retry
from .runtime._runtime import Runtime
from .runtime._signal_watch import SignalWatch
from .runtime._term_signal import TermSignal

log = logging.getLogger("perdure")

P = ParamSpec("P")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # the input, as in the documented signature
O = TypeVar("O")  # noqa: E741  # the output

GRACE = 30.0
"""Seconds that a stopping executor waits for submissions and plain functions that are under way."""

GC_THRESHOLD = 50_000
"""New objects after which Python's garbage collector runs while an executor is entered; its own default is 700."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """What `resume_all` found: the runs that this executor drives now, and those that it left alone, with why."""

    runs: tuple[Run[Any], ...]
    left: dict[str, str]


def shielded(
    verb: Callable[Concatenate[Executor, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Executor, P], Coroutine[Any, Any, T]]:
    """Let a verb run to its end also when its caller is cancelled: what it has committed must be followed up."""

    @wraps(verb)
    async def whole(self: Executor, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.whole(verb(self, *args, **kwargs))

    return whole


class Executor:
    """Drives runs. Use it as an async context manager; leaving it stops gracefully.

    `store` holds the checkpoints; the executor opens and closes it. `workflows` are those whose runs it may
    resume (`start` adds its own). One executor drives many runs at once, on the event loop that entered it.

    A graceful stop, also on SIGTERM and Ctrl-C, waits up to `grace` seconds for submissions and plain
    functions that are under way, and leaves every run resumable. A thread can't be stopped: a plain function that
    takes longer keeps the process alive until it returns.

    `gc_threshold` is the process's threshold for garbage collection while an executor is entered, because bursts of
    runs are a third slower with Python's own; None leaves it alone. `new_id` makes the ids of runs that are started
    without one, `clock` gives the seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        workflows: Sequence[Workflow[Never, object]] = (),
        grace: float = GRACE,
        gc_threshold: int | None = GC_THRESHOLD,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._grace = grace
        self._gc_threshold = gc_threshold
        self._new_id = new_id
        self._runtime = Runtime(store, clock=clock)
        self._signals = SignalWatch(self._runtime)
        self._term = TermSignal()
        # One taking-up at a time: a second claim would make the first one stale.
        self._taking = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._watch: asyncio.Task[None] | None = None
        self._verbs: set[asyncio.Task[Any]] = set()
        self._starting: dict[str, asyncio.Future[None]] = {}
        for workflow in workflows:
            self._runtime.know(workflow)

    # -- life --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._group is not None or self._runtime.shared.stopping:
            raise ExecutorStoppedError("An executor can be entered once: make another for another time.")
        await self._store.__aenter__()
        try:
            await self._store.register()
        except BaseException:
            await self._store.__aexit__(None, None, None)
            raise
        self._group = self._runtime.tasks = await asyncio.TaskGroup().__aenter__()
        self._watch = self._runtime.create_task(self._signals.watch())
        self._term.install()
        if self._gc_threshold is not None:
            raise_threshold(self._gc_threshold)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._group is not None
        if self._gc_threshold is not None:
            restore_threshold()
        try:
            await self._stop()
        finally:
            group, self._group = self._group, None
            try:
                await group.__aexit__(None, None, None)
            finally:
                self._runtime.tasks = None
                self._runtime.shared.views.close()
                try:
                    await self._store.unregister()
                except StoreError as late:
                    if error is None:
                        raise
                    # What came first is what to tell. Without the executor's lock its runs are free for others.
                    log.warning("the runs could not be given back: %s", late)
                finally:
                    await self._store.__aexit__(kind, error, traceback)
                    self._term.remove()

    async def _stop(self) -> None:
        """Begin nothing any more, let submissions end (bounded), give everything else up."""
        runtime = self._runtime
        runtime.shared.stopping = True
        runtime.shared.wake_queue.close()
        runtime.shared.waiters.stop_all(
            ExecutorStoppedError(
                "The executor stopped before the run ended. Everything is committed: resume it with "
                "executor.resume(run_id) or `perdure resume RUN`."
            )
        )
        runtime.cancel_idle()
        busy = runtime.busy() | self._verbs
        if busy:
            await asyncio.wait(busy, timeout=self._grace)
        for task in list(runtime.working):
            task.cancel()
        runtime.shared.threads.close()

    # -- runs --------------------------------------------------------------------------------------------

    async def start(self, workflow: Workflow[I, O], value: I, *, run_id: str | None = None) -> Run[O]:
        """Start a run, or take up the one with that id.

        A known id means that run: it is driven on here if nobody else drives it, followed otherwise, and if it
        has ended its result is there and nothing runs. Returns once the run is committed. Raises
        `WorkflowInvalidError`, `ValueNotStorableError` for an input that can't be stored, `InputMismatchError`
        for a known id with another input or workflow, `WorkflowChangedError`, `StoreError`.
        """
        self._running()
        plan = self._runtime.know(workflow)
        run_id = self._new_id() if run_id is None else check_run_id(run_id)
        try:
            encoded = Value(workflow.node(plan.start).input_codec.encode(value))
        except ValueNotStorableError as error:
            raise ValueNotStorableError(
                f"The input of run {run_id} of workflow {plan.workflow} can't be stored: {error}", error.path
            ) from error
        record = await self._create(workflow, plan, run_id, encoded)
        if record is None:
            record = await self._find(run_id)
            require_same_input(record, plan, encoded)
            require_same_workflow(record, workflow, await self._runtime.plan(record.signature))
            await self._take_up(record)
        return Run(self._runtime, record, workflow)

    @shielded
    async def _take_up(self, record: RunRecord) -> None:
        """Drive a run on, if it has not ended and nobody drives it."""
        async with self._taking:
            if not record.status.finished and await self._free(record):
                claim = await self._store.claim(record.id)
                if claim.granted:
                    async with self._runtime.given_back(claim.run):
                        await recover(self._runtime, [claim.run])

    async def _create(
        self, workflow: Workflow[Any, Any], plan: Plan, run_id: str, value: Value
    ) -> RunRecord | None:
        """Insert the run with its first transition; None when there is one with that id."""
        now = self._runtime.shared.clock()
        blank = RunRecord(
            key=0,
            id=run_id,
            workflow=plan.workflow,
            signature=workflow.signature,
            nonce=secrets.token_hex(8),
            status=RunStatus.RUNNING,
            outcome=None,
            created_at=now,
            updated_at=now,
            finished_at=None,
            input_digest=b"",
            owner=None,
            fence=1,
            position=0,
            error=None,
            policies=None,
        )
        owned = self._runtime.owned_run(blank, plan, workflow)
        driver = Driver(self._runtime, owned, blank, RunState(plan=plan))
        transition, effects = driver.step([Change(events.RunStarted(now, owned.policies))])
        new = NewRun(
            id=run_id,
            workflow=plan.workflow,
            signature=workflow.signature,
            nonce=blank.nonce,
            input=value,
        )
        starting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting.setdefault(run_id, starting)
        try:
            record = await self._store.create(new, workflow.plan_record, transition)
            driver.created(record, value)
            self._runtime.keep(owned)
            self._runtime.adopt(driver)
        except RunExistsError:
            return None
        except asyncio.CancelledError:  # the insert is queued and goes on without its caller
            if not self._runtime.shared.stopping:
                self._runtime.create_task(self._create_after_all(workflow, plan, run_id, value))
            raise
        finally:
            starting.set_result(None)
            if self._starting.get(run_id) is starting:
                del self._starting[run_id]
        driver.perform(effects)
        return record

    async def _create_after_all(
        self, workflow: Workflow[Any, Any], plan: Plan, run_id: str, value: Value
    ) -> None:
        """Drive the run whose start lost its caller. Inserting it again waits in line behind the first insert."""
        try:
            if await self._create(workflow, plan, run_id, value) is None:
                await self._take_up(await self._find(run_id))
        except Exception as error:  # noqa: BLE001  # the boundary: nobody waits for this start any more
            log.error("run %s was started and is not driven: %s. Resume it.", run_id, error)

    @shielded
    async def resume(self, run_id: str) -> Run[Any]:
        """Drive a run on from its last checkpoint. One that has ended is returned as it is.

        What an ended run has left at its providers is cancelled: late handles, and cancels not acknowledged yet.
        Raises `RunNotFoundError`, `RunOwnedError` when another living process drives it,
        `WorkflowUnknownError`, `WorkflowChangedError`.
        """
        self._running()
        record = await self._find(run_id)
        workflow = await workflow_of(self._runtime, record)
        async with self._taking:
            if not record.status.finished and await self._free(record):
                claim = require_granted(await self._store.claim(run_id))
                if not claim.run.status.finished:
                    async with self._runtime.given_back(claim.run):
                        await recover(self._runtime, [claim.run])
        await self._runtime.ended_runs.follow_unsettled(record.key)
        return Run(self._runtime, record, workflow)

    @shielded
    async def resume_all(self) -> Resumed:
        """Drive on every unfinished run of this executor's workflows that nobody alive drives.

        Runs of other workflows, changed workflows and other owners are left alone and reported. What runs that have
        ended have left at their providers is cancelled, as `resume` does.
        """
        self._running()
        runtime = self._runtime
        async with self._taking:
            claims = await self._store.claim_all(list(runtime.workflows), exclude=runtime.owned.keys())
            ours = [claim.run for claim in claims if claim.granted]
            async with runtime.given_back(*ours):
                await recover(runtime, ours)
        await runtime.ended_runs.follow_unsettled()
        left = {claim.run.id: f"{claim.holder} drives it" for claim in claims if not claim.granted}
        for record in await self._store.read(lambda view: view.unfinished()):
            if record.signature not in runtime.workflows:
                left[record.id] = await why_not(runtime, record)
        runs = [Run[Any](runtime, run, runtime.workflows[run.signature]) for run in ours]
        return Resumed(runs=tuple(runs), left=left)

    @shielded
    async def retry(self, run_id: str) -> Run[Any]:
        """Drive a failed run on from where it failed; what succeeded is kept. One under way is resumed.

        Raises as `resume`, and `RunNotRetryableError` for a run that succeeded or was cancelled.
        """
        self._running()
        record = await self._find(run_id)
        if not record.status.finished:
            return await self.resume(run_id)
        workflow = await workflow_of(self._runtime, record)
        if record.status is not RunStatus.FAILED:
            raise RunNotRetryableError(
                f"Run {run_id} {record.status}: only a failed run can be retried.", run_id=run_id
            )
        async with self._taking:
            if await self._free(record):  # else another task is ahead of us
                claim = require_granted(await self._store.claim(run_id, failed=True))
                if claim.run.status is RunStatus.FAILED:
                    self._runtime.own(claim.run, await self._runtime.plan(claim.run.signature))
                    try:
                        driver = await self._runtime.driver(claim.run.key)
                        assert driver is not None, f"run {run_id} was claimed and is not there"
                        with driver.pinned():
                            await retry(self._runtime, driver)
                    except Exception as error:
                        self._runtime.stop_driving(claim.run.key, error)
                        raise
        return Run(self._runtime, record, workflow)

    @shielded
    async def cancel(self, run_id: str) -> None:
        """Cancel a run, at the providers too. Returns when that is committed, or left to the run's owner.

        A run that has ended is left as it is. Works without the run's workflow.
        """
        self._running()
        record = await self._find(run_id)
        if record.status.finished:
            return
        await self._runtime.plan(record.signature)  # a run whose plan can't be read is not claimed
        async with self._taking:
            if await self._free(record):
                claim = await self._store.claim(run_id)
                if claim.granted:
                    async with self._runtime.given_back(claim.run):
                        await self._store.signal(record.key, "cancel", None, (), pack({}))
                        await recover(self._runtime, [claim.run])
                elif not claim.run.status.finished:
                    await self._store.signal(record.key, "cancel", None, (), pack({}))
                return
        if not await self._act(record, signals.request_cancel):
            await self.cancel(run_id)

    @shielded
    async def answer(self, run_id: str, node: str, reply: str) -> None:
        """Decide a submission of unknown fate: `resubmit`, `fail`, or the provider's handle to adopt.

        `node` is an activation as it is shown, e.g. `research[3]`. When another process drives the run the
        decision is left to it. Raises `AnswerError` when no fate is unknown there.
        """
        self._running()
        record = await self._find(run_id)
        address = await self._store.read(lambda view: undecided_address(view, record, node))
        async with self._taking:
            if await self._free(record):
                if await self._store.read(lambda view: view.holder(record)) is None:
                    # Nobody drives it, and without its workflow we can't either.
                    await workflow_of(self._runtime, record)
                await self._store.signal(record.key, "fate", address.node, address.path, fate_data(reply))
                claim = await self._store.claim(run_id)
                if claim.granted:
                    async with self._runtime.given_back(claim.run):
                        await recover(self._runtime, [claim.run])
                return
        if not await self._act(record, lambda driver: signals.decide_fate(driver, address, reply)):
            await self.answer(run_id, node, reply)

    async def _act(
        self, record: RunRecord, action: Callable[[Driver], Coroutine[Any, Any, list[Effect]]]
    ) -> bool:
        """Do this to a run that is driven here, and begin what follows. False: it is not driven here any more."""
        driver = await self._runtime.driver(record.key)
        if driver is None:
            return False
        with driver.pinned():
            try:
                effects = await action(driver)
            except StaleFenceError:  # somebody took it over while this process was stopped
                return False
            driver.perform(effects)
        return True

    async def _find(self, run_id: str) -> RunRecord:
        return await self._store.read(lambda view: view.run(run_id))

    def drives(self, run_id: str) -> bool:
        """Whether this executor drives the run now."""
        return any(owned.run_id == run_id for owned in self._runtime.owned.values())

    async def settled(self) -> None:
        """Return when nothing is under way here: all that is driven waits for its time or a person, or has ended.

        What is due is asked after first. A run can move again right after this.
        """
        runtime = self._runtime
        while True:
            tasks = {task for task in runtime.working if task is not self._watch}
            if tasks:
                await asyncio.wait(tasks)
            elif runtime.shared.wake_queue.due:
                await asyncio.sleep(0.001)  # its timer fires in this very moment
            else:
                return

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this to its end also when the caller is cancelled; a stop waits for it."""
        task = asyncio.ensure_future(work)
        self._verbs.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._verbs.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: its caller may have gone

    # -- checks ------------------------------------------------------------------------------------------

    def _running(self) -> None:
        if self._group is None or self._runtime.shared.stopping:
            raise ExecutorStoppedError(
                "The executor is not running: use it inside `async with Executor(...)`."
            )

    async def _free(self, record: RunRecord) -> bool:
        """Whether the run is to be taken: not while it is being started here, or still being given back."""
        starting = self._starting.get(record.id)
        if starting is not None:
            await asyncio.wait([starting])
        await self._runtime.left(record.key)
        return record.key not in self._runtime.owned
