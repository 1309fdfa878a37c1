"""`perdure db info` and `perdure db check`."""

from __future__ import annotations

from collections.abc import Iterator

from ..checkpoints import DatabaseInfo, maintenance
from .database import Reading
from .exits import Exit
from .output import say, write_entry
from .settings import Settings


def show_info(settings: Settings) -> Exit:
    """What the database is and how much it holds."""
    with Reading(settings.db) as reading:
        info = reading.read(maintenance.info, reading.path)
    form = {
        "path": info.path,
        "schema": info.schema,
        "bytes": info.bytes,
        "wal_bytes": info.wal_bytes,
        "free_bytes": info.free_bytes,
        "journal_mode": info.journal_mode,
        "sqlite": info.sqlite,
        "rows": info.rows,
    }
    write_entry(settings, form, _lines(info))
    return Exit.OK


def check_database(settings: Settings) -> Exit:
    """All damage, a line each."""
    with Reading(settings.db) as reading:
        damage = reading.read(maintenance.check)
        path = reading.path
    write_entry(settings, {"path": path, "sound": not damage, "damage": damage}, damage)
    if damage:
        say(
            f"{path}: {len(damage)} damage{'' if len(damage) == 1 else 's'} found. Keep a copy of the file, then restore "
            "a backup or save what is left with `sqlite3 OLD .recover | sqlite3 NEW`."
        )
        return Exit.ERROR
    if settings.output == "table":
        say(f"{path}: sound.")
    return Exit.OK


def _lines(info: DatabaseInfo) -> Iterator[str]:
    yield f"path      {info.path}"
    yield f"schema    {info.schema} (SQLite {info.sqlite}, {info.journal_mode})"
    wal = f", and {_size(info.wal_bytes)} of write-ahead log" if info.wal_bytes else ""
    free = f", {_size(info.free_bytes)} of it free" if info.free_bytes else ""
    yield f"size      {_size(info.bytes)}{free}{wal}"
    yield "rows"
    for table, count in info.rows.items():
        yield f"  {table:<14}{count:>12,}"


def _size(count: int) -> str:
    """`4.0 MB`; one MB is a million bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
