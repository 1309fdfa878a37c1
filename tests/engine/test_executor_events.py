"""Following a run: from any position, then live, to its end; also one that another executor drives."""

from __future__ import annotations

import asyncio

import pytest
from perdure.engine import Event, Executor, RunCancelledError, RunFailedError, Workflow
from perdure.engine.errors import ExecutorStoppedError
from perdure.nodes import node

from .batches import Works, batch_node
from .bench import Stores, chain, first, journal, perform, second, third, until

ALL = ["1 run_started", "2 succeeded first", "3 succeeded second", "4 succeeded third"]


@node
async def fail(text: str) -> str:
    raise ValueError(text)


def test_the_journal_is_there_from_any_position_during_and_after_the_run(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second, third), "x")
            assert await journal(run) == ALL
            for after in range(6):
                assert await journal(run, after) == ALL[after:]
            again = await executor.resume(run.id)
            assert await journal(again) == ALL

    perform(test())


def test_events_come_while_the_run_goes_on(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x")
            seen: list[Event] = []
            async for event in run.events():
                seen.append(event)
                if event.type == "submitted":
                    assert works.one.status == "in_progress"  # the reader is not behind the run
                    works.hold = False
            assert list(map(str, seen)) == [
                "1 run_started",
                "2 succeeded first",
                "3 submission_intended print",
                "4 submitted print",
                "5 succeeded print",
                "6 succeeded third",
            ]
            assert {event.run_id for event in seen} == {run.id}
            assert seen[3].data["token"]["handle"] == {"batch": "batch-1", "output_file": "file-of-batch-1"}
            assert seen[2].data["key"] == works.one.key
            assert [event.at for event in seen] == sorted(event.at for event in seen)

    perform(test())


def test_many_readers_see_the_same(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second, third), "x")
            assert await asyncio.gather(*(journal(run) for _ in range(20))) == [ALL] * 20

    perform(test())


def test_a_reader_that_leaves_and_comes_back_misses_nothing(stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x")
            seen: list[str] = []
            after = 0
            while not seen or not seen[-1].endswith("third"):
                events = run.events(after=after)
                event = await anext(events)
                await events.aclose()
                after = event.position
                seen.append(str(event))
            assert seen == await journal(run)

    perform(test())


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_events_end_quietly_however_the_run_ends(end: str, stores: Stores, works: Works) -> None:
    works.hold = True
    error = RunFailedError if end == "failed" else RunCancelledError

    async def test() -> None:
        async with Executor(stores()) as executor:
            print_it = batch_node("print", works)
            run = await executor.start(chain("w", first, fail if end == "failed" else print_it, third), "x")
            reader = asyncio.create_task(journal(run))
            if end == "cancelled":
                await until(lambda: bool(works.batches))
                await executor.cancel(run.id)
            with pytest.raises(error):
                await run.result()
            last = "attempt_failed fail" if end == "failed" else "cancelled print"
            assert (await reader)[-1].split(" ", 1)[1] == last

    perform(test())


def test_a_run_of_another_executor_is_followed_live(files: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works), third)

    async def test() -> None:
        async with Executor(files()) as one, Executor(files()) as two:
            await one.start(workflow, "x", run_id="r")
            seen = await two.start(workflow, "x", run_id="r")
            events = seen.events()
            while (await anext(events)).type != "submitted":
                pass
            works.hold = False
            assert [str(event) async for event in events] == ["5 succeeded print", "6 succeeded third"]

    perform(test())


def test_readers_are_told_when_the_executor_stops(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            reader = asyncio.create_task(journal(run))
            await until(lambda: bool(works.batches))
            await asyncio.sleep(0.05)
        with pytest.raises(ExecutorStoppedError, match="resume"):
            await reader

    perform(test())


@node
async def numbers(size: int) -> list[int]:
    return list(range(size))


@node
async def same(number: int) -> int:
    return number


@node
async def count(found: list[int]) -> int:
    return len(found)


def test_a_long_journal_is_read_whole(stores: Stores) -> None:
    """Longer than what is read in one call."""

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = Workflow("w", start=numbers, end=count)
            workflow.map(numbers, same)
            workflow.collect(same, count)
            run = await executor.start(workflow, 700)
            positions = [line.split()[0] for line in await journal(run)]
            assert positions == [str(number) for number in range(1, 704)]

    perform(test())
