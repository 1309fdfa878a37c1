"""A run is never left with nobody at it: what goes wrong on the way gives it back, and tells those who wait."""

from __future__ import annotations

import asyncio

import pytest
from perdure.checkpoints import RunStatus, pack
from perdure.engine import Executor, RunFailedError
from perdure.nodes import SubmissionUnknownError

from .batches import Works, batch_node
from .bench import Stores, perform, read, record, store_of, until
from .test_executor_races import Sibling
from .test_executor_signals import GOOD_HANDLE, SlowToCancel


def test_what_still_ends_for_a_failed_run_leaves_its_retry_alone(stores: Stores, works: Works) -> None:
    """A second submission is being cancelled while the run fails and is retried; then the cancel is acknowledged."""
    sibling = Sibling(after=1.5)
    asked = batch_node("asked", works)
    works.hold = True
    works.after = [SubmissionUnknownError("500", retry_after=0.0)]

    async def main() -> str:
        asked.operation = slow = SlowToCancel(works)
        workflow = sibling.beside(asked)
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(works.batches) == 2)
            late = {**GOOD_HANDLE, "token": slow.adopt("batch-1").to_dict()}
            key = (await record(executor)).key
            await store_of(executor).signal(key, "handle", "asked", (), pack(late))
            await slow.asked.wait()
            works.hold = False
            with pytest.raises(RunFailedError):
                await run.result()
            sibling.broken = False
            await executor.retry("r")
            slow.answer.set()
            result = await run.result()
            assert (await record(executor)).status is RunStatus.SUCCEEDED
            assert not await read(executor, lambda view: view.load([key])[0].strays)
            return result

    assert perform(main()) == "done: x1"
