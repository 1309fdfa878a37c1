"""How often the rows of a run are read: once, however much of it moves together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from perdure.checkpoints import Loaded, SQLiteView
from perdure.engine import Executor, Workflow
from perdure.nodes import Context, node

from .batches import Works, batch_node
from .bench import Stores, chain, first, perform, runtime, until


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each run was loaded, by its key."""
    counted: Counter[int] = Counter()
    load = SQLiteView.load

    def counting(view: SQLiteView, keys: Sequence[int]) -> list[Loaded]:
        counted.update(keys)
        return load(view, keys)

    monkeypatch.setattr(SQLiteView, "load", counting)
    return counted


def mapped(works: Works) -> Workflow[int, int]:
    @node
    async def texts(size: int) -> list[str]:
        return [str(number) for number in range(size)]

    @node
    async def gather(lines: list[str]) -> int:
        return len(lines)

    workflow = Workflow[int, int]("w", start=texts, end=gather)
    printed = batch_node("print", works, every=0.5)
    workflow.map(texts, printed)
    workflow.collect(printed, gather)
    return workflow


@pytest.mark.parametrize("size", [20, 300])
def test_a_map_of_waiting_items_is_loaded_once_however_many_are_due_together(
    size: int, stores: Stores, works: Works, loads: Counter[int]
) -> None:
    """A small run is evicted while it waits, a large one would stay; both begin here in another executor."""
    works.hold = True
    workflow = mapped(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, size, run_id="r")
            await until(lambda: len(works.batches) == size)
            await executor.settled()
        works.hold = False
        await asyncio.sleep(0.6)  # all of them are due
        loads.clear()
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert loads == {}
            assert await run.result() == size
        assert list(loads.values()) == [1]

    perform(test())
    assert {batch.polls for batch in works.batches.values()} == {1}


@pytest.mark.usefixtures("evicted")
def test_polls_that_tell_nothing_new_load_nothing(stores: Stores, works: Works, loads: Counter[int]) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches) and works.one.polls >= 5)
            assert loads == {}
            works.hold = False
            assert await run.result() == "done: x1"
        assert list(loads.values()) == [1]

    perform(test())


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@pytest.mark.parametrize("plain", [False, True])
def test_asking_for_an_output_waits_for_no_writer(plain: bool, files: Stores, tmp_path: Path) -> None:
    """Another process holds the write lock until the output was there, so waiting for it would be for ever."""
    command = [sys.executable, "-c", LOCK, str(tmp_path / "perdure.db")]

    def ask(ctx: Context) -> str:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            found = ctx.output(first)
            assert other.poll() is None
            other.communicate("done\n")
        return found

    @node(name="ask")
    async def ask_async(text: str, ctx: Context) -> str:
        return ask(ctx)

    @node(name="ask")
    def ask_plainly(text: str, ctx: Context) -> str:
        return ask(ctx)

    async def test() -> Any:
        async with Executor(files()) as executor:
            runtime(executor).shared.budget.limit = 0  # nothing is kept in memory, so it is read
            run = await executor.start(chain("w", first, ask_plainly if plain else ask_async), "x")
            return await run.result()

    assert perform(test()) == "x1"


def test_the_loop_goes_on_while_another_process_holds_the_write_lock(files: Stores, tmp_path: Path) -> None:
    """A commit waits for the lock in the store's thread; the loop turns meanwhile."""
    command = [sys.executable, "-c", LOCK, str(tmp_path / "perdure.db")]

    async def test() -> None:
        async with Executor(files()) as executor:
            workflow = chain("w", first, first.named("second"))
            await (await executor.start(workflow, "x")).result()
            pipe = asyncio.subprocess.PIPE
            other = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            assert other.stdout is not None
            assert await other.stdout.readline() == b"locked\n"
            start = asyncio.ensure_future(executor.start(workflow, "y"))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not start.done()
            await other.communicate(b"done\n")
            assert await (await start).result() == "y11"

    perform(test())
