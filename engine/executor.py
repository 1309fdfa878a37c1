"""`Executor`: drives runs of workflows against a store. The public face of the engine."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Never, ParamSpec, Self, TypeVar, overload

from ..checkpoints.codec import pack
from ..checkpoints.errors import RunNotFoundError, StoreError, ValueNotStorableError
from ..checkpoints.records import NO_LABELS, RunRecord, RunStatus, Value
from ..nodes.durations import Duration, seconds
from ..nodes.errors import NotBuiltError
from ..nodes.node import Node, Source
from ._run_ids import check_run_id, new_run_id
from ._starts import Starts
from .client import Client, Database, open_database, require_same_process, require_whole
from .core.addresses import Address
from .errors import ExecutorStoppedError, RunNotRetryableError
from .fates import require_possible, undecided_operation
from .graph import Workflow, as_workflow
from .graph.code import code_hash
from .run import Followed, Run
from .runtime import (
    Claims,
    Runtime,
    SignalWatch,
    TermSignal,
    raise_threshold,
    require_granted,
    require_same_input,
    require_same_workflow,
    restore_threshold,
    why_not,
    workflow_of,
)
from .signal_data import fate_data

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
    async def shielded_verb(self: Executor, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._require_running()  # pyright: ignore[reportPrivateUsage]  # its own
        return await self._shielded(verb.__name__.lstrip("_"), verb(self, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return shielded_verb


class Executor(Client):
    """A client that also drives runs. Use it as an async context manager; leaving it stops gracefully.

    `db` holds the checkpoints: a path, a store, or None for `PERDURE_DB`, else `perdure.db`. `workflows` are those whose
    runs it may resume (`start` adds its own). `resources` are what nodes get with `ctx.resource(type)`; they are never
    stored. With `take_over`, `poll_once` claims what nobody drives. One executor drives many runs at once, on the event
    loop that entered it; it can be entered again after it was left, and not in a forked process.

    A graceful stop, also on SIGTERM and Ctrl-C, waits up to `grace` seconds for submissions and plain
    functions that are under way, and leaves every run resumable. A thread can't be stopped: a plain function that
    takes longer keeps the process alive until it returns.

    `gc_threshold` is the process's threshold for garbage collection while an executor is entered, because bursts of
    runs are a third slower with Python's own; None leaves it alone. `new_id` makes the ids of runs that are started
    without one, `clock` gives the seconds since the epoch, to timers too; `perdure.testing.Clock` is one that tests move.
    """

    def __init__(
        self,
        db: Database = None,
        *,
        workflows: Sequence[Node[Never, object]] = (),
        resources: Sequence[object] = (),
        take_over: bool = True,
        grace: Duration = GRACE,
        gc_threshold: int | None = GC_THRESHOLD,
        new_id: Callable[[], str] = new_run_id,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(open_database(db, create=True))
        self._grace = seconds(grace, "grace")
        self._gc_threshold = gc_threshold
        self._new_id = new_id
        self._clock = clock
        self._take_over = take_over
        self._resources = _by_type(resources)
        self._group: asyncio.TaskGroup | None = None
        self._watch: asyncio.Task[None] | None = None
        self._begin([as_workflow(workflow) for workflow in workflows])

    def _begin(self, workflows: Iterable[Workflow[Any, Any]]) -> None:
        """Make what drives runs, for one time of being entered."""
        self._runtime = Runtime(self._store, clock=self._clock, resources=self._resources)
        self._signals = SignalWatch(self._runtime)
        self._claims = Claims(self._runtime)
        self._starts = Starts(self._runtime, self._claims)
        self._term = TermSignal()
        for workflow in workflows:
            self._runtime.know(workflow)

    # -- life --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise ExecutorStoppedError("It is entered already: leave it before you enter it again.")
        if self._runtime.shared.stopping:
            self._begin(self._runtime.workflows.values())
        await self._store.__aenter__()
        try:
            executor = await self._store.register()
        except BaseException:
            await self._store.__aexit__(None, None, None)
            raise
        shared = self._runtime.shared
        self._followed = Followed(store=self._store, waiters=shared.waiters, driven=self._runtime.owned)
        self._process = os.getpid()
        self._group = self._runtime.tasks = await asyncio.TaskGroup().__aenter__()
        self._watch = self._runtime.create_task(self._signals.watch(executor))
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
            self._followed = None
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
        busy = runtime.busy()
        try:
            if busy:
                await asyncio.wait(busy, timeout=self._grace)
        finally:  # also when whoever leaves does not want to wait any longer
            for task in list(runtime.working):
                task.cancel()
            runtime.shared.threads.close()
        with suppress(TimeoutError):  # a handle that can't be stored has been told
            async with asyncio.timeout(self._grace):
                for store_handle in list(runtime.shared.late_handles):
                    await store_handle()

    # -- runs --------------------------------------------------------------------------------------------

    async def start(
        self,
        workflow: Node[I, O],
        value: I,
        /,
        *,
        run_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        deadline: Duration | None = None,
    ) -> Run[O]:
        """Start a run of a workflow (or of any node, as a workflow of one), or take up the one with that id.

        A known id means that run: it is driven on here if nobody else drives it, followed otherwise, and if it
        has ended its result is there and nothing runs, which is logged. `labels` are words by which runs are found.
        Returns once the run is committed. Raises `WorkflowInvalidError`, `ValueNotStorableError` for an input that can't
        be stored, `ProviderUnavailableError` before anything is committed where a key or the run's client is missing,
        `InputMismatchError` for a known id with another input or workflow, `WorkflowChangedError`, `StoreError`.
        """
        self._require_running()
        if deadline is not None:
            raise NotBuiltError(
                "`deadline=` of a run is not built yet. Today: give agents a `deadline=` each."
            )
        workflow = as_workflow(workflow)
        plan = self._runtime.know(workflow)
        given = run_id
        run_id = self._new_id() if run_id is None else check_run_id(run_id)
        try:
            encoded = Value(workflow.node(plan.start).input_codec.encode(value))
        except ValueNotStorableError as error:
            raise ValueNotStorableError(
                f"The input of run {run_id} of workflow {plan.workflow} can't be stored: {error}", error.path
            ) from error
        record = None
        usable = self._starts.usable(workflow)
        if usable or given is None or not await self._is_there(given):
            if not usable:
                await self._starts.prepare(workflow, run_id, labels or NO_LABELS)
            record = await self._starts.create(workflow, run_id, encoded, labels or NO_LABELS)
        if record is None:
            record = await self._find(run_id)
            require_same_input(record, plan, encoded)
            require_same_workflow(record, workflow, await self._runtime.plan(record.signature))
            self._say_ended(record, workflow)
            await self._take_up(record)
        return Run(self._opened(), record, workflow)

    async def _is_there(self, run_id: str) -> bool:
        try:
            await self._find(run_id)
        except RunNotFoundError:
            return False
        return True

    def _say_ended(self, record: RunRecord, workflow: Workflow[Any, Any]) -> None:
        """Whoever starts a run that has ended may have expected another one."""
        if record.finished_at is None:
            return
        ago = timedelta(seconds=int(max(0.0, self._clock() - record.finished_at)))
        changed = record.code is not None and record.code != code_hash(workflow)
        failed = record.status is RunStatus.FAILED
        log.warning(
            "run %s has ended before (%s, %s ago): this is %s, and nothing runs.%s%s To run anew, give another run_id, or "
            "delete it first: perdure delete %s",
            record.id,
            record.status,
            ago,
            "its result" if record.status is RunStatus.SUCCEEDED else "how it ended",
            " The code of its functions has changed since." if changed else "",
            f" To go on from where it failed: perdure retry {record.id}." if failed else "",
            record.id,
        )

    @shielded
    async def _take_up(self, record: RunRecord) -> None:
        """Drive a run on, if it has not ended and nobody drives it."""
        if not record.status.finished:
            await self._claims.take(record)

    @overload
    async def resume(self, run_id: str, /) -> Run[object]: ...
    @overload
    async def resume(self, run_id: str, workflow: Node[Never, O], /) -> Run[O]: ...
    async def resume(self, run_id: str, workflow: Node[Never, Any] | None = None, /) -> Run[Any]:
        """Drive a run on from its last checkpoint. One that has ended is returned as it is.

        What an ended run has left at its providers is cancelled: late handles, and cancels not acknowledged yet.
        Raises `RunNotFoundError`, `RunOwnedError` when another living process drives it,
        `WorkflowUnknownError`, `WorkflowChangedError`.
        """
        self._require_running()
        if workflow is not None:
            self._runtime.know(as_workflow(workflow))
        return await self._resume(await self._find(run_id))

    @shielded
    async def _resume(self, record: RunRecord) -> Run[Any]:
        workflow = await workflow_of(self._runtime, record)
        if not record.status.finished:
            require_granted(await self._claims.take(record))
        await self._runtime.ended_runs.follow_unsettled(record.key)
        return Run(self._opened(), record, workflow)

    @shielded
    async def resume_all(self) -> Resumed:
        """Drive on every unfinished run of this executor's workflows that nobody alive drives.

        Runs of other workflows, changed workflows and other owners are left alone and reported. What runs that have
        ended have left at their providers is cancelled, as `resume` does.
        """
        runtime = self._runtime
        claims = await self._claims.take_all()
        ours = [claim.run for claim in claims if claim.granted]
        await runtime.ended_runs.follow_unsettled()
        left = {claim.run.id: f"{claim.holder} drives it" for claim in claims if not claim.granted}
        for record in await self._store.read(lambda view: view.unfinished()):
            if record.signature not in runtime.workflows:
                left[record.id] = await why_not(runtime, record)
        runs = [Run[Any](self._opened(), run, runtime.workflows[run.signature]) for run in ours]
        return Resumed(runs=tuple(runs), left=left)

    @shielded
    async def retry(self, run_id: str, /) -> Run[Any]:
        """Drive a failed run on from where it failed; what succeeded is kept. One under way is resumed.

        Raises as `resume`, and `RunNotRetryableError` for a run that succeeded or was cancelled.
        """
        record = await self._find(run_id)
        if not record.status.finished:
            return await self._resume(record)
        workflow = await workflow_of(self._runtime, record)
        if record.status is not RunStatus.FAILED:
            raise RunNotRetryableError(
                f"Run {run_id} {record.status}: only a failed run can be retried.", run_id=run_id
            )
        require_granted(await self._claims.take(record, failed=True))
        return Run(self._opened(), record, workflow)

    async def poll_once(self) -> int:
        """Do what can be done now, and return how many runs still go on: for cron.

        With `take_over`, runs that nobody drives are resumed first. Everything that is due is asked after once, and what
        follows from that is done, until all that is left waits for its time or for a person.
        """
        self._require_running()
        if self._take_over:
            await self.resume_all()
        await self.settled()
        return len(self._runtime.owned)

    async def cancel(self, run_id: str, /, *, node: Source[object] | None = None) -> None:
        """Cancel a run, at its providers too. Returns when that is committed, or left to the run's owner.

        A run that has ended is left as it is. Works without the run's workflow.
        """
        self._require_running()
        require_whole(node)
        await self._cancel(run_id)

    @shielded
    async def _cancel(self, run_id: str) -> None:
        record = await self._find(run_id)
        if not record.status.finished:
            await self._leave(record, "cancel", None, pack({}))

    @shielded
    async def decide(self, run_id: str, node: str, reply: str, /) -> None:
        """Decide a submission of unknown fate: `resubmit`, `fail`, or the provider's handle to adopt.

        `node` is the activation as it is shown, e.g. `research[3]`; where several operations of it wait it is the one
        that is meant, e.g. `research[3] (ask "prices")`. When another process drives the run the decision is left to
        it. Raises `AnswerError` when no fate is unknown there, or that can't decide one.
        """
        record = await self._find(run_id)
        operation = await self._store.read(lambda view: undecided_operation(view, record, node))
        workflow = self._runtime.workflows.get(record.signature)
        if workflow is not None:
            require_possible(workflow, run_id, operation, reply)
        elif await self._store.read(lambda view: view.holder(record)) is None:
            # Nobody drives it, and without its workflow we can't either.
            await workflow_of(self._runtime, record)
        await self._leave(record, "fate", operation.address, pack(fate_data(operation, reply)))

    async def _leave(self, record: RunRecord, kind: str, address: Address | None, data: bytes) -> None:
        """Leave a signal for the run, and have it acted on if the run is driven here, or by nobody.

        Once it is left nothing can lose it any more: if this process can't act on it, the run's next owner does.
        """
        await self._claims.require_readable(record)
        node, path = (None, ()) if address is None else address
        signal = await self._store.signal(record.key, kind, node, path, data)
        answers = self._runtime.shared.answers
        answers[signal] = None
        try:
            await self._act(record)
            refused = answers[signal]
            if refused is not None:
                raise refused
        finally:
            del answers[signal]

    async def _act(self, record: RunRecord) -> None:
        """Have what was left for the run acted on: here, if it is driven here or by nobody."""
        while True:
            claim = await self._claims.take(record)
            if claim is not None:
                if claim.granted:  # going on with it begins with its signals
                    await self._runtime.acting.free(record.key)
                    self._claims.require_driven(record)
                return
            if await self._signals.act(record.key):
                return

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

    @property
    def next_due(self) -> float | None:
        """When the next of all that waits for its time here is due, seconds since the epoch; None when nothing does."""
        return self._runtime.shared.wake_queue.first

    async def _shielded(self, verb: str, work: Coroutine[Any, Any, T]) -> T:
        """Do this to its end also when the caller is cancelled. A stop waits for it up to `grace` seconds."""
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        kept = self._runtime.shared.shielded

        def done(task: asyncio.Task[None]) -> None:
            kept.discard(task)
            work.close()  # where the task was cancelled before it began
            if not told.done():
                told.set_exception(
                    ExecutorStoppedError(
                        "The executor stopped before that was done. What is committed counts; ask the next executor again."
                    )
                )

        kept.add(self._runtime.create_task(_tell(verb, work, told), done))
        return await told

    def _require_running(self) -> None:
        require_same_process(type(self).__name__, self._process)
        if self._group is None or self._runtime.shared.stopping:
            raise ExecutorStoppedError(
                "The executor is not running: use it inside `async with Executor(...)`."
            )


def _by_type(resources: Sequence[object]) -> dict[type, object]:
    """What `ctx.resource` looks in. Raises `ValueError` for two of one type, of which it could not say which is meant."""
    found: dict[type, object] = {}
    for resource in resources:
        if type(resource) in found:
            raise ValueError(
                f"Executor(resources=...): two of them are of the type {type(resource).__qualname__}, so ctx.resource could "
                "not say which is meant. Give each a class of its own."
            )
        found[type(resource)] = resource
    return found


async def _tell(verb: str, work: Coroutine[Any, Any, T], told: asyncio.Future[T]) -> None:
    """Do this and tell what came of it, in the log if its caller has gone."""
    try:
        result = await work
    except Exception as error:  # noqa: BLE001  # the boundary: it is told to whoever called
        if told.done():
            log.error("executor.%s, whose caller has gone, failed: %s: %s", verb, type(error).__name__, error)
        else:
            told.set_exception(error)
    else:
        if not told.done():
            told.set_result(result)
