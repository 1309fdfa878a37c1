"""`Places`: how many of a kind an executor does at once, and `Place`, one of them.

Not `asyncio.Semaphore`, which looks through all who wait whenever a place is given back; here whoever came first is at
the head of a line.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self


class Places:
    """A number of places. Who finds none waits, and gets one in the order of coming."""

    __slots__ = ("_free", "_line")

    def __init__(self, number: int) -> None:
        self._free = number
        self._line: deque[asyncio.Future[None]] = deque()

    def take(self) -> asyncio.Future[None] | None:
        """Take a place. Where none is free a future is returned, and the place is taken when that is done."""
        if self._free:
            self._free -= 1
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        return turn

    def give_back(self) -> None:
        """Give a place back, to whoever waits for one."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():  # else its waiter was cancelled
                turn.set_result(None)
                return
        self._free += 1


class Place:
    """One of these places, held until `leave` or the end of the block."""

    __slots__ = ("_held", "_places")

    def __init__(self, places: Places) -> None:
        self._places = places
        self._held = False

    async def __aenter__(self) -> Self:
        turn = self._places.take()
        if turn is not None:
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # the place was given meanwhile
                    self._places.give_back()
                raise
        self._held = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place to the next one. Safe to call twice."""
        if self._held:
            self._held = False
            self._places.give_back()
