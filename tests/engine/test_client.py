"""What a client reads and asks for while another process drives, and what an executor adds: poll, re-entry, fork."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from perdure.checkpoints import RunNotFoundError, RunStatus
from perdure.engine import Executor
from perdure.engine.client import Client
from perdure.engine.core.journal import NAMES
from perdure.engine.errors import ExecutorStoppedError, RunCancelledError
from perdure.engine.words import EventType
from perdure.engine.words import RunStatus as Word
from perdure.nodes import node
from perdure.nodes.errors import NotBuiltError

from .bench import Stores, chain, first, perform, raises, second


def test_the_words_of_the_face_are_those_of_the_core() -> None:
    assert set(get_args(EventType)) == set(NAMES.values())
    assert set(get_args(Word)) == {status.value for status in RunStatus}


def test_a_client_reads_a_run_with_and_without_its_workflow(files: Stores) -> None:
    workflow = chain("w", first, second)

    async def test() -> None:
        async with Executor(files()) as executor:
            await (await executor.start(workflow, "x", run_id="r", labels={"who": "me"})).result()
            await (await executor.start(workflow, "y", run_id="s")).result()
        async with Client(files()) as client:
            assert await (await client.get("r")).result() == "x12"
            run = await client.get("r", workflow)
            assert await run.result(timeout=5) == "x12"
            assert await run.outputs(first) == {(): "x1"}
            assert await run.output(first) == "x1"
            (info,) = await client.runs(labels={"who": "me"}, status="succeeded", workflow="w")
            assert (info.id, info.labels, info.driven_by, info.error) == ("r", {"who": "me"}, None, None)
            assert info.created_at.tzinfo is not None
            assert len(await client.runs(limit=None)) == 2
            assert len(await client.runs(limit=1)) == 1
            assert await client.runs(status="failed") == []
            with raises(RunNotFoundError, "t"):
                await client.get("t")
            await client.delete("r")
            assert [info.id for info in await client.runs()] == ["s"]

    perform(test())


def test_a_run_that_was_deleted_is_not_mistaken_for_a_new_one_with_its_id(files: Stores) -> None:
    workflow = chain("w", first, second)

    async def test() -> None:
        async with Executor(files()) as executor:
            held = await executor.start(workflow, "x", run_id="r")
            await held.result()
            await executor.delete("r")
            again = await executor.start(workflow, "y", run_id="r")
            assert await again.result() == "y12"
            with raises(RunNotFoundError, "r was deleted"):
                await held.status()
            with raises(RunNotFoundError, "r was deleted"):
                await held.result()

    perform(test())


def test_what_is_not_built_says_what_to_do_today(files: Stores) -> None:
    async def test() -> None:
        async with Executor(files()) as executor:
            with raises(NotBuiltError, "executor.start"):
                await executor.enqueue(chain("w", first, second), "x")
            with raises(NotBuiltError, "perdure answer"):
                await executor.questions()
            with raises(NotBuiltError, "executor.decide"):
                await executor.answer("q", 1)
            with raises(NotBuiltError, "deadline"):
                await executor.start(chain("w", first, second), "x", deadline=1)
            assert await executor.runs() == []

    perform(test())


def test_a_client_cancels_a_run_that_another_drives(files: Stores) -> None:
    @node
    async def forever(text: str) -> str:
        import asyncio

        await asyncio.Event().wait()
        return text

    async def test() -> None:
        async with Executor(files()) as executor, Client(files()) as client:
            run = await executor.start(chain("w", first, forever), "x", run_id="r")
            with raises(TimeoutError, "r", "goes on"):
                await (await client.get("r")).result(timeout=0.05)
            await client.cancel("r")
            with raises(RunCancelledError, "r"):
                await run.result(timeout=10)

    perform(test())


def test_an_executor_can_be_entered_again(files: Stores) -> None:
    workflow = chain("w", first, second)

    async def test() -> None:
        executor = Executor(files(), workflows=[workflow])
        for name in ("a", "b"):
            async with executor:
                assert await (await executor.start(workflow, "x", run_id=name)).result() == "x12"
            with pytest.raises(ExecutorStoppedError):
                await executor.start(workflow, "x")

    perform(test())


def test_poll_once_drives_what_nobody_drives(files: Stores) -> None:
    calls: list[str] = []

    @node(retries=1)
    async def once(text: str) -> str:
        calls.append(text)
        return text + "!"

    workflow = chain("w", first, once)

    async def test() -> None:
        async with Executor(files()) as executor:
            await executor.start(workflow, "x", run_id="r")
        async with Executor(files(), workflows=[workflow]) as executor:
            assert await executor.poll_once() == 0
            assert await (await executor.get("r", workflow)).result() == "x1!"

    perform(test())


def test_a_forked_executor_is_refused(files: Stores) -> None:
    async def test() -> int:
        async with Executor(files()) as executor:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    await executor.start(chain("w", first, second), "x")
                except ExecutorStoppedError as error:
                    code = 0 if "after the fork" in str(error) else 2
                finally:
                    os._exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])  # noqa: ASYNC222  # the child is short

    assert perform(test()) == 0


def test_a_known_id_that_has_ended_is_told(files: Stores, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        workflow = chain("w", first, second)
        async with Executor(files()) as executor:
            await (await executor.start(workflow, "x", run_id="r")).result()
            assert "has ended before" not in caplog.text
            assert await (await executor.start(workflow, "x", run_id="r")).result() == "x12"

    perform(test())
    assert "has ended before" in caplog.text
    assert "perdure delete r" in caplog.text
    assert "has changed" not in caplog.text


def test_changed_code_is_told(files: Stores, caplog: pytest.LogCaptureFixture) -> None:
    def make(suffix: str) -> Any:
        if suffix == "a":

            @node
            async def last(text: str) -> str:
                return text + "a"
        else:

            @node
            async def last(text: str) -> str:
                return text + "b"

        return chain("w", first, last)

    async def test() -> None:
        for suffix in "ab":
            async with Executor(files()) as executor:
                assert await (await executor.start(make(suffix), "x", run_id="r")).result() == "x1a"

    perform(test())
    assert "The code of its functions has changed" in caplog.text


def test_the_database_is_a_path_or_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_DB", str(tmp_path / "env.db"))

    async def test(db: str | None) -> None:
        async with Executor(db) as executor:
            assert await (await executor.start(first, "x", run_id="r")).result() == "x1"

    perform(test(None))
    perform(test(str(tmp_path / "path.db")))
    assert (tmp_path / "env.db").exists()
    assert (tmp_path / "path.db").exists()
