"""The wake queue: nothing is woken before its time, and a crowd is woken in few calls."""

from __future__ import annotations

import asyncio
import math
import time

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
