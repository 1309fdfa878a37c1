"""Things that meet: old entries, old answers, old messages, and callers that leave."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from perdure.checkpoints import RunStatus, SQLiteView, State, StoreError, pack
from perdure.engine import Executor, Run, RunCancelledError, RunFailedError, Workflow
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.book import Change
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.runtime._driver_cache import DriverCache
from perdure.engine.runtime._signals import act
from perdure.nodes import ContinuationToken, SubmissionUnknownError, node
from perdure.nodes.operations import Outcome, Running

from .batches import BatchOperation, Works, batch_node
from .bench import (
    Stores,
    chain,
    first,
    perform,
    read,
    record,
    rows,
    runtime,
    state_is,
    store_of,
    until,
)
from .test_executor_signals import GOOD_HANDLE

S = State


class Sibling:
    """A node beside the one that is tried: it fails until it is repaired."""

    def __init__(self, after: float = 0.1) -> None:
        self.broken = True
        self._after = after

    def beside(self, tried: Any) -> Workflow[str, str]:
        """Start, both side by side, and a join of them."""

        @node
        async def sibling(text: str) -> str:
            await asyncio.sleep(self._after)
            if self.broken:
                raise ValueError("not yet")
            return text

        @node
        async def both(pair: tuple[str, str]) -> str:
            return pair[0]

        workflow = Workflow[str, str]("beside", start=first, end=both, on_failure="cancel")
        workflow.edge(first, tried)
        workflow.edge(first, sibling)
        workflow.join((tried, sibling), both)
        return workflow


def test_many_unknown_fates_that_may_be_tried_again_at_once_do_not_wait_for_each_other(
    stores: Stores, works: Works
) -> None:
    """More than there are places for submissions, each to be made again with no delay."""
    works.before = [SubmissionUnknownError("503", retry_after=0.0) for _ in range(80)]
    asked = batch_node("asked", works)
    workflow = Workflow[str, str]("many", start=asked, end=asked)

    async def main() -> list[str]:
        async with Executor(stores()) as executor:
            runs = await asyncio.gather(*(executor.start(workflow, f"q{index}") for index in range(80)))
            return await asyncio.gather(*(run.result() for run in runs))

    assert perform(main()) == [f"done: q{index}" for index in range(80)]


def test_an_old_time_to_poll_does_not_decide_for_a_person(stores: Stores, works: Works) -> None:
    """A poll of the first attempt was planned; the second attempt's fate is unknown, and a person is asked."""
    sibling = Sibling()
    asked = batch_node("asked", works, on_unknown_submit="hold", every=0.6)
    workflow = sibling.beside(asked)

    async def main() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            sibling.broken = False
            works.before = [SubmissionUnknownError("500")]
            await executor.retry("r")
            await asyncio.sleep(1.0)  # the planned time is over
            assert (await rows(executor, "r"))["asked"].state is S.SUBMIT_UNKNOWN
            assert len(works.asked) == 1
            await executor.decide("r", "asked", "resubmit")
            assert await run.result() == "done: x1"

    perform(main())


def test_a_slow_answer_about_an_earlier_attempt_does_not_end_the_next_one(
    stores: Stores, works: Works
) -> None:
    gate = asyncio.Event()

    class SlowAtFirst(BatchOperation):
        async def poll(self, token: Any) -> Outcome:
            if token.handle["batch"] == "batch-1":
                await gate.wait()
            return await super().poll(token)

    sibling = Sibling()
    asked = batch_node("asked", works)
    asked.operation = SlowAtFirst(works)
    workflow = sibling.beside(asked)

    async def main() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            assert works.one.status == "cancelled"
            sibling.broken, works.hold = False, True
            await executor.retry("r")
            await until(lambda: len(works.batches) == 2 and works.batches["batch-2"].polls > 0)
            gate.set()  # now it is told that the first one was cancelled
            await asyncio.sleep(0.1)
            assert (await rows(executor, "r"))["asked"].state is S.WAITING
            works.hold = False
            assert await run.result() == "done: x1"

    perform(main())


def test_a_late_poll_does_not_put_off_a_cancel(stores: Stores, works: Works) -> None:
    """The run is cancelled while it is polled; the poll's reply comes after the provider's first to the cancel."""
    works.hold = True
    polled, cancelled = asyncio.Event(), asyncio.Event()

    class Slow(BatchOperation):
        async def poll(self, token: ContinuationToken) -> Outcome:
            polled.set()
            await cancelled.wait()
            return Running(token=token, retry_after=3600.0)

        async def cancel(self, token: ContinuationToken) -> Outcome:
            outcome = await super().cancel(token)
            return replace(outcome, retry_after=0.5) if isinstance(outcome, Running) else outcome

    slow = batch_node("slow", works)
    slow.operation = Slow(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, slow), "x", run_id="r")
            await polled.wait()
            await executor.cancel("r")
            await until(lambda: works.one.cancels == 1 and len(runtime(executor).shared.wake_queue) == 1)
            cancelled.set()
            with pytest.raises(RunCancelledError):
                await run.result()
            assert works.one.cancels == 2

    perform(test())


