"""`SQLiteStore`: the asynchronous face of a Perdure database. What the methods promise stands in `store.py`.

The work behind it: `database.py` opens the file, `connection.py` is its thread, `committer.py` gathers
transitions and `writer.py` writes them, `reader.py` reads, `ownership.py` says who drives a run.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Concatenate, ParamSpec, Self, TypeVar
from uuid import uuid4

from . import maintenance, queries, reader, rows
from .committer import Committer
from .connection import Connection
from .database import Database, Synchronous
from .errors import RunNotFoundError, StoreError
from .lease import Lease
from .maintenance import DatabaseInfo
from .ownership import Owners
from .records import (
    ActivationKey,
    ActivationRecord,
    ActivationState,
    EventRecord,
    Message,
    NewRun,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Transition,
    Value,
)
from .store import Claim, Loaded, Store
from .writer import Creation, write_group

P = ParamSpec("P")
T = TypeVar("T")


class SQLiteStore(Store):
    """Durable state of runs in one SQLite file. Use it as an async context manager, in one event loop.

    - `synchronous`: "FULL" survives a power cut; "NORMAL" survives a killed process, but a power cut may take
      the last commits with it (the database stays sound).
    - `lease`: seconds after which an executor that lives but is stuck (stopped, swapped out) may lose its runs.
      One that dies loses them at once.
    - `busy_timeout`: seconds to wait for another process that writes, then `DatabaseLockedError`.
    - `create`: make a missing database, readable by this user only. False: `DatabaseMissingError`.
    - `read_only`: write nothing, not even a newer schema; works on read-only media.
    - `clock`: the time, seconds since the Unix epoch, for what is not stamped by a transition.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        lease: float = 15.0,
        busy_timeout: float = 10.0,
        create: bool = True,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(
            path=None if path == ":memory:" else os.path.realpath(path),
            synchronous=synchronous,
            busy_timeout=busy_timeout,
            create=create,
            read_only=read_only,
        )
        self._lease_seconds = lease
        self._clock = clock
        self._owners = Owners(self._database.path)
        self._connection: Connection | None = None
        self._committer: Committer | None = None
        self._executor: str | None = None
        self._lease: Lease | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.name!r})"

    # -- opening and closing -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the database. Raises what `Database.open` raises."""
        if self._connection is not None:
            raise StoreError(
                f"{self._database.name}: this store is open already. Make one store for each use."
            )
        self._connection = await Connection.open(self._open, self._database.explain)
        self._committer = Committer(self._connection, partial(write_group, explain=self._database.explain))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Write what was committed, give the runs back, close."""
        if self._connection is None:
            return
        try:
            await self.unregister()
        finally:
            connection, self._connection, self._committer = self._connection, None, None
            try:
                await connection.submit(self._closing)
            finally:
                await connection.close()

    def _open(self) -> sqlite3.Connection:
        return self._database.open()

    def _closing(self, connection: sqlite3.Connection) -> None:
        """The last thing that is done with the connection, on its thread."""

    # -- ownership ---------------------------------------------------------------------------------------

    async def register(self) -> str:
        if self._executor is not None:
            return self._executor
        executor = uuid4().hex[:12]
        self._lease = await self._call(
            self._owners.register, executor, at=self._clock(), seconds=self._lease_seconds
        )
        self._executor = executor
        await self._call(self._database.extend_wal)
        return executor

    async def unregister(self) -> None:
        if self._committer is not None:
            await self._committer.drained()
        executor, self._executor = self._executor, None
        lease, self._lease = self._lease, None
        if executor is None:
            return
        try:
            await self._call(self._owners.unregister, executor)
        finally:
            # Even when the runs could not be given back: without the lock they are free for others.
            if lease is not None:
                lease.release()

    async def claim(self, run_id: str, *, failed: bool = False) -> Claim:
        return await self._call(self._owners.claim, run_id, self._registered(), failed=failed)

    async def claim_all(self, signatures: Sequence[str]) -> list[Claim]:
        return await self._call(self._owners.claim_all, signatures, self._registered())

    async def release(self, runs: Sequence[RunRecord]) -> None:
        await self._call(self._owners.release, runs, self._registered())

    async def holder(self, run: RunRecord) -> str | None:
        return await self._call(self._owners.holder, run.key)

    # -- writing -----------------------------------------------------------------------------------------

    async def create(self, run: NewRun, plan: PlanRecord, transition: Transition) -> RunRecord:
        creation = Creation(run=run, plan=plan, transition=transition, owner=self._registered())
        created = await self._gathering().put(creation)
        assert created is not None
        return created

    async def commit(self, transition: Transition) -> None:
        self._registered()
        await self._gathering().put(transition)

    async def post(self, run: int, type: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:  # noqa: A002 the protocol's name
        return await self._call(_post, (self._clock(), type, node, rows.path_text(path), data, run))

    # -- reading -----------------------------------------------------------------------------------------

    async def run(self, run_id: str) -> RunRecord:
        return await self._call(reader.run, run_id)

    async def find(self, prefix: str) -> RunRecord:
        return await self._call(reader.find, prefix)

    async def runs(
        self,
        *,
        status: Sequence[RunStatus] = (),
        workflow: str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        return await self._call(reader.runs, status=status, workflow=workflow, since=since, limit=limit)

    async def runs_by_key(self, keys: Sequence[int]) -> list[RunRecord]:
        return await self._call(reader.runs_by_key, keys)

    async def load(self, keys: Sequence[int]) -> list[Loaded]:
        return await self._call(reader.load, keys)

    async def plan(self, signature: str) -> PlanRecord:
        return await self._call(reader.plan, signature)

    async def input(self, run: int) -> Value:
        return await self._call(reader.input_of, run)

    async def activations(self, run: int, *, open_only: bool = False) -> list[ActivationRecord]:
        return await self._call(reader.activations, run, open_only=open_only)

    async def activation(self, run: int, key: ActivationKey) -> ActivationRecord | None:
        found = await self._call(reader.activations_by_key, ((run, key),))
        return found[0] if found else None

    async def activations_by_key(self, keys: Sequence[tuple[int, ActivationKey]]) -> list[ActivationRecord]:
        return await self._call(reader.activations_by_key, keys)

    async def in_state(self, states: Sequence[ActivationState]) -> list[ActivationRecord]:
        return await self._call(reader.in_state, states)

    async def scopes(self, run: int, *, open_only: bool = False) -> list[ScopeRecord]:
        return await self._call(reader.scopes, run, open_only=open_only)

    async def live(self, runs: Sequence[int]) -> list[ActivationRecord]:
        return await self._call(reader.live, runs)

    async def result(self, run: int, key: ActivationKey) -> Value | None:
        return await self._call(reader.result, run, key)

    async def results(self, run: int, scope: int, node: str) -> list[tuple[int, Value]]:
        return await self._call(reader.results, run, scope, node)

    async def request(self, run: int, key: ActivationKey) -> Value | None:
        return await self._call(reader.request, run, key)

    async def events(self, run: int, *, after: int = 0, limit: int | None = None) -> list[EventRecord]:
        return await self._call(reader.events, run, after=after, limit=limit)

    async def messages(self, runs: Sequence[int] | None = None) -> list[Message]:
        return await self._call(reader.messages, runs, self._executor)

    def result_now(self, run: int, key: ActivationKey) -> Value | None:
        return self._opened().call_now(lambda connection: reader.result(connection, run, key))

    # -- maintenance -------------------------------------------------------------------------------------

    async def info(self) -> DatabaseInfo:
        """What the database is: where, which schema, how large, how much it holds."""
        return await self._call(maintenance.info, self._database.path)

    async def check(self) -> list[str]:
        """What is wrong with the database, a line for each damage; an empty list when it is sound.

        Reads all of it.
        """
        return await self._call(maintenance.check)

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


def _post(connection: sqlite3.Connection, message: tuple[float, str, str | None, str, bytes, int]) -> int:
    posted = connection.execute(queries.INSERT_MESSAGE, message)
    if not posted.rowcount:
        raise RunNotFoundError(f"run number {message[-1]}: there is none. `perdure runs` lists them.")
    assert posted.lastrowid is not None
    return posted.lastrowid
