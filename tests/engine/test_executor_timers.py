"""Timers on the executor: the absolute time is committed once, and from then on the clock alone decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from perdure.checkpoints import RunStatus, State, unpack
from perdure.engine import Executor, RunCancelledError, RunFailedError, Workflow
from perdure.nodes import TimerNode
from perdure.nodes.operations import TimerOperation

from .bench import Stores, chain, first, journal, perform, raises, rows, runtime, state_is, third, until

S = State
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


def waiting(clock: Clock, wait: Callable[[str], Any]) -> Workflow[str, str]:
    """first, a wait, third."""
    return chain("w", first, TimerNode[str](wait, name="wait", operation=TimerOperation(clock=clock)), third)


def an_hour(text: str) -> timedelta:
    return timedelta(hours=1)


async def until_of(executor: Executor) -> float:
    """The absolute time that is committed."""
    token = (await rows(executor, "r"))["wait"].operation.token
    assert token is not None
    return unpack(token)["handle"]["until"]


def test_a_timer_that_fell_due_while_nobody_was_there_is_due_at_once(stores: Stores) -> None:
    clock = Clock()
    workflow = waiting(clock, an_hour)

    async def test() -> None:
        async with Executor(stores(), clock=clock) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
            assert await run.status() == RunStatus.WAITING
            assert await until_of(executor) == NOON + HOUR
        clock.now += 2 * HOUR
        async with Executor(stores(), workflows=[workflow], clock=clock) as executor:
            resumed = await executor.resume("r")
            assert await resumed.result() == "x13"
            assert [line.split(" ", 1)[1] for line in await journal(resumed)] == [
                *("run_started", "succeeded first", "opened wait", "succeeded wait", "succeeded third"),
            ]

    perform(test())


def test_the_absolute_time_is_committed_once(stores: Stores) -> None:
    """However often the run is taken up meanwhile, and whatever the clock shows then."""
    clock = Clock()
    workflow = waiting(clock, an_hour)

    async def test() -> None:
        async with Executor(stores(), clock=clock) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
        for minutes in (20, 40, 59):
            clock.now = NOON + minutes * 60
            async with Executor(stores(), workflows=[workflow], clock=clock) as executor:
                await executor.resume("r")
                await asyncio.sleep(0.02)
                await executor.settled()
                assert await until_of(executor) == NOON + HOUR
                assert (await rows(executor, "r"))["wait"].state is S.WAITING
        clock.now = NOON + HOUR
        async with Executor(stores(), workflows=[workflow], clock=clock) as executor:
            run = await executor.resume("r")
            assert await run.result() == "x13"
            assert [line.split()[1] for line in await journal(run)].count("opened") == 1

    perform(test())


def test_a_clock_that_was_set_back_makes_a_timer_wait_until_it_shows_its_time_again(stores: Stores) -> None:
    clock = Clock()
    workflow = waiting(clock, an_hour)

    async def test() -> None:
        async with Executor(stores(), clock=clock) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
        clock.now -= HOUR
        async with Executor(stores(), workflows=[workflow], clock=clock) as executor:
            await executor.resume("r")
            await asyncio.sleep(0.05)
            assert (await rows(executor, "r"))["wait"].state is S.WAITING
            assert await until_of(executor) == NOON + HOUR

    perform(test())


def test_a_time_in_the_past_is_due_at_once(stores: Stores) -> None:
    def at_nine(text: str) -> datetime:
        return datetime(2026, 11, 25, 9, tzinfo=UTC)

    async def test() -> None:
        clock = Clock()
        async with Executor(stores(), clock=clock) as executor:
            assert await (await executor.start(waiting(clock, at_nine), "x")).result() == "x13"

    perform(test())


def test_a_timer_that_is_due_soon_wakes_the_run_by_itself(stores: Stores) -> None:
    def soon(text: str) -> timedelta:
        return timedelta(seconds=0.2)

    async def test() -> None:
        async with Executor(stores()) as executor:
            node = TimerNode[str](soon, name="wait")
            run = await executor.start(chain("w", first, node, third), "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
            await until(lambda: not runtime(executor).drivers)  # nothing of it is in memory
            assert await run.result() == "x13"
            opened, ended = [e.at.timestamp() async for e in run.events() if e.node == "wait"]
            assert ended - opened >= 0.2

    perform(test())


def test_a_timer_has_no_submission(stores: Stores) -> None:
    clock = Clock()

    async def test() -> None:
        async with Executor(stores(), clock=clock) as executor:
            await executor.start(waiting(clock, an_hour), "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
            row = (await rows(executor, "r"))["wait"]
            assert (row.submissions, row.operation.submission) == ((), 0)

    perform(test())


def test_a_timer_is_cancelled_with_its_run(stores: Stores) -> None:
    clock = Clock()

    async def test() -> None:
        async with Executor(stores(), clock=clock) as executor:
            run = await executor.start(waiting(clock, an_hour), "x", run_id="r")
            await until(state_is(executor, "wait", S.WAITING))
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            assert (await rows(executor, "r"))["wait"].state is S.CANCELLED

    perform(test())


def test_a_time_that_is_none_is_the_nodes_error(stores: Stores) -> None:
    def never(text: str) -> timedelta:
        return timedelta(seconds=-1)

    async def test() -> None:
        clock = Clock()
        async with Executor(stores(), clock=clock) as executor:
            run = await executor.start(waiting(clock, never), "x", run_id="r")
            with raises(RunFailedError, "r failed at wait: NodeDefinitionError", "less than no time"):
                await run.result()

    perform(test())