def test_retries_do_not_multiply_the_polls(stores: Stores, works: Works) -> None:
    sibling = Sibling(after=0.02)
    works.hold = True
    asked = batch_node("asked", works, every=0.3)
    workflow = sibling.beside(asked)

    async def main() -> int:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            for left in reversed(range(5)):
                with pytest.raises(RunFailedError):
                    await run.result()
                sibling.broken = left > 0
                await executor.retry("r")
            await until(lambda: list(works.batches.values())[-1].polls > 0)
            await asyncio.sleep(1.0)
            return list(works.batches.values())[-1].polls

    assert perform(main()) <= 5  # one each 0.3 s


def test_a_cancel_that_came_too_late_does_not_cancel_the_retry(stores: Stores) -> None:
    broken = [True]

    @node
    async def fragile(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        await asyncio.sleep(1.5)  # longer than it takes to look for signals
        return text

    workflow = Workflow[str, str]("fragile", start=fragile, end=fragile)

    async def main() -> str:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            key = (await record(executor)).key
            await store_of(executor).signal(key, "cancel", None, (), pack({}))
            broken.clear()
            await executor.retry("r")
            assert await read(executor, lambda view: view.signals([key])) == []
            return await run.result()

    assert perform(main()) == "x"


def test_a_handle_that_was_given_to_a_failed_run_is_adopted_by_its_retry(
    stores: Stores, works: Works
) -> None:
    """The fate was unknown when a sibling failed the run; a person found the batch at the provider."""
    sibling = Sibling(after=0.0)
    works.after = [SubmissionUnknownError("500")]
    works.gate = asyncio.Event()
    asked = batch_node("asked", works)
    workflow = sibling.beside(asked)

    async def main() -> None:
        async with Executor(stores()) as executor:
            assert works.gate is not None
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(works.batches) == 1)
            await asyncio.sleep(0.05)
            works.gate.set()
            with pytest.raises(RunFailedError):
                await run.result()
            await executor.decide("r", "asked", "batch-1")
            sibling.broken = False
            await executor.retry("r")
            assert await run.result() == "done: x1"

    perform(main())
    assert len(works.asked) == 1


def test_a_late_handle_that_is_the_one_in_use_is_not_cancelled(stores: Stores, works: Works) -> None:
    """A provider that honours the key gives the same handle twice."""
    works.hold = True
    asked = batch_node("asked", works)
    workflow = Workflow[str, str]("one", start=asked, end=asked)

    async def main() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(works.batches) == 1 and works.one.polls > 0)
            key = (await record(executor)).key
            token = BatchOperation(works).adopt("batch-1").to_dict()
            late = pack({"token": token, "operation": [1, "", 0], "submission": 1})
            await store_of(executor).signal(key, "handle", "asked", (), late)

            async def dealt_with() -> bool:
                return await read(executor, lambda view: view.signals([key])) == []

            await until(dealt_with)
            works.hold = False
            assert await run.result() == "done: x"

    perform(main())
    assert works.one.cancels == 0


