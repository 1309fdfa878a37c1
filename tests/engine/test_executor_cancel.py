"""Cancelling a run, whatever it does at the moment: what is under way ends, here and at the provider; nothing follows."""

from __future__ import annotations

import asyncio
import threading

import pytest
from perdure.checkpoints import RunStatus, State
from perdure.engine import Executor, RunCancelledError, RunFailedError, RunNotRetryableError, Workflow
from perdure.engine.errors import OperationUnknownError
from perdure.nodes import node

from .batches import Batch, Works, batch_node
from .bench import (
    Stores,
    chain,
    first,
    journal,
    perform,
    raises,
    rows,
    runtime,
    state_is,
    states,
    third,
    until,
)

S = State


def test_an_async_function_is_cancelled_and_may_clean_up(stores: Stores) -> None:
    began = asyncio.Event()
    cleaned: list[str] = []

    @node(retries=3)
    async def wait(text: str) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(text)
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, wait, third), "x", run_id="r")
            waiter = asyncio.create_task(run.result())
            await began.wait()
            await executor.cancel("r")
            with raises(RunCancelledError, "r was cancelled"):
                await waiter
            assert cleaned == ["x1"]
            assert await run.status() == RunStatus.CANCELLED
            assert await states(executor, "r") == {"first": S.SUCCEEDED, "wait": S.CANCELLED}
            assert not executor.drives("r")
            with raises(RunCancelledError, "r"):
                await (await executor.resume("r")).result()
            with pytest.raises(RunNotRetryableError):
                await executor.retry("r")

    perform(test())


def test_a_function_that_wont_be_cancelled_ends_first_and_nothing_follows(stores: Stores) -> None:
    began = asyncio.Event()

    @node
    async def stubborn(text: str) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, stubborn, third), "x", run_id="r")
            await began.wait()
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert await states(executor, "r") == {
                "first": S.SUCCEEDED,
                "stubborn": S.SUCCEEDED,
                "third": S.CANCELLED,
            }

    perform(test())


@pytest.mark.parametrize("raising", [False, True])
def test_a_plain_function_is_waited_for(raising: bool, stores: Stores) -> None:
    began, release = threading.Event(), threading.Event()

    @node(retries=3)
    def block(text: str) -> str:
        began.set()
        release.wait(20)
        if raising:
            raise ValueError(text)
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, block, third), "x", run_id="r")
            await until(began.is_set)
            await executor.cancel("r")
            assert await run.status() == RunStatus.CANCELLING
            assert (await rows(executor, "r"))["block"].state is S.CANCELLING
            release.set()
            with pytest.raises(RunCancelledError):
                await run.result()
            found = await states(executor, "r")
            after = {"block": S.FAILED} if raising else {"block": S.SUCCEEDED, "third": S.CANCELLED}
            assert found == {"first": S.SUCCEEDED, **after}

    perform(test())


def test_a_backoff_ends_at_once(stores: Stores) -> None:
    attempts: list[str] = []

    @node(retries=1)
    async def fail(text: str) -> str:
        attempts.append(text)
        raise ValueError(text)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, fail, third), "x", run_id="r")
            await until(state_is(executor, "fail", S.BACKOFF))
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert (await states(executor, "r"))["fail"] is S.CANCELLED
            await asyncio.sleep(0.6)  # longer than the backoff
            assert attempts == ["x1"]

    perform(test())


def test_a_cancel_is_sent_until_the_provider_has_done_it(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x", run_id="r")

            async def waits() -> bool:
                return await run.status() == RunStatus.WAITING

            await until(waits)
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert (works.one.status, works.one.cancels) == ("cancelled", 2)
            assert [line.split(" ", 1)[1] for line in await journal(run, 4)] == [
                "cancel_requested",
                "cancelled print",
            ]

    perform(test())


def test_a_cancel_goes_on_after_the_executor_was_left(stores: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works, every=0.3), third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.cancel("r")
            await until(lambda: works.one.status == "cancelling")
        assert works.one.status == "cancelling"
        async with Executor(stores(), workflows=[workflow]) as executor:
            with pytest.raises(RunCancelledError):
                await (await executor.resume("r")).result()
        assert works.one.status == "cancelled"

    perform(test())


def test_what_the_provider_finished_meanwhile_is_kept_and_nothing_follows(
    stores: Stores, works: Works
) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, every=0.1), third)
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            works.one.status = "completed"
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert await states(executor, "r") == {
                "first": S.SUCCEEDED,
                "print": S.SUCCEEDED,
                "third": S.CANCELLED,
            }

    perform(test())


def test_a_submission_is_waited_for_and_then_cancelled(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        works.gate = asyncio.Event()
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.cancel("r")
            await asyncio.sleep(0.05)
            assert await run.status() == RunStatus.CANCELLING
            assert works.one.cancels == 0
            works.gate.set()
            with pytest.raises(RunCancelledError):
                await run.result()
            assert works.one.status == "cancelled"
            assert [line.split(" ", 1)[1] for line in await journal(run, 2)] == [
                "submission_intended print",
                "cancel_requested",
                "submitted print",
                "cancelled print",
            ]

    perform(test())


def test_a_map_is_cancelled_whole_and_what_is_done_is_kept(stores: Stores, works: Works) -> None:
    works.hold = True

    def finish_the_first(batch: Batch) -> None:
        if batch.text == "x0":
            batch.status = "completed"

    works.polling = finish_the_first

    @node
    async def texts(text: str) -> list[str]:
        return [f"{text}{number}" for number in range(6)]

    @node
    async def gather(lines: list[str]) -> str:
        return "; ".join(lines)

    workflow = Workflow("w", start=texts, end=gather)
    print_it = batch_node("print", works)
    workflow.map(texts, print_it, concurrency=3)
    workflow.collect(print_it, gather)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(works.batches) == 4)
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert await states(executor, "r") == {
                "texts": S.SUCCEEDED,
                "print[0]": S.SUCCEEDED,
                **{f"print[{item}]": S.CANCELLED for item in (1, 2, 3)},
            }
            assert {batch.status for batch in works.batches.values()} == {"completed", "cancelled"}

    perform(test())


