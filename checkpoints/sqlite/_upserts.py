"""Inserts and updates rows of activations, operations and submissions, whose columns vary from change to change.

The text of a statement is made once per table and set of columns. Runs on the connection's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import StoreError
from ..records import INLINE_LIMIT, ActivationColumns, OperationColumns, State, SubmissionColumns, Value
from . import _queries as queries
from . import _rows as rows


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table:
    """A table whose rows are inserted and updated by transitions, with columns that vary.

    Of its `columns`, those in `values` hold a `Value`, and `state` is always set. `mostly_new` are the states in
    which most rows are inserted: rows in other states are nearly always there already, and an UPDATE costs two
    thirds of an upsert that meets its row. `inserted_at` is the column for the time of the insert.
    """

    name: str
    key: tuple[str, ...]
    columns: frozenset[str]
    values: frozenset[str] = frozenset()
    state: str = "state"
    mostly_new: frozenset[str]
    inserted_at: str = "started_at"


_ACTIVATION_KEY = ("run", "scope", "node", "item")
_OPERATION_KEY = (*_ACTIVATION_KEY, "attempt", "chain", "number")

ACTIVATIONS = Table(
    name="activations",
    key=_ACTIVATION_KEY,
    columns=frozenset(ActivationColumns.__annotations__),
    values=frozenset(("result",)),
    mostly_new=frozenset((State.READY, State.RUNNING, State.SKIPPED)),
)
OPERATIONS = Table(
    name="operations",
    key=_OPERATION_KEY,
    columns=frozenset(OperationColumns.__annotations__),
    values=frozenset(("request", "outcome")),
    mostly_new=frozenset((State.READY, State.SUBMITTING)),
)
SUBMISSIONS = Table(
    name="submissions",
    key=(*_OPERATION_KEY, "submission"),
    columns=frozenset(SubmissionColumns.__annotations__),
    state="fate",
    mostly_new=frozenset(("sent",)),
    inserted_at="sent_at",
)


def put(
    cursor: sqlite3.Cursor, table: Table, key: tuple[Any, ...], columns: Mapping[str, Any], at: float
) -> None:
    """Insert or update one row."""
    state = columns.get(table.state)
    if state is None:
        raise StoreError(f"{table.name} {key[1:]}: a change must name the {table.state}.")
    values = table.values
    parameters: list[Any] = [at]
    for name, value in columns.items():
        if name in values:
            if not isinstance(value, Value):
                parameters += (None, None)
            elif len(value.data) <= INLINE_LIMIT:
                parameters += (value.data, None)
            else:
                put_blob(cursor, value)
                parameters += (None, value.digest)
        elif name == "state":
            parameters.append(rows.STATE_TEXT[value])
        elif name == "taken" and value is not None:
            parameters.append(rows.path_text(value))
        else:
            parameters.append(value)
    parameters += key
    update, upsert = _statements(table, tuple(columns))
    if state in table.mostly_new or not cursor.execute(update, parameters).rowcount:
        parameters.append(at)
        cursor.execute(upsert, parameters)


@cache
def _statements(table: Table, names: tuple[str, ...]) -> tuple[str, str]:
    """The UPDATE and the upsert that set exactly these columns. Both bind them, then the key, in one order."""
    unknown = [name for name in names if name not in table.columns]
    if unknown:
        raise StoreError(f"{table.name}: there is no column {', '.join(unknown)}.")
    columns = ["updated_at"]
    for name in names:
        columns.append(name)
        if name in table.values:
            columns.append(f"{name}_digest")
    update = (
        f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in columns)} "  # noqa: S608 our own names
        f"WHERE {' AND '.join(f'{name} = ?' for name in table.key)}"
    )
    inserted = (*columns, *table.key, table.inserted_at)
    upsert = (
        f"INSERT INTO {table.name} ({', '.join(inserted)}) "  # noqa: S608 our own names
        f"VALUES ({', '.join('?' * len(inserted))}) "
        f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)}"
    )
    return update, upsert


def put_blob(cursor: sqlite3.Cursor, value: Value) -> None:
    # Looked up first: binding a megabyte only to find that it is there would copy it.
    if cursor.execute(queries.HAS_BLOB, (value.digest,)).fetchone() is None:
        cursor.execute(queries.INSERT_BLOB, (value.digest, value.data))
