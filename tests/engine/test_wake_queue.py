"""The wake queue: nothing is woken before its time, and a crowd is woken in few calls."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from perdure.checkpoints.records import ActivationKey
from perdure.engine.runtime._wake_queue import SLOT, Due, WakeQueue

CROWD = 200


def test_what_falls_due_within_one_slot_is_woken_together_and_nothing_before_its_time() -> None:
    woken: list[tuple[float, list[Due]]] = []

    async def wake_all() -> dict[Due, float]:
        all_woken = asyncio.Event()

        def wake(due: list[Due]) -> None:
            woken.append((time.time(), due))
            if sum(len(due) for _, due in woken) == CROWD:
                all_woken.set()

        queue = WakeQueue(time.time, wake)
        slot = math.ceil(time.time() / SLOT) * SLOT + 50 * SLOT
        times: dict[Due, float] = {}
        for number in range(CROWD):
            key = ActivationKey(scope=0, node="wait", item=number)
            times[1, key] = slot + SLOT * (number + 1) / (CROWD + 2)
            queue.add(times[1, key], 1, key)
        await all_woken.wait()
        queue.close()
        return times

    times = asyncio.run(wake_all())
    assert sorted(key for _, due in woken for key in due) == sorted(times)
    assert all(times[key] <= at for at, due in woken for key in due)
    assert len(woken) <= 2  # one, or two where the machine was busy in the middle of the slot


def test_what_is_due_already_is_woken_at_once() -> None:
    woken: list[Due] = []

    async def wake() -> float:
        queue = WakeQueue(lambda: 1000.0, woken.extend)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        queue.add(999.0, 1, ActivationKey(scope=0, node="wait", item=0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        queue.close()
        return loop.time() - begin

    asyncio.run(wake())
    assert len(woken) == 1


class Standing:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.followers: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.now

    def follow(self, moved: Callable[[], None]) -> Callable[[], None]:
        self.followers.append(moved)
        return self.followers.clear

    def move(self, now: float) -> None:
        self.now = now
        for moved in self.followers:
            moved()


def test_a_clock_that_stands_wakes_what_is_due_when_it_is_moved() -> None:
    woken: list[Due] = []
    early, late = (ActivationKey(scope=0, node="wait", item=item) for item in (0, 1))

    async def wake() -> None:
        clock = Standing()
        queue = WakeQueue(clock, woken.extend)
        queue.add(1000.01, 1, early)
        queue.add(1005.0, 1, late)
        await asyncio.sleep(0.1)  # of the real time, which does not count
        assert woken == []
        assert queue.first == 1000.01
        clock.move(1001.0)
        assert queue.due
        await asyncio.sleep(0.01)
        assert woken == [(1, early)]
        assert (queue.first, queue.due) == (1005.0, False)
        queue.close()
        assert clock.followers == []

    asyncio.run(wake())


def test_the_next_that_is_due_is_told_by_its_last_time() -> None:
    async def ask() -> None:
        queue = WakeQueue(lambda: 1000.0, lambda _: None)
        assert queue.first is None
        key = ActivationKey(scope=0, node="wait", item=0)
        queue.add(1001.0, 1, key)
        queue.add(1009.0, 1, key)
        assert queue.first == 1009.0
        queue.close()

    asyncio.run(ask())
