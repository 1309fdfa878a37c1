"""Deleting a run: it is gone and its id is free; a run that is not over stays."""

from __future__ import annotations

import asyncio

import pytest
from perdure.checkpoints import RunNotDeletableError, RunNotFoundError
from perdure.engine import Executor, RunFailedError
from perdure.engine.errors import ExecutorStoppedError
from perdure.nodes import node

from .bench import Stores, chain, perform, raises


def test_a_deleted_run_is_gone_and_its_id_is_free(stores: Stores) -> None:
    ran: list[str] = []

    @node
    async def note(text: str) -> str:
        ran.append(text)
        return text.upper()

    @node
    async def again(text: str) -> str:
        return text * 2

    workflow = chain("w", note, again)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, "x", run_id="r")).result() == "XX"
            await executor.delete("r")
            with raises(RunNotFoundError, "r"):
                await executor.resume("r")
            with raises(RunNotFoundError, "r"):
                await executor.delete("r")
            assert await (await executor.start(workflow, "y", run_id="r")).result() == "YY"
            assert ran == ["x", "y"]
        with pytest.raises(ExecutorStoppedError):
            await executor.delete("r")

    perform(test())


def test_a_run_under_way_is_not_deleted_and_goes_on(stores: Stores) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    @node
    async def wait(text: str) -> str:
        began.set()
        await may_end.wait()
        return text

    @node
    async def again(text: str) -> str:
        return text * 2

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", wait, again), "x", run_id="r")
            await began.wait()
            with raises(RunNotDeletableError, "perdure cancel r"):
                await executor.delete("r")
            may_end.set()
            assert await run.result() == "xx"
            await executor.delete("r")

    perform(test())


def test_a_failed_run_is_deleted_by_another_executor_without_its_workflow(files: Stores) -> None:
    @node
    async def fail(text: str) -> str:
        raise ValueError(text)

    @node
    async def again(text: str) -> str:
        return text * 2

    async def test() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(chain("w", fail, again), "x", run_id="r")
            with raises(RunFailedError, "r"):
                await run.result()
            async with Executor(files()) as other:
                await other.delete("r")
            with raises(RunNotFoundError, "r"):
                await executor.retry("r")

    perform(test())
