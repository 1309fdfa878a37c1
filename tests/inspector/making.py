"""Making databases the real way: an executor that runs workflows of `apps.py` on the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from perdure.checkpoints.records import OperationRecord, State
from perdure.checkpoints.sqlite import SQLiteStore
from perdure.checkpoints.view import View
from perdure.engine import Executor, RunFailedError, Workflow

from . import apps

AnyWorkflow: TypeAlias = Workflow[Any, Any]
Moment: TypeAlias = Callable[[Sequence[State]], bool]
"""Says of the states of a run's activations whether the moment has come to stop driving it."""


def make(db: Path, workflow: AnyWorkflow, value: object, run_id: str, *, until: Moment | None = None) -> None:
    """Drive a new run to its end, whatever that is, or until a moment; then stop as a program does that ends."""
    asyncio.run(_make(db, workflow, value, run_id, until))


async def _make(db: Path, workflow: AnyWorkflow, value: object, run_id: str, until: Moment | None) -> None:
    store = SQLiteStore(db)
    async with Executor(store, workflows=apps.ALL) as executor:
        run = await executor.start(workflow, value, run_id=run_id)
        if until is None:
            try:
                await run.result()
            except RunFailedError:
                return
            return
        async with asyncio.timeout(30):
            async for _ in run.events():
                if until(await store.read(lambda view: states(view, run_id))):
                    return


def states(view: View, run_id: str) -> list[State]:
    """The states of a run's activations: of those that have an open operation, that one's."""
    run = view.run(run_id)
    open_: dict[object, OperationRecord] = {
        (record.key.activation, record.key.attempt): record for record in view.live([run.key])[1]
    }
    return [
        open_[record.key, record.attempt].state if (record.key, record.attempt) in open_ else record.state
        for record in view.activations(run.key)
    ]


def two_wait(found: Sequence[State]) -> bool:
    """Two activations wait at the provider."""
    return found.count(State.WAITING) == 2


def one_waits(found: Sequence[State]) -> bool:
    """One activation waits at the provider."""
    return found.count(State.WAITING) == 1


def unknown(found: Sequence[State]) -> bool:
    """The fate of a submission is unknown."""
    return found.count(State.SUBMIT_UNKNOWN) == 1


def backs_off(found: Sequence[State]) -> bool:
    """An activation waits for its next attempt."""
    return State.BACKOFF in found
