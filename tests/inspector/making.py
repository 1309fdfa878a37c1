"""Making databases the real way: an executor that runs workflows of `apps.py` on the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from perdure.checkpoints import ActivationRecord, ActivationState, SQLiteStore
from perdure.engine import Executor, RunFailedError, Workflow

from . import apps

AnyWorkflow: TypeAlias = Workflow[Any, Any]
Moment: TypeAlias = Callable[[Sequence[ActivationRecord]], bool]
"""Says of a run's activations whether the moment has come to stop driving it."""


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
        key = (await store.run(run_id)).key
        async with asyncio.timeout(30):
            async for _ in run.events():
                if until(await store.activations(key)):
                    return


def count(records: Sequence[ActivationRecord], state: ActivationState) -> int:
    """How many activations are in that state."""
    return sum(record.state is state for record in records)


def two_wait(records: Sequence[ActivationRecord]) -> bool:
    """Two activations wait at the provider."""
    return count(records, ActivationState.WAITING) == 2


def unknown(records: Sequence[ActivationRecord]) -> bool:
    """The fate of a submission is unknown."""
    return count(records, ActivationState.SUBMIT_UNKNOWN) == 1


def backs_off(records: Sequence[ActivationRecord]) -> bool:
    """An activation waits for its next attempt."""
    return count(records, ActivationState.BACKOFF) == 1
