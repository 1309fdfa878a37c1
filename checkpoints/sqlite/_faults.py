"""What SQLite says when something is wrong, said so that a user knows which file and what to do."""

from __future__ import annotations

import sqlite3

from ..errors import (
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseReadOnlyError,
    StoreError,
)

_OF_THE_DATABASE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html), 0 where Python itself raised."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def concerns_the_database(error: Exception) -> bool:
    """Whether every other write would have failed as well, i.e. no single transition can be to blame."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in _OF_THE_DATABASE


def explain(error: sqlite3.Error, path: str, busy_timeout: float) -> StoreError:
    """The error of ours for an error of SQLite's. `busy_timeout` is in seconds."""
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseLockedError(
                f"{path}: another process has held its lock for more than {busy_timeout:g} s. "
                "End the program that holds it (a SQLite shell with an open transaction?) and try again."
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return DatabaseReadOnlyError(
                f"{path}: this user may not write to the file ({error}). "
                "Give write permission on the file and on its folder, or work on a copy."
            )
        case sqlite3.SQLITE_CANTOPEN:
            return DatabaseReadOnlyError(
                f"{path}: the file can't be opened, or the files beside it (-wal, -shm) can't be made ({error}). "
                "Check that it is a file and that this user may write to it and to its folder."
            )
        case sqlite3.SQLITE_NOTADB:
            return DatabaseCorruptError(f"{path}: this is no SQLite database. Name another file.")
        case sqlite3.SQLITE_CORRUPT:
            return DatabaseCorruptError(
                f"{path}: pages of the database are damaged ({error}). Restore a backup, or save what is left "
                "with `sqlite3 OLD .recover | sqlite3 NEW`."
            )
        case sqlite3.SQLITE_FULL:
            return StoreError(f"{path}: the disk is full. Free some space and resume; nothing is lost.")
        case sqlite3.SQLITE_TOOBIG:
            return StoreError(
                f"{path}: a value is larger than SQLite can hold (1 GB). Hand on a reference to it."
            )
        case _:
            name: str = getattr(error, "sqlite_errorname", type(error).__name__)
            return StoreError(f"{path}: the database could not do it: {error} ({name}).")
