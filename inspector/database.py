"""A database open for reading, on the calling thread. Never makes a file, never brings a schema up to date.

The verbs that only read need no event loop, so they go to the store's rooms that do the reading directly.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, Self, TypeVar

from ..checkpoints import RunRecord, reader
from ..checkpoints.database import Database
from ..checkpoints.ownership import Owners
from .settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT = 10.0
"""Seconds to wait for a lock."""


class Reading:
    """Use it as a context manager. Raises the errors of stores that `checkpoints.errors` lists."""

    def __init__(self, path: str) -> None:
        self._database = Database(
            path=os.path.realpath(path),
            synchronous="FULL",
            busy_timeout=BUSY_TIMEOUT,
            create=False,
            read_only=True,
        )
        self._connection: sqlite3.Connection | None = None

    @property
    def path(self) -> str:
        """The file, as messages call it."""
        return self._database.name

    def __enter__(self) -> Self:
        try:
            self._connection = self._database.open()
        except sqlite3.Error as error:
            raise self._database.explain(error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What one of the reading functions of `checkpoints` finds."""
        assert self._connection is not None, "the database is not open"
        try:
            return work(self._connection, *args, **kwargs)
        except sqlite3.Error as error:
            raise self._database.explain(error) from error

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """All that is read inside is of one instant."""
        self.read(_begin)
        try:
            yield
        finally:
            self.read(_end)

    def holder(self, run: RunRecord) -> str | None:
        """Who drives the run now, None when nobody does."""
        return self.read(Owners(self._database.path).holder, run.key)


def find_run(settings: Settings, name: str) -> str:
    """The id of the run with this id, prefix or `@latest`. Verbs that write ask here first, for it makes nothing."""
    with Reading(settings.db) as reading:
        return reading.read(reader.find, name).id


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")


def _end(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
