"""Who drives which run: registering executors, taking runs, giving them back. Runs on the connection's thread.

Each function that writes is one transaction. Whether an owner lives is asked of the kernel (`_lease.py`), inside
the transaction, so that of several who want a dead one's run exactly one gets it.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import RunNotFoundError
from ..records import ClaimEnd, RunRecord, RunStatus
from ..store import Claim
from . import _lease as lease
from . import _queries as queries
from . import _rows as rows
from ._lease import Health, Lease


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

    def unregister(self, connection: sqlite3.Connection, executor: str, *, at: float) -> None:
        """Give back all of the executor's runs and forget it."""
        with writing(connection):
            connection.execute(queries.END_ALL_CLAIMS, {"at": at, "executor": executor})
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

    def claim(
        self, connection: sqlite3.Connection, run_id: str, executor: str, *, at: float, failed: bool = False
    ) -> Claim:
        """As `Store.claim`. Raises `RunNotFoundError`."""
        with writing(connection):
            row = connection.execute(queries.RUN_BY_ID, (run_id,)).fetchone()
            if row is None:
                raise RunNotFoundError(
                    f"run {run_id}: there is none with this id. `perdure runs` lists them."
                )
            run = rows.run_from(row)
            if run.status.finished and not (failed and run.status is RunStatus.FAILED):
                return Claim(run=run, granted=False)
            return self._claim(connection, run, executor, self.living(connection, run.owner), at=at)

    def claim_all(
        self,
        connection: sqlite3.Connection,
        signatures: Sequence[str],
        executor: str,
        *,
        exclude: Collection[int],
        at: float,
    ) -> list[Claim]:
        """As `Store.claim_all`: runs that this executor owns already are left alone and left out."""
        # First without the write lock, which is not needed when there is nothing to take.
        found = self._claimable(connection, signatures, executor, exclude)
        if all(holder is not None for _, holder in found):
            return [Claim(run=run, granted=False, holder=holder) for run, holder in found]
        with writing(connection):
            found = self._claimable(connection, signatures, executor, exclude)
            return [self._claim(connection, run, executor, holder, at=at) for run, holder in found]

    def release(
        self, connection: sqlite3.Connection, runs: Sequence[RunRecord], executor: str, *, at: float
    ) -> None:
        """As `Store.release`."""
        with writing(connection):
            for run in runs:
                if connection.execute(queries.RELEASE_RUN, (run.key, run.fence, executor)).rowcount:
                    self._end_claim(connection, run, "released", at=at)

    def _claimable(
        self,
        connection: sqlite3.Connection,
        signatures: Sequence[str],
        executor: str,
        exclude: Collection[int],
    ) -> list[tuple[RunRecord, str | None]]:
        """The unfinished runs of these workflows that others own or nobody, each with its holder."""
        found = connection.execute(
            queries.CLAIMABLE_RUNS, {"signatures": json.dumps(list(signatures)), "executor": executor}
        )
        runs = rows.readable_runs(row for row in found.fetchall() if row[0] not in exclude)
        living = {owner: self.living(connection, owner) for owner in {run.owner for run in runs}}
        return [(run, living[run.owner]) for run in runs]

    def _claim(
        self, connection: sqlite3.Connection, run: RunRecord, executor: str, holder: str | None, *, at: float
    ) -> Claim:
        if holder is not None and run.owner != executor:
            return Claim(run=run, granted=False, holder=holder)
        connection.execute(queries.TAKE_RUN, (executor, run.key))
        # Read anew: what RETURNING gives has integers where a REAL holds a whole number.
        taken = rows.run_from(connection.execute(queries.RUN_BY_KEY, (run.key,)).fetchone())
        former = run.owner if run.owner != executor else None
        if run.owner is not None:
            self._end_claim(connection, run, "released" if former is None else "lost", at=at)
        connection.execute(queries.INSERT_CLAIM, (taken.key, taken.fence, at, executor))
        return Claim(
            run=taken,
            granted=True,
            taken_over=None if former is None else self._name(connection, former),
        )

    def _end_claim(self, connection: sqlite3.Connection, run: RunRecord, end: ClaimEnd, *, at: float) -> None:
        connection.execute(queries.END_CLAIM, (at, end, run.key, run.fence))

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
