"""A run is never left with nobody at it: what goes wrong on the way gives it back, and tells those who wait."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from perdure.checkpoints import RunStatus, SQLiteStore, StaleFenceError, State, pack
from perdure.checkpoints.errors import DatabaseCorruptError, DatabaseLockedError
from perdure.engine import Executor, RunCancelledError, RunFailedError, Workflow
from perdure.nodes import SubmissionUnknownError, node

from .batches import Works, batch_node
from .bench import (
    Stores,
    chain,
    perform,
    raises,
    read,
    record,
    runtime,
    state_is,
    store_of,
    until,
)
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


@node
async def long(text: str) -> str:
    await asyncio.sleep(60)
    return text


async def left(files: Stores, workflow: Workflow[str, str]) -> None:
    """A run that its executor left under way."""
    async with Executor(files()) as executor:
        await executor.start(workflow, "x", run_id="r")


class Locked(SQLiteStore):
    """Another process holds the write lock whenever a signal is to be left."""

    async def signal(self, run: int, kind: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:
        raise DatabaseLockedError("locked")


def test_a_cancel_that_cant_be_written_gives_the_run_back(files: Stores, tmp_path: Path) -> None:
    workflow = chain("w", long)

    async def main() -> None:
        await left(files, workflow)
        async with Executor(Locked(tmp_path / "perdure.db")) as executor:
            with pytest.raises(DatabaseLockedError):
                await executor.cancel("r")
            assert (await record(executor)).owner is None

    perform(main())


def test_a_run_whose_plan_cant_be_read_is_given_back(files: Stores, tmp_path: Path) -> None:
    """Without its workflow there is nothing but the plan to go by."""

    async def main() -> None:
        await left(files, chain("w", long))
        with closing(sqlite3.connect(tmp_path / "perdure.db")) as database, database:
            database.execute("UPDATE workflows SET plan = x'00'")
        async with Executor(files()) as executor:
            with pytest.raises(TypeError):
                await executor.cancel("r")
            assert (await record(executor)).owner is None

    perform(main())


def test_a_retry_that_cant_read_what_was_left_gives_the_run_back(files: Stores, tmp_path: Path) -> None:
    """And whoever waits for the run waits for nobody."""

    @node
    async def broken(text: str) -> str:
        raise ValueError(text)

    async def main() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(chain("w", broken), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            await store_of(executor).signal((await record(executor)).key, "answer", "broken", (), b"")
            with closing(sqlite3.connect(tmp_path / "perdure.db")) as database, database:
                database.execute("UPDATE signals SET path = 'nowhere'")
            with raises(DatabaseCorruptError, "Run r", "db check"):
                await executor.retry("r")
            await until(lambda: not executor.drives("r"))
            with pytest.raises(RunFailedError):
                await run.result()
            await executor.settled()
            assert (await record(executor)).owner is None

    perform(main())


@pytest.mark.parametrize("loaded", [False, True], ids=["evicted", "in memory"])
def test_a_verb_for_a_run_that_was_taken_over_is_left_to_its_new_owner(
    loaded: bool, files: Stores, works: Works
) -> None:
    """As after a stop beyond the lease: this executor does not know yet that it has lost the run."""
    works.hold = True
    workflow = chain("w", batch_node("asked", works))

    async def main() -> None:
        async with (
            Executor(files(), workflows=[workflow]) as loser,
            Executor(files(), workflows=[workflow]) as owner,
        ):
            run = await loser.start(workflow, "x", run_id="r")
            await until(state_is(loser, "asked", State.WAITING))
            key = (await record(loser)).key
            driver = await runtime(loser).driver(key)
            assert driver is not None
            with driver.pinned() if loaded else nullcontext():
                await store_of(loser).release([await record(loser)])
                await owner.resume("r")
                await loser.cancel("r")
            with pytest.raises(RunCancelledError):
                await (await owner.resume("r")).result()
            with pytest.raises((RunCancelledError, StaleFenceError)):
                await run.result()

    perform(main())