def test_the_owner_cancels_what_others_want_cancelled(files: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(files()) as one, Executor(files()) as two:
            run = await one.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            await two.cancel("r")  # without the workflow
            with pytest.raises(RunCancelledError):
                await run.result()
            assert works.one.status == "cancelled"
            assert not two.drives("r")

    perform(test())


def test_a_run_that_nobody_drives_is_cancelled_without_its_workflow(stores: Stores) -> None:
    @node
    async def wait(text: str) -> str:
        await asyncio.Event().wait()
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(chain("w", first, wait), "x", run_id="r")
            await until(lambda: bool(runtime(executor).drivers))
            await asyncio.sleep(0.02)
        async with Executor(stores()) as executor:
            await executor.cancel("r")
            await executor.settled()
            found = await rows(executor, "r")
            assert found["wait"].state is S.CANCELLED

    perform(test())


@pytest.mark.usefixtures("evicted")
def test_what_waits_at_a_provider_that_this_process_does_not_know_is_told(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            await until(lambda: not runtime(executor).drivers)
        async with Executor(stores()) as executor:
            await executor.cancel("r")
            await until(lambda: not executor.drives("r"))
        assert works.one.status == "in_progress"
        async with Executor(stores(), workflows=[workflow]) as executor:
            with pytest.raises(RunCancelledError):  # the wish was committed
                await (await executor.resume("r")).result()
        assert works.one.status == "cancelled"

    perform(test())
    (record,) = caplog.records
    for word in ("run r", OperationUnknownError.__name__, "print", "works.batches", "--app"):
        assert word in record.getMessage()


def test_cancelling_again_or_too_late_changes_nothing(stores: Stores, works: Works) -> None:
    works.hold = True

    @node
    async def fail(text: str) -> str:
        raise ValueError(text)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            await asyncio.gather(*(executor.cancel("r") for _ in range(5)))
            with pytest.raises(RunCancelledError):
                await run.result()
            before = await journal(run)
            await executor.cancel("r")
            assert await journal(run) == before
            assert [line.split()[1] for line in before].count("cancel_requested") == 1
            assert works.one.cancels == 2
            good = await executor.start(chain("g", first, third), "x")
            await good.result()
            await executor.cancel(good.id)
            assert await good.result() == "x13"
            bad = await executor.start(chain("b", first, fail), "x")
            with pytest.raises(RunFailedError):
                await bad.result()
            await executor.cancel(bad.id)
            assert await bad.status() == RunStatus.FAILED

    perform(test())


def test_a_failure_cancels_what_is_under_way_beside_it(stores: Stores, works: Works) -> None:
    works.hold = True
    cleaned: list[str] = []
    broken = True

    @node
    async def wait(text: str) -> str:
        if broken:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(text)
        return text

    @node
    async def fail(text: str) -> str:
        if not broken:
            return text
        await until(lambda: bool(works.batches))
        raise ValueError("beside")

    @node
    async def together(parts: tuple[str, str, str]) -> str:
        return " ".join(parts)

    workflow = Workflow("w", start=first, end=together, on_failure="cancel")
    print_it = batch_node("print", works)
    for one in (print_it, wait, fail):
        workflow.edge(first, one)
    workflow.join((print_it, wait, fail), together)

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at fail: ValueError: beside"):
                await run.result()
            assert works.one.status == "cancelled"
            assert cleaned == ["x1"]
            broken, works.hold = False, False
            assert await (await executor.retry("r")).result() == "done: x1 x1 x1"
            assert [batch.key.rsplit("-", 1)[1] for batch in works.batches.values()] == ["1", "2"]

    perform(test())


def test_under_finish_what_is_under_way_ends_by_itself(stores: Stores, works: Works) -> None:
    works.hold = True
    broken = True

    @node
    async def fail(text: str) -> str:
        if broken:
            raise ValueError("beside")
        return text

    @node
    async def together(parts: tuple[str, str]) -> str:
        return " ".join(parts)

    workflow = Workflow("w", start=first, end=together, on_failure="finish")
    print_it = batch_node("print", works)
    workflow.edge(first, print_it)
    workflow.edge(first, fail)
    workflow.join((print_it, fail), together)

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")

            async def failed() -> bool:
                return bool(works.batches) and (await rows(executor, "r"))["fail"].state is S.FAILED

            await until(failed)
            assert await run.status() == RunStatus.FAILING
            works.hold = False
            with raises(RunFailedError, "r failed at fail: ValueError: beside"):
                await run.result()
            assert (works.one.status, works.one.cancels) == ("completed", 0)
            broken = False
            assert await (await executor.retry("r")).result() == "done: x1 x1"
            assert len(works.batches) == 1

    perform(test())
