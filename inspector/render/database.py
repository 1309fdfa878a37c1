"""`perdure db info`: what a database is and how much it holds."""

from __future__ import annotations

from collections.abc import Iterator

from ...checkpoints.view import DatabaseInfo
from .output import Entry
from .terminal import clean


def info_entry(info: DatabaseInfo) -> Entry:
    """The database in JSON."""
    return {
        "path": info.path,
        "schema": info.schema,
        "bytes": info.size,
        "wal_bytes": info.wal_size,
        "free_bytes": info.free_size,
        "journal_mode": info.journal_mode,
        "sqlite": info.sqlite,
        "rows": _rows(info),
    }


def info_lines(info: DatabaseInfo) -> Iterator[str]:
    """The database in lines for people."""
    yield f"path      {clean(str(info.path))}"
    yield f"schema    {info.schema} (SQLite {info.sqlite}, {info.journal_mode})"
    wal = f", and {_size(info.wal_size)} of write-ahead log" if info.wal_size else ""
    free = f", {_size(info.free_size)} of it free" if info.free_size else ""
    yield f"size      {_size(info.size)}{free}{wal}"
    yield "rows"
    for table, count in _rows(info).items():
        yield f"  {table:<14}{count:>12,}"


def _rows(info: DatabaseInfo) -> dict[str, int]:
    """How many rows the tables have that grow."""
    return {
        "runs": info.runs,
        "activations": info.activations,
        "operations": info.operations,
        "events": info.events,
        "blobs": info.blobs,
        "signals": info.signals,
    }


def _size(count: int) -> str:
    """`4.0 MB`; one MB is a million bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
