"""`MemoryStore`: the store for tests and trials. The same code as `SQLiteStore` on a database in memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from .sqlite import SQLiteStore


class MemoryStore(SQLiteStore):
    """State of runs in this process's memory: gone with the process, and no other process can see it.

    Between two uses in `async with` the object keeps what was stored.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(":memory:", clock=clock)
        self._image: bytes | None = None

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        if self._image is not None:
            connection.deserialize(self._image)
        return connection

    def _closing(self, connection: sqlite3.Connection) -> None:
        self._image = connection.serialize()
