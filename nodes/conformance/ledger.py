"""`Ledger`: a small provider in a folder, which lives on when the process that uses it dies.

It accepts operations, lets them end after a while, and counts what was asked of it, so that a test can tell how often
something was accepted, looked for, fetched or cancelled. Several processes can use one folder at once. It is made to
be killed with its users, not to survive a power failure.

What happens to an operation is written in its request:

| in the request | |
|---|---|
| `text` | what the answer repeats |
| `takes` | seconds until it has ended, from its acceptance (0) |
| `fails` | a code: it fails with it; `retryable` says whether another attempt may succeed |
| `refuse` | how many submissions under its key are refused |
| `lose_replies` | how many of those that are accepted are not answered |
| `arrives` | seconds for which a submission is under way before it is accepted (0) |
| `doubles` | how many more operations the provider makes of each submission (0) |
| `listing_fails` | how many look-ups are inconclusive |
| `cancels_in` | seconds from a cancel until it is acknowledged (0) |
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SubmissionRejectedError, SubmissionUnknownError
from ..operations.tokens import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    cancelled_at REAL,
    fetched INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS entries_by_key ON entries (provider, key);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    verb TEXT NOT NULL,
    subject TEXT NOT NULL
);
"""
_BUSY = 30.0  # seconds to wait for another process


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One operation that was accepted."""

    handle: str
    key: str
    request: Mapping[str, Any]
    accepted_at: float
    """Seconds since the epoch; in the future for one that is still under way."""
    cancelled_at: float | None
    """When it was asked to cancel."""
    fetched: int
    """How often its result was handed out."""

    def ended(self, now: float) -> bool:
        """Whether it has run to its end by then."""
        return self.accepted_at + float(self.request.get("takes", 0)) <= now

    def cancelled(self, now: float) -> bool:
        """Whether it has been cancelled by then, before its end."""
        if self.cancelled_at is None or self.ended(self.cancelled_at):
            return False
        return self.cancelled_at + float(self.request.get("cancels_in", 0)) <= now


class Ledger:
    """The provider in `folder`, which is made if it is missing. `clock` gives the seconds since the epoch."""

    def __init__(self, folder: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = Path(folder) / "ledger.db"
        self._clock = clock
        Path(folder).mkdir(parents=True, exist_ok=True)
        with self._transaction() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

    # -- what adapters ask --------------------------------------------------------------------------------

    def submit(
        self, provider: str, key: str, request: Mapping[str, Json], *, honours_for: float = 0.0
    ) -> Entry:
        """Accept an operation, or return that of the same key if it is younger than `honours_for` seconds.

        Raises `SubmissionRejectedError` and `SubmissionUnknownError` where the request says so.
        """
        script: Mapping[str, Any] = request
        with self._transaction() as connection:
            now = self._clock()
            received = 1 + _count(connection, "submit", key)
            _note(connection, now, "submit", key)
            refused = received <= script.get("refuse", 0)
            entry = None
            if not refused:
                known = _entries(connection, "provider = ? AND key = ?", provider, key)
                young = [known_ for known_ in known if now < known_.accepted_at + honours_for]
                entry = young[0] if young else None
            if not refused and entry is None:
                arrival = now + float(script.get("arrives", 0))
                for _ in range(1 + int(script.get("doubles", 0))):
                    connection.execute(
                        "INSERT INTO entries (provider, key, request, accepted_at) VALUES (?, ?, ?, ?)",
                        (provider, key, json.dumps(request), arrival),
                    )
                entry = _entries(connection, "provider = ? AND key = ?", provider, key)[-1]
                _note(connection, now, "accept", key)
        if entry is None:
            raise SubmissionRejectedError(
                "The ledger accepts nothing now.", code="busy", retryable=True, retry_after=0.01
            )
        if received <= script.get("refuse", 0) + script.get("lose_replies", 0):
            raise SubmissionUnknownError("The reply of the ledger was lost.", code="no_answer")
        return entry

    def entry(self, handle: str) -> Entry | None:
        """The operation of this handle; None if there is none."""
        with self._transaction() as connection:
            found = _entries(connection, "number = ?", _number(handle))
        return found[0] if found else None

    def listed(self, provider: str, key: str, *, delay: float) -> list[Entry] | None:
        """The operations under this key that were accepted `delay` seconds ago or earlier, oldest first.

        None when the listing fails.
        """
        with self._transaction() as connection:
            now = self._clock()
            _note(connection, now, "find", key)
            entries = _entries(connection, "provider = ? AND key = ?", provider, key)
            failures = max((int(entry.request.get("listing_fails", 0)) for entry in entries), default=0)
            if _count(connection, "find", key) <= failures:
                return None
        return [entry for entry in entries if entry.accepted_at + delay <= now]

    def of(self, provider: str) -> list[Entry]:
        """All operations of a provider, oldest first."""
        with self._transaction() as connection:
            return _entries(connection, "provider = ?", provider)

    def cancel(self, handle: str) -> None:
        """Ask for an end. Nothing happens to an operation that has ended or was cancelled before."""
        with self._transaction() as connection:
            now = self._clock()
            _note(connection, now, "cancel", handle)
            connection.execute(
                "UPDATE entries SET cancelled_at = coalesce(cancelled_at, ?) WHERE number = ?",
                (now, _number(handle)),
            )

    def take(self, handle: str) -> bool:
        """Hand a result out: True exactly once."""
        with self._transaction() as connection:
            _note(connection, self._clock(), "take", handle)
            taken = connection.execute(
                "UPDATE entries SET fetched = 1 WHERE number = ? AND fetched = 0", (_number(handle),)
            )
            return taken.rowcount == 1

    # -- what tests ask -----------------------------------------------------------------------------------

    def accepted(self, key: str) -> int:
        """How many operations were accepted under this key."""
        return self._counted("accept", key)

    def submitted(self, key: str) -> int:
        """How many submissions came under this key, whatever became of them."""
        return self._counted("submit", key)

    def found(self, key: str) -> int:
        """How often this key was looked for."""
        return self._counted("find", key)

    def fetched(self, handle: str) -> int:
        """How often the result of this handle was handed out, or asked for when it was gone."""
        return self._counted("take", handle)

    def cancelled(self, handle: str) -> int:
        """How often this handle was asked to cancel."""
        return self._counted("cancel", handle)

    def _counted(self, verb: str, subject: str) -> int:
        with self._transaction() as connection:
            return _count(connection, verb, subject)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        """One connection for each transaction, so that nothing of it is left in a process that is killed."""
        with closing(sqlite3.connect(self._file, timeout=_BUSY, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection


def _number(handle: str) -> int:
    return int(handle.removeprefix("op_")) if handle.removeprefix("op_").isdecimal() else 0


def _count(connection: sqlite3.Connection, verb: str, subject: str) -> int:
    row = connection.execute("SELECT count(*) FROM calls WHERE verb = ? AND subject = ?", (verb, subject))
    return int(row.fetchone()[0])


def _note(connection: sqlite3.Connection, at: float, verb: str, subject: str) -> None:
    connection.execute("INSERT INTO calls (at, verb, subject) VALUES (?, ?, ?)", (at, verb, subject))


def _entries(connection: sqlite3.Connection, where: str, *values: str | int) -> list[Entry]:
    rows = connection.execute(
        f"SELECT number, key, request, accepted_at, cancelled_at, fetched FROM entries WHERE {where} ORDER BY number",  # noqa: S608  # our own words
        values,
    )
    return [
        Entry(
            handle=f"op_{number}",
            key=key,
            request=json.loads(request),
            accepted_at=accepted_at,
            cancelled_at=cancelled_at,
            fetched=fetched,
        )
        for number, key, request, accepted_at, cancelled_at, fetched in rows
    ]
