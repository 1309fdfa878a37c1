"""What the page on embedding says of loops, threads and forks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from perdure import Executor, Workflow, node

from .programs import PATIENCE, environment


@node
def shout(text: str) -> str:
    return text.upper()


shouting = Workflow("shouting", start=shout, end=shout)

FORKED = """
import asyncio, os
from perdure import Executor, SyncClient
from perdure.errors import ExecutorStoppedError
from tests.examples.test_instead import shouting

async def start(executor):
    try:
        await executor.start(shouting, "otters")
    except ExecutorStoppedError as error:
        print(error)

async def main():
    async with Executor("perdure.db", workflows=[shouting]) as executor:
        if (child := os.fork()) == 0:
            try:
                start(executor).send(None)
            except StopIteration:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        print(await (await executor.start(shouting, "otters", run_id="parent")).result())

asyncio.run(main())
"""


def test_an_executor_that_was_left_is_entered_by_another_loop(tmp_path: Path) -> None:
    executor = Executor(tmp_path / "perdure.db", workflows=[shouting])

    async def work(run_id: str) -> str:
        async with executor:
            return await (await executor.start(shouting, run_id, run_id=run_id)).result()

    assert [asyncio.run(work("a")), asyncio.run(work("b"))] == ["A", "B"]


async def work_in_a_thread(db: Path) -> str:
    async with Executor(db, workflows=[shouting]) as executor:
        loop = asyncio.get_running_loop()

        def in_a_thread() -> str:
            run = asyncio.run_coroutine_threadsafe(executor.start(shouting, "otters"), loop).result()
            return asyncio.run_coroutine_threadsafe(run.result(), loop).result()

        return await asyncio.to_thread(in_a_thread)


def test_a_thread_hands_its_work_to_the_loop(tmp_path: Path) -> None:
    assert asyncio.run(work_in_a_thread(tmp_path / "perdure.db")) == "OTTERS"


def test_an_executor_is_refused_after_a_fork_and_its_parent_goes_on(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-u", "-c", FORKED],
        cwd=tmp_path,
        env=environment({}),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    refused, result = ended.stdout.splitlines()
    assert "forked" in refused
    assert result == "OTTERS"
