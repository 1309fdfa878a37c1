"""`SyncClient`: what synchronous code may do with runs, from several threads, and what a forked process may not."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from perdure import Executor, SyncClient, Workflow, node
from perdure.errors import ExecutorStoppedError, RunNotFoundError


@node
async def double(number: int) -> int:
    return number * 2


workflow = Workflow("double", start=double, end=double)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "perdure.db"

    async def fill() -> None:
        async with Executor(path) as executor:
            for number in range(3):
                run = await executor.start(workflow, number, run_id=f"r{number}", labels={"n": str(number)})
                await run.result()

    asyncio.run(fill())
    return path


def test_it_reads_and_deletes_from_any_thread(db: Path) -> None:
    with SyncClient(db) as client, ThreadPoolExecutor(8) as pool:
        assert [run.id for run in client.runs()] == ["r2", "r1", "r0"]
        assert [run.id for run in client.runs(labels={"n": "1"}, status="succeeded")] == ["r1"]

        def result(number: int) -> int:
            return client.get(f"r{number}", workflow).result(timeout=5)

        assert list(pool.map(result, range(3))) == [0, 2, 4]
        run = client.get("r2", workflow)
        assert (run.status(), run.output(double), run.outputs(double)) == ("succeeded", 4, {(): 4})
        assert [event.type for event in run.events()] == ["run_started", "succeeded"]
        assert [event.type for event in run.events(after=1)] == ["succeeded"]
        assert client.get("r2").result() == 4
        run.cancel()  # it has ended: nothing happens
        client.delete("r2")
        with pytest.raises(RunNotFoundError):
            client.get("r2")
    with pytest.raises(ExecutorStoppedError, match="not open"):
        client.runs()


def test_it_can_be_opened_again(db: Path) -> None:
    client = SyncClient(db)
    for _ in range(2):
        with client:
            assert len(client.runs()) == 3
    client.close()


def test_a_forked_process_is_refused(db: Path) -> None:
    with SyncClient(db) as client:
        child = os.fork()
        if child == 0:
            try:
                client.runs()
            except ExecutorStoppedError as error:
                os._exit(0 if "after the fork" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
