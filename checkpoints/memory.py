"""`MemoryStore`: the store for tests and trials. The same code as `SQLiteStore` on a database in memory."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from uuid import uuid4

from .sqlite import Database, DatabaseStore


class MemoryStore(DatabaseStore):
    """State of runs in this process's memory: gone with the object, and no other process can see it.

    Between two uses in `async with` the object keeps what was stored. Its views are less free than those of a
    file: a view waits while a group of transitions is being written, and writing waits while a snapshot is open.

    - `busy_timeout`: seconds that either waits for the other, then `DatabaseLockedError`.
    - `clock`: the time, seconds since the Unix epoch, for what is not stamped by a transition.
    """

    def __init__(self, *, busy_timeout: float = 10.0, clock: Callable[[], float] = time.time) -> None:
        database = Database(path=None, memory=f"perdure-{uuid4().hex}", busy_timeout=busy_timeout)
        super().__init__(database, lease=0.0, clock=clock)
        # The database lives for as long as it has a connection: this one.
        weakref.finalize(self, database.connect().close)
