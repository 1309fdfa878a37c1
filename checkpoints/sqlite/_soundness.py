"""What a database is and whether it is sound: behind `perdure db info` and `perdure db check`."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from ..view import DatabaseInfo
from . import _queries as queries
from ._faults import primary_code

_NAMED = 3
"""How many runs a line names."""


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
        free_size=int(pragma("freelist_count")) * int(pragma("page_size")),
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
    found: list[str] = []
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        row = f"{table} row {'(without rowid)' if rowid is None else rowid}"
        run = None if rowid is None else _run_of(connection, table, rowid)
        found.append(
            f"{'' if run is None else f'run {run}: '}{row}: refers to a row of {parent} that is gone"
        )
    return found


def _run_of(connection: sqlite3.Connection, table: str, rowid: int) -> str | None:
    """The id of the run that a row belongs to, where it belongs to one that is there."""
    match table:
        case "runs":
            query = queries.ID_OF_RUN
        case "activations" | "operations" | "submissions" | "signals":
            query = queries.RUN_OF_ROW.format(table=table)
        case _:
            return None
    row = connection.execute(query, (rowid,)).fetchone()
    return None if row is None else row[0]


def _inputs(connection: sqlite3.Connection) -> list[str]:
    return [f"run {run}: its input is gone" for (run,) in connection.execute(queries.RUNS_WITHOUT_INPUT)]


def _blobs(connection: sqlite3.Connection) -> list[str]:
    changed = [
        digest
        for digest, data in connection.execute(queries.BLOBS)
        if hashlib.sha256(data).digest() != digest
    ]
    return [
        f"stored value {digest.hex()}{_of_runs(connection, digest)}: its bytes have changed (their SHA-256 is another)"
        for digest in changed
    ]


def _of_runs(connection: sqlite3.Connection, digest: bytes) -> str:
    ids = [run for (run,) in connection.execute(queries.RUNS_OF_BLOB, {"digest": digest, "most": _NAMED + 1})]
    if not ids:
        return ""
    more = " and others" if len(ids) > _NAMED else ""
    return f" of run {', '.join(ids[:_NAMED])}{more}"


def _journals(connection: sqlite3.Connection) -> list[str]:
    return [
        f"run {run}: it is at position {position}, but its journal has {count} events up to {last}"
        for run, position, count, last in connection.execute(queries.RUNS_WHOSE_JOURNAL_DIFFERS)
    ]
