"""Leaving an executor while things run: nothing is lost, whoever waits is told, everything can be resumed."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings

import pytest
from perdure.checkpoints import RunStatus, State, StoreError
from perdure.engine import Executor
from perdure.engine.errors import ExecutorStoppedError
from perdure.nodes import node

from .batches import Works, batch_node
from .bench import Stores, chain, first, journal, perform, raises, rows, second, third, until

S = State


def test_whoever_waits_is_told_and_the_run_goes_on_later(stores: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works), third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            waiters = [asyncio.create_task(run.result()) for _ in range(3)]
            await until(lambda: bool(works.batches))
        for waiter in waiters:
            with raises(ExecutorStoppedError, "Everything is committed", "resume"):
                await waiter
        with raises(ExecutorStoppedError, "Everything is committed"):  # one who comes later, too
            await run.result()
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "done: x13"
        assert len(works.batches) == 1

    perform(test())


def test_an_async_function_is_cut_off_and_runs_again(stores: Stores) -> None:
    attempts: list[int] = []
    release = asyncio.Event()

    @node
    async def wait(text: str) -> str:
        attempts.append(1)
        await release.wait()
        return text

    workflow = chain("w", first, wait)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(attempts))
        release.set()
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "x1"
            assert (await rows(executor, "r"))["wait"].attempt == 1  # being cut off is no failure
        assert attempts == [1, 1]

    perform(test())


def test_a_plain_function_under_way_is_waited_for_and_its_result_kept(stores: Stores) -> None:
    began, release = threading.Event(), threading.Event()
    ran: list[str] = []

    @node
    def block(text: str) -> str:
        ran.append(text)
        began.set()
        release.wait(20)
        return text

    workflow = chain("w", first, block, third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(began.is_set)
            asyncio.get_running_loop().call_later(0.05, release.set)
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert (await rows(executor, "r"))["block"].state is S.SUCCEEDED
            assert await (await executor.resume("r")).result() == "x13"
        assert ran == ["x1"]

    perform(test())


def test_waiting_has_an_end(stores: Stores) -> None:
    began, release = threading.Event(), threading.Event()

    @node
    def block(text: str) -> str:
        began.set()
        release.wait(20)
        return text

    workflow = chain("w", first, block)

    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with Executor(stores(), grace=0.05) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(began.is_set)
            left = loop.time()
        assert loop.time() - left < 10
        release.set()
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "x1"

    perform(test())


def test_a_submission_under_way_is_waited_for_and_its_token_kept(stores: Stores, works: Works) -> None:
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        works.gate = asyncio.Event()
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            asyncio.get_running_loop().call_later(0.05, works.gate.set)
        async with Executor(stores(), workflows=[workflow]) as executor:
            row = (await rows(executor, "r"))["print"]
            assert (row.state, row.operation.unknown) == (S.WAITING, 0)
            assert await (await executor.resume("r")).result() == "done: x1"
        assert len(works.batches) == 1

    perform(test())


def test_a_submission_that_takes_too_long_is_of_unknown_fate(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        works.gate = asyncio.Event()
        async with Executor(stores(), grace=0.05) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
        works.gate = None
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: x1"
            assert (await rows(executor, "r"))["print"].operation.unknown == 1
            assert "5 submission_intended print" in await journal(run)
        assert [batch.key for batch in works.batches.values()] == [works.batches["batch-1"].key] * 2

    perform(test())


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_error_of_the_body_comes_through_and_everything_can_be_resumed(
    error: BaseException, stores: Stores, works: Works
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            raise error

    async def go_on() -> None:
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "done: x1"

    with pytest.raises(type(error)) as caught:
        asyncio.run(test())
    assert isinstance(error, KeyboardInterrupt) or caught.value is error or str(caught.value) == str(error)
    perform(go_on())
    assert len(works.batches) == 1


def test_leaving_at_any_moment_loses_nothing(stores: Stores, works: Works) -> None:
    """Left a little later each time, over and over, until the run is through."""
    workflow = chain("w", first, batch_node("print", works, every=0.0), second, third)

    async def test() -> None:
        for moment in range(100):
            async with Executor(stores(), workflows=[workflow]) as executor:
                run = await executor.start(workflow, "x", run_id="r")
                await asyncio.sleep(moment * 0.0003)
                if await run.status() == "succeeded":
                    break
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: x123"
            lines = [line.split(" ", 1)[1] for line in await journal(run)]
            assert [lines.count(f"succeeded {name}") for name in workflow.plan.node] == [1, 1, 1, 1]
        assert len(works.batches) == 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        perform(test())
        gc.collect()  # a coroutine that was never awaited would say so here


def test_runs_that_are_let_go_are_free_at_once(files: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(files(), workflows=[workflow]) as other:
            async with Executor(files()) as executor:
                for number in range(5):
                    await executor.start(workflow, "x", run_id=f"r{number}")
                assert len((await other.resume_all()).left) == 5
            resumed = await other.resume_all()
            assert (len(resumed.runs), resumed.left) == (5, {})
            works.hold = False
            assert [await run.result() for run in resumed.runs] == ["done: x1"] * 5
        assert len(works.batches) == 5

    perform(test())


def test_a_handle_of_a_run_asked_too_late_says_that_the_store_is_closed(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second), "x", run_id="r")
            await run.result()
        with raises(StoreError, "async with"):
            await run.status()
        with raises(StoreError, "async with"):
            await run.result()

    perform(test())


def test_stopping_while_a_retry_waits_leaves_the_backoff(stores: Stores) -> None:
    attempts: list[str] = []

    @node(retries=5)
    async def fail(text: str) -> str:
        attempts.append(text)
        raise ValueError(text)

    workflow = chain("w", first, fail)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(attempts))

            async def waits() -> bool:
                return await run.status() == RunStatus.WAITING

            await until(waits)
            wake_at = (await rows(executor, "r"))["fail"].activation.wake_at
        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.resume("r")
            row = (await rows(executor, "r"))["fail"]
            assert (row.state, row.activation.wake_at, row.attempt) == (S.BACKOFF, wake_at, 1)
        assert len(attempts) == 1

    perform(test())
