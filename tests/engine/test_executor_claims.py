"""Who drove a run, from when to when, and how that ended: a row for each start, resume and take-over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from perdure.checkpoints import ClaimRecord, RunStatus
from perdure.engine import Executor, RunCancelledError, RunFailedError
from perdure.nodes import node

from .batches import Works, batch_node
from .bench import Stores, chain, first, perform, read, record, second, until


async def claims(executor: Executor, run_id: str = "r") -> list[ClaimRecord]:
    """Oldest first."""
    key = (await record(executor, run_id)).key
    return await read(executor, lambda view: view.claims(key))


def ends(found: list[ClaimRecord]) -> list[str | None]:
    return [claim.end for claim in found]


def test_a_start_a_stop_and_a_resume_are_claims(stores: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            (claim,) = await claims(executor)
            assert (claim.fence, claim.pid, claim.ended_at, claim.end) == (1, os.getpid(), None, None)
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            first_one, now = await claims(executor)
            assert (first_one.end, now.end) == ("released", None)
            assert first_one.ended_at is not None
            assert first_one.claimed_at <= first_one.ended_at <= now.claimed_at
            assert now.fence == 2
            assert now.executor != first_one.executor
            works.hold = False
            await run.result()
            assert ends(await claims(executor)) == ["released", "finished"]

    perform(test())


def test_taking_up_a_run_that_is_driven_here_or_has_ended_is_no_claim(stores: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            for _ in range(2):
                await executor.start(workflow, "x", run_id="r")
                await executor.resume("r")
                await executor.resume_all()
            assert ends(await claims(executor)) == [None]
            works.hold = False
            await run.result()
            await executor.start(workflow, "x", run_id="r")
            await executor.resume("r")
            assert ends(await claims(executor)) == ["finished"]

    perform(test())


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_however_a_run_ends_its_claim_is_finished(end: str, stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            if end == "failed":
                works.one.status = "hopeless"
            else:
                await executor.cancel("r")
            with pytest.raises((RunFailedError, RunCancelledError)):
                await run.result()
            assert ends(await claims(executor)) == ["finished"]

    perform(test())


def test_a_retry_is_a_claim_of_its_own(stores: Stores) -> None:
    broken = True

    @node
    async def fail(text: str) -> str:
        if broken:
            raise ValueError("no")
        return text

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, fail), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken = False
            await (await executor.retry("r")).result()
            found = await claims(executor)
            assert ends(found) == ["finished", "finished"]
            assert [claim.fence for claim in found] == [1, 2]

    perform(test())


def test_a_run_whose_driving_stopped_is_released(stores: Stores, works: Works) -> None:
    def stumble(_: object) -> None:
        raise KeyError("status")

    works.polling = stumble

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            with pytest.raises(KeyError):
                await run.result()
            works.polling = None
            assert await (await executor.resume("r")).result() == "done: x1"
            assert ends(await claims(executor)) == ["released", "finished"]

    perform(test())


HANGING = """
import asyncio, sys
from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import node

@node
async def first(text: str) -> str:
    return f"{text}1"

@node
async def second(text: str) -> str:
    print("hangs", flush=True)
    await asyncio.Event().wait()
    return text

workflow = Workflow("w", start=first, end=second)
workflow.edge(first, second)

async def main():
    async with Executor(SQLiteStore(sys.argv[1])) as executor:
        await (await executor.start(workflow, "x", run_id="r")).result()

asyncio.run(main())
"""


def test_a_run_that_was_taken_from_a_dead_process_tells_who_lost_it(files: Stores, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGING, str(tmp_path / "perdure.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hung:
        assert hung.stdout is not None
        assert hung.stdout.readline() == "hangs\n"
        hung.kill()

    async def test() -> None:
        async with Executor(files(), workflows=[chain("w", first, second)]) as executor:
            (run,) = (await executor.resume_all()).runs
            assert await run.result() == "x12"
            lost, finished = await claims(executor)
            assert (lost.pid, lost.end) == (hung.pid, "lost")
            assert lost.ended_at is not None
            assert (finished.pid, finished.end) == (os.getpid(), "finished")
            assert lost.ended_at <= finished.claimed_at

    perform(test())


def test_a_start_whose_caller_is_cancelled_is_driven_all_the_same(stores: Stores) -> None:
    """Cancelled at each turn of the loop: the run is not there at all, or it is driven to its end."""
    workflow = chain("w", first, second)

    async def test() -> None:
        gave_up: set[str] = set()
        async with Executor(stores()) as executor:

            async def over() -> bool:
                return not await read(executor, lambda view: view.unfinished())

            for attempt in range(
                10
            ):  # how many turns pass before and during an insert depends on the machine
                for turns in range(0, 60 << attempt, 1 << attempt):
                    run_id = f"r{attempt}-{turns}"
                    start = asyncio.ensure_future(executor.start(workflow, "x", run_id=run_id))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    start.cancel()
                    await asyncio.wait([start])
                    if start.cancelled():
                        gave_up.add(run_id)
                await executor.settled()
                await until(over)
                stored = await read(executor, lambda view: view.runs())
                assert {run.status for run in stored} <= {RunStatus.SUCCEEDED}
                if gave_up & {run.id for run in stored}:  # a caller was cancelled after the insert had begun
                    return
            raise AssertionError("no caller was cancelled after the insert had begun")

    perform(test())
