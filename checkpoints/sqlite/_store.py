"""`SQLiteStore`, the asynchronous face of a Perdure database, and what it shares with `MemoryStore`.

What the methods promise stands in `store.py`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import Concatenate, ParamSpec, Self, TypeVar
from uuid import uuid4

from ..errors import RunNotFoundError, StoreError
from ..records import NewRun, PlanRecord, RunRecord, Transition
from ..store import Claim, Store
from ..view import View
from . import _queries as queries
from . import _rows as rows
from ._committer import Committer
from ._connection import Connection
from ._database import Database, Synchronous
from ._deletion import delete_run
from ._lease import Lease
from ._ownership import Owners
from ._view import SQLiteView
from ._writer import Creation, Writer

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseStore(Store):
    """Durable state of runs in a SQLite database, wherever that is. Base of `SQLiteStore` and `MemoryStore`."""

    def __init__(self, database: Database, *, lease: float, clock: Callable[[], float]) -> None:
        self._database = database
        self._lease_seconds = lease
        self._clock = clock
        self._owners = Owners(database.path)
        self._connection: Connection | None = None
        self._committer: Committer | None = None
        self._executor: str | None = None
        # Belongs to the connection's thread, which goes on with a registration whose caller was cancelled.
        self._held: tuple[str, Lease | None] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.name!r})"

    # -- opening and closing -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the database. Raises what `Database.open` raises."""
        if self._connection is not None:
            raise StoreError(
                f"{self._database.name}: this store is open already. Make one store for each use."
            )
        self._connection = await Connection.open(self._database.open, self._database.explain)
        self._committer = Committer(self._connection, Writer(self._database.explain).write_group)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Write what was committed, give the runs back, close."""
        if self._connection is None:
            return
        try:
            await self.unregister()
        finally:
            connection, self._connection, self._committer = self._connection, None, None
            connection.hand_over(self._give_back)  # where that was cut short
            await connection.close()

    # -- ownership ---------------------------------------------------------------------------------------

    async def register(self) -> str:
        if self._executor is None:
            self._executor = await self._call(self._take_lease)
            await self._call(self._database.extend_wal)
        return self._executor

    def _take_lease(self, connection: sqlite3.Connection) -> str:
        if self._held is None:
            executor = uuid4().hex[:12]
            lease = self._owners.register(connection, executor, at=self._clock(), seconds=self._lease_seconds)
            self._held = (executor, lease)
        return self._held[0]

    async def unregister(self) -> None:
        if self._committer is None:
            return
        await self._committer.drained()
        self._executor = None
        await self._call(self._give_back)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._held is None:
            return
        (executor, lease), self._held = self._held, None
        try:
            self._owners.unregister(connection, executor, at=self._clock())
        finally:
            # Even when the runs could not be given back: without the lock they are free for others.
            if lease is not None:
                lease.release()

    async def claim(self, run_id: str, *, failed: bool = False) -> Claim:
        return await self._call(
            self._owners.claim, run_id, self._registered(), at=self._clock(), failed=failed
        )

    async def claim_all(self, signatures: Sequence[str], *, exclude: Collection[int] = ()) -> list[Claim]:
        return await self._call(
            self._owners.claim_all,
            signatures,
            self._registered(),
            exclude=frozenset(exclude),
            at=self._clock(),
        )

    async def release(self, runs: Sequence[RunRecord]) -> None:
        await self._call(self._owners.release, runs, self._registered(), at=self._clock())

    # -- writing -----------------------------------------------------------------------------------------

    async def create(self, run: NewRun, plan: PlanRecord, transition: Transition) -> RunRecord:
        creation = Creation(run=run, plan=plan, transition=transition, owner=self._registered())
        created = await self._gathering().put(creation)
        assert created is not None
        return created

    async def commit(self, transition: Transition) -> None:
        self._registered()
        await self._gathering().put(transition)

    async def signal(self, run: int, kind: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:
        return await self._call(_signal, (self._clock(), kind, node, rows.path_text(path), data, run))

    async def delete(self, run: int) -> None:
        await self._call(delete_run, self._owners, run)

    # -- reading -----------------------------------------------------------------------------------------

    async def read(self, work: Callable[[View], T]) -> T:
        return await self._call(self._read, work)

    def view(self) -> View:
        return SQLiteView.over(self._database)

    def _read(self, connection: sqlite3.Connection, work: Callable[[View], T]) -> T:
        try:
            with SQLiteView(connection, self._database, lent=True) as view:
                return work(view)
        finally:
            if connection.in_transaction:  # a snapshot that was not left
                connection.execute("ROLLBACK")

    # -- the thread --------------------------------------------------------------------------------------

    async def _call(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do one thing on the connection's thread."""
        return await self._opened().submit(lambda connection: work(connection, *args, **kwargs))

    def _opened(self) -> Connection:
        if self._connection is None:
            raise StoreError(f"{self._database.name}: the store is not open. Use it inside `async with`.")
        return self._connection

    def _gathering(self) -> Committer:
        if self._committer is None:
            raise StoreError(f"{self._database.name}: the store is not open. Use it inside `async with`.")
        return self._committer

    def _registered(self) -> str:
        if self._executor is None:
            raise StoreError(f"{self._database.name}: this store drives no runs. Call `register` first.")
        return self._executor


class SQLiteStore(DatabaseStore):
    """Durable state of runs in one SQLite file. Use it as an async context manager, in one event loop.

    - `synchronous`: "FULL" survives a power cut; "NORMAL" survives a killed process, but a power cut may take
      the last commits with it (the database stays sound).
    - `lease`: seconds after which an executor that lives but is stuck (stopped, swapped out) may lose its runs.
      One that dies loses them at once.
    - `busy_timeout`: seconds to wait for another process that writes, then `DatabaseLockedError`.
    - `create`: make a missing database, readable by this user only. False: `DatabaseMissingError`.
    - `clock`: the time, seconds since the Unix epoch, for what is not stamped by a transition.

    Raises `StoreError` for the path `:memory:`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        lease: float = 15.0,
        busy_timeout: float = 10.0,
        create: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if path == ":memory:":
            raise StoreError(":memory: names no file. For a store in memory use MemoryStore().")
        database = Database(
            path=os.path.realpath(path), synchronous=synchronous, busy_timeout=busy_timeout, create=create
        )
        super().__init__(database, lease=lease, clock=clock)


def _signal(connection: sqlite3.Connection, signal: tuple[float, str, str | None, str, bytes, int]) -> int:
    left = connection.execute(queries.INSERT_SIGNAL, signal)
    if not left.rowcount:
        raise RunNotFoundError(f"run number {signal[-1]}: there is none. `perdure runs` lists them.")
    assert left.lastrowid is not None
    return left.lastrowid
