"""Cancelling a coroutine at each of its awaits, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Literal, TypeAlias

When: TypeAlias = Literal["waiting", "returning"]
"""Cancelled while it waits there, or in the moment when what it waits for has come."""


class _Cut:
    """Runs a coroutine and has its task cancelled at the n-th place where it waits."""

    def __init__(self, work: Coroutine[Any, Any, Any], number: int, when: When) -> None:
        self._work = work
        self._left = number
        self._when = when
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        send = self._work.send
        value: Any = None
        while True:
            try:
                waits_for = send(value)
            except StopIteration as done:
                return done.value
            if self._left == 0:
                self.reached = True
                if self._when == "waiting" or waits_for is None:
                    asyncio.get_running_loop().call_soon(task.cancel)
                else:
                    _when_done(waits_for, task)
            self._left -= 1
            try:
                value = yield waits_for
                send = self._work.send
            except BaseException as error:  # noqa: BLE001  # handed to the coroutine
                value, send = error, self._work.throw


def _when_done(waits_for: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
    def cancel(_: asyncio.Future[Any]) -> None:
        task.cancel()

    waits_for.add_done_callback(cancel)


async def interrupted(work: Coroutine[Any, Any, Any], number: int, when: When) -> bool:
    """Cancel the work at its n-th await. False: it has fewer, and went through."""
    cut = _Cut(work, number, when)

    async def run() -> None:
        await cut

    task = asyncio.ensure_future(run())
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return cut.reached
