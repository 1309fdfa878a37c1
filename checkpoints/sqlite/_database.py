"""A database: where it is, how it is opened to write and to read, what its settings are.

One rule: a database that may be open in this process is never opened as a plain file. Closing any descriptor of
it would drop SQLite's own locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import quote

from ..errors import DatabaseMissingError, DatabaseReadOnlyError, StoreError
from . import _schema as schema
from ._faults import explain, primary_code

Synchronous: TypeAlias = Literal["FULL", "NORMAL"]

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""

AUTOCHECKPOINT = 1_000
"""Pages in the WAL after which a commit moves them into the database. More did not make commits faster."""

CACHE_KIB = 8_192
"""Of pages that SQLite keeps in memory, so that a large group is not written out before its COMMIT."""

STATEMENTS = 512
"""Prepared statements that a connection keeps: more than there are, with each set of columns that is written."""

WAL_BYTES = 4_500_000
"""To this size the WAL is extended in advance, a little above what `AUTOCHECKPOINT` lets it grow to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Where a database is and how it is to be opened.

    `path` is its file; None: it is in this process's memory, where `memory` is its name. It is there for as long
    as it has a connection. `busy_timeout` is in seconds.
    """

    path: str | None
    memory: str = ""
    busy_timeout: float
    synchronous: Synchronous = "FULL"
    create: bool = True

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path or "the database in memory"

    def explain(self, error: sqlite3.Error) -> StoreError:
        """The error of ours for one of SQLite's."""
        return explain(error, self.name, self.busy_timeout)

    def open(self) -> sqlite3.Connection:
        """Open it to write, make it where it is missing, bring its schema up to date.

        Raises the errors of stores that `errors.py` lists, or SQLite's own, which `explain` explains.
        """
        _require_sqlite()
        if self.path is None:
            return _prepared(self.connect(), self._prepare_in_memory)
        self._look(self.path, create=self.create)
        return _prepared(self._connect(self.path, "mode=rw"), self._prepare_to_write)

    def open_to_read(self) -> sqlite3.Connection:
        """Open it to read, in any one thread at a time. Never makes a database, works on read-only media.

        Raises as `open` does.
        """
        _require_sqlite()
        if self.path is None:
            return _prepared(self.connect(), self._prepare_to_read)
        self._look(self.path, create=False)
        try:
            connection = self._connect(self.path, "mode=rw", shared=True)
            return _prepared(connection, self._prepare_to_read)
        except sqlite3.OperationalError as error:
            # On read-only media SQLite can't make the files beside the database. Without a WAL nothing is
            # missing from the database itself, and nobody can write to it while we read.
            wal = Path(f"{self.path}-wal")
            unwritable = primary_code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if (
                not unwritable
                or os.access(Path(self.path).parent, os.W_OK)
                or (wal.exists() and wal.stat().st_size)
            ):
                raise
        connection = self._connect(self.path, "mode=ro", "immutable=1", shared=True)
        return _prepared(connection, self._prepare_to_read)

    def connect(self) -> sqlite3.Connection:
        """A connection to a database in memory, with nothing set."""
        # memdb: connections of one process share the database, which `:memory:` can't do.
        return sqlite3.connect(
            f"file:/{self.memory}?vfs=memdb",
            uri=True,
            isolation_level=None,
            timeout=self.busy_timeout,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )

    def extend_wal(self, connection: sqlite3.Connection) -> None:
        """Give the WAL its full size now, so that commits need not enlarge the file.

        Commits into an existing WAL were 1.3 to 1.7 times as fast; this takes about 3 ms. SQLite ignores what
        lies behind the last commit (https://www.sqlite.org/walformat.html), and the write lock keeps others
        from writing there meanwhile. The zeros must be real: into a hole commits were no faster.
        """
        if self.path is None:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            _extend(f"{self.path}-wal")
        except OSError:
            # Only speed is lost. A full disk shows itself at the first commit that does not fit.
            pass
        finally:
            connection.execute("ROLLBACK")

    def _look(self, path: str, *, create: bool) -> None:
        """Find the file, or make an empty one that only this user can read."""
        folder = Path(path).parent
        try:
            if not folder.is_dir():
                raise DatabaseMissingError(
                    f"{path}: the folder {folder} does not exist. Make it, or name another path."
                )
            if Path(path).is_dir():
                raise DatabaseMissingError(f"{path}: this is a folder. Name a file.")
            if Path(path).exists():
                return
            if not create:
                raise DatabaseMissingError(
                    f"{path}: there is no database. Name the right one with --db or PERDURE_DB."
                )
            # SQLite gives the files beside it (-wal, -shm) the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return  # another process was quicker
        except OSError as error:
            raise DatabaseReadOnlyError(
                f"{path}: the database can't be reached or made ({error.strerror}). "
                f"Get the right to use {folder}, or name another path."
            ) from error

    def _connect(self, path: str, *options: str, shared: bool = False) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(path)}?{'&'.join(options)}",
            uri=True,
            isolation_level=None,
            timeout=self.busy_timeout,
            check_same_thread=not shared,
            cached_statements=STATEMENTS,
        )

    def _prepare_to_write(self, connection: sqlite3.Connection) -> None:
        # Before anything is set: somebody else's database is not changed.
        schema.identify(connection, self.name)
        self._use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA journal_size_limit = -1")  # the WAL is written over, not cut off
        schema.migrate(connection, self.name)

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        # Two processes that switch a new database at once get SQLITE_BUSY without SQLite's waiting for it.
        patience = time.monotonic() + self.busy_timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(
                f"{self.name}: its file system has no shared memory for SQLite's WAL (a network mount?). "
                "Put the database on a local disk."
            )

    def _prepare_in_memory(self, connection: sqlite3.Connection) -> None:
        schema.migrate(connection, self.name)

    def _prepare_to_read(self, connection: sqlite3.Connection) -> None:
        schema.require_current(connection, self.name)
        connection.execute("PRAGMA query_only = ON")


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old: Perdure needs 3.37 or newer. Use a newer Python build."
        )


def _prepared(
    connection: sqlite3.Connection, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    try:
        # Functions and virtual tables that a schema names are called only where SQLite knows them as harmless.
        connection.execute("PRAGMA trusted_schema = OFF")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _extend(wal: str) -> None:
    file = os.open(wal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        missing = WAL_BYTES - size
        if missing > 0:
            if os.write(file, bytes(missing)) < missing:
                os.ftruncate(file, size)  # the last free space of the disk is not for this
            os.fsync(file)
    finally:
        os.close(file)
