"""Deleting a run with all that belongs to it. Runs on the connection's thread."""

from __future__ import annotations

import sqlite3

from ..errors import RunNotDeletableError, RunNotFoundError
from ..records import RunRecord
from . import _queries as queries
from . import _rows as rows
from ._ownership import Owners, writing


def delete_run(connection: sqlite3.Connection, owners: Owners, key: int) -> None:
    """As `Store.delete`, in one transaction."""
    with writing(connection):
        row = connection.execute(queries.RUN_BY_KEY, (key,)).fetchone()
        if row is None:
            raise RunNotFoundError(f"run number {key}: there is none. `perdure runs` lists them.")
        _require_deletable(connection, owners, rows.run_from(row))
        digests = connection.execute(queries.DIGESTS_OF_RUN, {"run": key}).fetchall()
        for statement in queries.DELETE_PARTS:
            connection.execute(statement, (key,))
        connection.execute(queries.DELETE_RUN, (key,))
        connection.executemany(queries.DELETE_UNUSED_BLOB, [{"digest": digest} for (digest,) in digests])


def _require_deletable(connection: sqlite3.Connection, owners: Owners, run: RunRecord) -> None:
    if not run.status.finished:
        raise RunNotDeletableError(
            f"Run {run.id} is {run.status}: only a run that has ended can be deleted. Cancel it first: "
            f"perdure cancel {run.id}"
        )
    holder = owners.living(connection, run.owner)
    if holder is not None:  # it failed, and is being retried
        raise RunNotDeletableError(
            f"Run {run.id}: {holder} is about to drive it on. Cancel it first: perdure cancel {run.id}"
        )
    if connection.execute(queries.IS_UNSETTLED, {"run": run.key}).fetchone()[0]:
        raise RunNotDeletableError(
            f"Run {run.id} has ended, but a submission of it is still to be cancelled at the provider. Have that done "
            f"first: perdure resume {run.id}"
        )
