"""`Run`: what a user holds of a run, whoever drives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Container, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..checkpoints.codec import pack, unpack
from ..checkpoints.errors import RunNotFoundError, StaleFenceError, ValueUnreadableError
from ..checkpoints.records import ActivationKey, RunRecord, State, Value
from ..checkpoints.records import RunStatus as Status
from ..checkpoints.store import Store
from ..checkpoints.view import View
from ..nodes.durations import Duration, seconds
from ..nodes.errors import NotBuiltError, OutputUnavailableError
from ..nodes.node import Source
from ._waiters import RunOutcome, Waiters
from .core.addresses import Address
from .core.plan import Plan
from .errors import RunCancelledError, RunFailedError
from .event import Event
from .failures import FailureData, sentence
from .graph import Workflow
from .graph.plan_form import decode_plan
from .words import RunStatus

if TYPE_CHECKING:  # named in signatures alone
    from .updates import Update

T = TypeVar("T")
Out = TypeVar("Out", covariant=True)

FOLLOW = 0.2
"""Seconds between two looks at a run that another process drives."""
PAGE = 500
"""Journal entries that are read in one call."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a run is looked at, and who here drives runs."""

    store: Store
    waiters: Waiters
    driven: Container[int]
    """The keys of the runs that are driven here."""


class Run(Generic[Out]):
    """A run of a workflow. Holding it keeps nothing alive; dropping it stops nothing."""

    def __init__(self, followed: Followed, record: RunRecord, workflow: Workflow[Any, Any] | None) -> None:
        """Without its workflow the values of a run are given as plain data."""
        self._followed = followed
        self._key = record.key
        self._id = record.id
        self._signature = record.signature
        self._workflow = workflow

    @property
    def id(self) -> str:
        """The run's id, with which any process can ask for it."""
        return self._id

    @property
    def driven_here(self) -> bool:
        """Whether this executor drives the run now."""
        return self._key in self._followed.driven

    async def status(self) -> RunStatus:
        """The run's status as it is committed."""
        return (await self._record()).status.value

    async def result(self, *, timeout: Duration | None = None) -> Out:  # noqa: ASYNC109  # as documented
        """Wait for the end and return the output of the workflow's end node; of several, the first declared of those that ran.

        Raises `RunFailedError` (with the node's exception as its cause, where it was raised in this process),
        `RunCancelledError`, or what stopped this process from driving the run: a `StoreError`,
        `StaleFenceError`, `ProviderUnavailableError`, `ExecutorStoppedError`. After the latter four the run
        can be resumed. `TimeoutError` when it has not ended after `timeout`; the run goes on.
        """
        if timeout is None:
            return await self._result()
        limit = asyncio.timeout(seconds(timeout, "timeout"))
        try:
            async with limit:
                return await self._result()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(f"Run {self._id} has not ended yet; it goes on. Ask again later.") from error

    async def _result(self) -> Out:
        waiters = self._followed.waiters
        if self.driven_here:
            return await self._ended(await waiters.outcome(self._key))
        while True:
            record = await self._record()
            if record.status.finished:
                failure: FailureData | None = None if record.error is None else unpack(record.error)
                return await self._ended(RunOutcome(status=record.status, failure=failure))
            if self.driven_here:
                return await self._ended(await waiters.outcome(self._key))
            error = waiters.error(self._key)
            if error is not None:
                raise error
            await asyncio.sleep(FOLLOW)

    async def output(self, node: Source[T], /, *, path: tuple[int, ...] = ()) -> T:
        """The output of one activation of a node, as soon as it is committed; `path` says which, in maps.

        Raises `OutputUnavailableError` when there is none (yet).
        """
        outputs = await self.outputs(node)
        if path not in outputs:
            which = str(Address(node.name, path))
            raise OutputUnavailableError(
                f"Run {self._id}: {which} has no output"
                + (_others(node.name, outputs) if outputs else " yet.")
            )
        return outputs[path]

    async def outputs(self, node: Source[T], /) -> dict[tuple[int, ...], T]:
        """The outputs of a node that are committed, by item path (`()` outside of maps), in order."""
        found = await self._followed.store.read(lambda view: _outputs(view, self._key, node.name))
        return {path: self._decoded(node, value) for path, value in found}

    async def cancel(self) -> None:
        """Have it cancelled, at its providers too, by whoever drives it now or next. Left alone if it has ended."""
        record = await self._record()
        if not record.status.finished:
            await self._followed.store.signal(self._key, "cancel", None, (), pack({}))

    def updates(self, *, after: str | None = None) -> AsyncGenerator[Update, None]:
        """Text as it is written, and states as they change. Not built yet."""
        raise NotBuiltError(
            "`run.updates` is not built yet. Today: `async for event in run.events()` tells what happens, without the "
            "text as it is written."
        )

    def _decoded(self, node: Source[T], value: Value) -> T:
        try:
            return node.output_codec.decode(value.data)
        except ValueUnreadableError as error:
            raise self._unreadable(node.name, error) from error

    def _unreadable(self, node: str, error: ValueUnreadableError) -> ValueUnreadableError:
        return ValueUnreadableError(
            f"Run {self._id}: the output of {node}: {error}. `perdure show {self._id}` shows it where its bytes are sound.",
            error.path,
        )

    async def _ended(self, outcome: RunOutcome) -> Out:
        match outcome.status:
            case Status.SUCCEEDED:
                if outcome.value is not None and outcome.end is not None:
                    end, value = outcome.end, outcome.value
                else:
                    ends = (await self._plan()).ends
                    end, value = await self._followed.store.read(lambda view: self._read_result(view, ends))
                try:
                    return (
                        unpack(value.data)
                        if self._workflow is None
                        else self._workflow.node(end).output_codec.decode(value.data)
                    )
                except ValueUnreadableError as error:
                    raise self._unreadable(end, error) from error
            case Status.CANCELLED:
                raise RunCancelledError(f"Run {self._id} was cancelled.", run_id=self._id)
            case _:
                failure = outcome.failure or FailureData(type="Error", message="no reason was recorded")
                what = sentence(failure)
                ours = failure.get("type") in ("NotBuiltError", "NodeDefinitionError")  # no retry alone helps
                when = "When the code is changed" if ours else "When the cause is gone"
                raise RunFailedError(
                    f"Run {self._id} failed at {what}{'' if what[-1] in '.!?' else '.'} {when}, go on with "
                    f"executor.retry({self._id!r}) or `perdure retry {self._id}`; what succeeded is kept.",
                    run_id=self._id,
                    node=failure.get("node"),
                    error_type=failure.get("type", ""),
                    error=failure.get("message", ""),
                ) from outcome.cause

    def _read_result(self, view: View, ends: tuple[str, ...]) -> tuple[str, Value]:
        """The end that gives the result, and its output."""
        for end in ends:
            value = view.value(self._key, ActivationKey(scope=0, node=end, item=0))
            if value is not None:
                return end, value
        raise AssertionError(f"run {self._id} succeeded without a result")

    async def events(self, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """The journal from a position on, then live until the run has ended.

        Ends quietly when the run ends; `result` says how. A run that another process drives, or takes over, is
        followed. Raises what stopped this process from driving the run, as `result` does. Positions are those
        of the database, so a reader that remembers the last one goes on right after it, in this process or
        another.
        """
        store = self._followed.store
        while True:
            ended = (await self._record()).status.finished
            seen = after
            records = await store.read(
                lambda view: view.events(self._key, after=seen, limit=PAGE)  # noqa: B023  # awaited at once
            )
            for record in records:
                after = record.position
                yield Event.read(self._id, record)
            if not records:
                if ended:
                    return
                error = self._followed.waiters.error(self._key)
                if error is not None and not isinstance(error, StaleFenceError):
                    raise error
                await self._followed.waiters.change(self._key, at_most=FOLLOW)

    async def _record(self) -> RunRecord:
        found = await self._followed.store.read(lambda view: view.runs_by_key([self._key]))
        if not found:
            raise RunNotFoundError(
                f"Run {self._id} was deleted. A run that was started with its id since is another one."
            )
        return found[0]

    async def _plan(self) -> Plan:
        if self._workflow is not None:
            return self._workflow.plan
        record = await self._followed.store.read(lambda view: view.plan(self._signature))
        return decode_plan(record.plan)

    def __repr__(self) -> str:
        return f"<run {self._id}>"


def _outputs(view: View, run: int, node: str) -> list[tuple[tuple[int, ...], Value]]:
    """The stored outputs of a node, with their paths, in order."""
    found = [
        (row.path, view.value(run, row.key))
        for row in view.activations(run)
        if row.key.node == node and row.state is State.SUCCEEDED
    ]
    return sorted(((path, value) for path, value in found if value is not None), key=lambda entry: entry[0])


def _others(node: str, outputs: Mapping[tuple[int, ...], object]) -> str:
    """Which outputs of the node there are instead."""
    some = ", ".join(f"path={other}" for other in list(outputs)[:3])
    more = ", ..." if len(outputs) > 3 else ""
    return f": {node} has {len(outputs)} of them, say which one ({some}{more})."
