"""`Run`: what a user holds of a run, whoever drives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from ..checkpoints.codec import unpack
from ..checkpoints.errors import StaleFenceError, ValueUnreadableError
from ..checkpoints.records import ActivationKey, RunRecord, RunStatus
from .errors import RunCancelledError, RunFailedError
from .event import Event
from .failures import FailureData, sentence
from .graph import Workflow
from .runtime._runtime import Runtime
from .runtime._waiters import RunOutcome

Out = TypeVar("Out", covariant=True)

FOLLOW = 0.2
"""Seconds between two looks at a run that another process drives."""
PAGE = 500
"""Journal entries that are read in one call."""


class Run(Generic[Out]):
    """A run of a workflow. Holding it keeps nothing alive; dropping it stops nothing."""

    def __init__(self, runtime: Runtime, record: RunRecord, workflow: Workflow[Any, Any]) -> None:
        self._runtime = runtime
        self._key = record.key
        self._id = record.id
        self._workflow = workflow

    @property
    def id(self) -> str:
        """The run's id, with which any process can ask for it."""
        return self._id

    @property
    def driven_here(self) -> bool:
        """Whether this executor drives the run now."""
        return self._key in self._runtime.owned

    async def status(self) -> RunStatus:
        """The run's status as it is committed."""
        return (await self._record()).status

    async def result(self) -> Out:
        """Wait for the end and return the output of the workflow's end node.

        Raises `RunFailedError` (with the node's exception as its cause, where it was raised in this process),
        `RunCancelledError`, or what stopped this process from driving the run: a `StoreError`,
        `StaleFenceError`, `ProviderUnavailableError`, `ExecutorStoppedError`. After the latter four the run
        can be resumed.
        """
        if self._key in self._runtime.owned:
            return await self._ended(await self._runtime.shared.waiters.outcome(self._key))
        while True:
            record = await self._record()
            if record.status.finished:
                failure: FailureData | None = None if record.error is None else unpack(record.error)
                return await self._ended(RunOutcome(status=record.status, failure=failure))
            if self._key in self._runtime.owned:
                return await self._ended(await self._runtime.shared.waiters.outcome(self._key))
            error = self._runtime.shared.waiters.error(self._key)
            if error is not None:
                raise error
            await asyncio.sleep(FOLLOW)

    async def _ended(self, outcome: RunOutcome) -> Out:
        match outcome.status:
            case RunStatus.SUCCEEDED:
                value = outcome.value
                end = self._workflow.plan.end
                if value is None:
                    key = ActivationKey(scope=0, node=end, item=0)
                    value = await self._runtime.shared.store.read(lambda view: view.value(self._key, key))
                assert value is not None, f"run {self._id} succeeded without a result"
                try:
                    return self._workflow.node(end).output_codec.decode(value.data)
                except ValueUnreadableError as error:
                    raise ValueUnreadableError(
                        f"Run {self._id}: the output of {end}: {error}. "
                        f"`perdure show {self._id}` shows it where its bytes are sound.",
                        error.path,
                    ) from error
            case RunStatus.CANCELLED:
                raise RunCancelledError(f"Run {self._id} was cancelled.", run_id=self._id)
            case _:
                failure = outcome.failure or FailureData(type="Error", message="no reason was recorded")
                what = sentence(failure)
                raise RunFailedError(
                    f"Run {self._id} failed at {what}{'' if what[-1] in '.!?' else '.'} When the cause is gone, go on with "
                    f"executor.retry({self._id!r}) or `perdure retry {self._id}`; what succeeded is kept.",
                    run_id=self._id,
                    node=failure.get("node"),
                    error_type=failure.get("type", ""),
                    error=failure.get("message", ""),
                ) from outcome.cause

    async def events(self, *, after: int = 0) -> AsyncIterator[Event]:
        """The journal from a position on, then live until the run has ended.

        Ends quietly when the run ends; `result` says how. A run that another process drives, or takes over, is
        followed. Raises what stopped this process from driving the run, as `result` does. Positions are those
        of the database, so a reader that remembers the last one goes on right after it, in this process or
        another.
        """
        store = self._runtime.shared.store
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
                error = self._runtime.shared.waiters.error(self._key)
                if error is not None and not isinstance(error, StaleFenceError):
                    raise error
                await self._runtime.shared.waiters.change(self._key, at_most=FOLLOW)

    async def _record(self) -> RunRecord:
        return await self._runtime.shared.store.read(lambda view: view.run(self._id))

    def __repr__(self) -> str:
        return f"<run {self._id}>"
