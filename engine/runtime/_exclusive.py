"""`Exclusive`: one thing at a time for each key. Whoever wants the same key waits for its end, then looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

K = TypeVar("K")


class Exclusive(Generic[K]):
    """What is under way for each key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Future[None]] = {}

    def under_way(self, key: K) -> asyncio.Future[None] | None:
        """The end of what is under way for the key, None when nothing is."""
        return self._under_way.get(key)

    async def free(self, key: K) -> None:
        """Return when nothing is under way for the key. It is free until the caller awaits something."""
        while (end := self._under_way.get(key)) is not None:
            await asyncio.wait([end])

    def begin(self, key: K) -> Callable[[], None]:
        """Something begins for the key; what is returned says that it has ended. It may be said twice.

        Where something is under way already, that is what others wait for.
        """
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.setdefault(key, end)

        def ended() -> None:
            if self._under_way.get(key) is end:
                del self._under_way[key]
            if not end.done():
                end.set_result(None)

        return ended

    @contextmanager
    def held(self, key: K) -> Generator[None]:
        """Something is under way for the key meanwhile."""
        ended = self.begin(key)
        try:
            yield
        finally:
            ended()