def test_a_retry_whose_caller_gives_up_goes_on_all_the_same(stores: Stores) -> None:
    broken = [True]

    @node
    async def fragile(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        return text

    workflow = Workflow[str, str]("fragile", start=fragile, end=fragile)

    async def main() -> str:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken.clear()
            for turns in range(12):  # give up at every turn of the loop until it is through
                retry = asyncio.ensure_future(executor.retry("r"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                retry.cancel()
                await asyncio.wait([retry])
                if (await record(executor)).status is RunStatus.SUCCEEDED:
                    break
            return await run.result()

    assert perform(main()) == "x"


def test_an_adapter_that_cancels_itself_is_told_and_not_lost(stores: Stores, works: Works) -> None:
    def cancel(_: Any) -> None:
        works.polling = None
        raise asyncio.CancelledError

    works.polling = cancel
    asked = batch_node("asked", works)
    workflow = Workflow[str, str]("one", start=asked, end=asked)

    async def main() -> str:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with pytest.raises(Exception, match="cancelled by its own adapter"):
                await run.result()
            return await (await executor.resume("r", workflow)).result()

    assert perform(main()) == "done: x"
    assert len(works.asked) == 1


def test_starting_and_resuming_a_run_at_once_starts_it_once(files: Stores) -> None:
    started: list[str] = []

    @node
    async def counted(text: str) -> str:
        started.append(text)
        return text

    workflow = Workflow[str, str]("counted", start=counted, end=counted)

    async def main() -> None:
        async with Executor(files(), workflows=[workflow]) as executor:
            for index in range(20):
                start = asyncio.ensure_future(executor.start(workflow, "x", run_id=f"r{index}"))
                while True:
                    try:
                        await executor.resume(f"r{index}")
                        break
                    except Exception:  # noqa: BLE001  # it is not there yet
                        await asyncio.sleep(0)
                assert await (await start).result() == "x"

    perform(main())
    assert len(started) == 20


def test_what_a_running_operation_says_leaves_it_running(works: Works) -> None:
    """The adapter's own contract, on which the tests above stand."""
    works.hold = True

    async def main() -> Outcome:
        operation = BatchOperation(works)
        return await operation.poll(await operation.submit({"text": "x"}, "key"))

    assert isinstance(perform(main()), Running)


def test_an_input_that_can_not_be_read_stops_the_driving_and_fails_no_node(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    @node
    async def several(text: str) -> list[str]:
        return [text, text]

    @node
    async def gathered(texts: list[str]) -> str:
        return ",".join(texts)

    asked = batch_node("asked", works)
    workflow = Workflow[str, str]("gathering", start=several, end=gathered)
    workflow.map(several, asked)
    workflow.collect(asked, gathered)

    async def main() -> str:
        async with Executor(stores(), workflows=[workflow]) as executor:
            with monkeypatch.context() as patch:

                def unreadable(*_: Any) -> Any:
                    raise StoreError("the disk can't be read now")

                patch.setattr(SQLiteView, "outputs", unreadable)
                run = await executor.start(workflow, "x", run_id="r")
                with pytest.raises(StoreError, match="can't be read now"):
                    await run.result()
            assert (await rows(executor, "r"))["gathered"].state is S.RUNNING
            return await (await executor.resume("r", workflow)).result()

    assert perform(main()) == "done: x,done: x"
    assert len(works.asked) == 2


@pytest.mark.parametrize("bound", [{"activations": 25}, {"runs": 2}], ids=str)
def test_waiting_runs_stay_in_memory_within_bounds(
    bound: dict[str, int], stores: Stores, works: Works
) -> None:
    """Three runs of ten items wait, and there is room for two: the one that was busy longest ago has left."""

    @node
    async def ten(text: str) -> list[str]:
        return [f"{text}{index}" for index in range(10)]

    @node
    async def counted(texts: list[str]) -> str:
        return str(len(texts))

    works.hold = True
    asked = batch_node("asked", works, every=0.3)
    workflow = Workflow[str, str]("tens", start=ten, end=counted)
    workflow.map(ten, asked)
    workflow.collect(asked, counted)

    async def main() -> list[str]:
        async with Executor(stores()) as executor:
            memory = runtime(executor)
            memory._cache = DriverCache(**bound)  # pyright: ignore[reportPrivateUsage]
            runs: list[Run[str]] = []
            for name in "abc":
                runs.append(await executor.start(workflow, name, run_id=name))
                await until(lambda: len(works.batches) == 10 * len(runs))
                await executor.settled()
            assert sorted(driver.run_id for driver in memory.drivers.values()) == ["b", "c"]
            works.hold = False
            done = [await run.result() for run in runs]
            assert not memory.drivers
            return done

    assert perform(main()) == ["10", "10", "10"]


def test_a_transition_that_breaks_off_is_not_committed_and_the_run_can_go_on(
    stores: Stores, works: Works
) -> None:
    """Its first change has moved the state in memory, its second can't happen: that state is thrown away."""
    works.hold = True
    asked = batch_node("asked", works, every=0.5)
    workflow = Workflow[str, str]("one", start=asked, end=asked)

    async def main() -> str:
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await executor.settled()
            before = await record(executor)
            driver = await runtime(executor).driver(before.key)
            assert driver is not None
            operation = OperationAddress(Address("asked"))
            now = time.time()
            with pytest.raises(IllegalEventError):
                await driver.commit(
                    [Change(events.TokenAdvanced(now, operation)), Change(events.Submitted(now, operation))]
                )
            with pytest.raises(IllegalEventError):
                await run.result()
            assert (await record(executor)).position == before.position
            assert not executor.drives("r")
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            return works.one.status

    assert perform(main()) == "cancelled"


def test_a_late_handle_that_two_have_read_is_adopted_once(stores: Stores, works: Works) -> None:
    """The recovery of a run and the watch for signals look at what was left at the same moment."""
    works.hold = True
    works.after = [SubmissionUnknownError("500")]
    asked = batch_node("asked", works, on_unknown_submit="hold")

    async def main() -> str:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", asked), "x", run_id="r")
            await until(state_is(executor, "asked", S.SUBMIT_UNKNOWN))
            key = (await record(executor)).key
            late = {**GOOD_HANDLE, "token": BatchOperation(works).adopt("batch-1").to_dict()}
            await store_of(executor).signal(key, "handle", "asked", (), pack(late))
            (signal,) = await read(executor, lambda view: view.signals([key]))
            driver = await runtime(executor).driver(key)
            assert driver is not None
            with driver.pinned():
                for effects in await asyncio.gather(*(act(driver, signal) for _ in range(2))):
                    assert isinstance(effects, list)
                    driver.perform(effects)
            works.hold = False
            return await run.result()

    assert perform(main()) == "done: x"
    assert works.one.cancels == 0
