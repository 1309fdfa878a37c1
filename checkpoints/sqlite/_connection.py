"""A connection with its own thread: aiosqlite's, plus whole functions as calls.

All work of one call runs as one function on the connection's thread, so that it costs one hop there and back
(aiosqlite's public calls cost one hop per statement). This is the only place that leans on how aiosqlite works
inside: its thread takes pairs of a future and a function from `_tx`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from ..errors import StoreError

log = logging.getLogger("perdure")

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""Something to do with the database, on the connection's thread."""


class Connection(aiosqlite.Connection):
    """One SQLite connection and its thread. Make it with `open`."""

    _tx: SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]
    _explain: Callable[[sqlite3.Error], StoreError]
    _loop: asyncio.AbstractEventLoop

    @classmethod
    async def open(
        cls, opener: Callable[[], sqlite3.Connection], explain: Callable[[sqlite3.Error], StoreError]
    ) -> Connection:
        """Start the thread and run `opener` on it. Raises what it raises, with SQLite's errors explained."""
        failure: list[BaseException] = []

        def connect() -> sqlite3.Connection:
            try:
                return opener()
            except BaseException as error:  # noqa: BLE001 raised below
                # aiosqlite leaves the thread of a failed connect to end by itself, maybe after the event loop
                # is gone. So it gets a connection in any case, and is closed in order below.
                failure.append(error)
                return sqlite3.connect(":memory:")

        self = cls(connect, 64)
        self._explain = explain
        self._loop = asyncio.get_running_loop()
        opening = asyncio.ensure_future(self._connected())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread opens it all the same. It is closed in order before anybody goes on.
            await opening
            await self.close()
            raise
        if failure:
            await self.close()
            if isinstance(failure[0], sqlite3.Error):
                raise explain(failure[0]) from failure[0]
            raise failure[0]
        return self

    async def _connected(self) -> None:
        await self

    def submit(self, work: Work[T]) -> asyncio.Future[T]:
        """Hand work to the thread; the future gets its result. Needs no task. Raises `StoreError` if closed."""
        connection = self._open_connection()
        future: asyncio.Future[T] = self._loop.create_future()
        self._tx.put_nowait((future, lambda: self._work(work, connection)))
        return future

    def hand_over(self, work: Work[object]) -> None:
        """As `submit`, with nobody who waits for it. An error is logged."""
        connection = self._open_connection()

        def do() -> None:
            try:
                self._work(work, connection)
            except Exception as error:  # noqa: BLE001  # the boundary: nobody else can be told
                log.warning("%s", error)

        self._tx.put_nowait((None, do))

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the store is not open: use it inside `async with`.")
        return self._connection

    def _work(self, work: Work[T], connection: sqlite3.Connection) -> T:
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise self._explain(error) from error
