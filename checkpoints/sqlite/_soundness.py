"""What a database is and whether it is sound: behind `perdure db info` and `perdure db check`."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from ..view import DatabaseInfo
from . import _queries as queries
from ._faults import primary_code


def info(connection: sqlite3.Connection, path: str | None) -> DatabaseInfo:
    """What the database is. `path` is its file, None for one in memory."""

    def pragma(name: str) -> int | str:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    runs, activations, operations, events, blobs, signals, blob_bytes = connection.execute(
        queries.COUNTS
    ).fetchone()
    wal = Path(f"{path}-wal")
    return DatabaseInfo(
        path=path,
        schema=int(pragma("user_version")),
        sqlite=sqlite3.sqlite_version,
        journal_mode=str(pragma("journal_mode")),
        size=int(pragma("page_count")) * int(pragma("page_size")),
        wal_size=wal.stat().st_size if path is not None and wal.exists() else 0,
        runs=runs,
        activations=activations,
        operations=operations,
        events=events,
        blobs=blobs,
        blob_bytes=blob_bytes,
        signals=signals,
    )


def check(connection: sqlite3.Connection) -> list[str]:
    """All damage that can be found, a line each. In a transaction a run that goes on meanwhile is no damage."""
    pages = _pages(connection)
    if pages:
        # What rows say is worth nothing when the pages that hold them are damaged.
        return pages
    return [*_dangling(connection), *_inputs(connection), *_blobs(connection), *_journals(connection)]


def _pages(connection: sqlite3.Connection) -> list[str]:
    found: list[str] = []
    try:
        for (text,) in connection.execute("PRAGMA integrity_check"):
            if text != "ok":
                found.append(f"page damage: {text}")
    except sqlite3.DatabaseError as error:
        if primary_code(error) != sqlite3.SQLITE_CORRUPT:
            raise
        found.append(f"page damage: {error}")
    return found


def _dangling(connection: sqlite3.Connection) -> list[str]:
    return [
        f"{table} row {rowid if rowid is not None else '(without rowid)'}: refers to a row of {parent} that is gone"
        for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check")
    ]


def _inputs(connection: sqlite3.Connection) -> list[str]:
    return [f"run {run}: its input is gone" for (run,) in connection.execute(queries.RUNS_WITHOUT_INPUT)]


def _blobs(connection: sqlite3.Connection) -> list[str]:
    return [
        f"stored value {digest.hex()}: its bytes have changed (their SHA-256 is another)"
        for digest, data in connection.execute(queries.BLOBS)
        if hashlib.sha256(data).digest() != digest
    ]


def _journals(connection: sqlite3.Connection) -> list[str]:
    return [
        f"run {run}: it is at position {position}, but its journal has {count} events up to {last}"
        for run, position, count, last in connection.execute(queries.RUNS_WHOSE_JOURNAL_DIFFERS)
    ]
