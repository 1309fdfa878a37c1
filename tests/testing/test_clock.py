"""`testing.Clock`: time stands until the test moves it, for every timer of its executor."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from perdure.checkpoints import MemoryStore
from perdure.engine import Executor, Workflow
from perdure.nodes import node, timer
from perdure.testing import Clock


@timer
def a_day(text: str) -> timedelta:
    return timedelta(days=1)


@node(retries=1)
async def flaky(text: str) -> str:
    FAILED.append(text)
    if len(FAILED) < 2:
        raise ConnectionError("not yet")
    return text


FAILED: list[str] = []
waiting = Workflow("waiting", start=a_day, end=a_day)
retrying = Workflow("retrying", start=flaky, end=flaky)


async def test_a_timer_is_woken_when_the_clock_has_passed_it_and_not_before() -> None:
    clock = Clock(1000.0)
    async with Executor(MemoryStore(), clock=clock) as executor:
        run = await executor.start(waiting, "x")
        await executor.settled()
        assert executor.next_due == 1000.0 + 24 * 3600
        clock.advance(timedelta(hours=23))
        await asyncio.sleep(0.1)
        await executor.settled()
        assert await run.status() == "waiting"
        clock.advance(3600)
        await executor.settled()
        assert await run.result() == "x"
        assert executor.next_due is None
    assert clock.now == clock() == 1000.0 + 24 * 3600


async def test_a_retry_waits_for_the_clock() -> None:
    FAILED.clear()
    clock = Clock()
    async with Executor(MemoryStore(), clock=clock) as executor:
        run = await executor.start(retrying, "x")
        await executor.settled()
        await asyncio.sleep(0.1)
        assert len(FAILED) == 1
        clock.advance(60)
        assert await run.result() == "x"


async def test_the_clock_may_be_moved_from_another_thread() -> None:
    clock = Clock()
    async with Executor(MemoryStore(), clock=clock) as executor:
        run = await executor.start(waiting, "x")
        await executor.settled()
        threading.Thread(target=clock.advance, args=(timedelta(days=2),)).start()
        assert await asyncio.wait_for(run.result(), 10) == "x"


async def test_one_clock_serves_several_executors_one_after_the_other() -> None:
    clock, store = Clock(), MemoryStore()
    async with Executor(store, clock=clock) as executor:
        await executor.start(waiting, "x", run_id="r")
        await executor.settled()
    clock.advance(timedelta(days=1))  # nobody is there to be woken
    async with Executor(store, workflows=[waiting], clock=clock) as executor:
        run = await executor.resume("r")
        assert await asyncio.wait_for(run.result(), 10) == "x"


@pytest.mark.parametrize("by", [-1, timedelta(seconds=-1), float("nan")])
def test_it_only_moves_forward(by: float | timedelta) -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        Clock(10.0).advance(by)
