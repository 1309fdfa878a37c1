"""Who drives which run: registering executors, taking runs, giving them back. Runs on the connection's thread.

Each function that writes is one transaction. Whether an owner lives is asked of the kernel (`lease.py`), inside
the transaction, so that of several who want a dead one's run exactly one gets it.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import lease, queries, rows
from .errors import RunNotFoundError
from .lease import Health, Lease
from .records import RunRecord, RunStatus
from .store import Claim


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None]:
    """One write transaction, rolled back when the body raises."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Owners:
    """The executors of one database. `path` is the database's file; None for one in memory, whose executors are
    all of this process and well for as long as they are registered."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    def register(
        self, connection: sqlite3.Connection, executor: str, *, at: float, seconds: float
    ) -> Lease | None:
        """Make the executor known and take its lease of so many seconds; clear away what dead ones left."""
        held: Lease | None = None
        try:
            # Lock files are made and cleared away under the write lock only: one that is there but not locked
            # is a dead executor's, never one that is just being made.
            with writing(connection):
                for known, boot in connection.execute(queries.EXECUTORS).fetchall():
                    if self._health(known, boot) is Health.DEAD:
                        connection.execute(queries.FORGET_EXECUTOR, {"id": known})
                if self._path is not None:
                    self._clear_away(self._path)
                    mode = os.stat(self._path).st_mode & 0o666
                    held = Lease(self._lock_file(executor), seconds=seconds, mode=mode)
                connection.execute(
                    queries.INSERT_EXECUTOR, (executor, lease.boot_id(), os.getpid(), platform.node(), at)
                )
        except BaseException:
            if held is not None:
                held.release()
            raise
        return held

    def unregister(self, connection: sqlite3.Connection, executor: str) -> None:
        """Give back all of the executor's runs and forget it."""
        with writing(connection):
            connection.execute(queries.RELEASE_ALL, (executor,))
            connection.execute(queries.DELETE_EXECUTOR, (executor,))

    def living(self, connection: sqlite3.Connection, executor: str | None) -> str | None:
        """What to call the executor ("process 4711"), None when it is dead or its lease ran out."""
        if executor is None:
            return None
        row = connection.execute(queries.EXECUTOR, (executor,)).fetchone()
        if row is None or self._health(executor, row[0]) is not Health.WELL:
            return None
        return f"process {row[1]}"

    def holder(self, connection: sqlite3.Connection, run: int) -> str | None:
        """Who drives the run with this key now, None when nobody does."""
        row = connection.execute(queries.RUN_BY_KEY, (run,)).fetchone()
        return None if row is None else self.living(connection, rows.run_from(row).owner)

    def claim(
        self, connection: sqlite3.Connection, run_id: str, executor: str, *, failed: bool = False
    ) -> Claim:
        """As `Store.claim`. Raises `RunNotFoundError`."""
        with writing(connection):
            row = connection.execute(queries.RUN_BY_ID, (run_id,)).fetchone()
            if row is None:
                raise RunNotFoundError(
                    f"run {run_id}: there is none with this id. `perdure runs` lists them."
                )
            run = rows.run_from(row)
            holder = self.living(connection, run.owner)
            if run.status.finished and not (failed and run.status is RunStatus.FAILED):
                return Claim(run=run, granted=False)
            return self._claim(connection, run, executor, holder)

    def claim_all(
        self, connection: sqlite3.Connection, signatures: Sequence[str], executor: str
    ) -> list[Claim]:
        """As `Store.claim_all`: runs that this executor owns already are left alone and left out."""
        with writing(connection):
            unfinished = connection.execute(queries.UNFINISHED_RUNS, (json.dumps(list(signatures)),))
            runs = [run for run in map(rows.run_from, unfinished.fetchall()) if run.owner != executor]
            living = {owner: self.living(connection, owner) for owner in {run.owner for run in runs}}
            return [self._claim(connection, run, executor, living[run.owner]) for run in runs]

    def release(self, connection: sqlite3.Connection, runs: Sequence[RunRecord], executor: str) -> None:
        """As `Store.release`."""
        with writing(connection):
            connection.executemany(queries.RELEASE_RUN, [(run.key, run.fence, executor) for run in runs])

    def _claim(
        self, connection: sqlite3.Connection, run: RunRecord, executor: str, holder: str | None
    ) -> Claim:
        if holder is not None and run.owner != executor:
            return Claim(run=run, granted=False, holder=holder)
        taken = connection.execute(queries.TAKE_RUN, (executor, run.key)).fetchone()
        former = run.owner if run.owner != executor else None
        return Claim(
            run=rows.run_from(taken),
            granted=True,
            taken_over=None if former is None else self._name(connection, former),
        )

    def _name(self, connection: sqlite3.Connection, executor: str) -> str:
        row = connection.execute(queries.EXECUTOR, (executor,)).fetchone()
        return f"executor {executor}" if row is None else f"process {row[1]}"

    def _health(self, executor: str, boot: str) -> Health:
        if self._path is None:
            return Health.WELL
        return lease.health(self._lock_file(executor)) if boot == lease.boot_id() else Health.DEAD

    def _lock_file(self, executor: str) -> str:
        return f"{self._path}.{executor}.lock"

    def _clear_away(self, path: str) -> None:
        database = Path(path)
        for file in database.parent.iterdir():
            ours = file.name.startswith(f"{database.name}.") and file.suffix == ".lock"
            if ours and lease.health(str(file)) is Health.DEAD:
                file.unlink(missing_ok=True)
