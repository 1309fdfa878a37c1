"""The schema's versions: numbered migrations, each committed together with its version.

`PRAGMA application_id` says that a file is ours, `PRAGMA user_version` which migrations it has had. What else
stands in the file may be anybody's work, so our tables are compared with what the migrations make.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

from ..errors import DatabaseCorruptError, SchemaTooNewError, StoreError

APPLICATION_ID = 0x50455244
"""The letters PERD: marks a SQLite file as Perdure's."""


@cache
def migrations() -> tuple[str, ...]:
    """The scripts in order; the first leads from nothing to version 1."""
    return (Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"),)


def statements(script: str) -> Iterator[str]:
    """The script's statements, one by one."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""


def identify(connection: sqlite3.Connection, path: str) -> int:
    """The schema version of a database that is ours, 0 for an empty one.

    Raises `DatabaseCorruptError` when the file is somebody else's, `SchemaTooNewError` when a newer Perdure
    wrote it.
    """
    # One statement, so that all is of one moment: another process may be making the database just now.
    tables, application, version = connection.execute(
        "SELECT (SELECT count(*) FROM sqlite_schema), a.application_id, v.user_version "
        "FROM pragma_application_id AS a, pragma_user_version AS v"
    ).fetchone()
    if application != APPLICATION_ID and (tables or version or application):
        raise DatabaseCorruptError(
            f"{path}: this is a SQLite database, but not one of Perdure's. Name another file."
        )
    if version > len(migrations()):
        raise SchemaTooNewError(
            f"{path}: written by a newer Perdure (schema {version}, this one knows {len(migrations())}). "
            "Upgrade Perdure: pip install -U perdure."
        )
    return version


def require_current(connection: sqlite3.Connection, path: str) -> None:
    """For readers, who never migrate. Raises what `identify` and `require_own_tables` raise, and `StoreError`
    for an older schema."""
    version = identify(connection, path)
    if version == 0:
        raise DatabaseCorruptError(f"{path}: the file is empty, it holds no runs. Name another file.")
    if version < len(migrations()):
        raise StoreError(
            f"{path}: written by an older Perdure (schema {version}, this one needs {len(migrations())}). "
            "Bring it up to date: perdure db migrate."
        )
    require_own_tables(connection, path)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to the newest version. What fails leaves it at the last version that it reached.

    Raises what `identify` and `require_own_tables` raise.
    """
    while identify(connection, path) < len(migrations()):
        try:
            connection.execute("BEGIN IMMEDIATE")
            # Asked again under the write lock: another process may have been quicker.
            version = identify(connection, path)
            if version < len(migrations()):
                for statement in statements(migrations()[version]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    require_own_tables(connection, path)


def require_own_tables(connection: sqlite3.Connection, path: str) -> None:
    """Raise `DatabaseCorruptError` unless our tables have our columns, and nobody's code runs when they are used."""
    expected = _expected_columns()
    found = _columns(connection)
    for table, columns in expected.items():
        if found.get(table) != columns:
            raise DatabaseCorruptError(
                f"{path}: its table {table} is not as this version of Perdure makes it. Another version made the "
                "database, or somebody changed it. Name another file, or move this one away."
            )
    for kind, name, table in connection.execute(_FOREIGN_CODE):
        if table in expected:
            raise DatabaseCorruptError(
                f"{path}: the {kind} {name} on the table {table} is not Perdure's, and would run whenever the table "
                f"is used. Remove it: DROP {'TRIGGER' if kind == 'trigger' else 'INDEX'} {name};"
            )


_Columns: TypeAlias = "dict[str, list[tuple[str, str, int, int, int]]]"

_FOREIGN_CODE = """
SELECT 'trigger', name, tbl_name FROM sqlite_schema WHERE type = 'trigger'
UNION ALL
SELECT 'expression index', i.name, i.tbl_name FROM sqlite_schema AS i, pragma_index_xinfo(i.name) AS part
WHERE i.type = 'index' AND part.cid = -2
"""


def _columns(connection: sqlite3.Connection) -> _Columns:
    """Name, type, NOT NULL, place in the primary key and kind (plain, generated) of the columns of each table."""
    found: _Columns = {}
    for table, *column in connection.execute(
        'SELECT t.name, c.name, c.type, c."notnull", c.pk, c.hidden '
        "FROM sqlite_schema AS t, pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' ORDER BY t.name, c.cid"
    ):
        found.setdefault(table, []).append(tuple(column))
    return {table: columns for table, columns in found.items() if not table.startswith("sqlite_")}


@cache
def _expected_columns() -> _Columns:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for script in migrations():
            connection.executescript(script)
        return _columns(connection)
    finally:
        connection.close()
