"""Migrations: each is there whole with its version, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest
from perdure.checkpoints import DatabaseCorruptError, SchemaTooNewError, StoreError
from perdure.checkpoints.sqlite import _schema as schema

from .children import child


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def another_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second migration after the real ones."""
    scripts = (
        *schema.migrations(),
        "-- more\nCREATE TABLE more (a); -- and a comment; here\nINSERT INTO more VALUES (';');",
    )
    monkeypatch.setattr(schema, "migrations", lambda: scripts)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


def test_a_script_is_split_into_its_statements() -> None:
    script = "CREATE TABLE a (b); -- c; d\n/* e; */ INSERT INTO a\nVALUES (';\n');\n-- the end;\n"
    found = list(schema.statements(script))
    connection = sqlite3.connect(":memory:")
    for statement in found:
        connection.execute(statement)
    assert connection.execute("SELECT b FROM a").fetchall() == [(";\n",)]
    connection.close()


def test_a_new_database_gets_the_newest_schema(connection: sqlite3.Connection) -> None:
    schema.migrate(connection, "a.db")
    assert schema.identify(connection, "a.db") == len(schema.migrations())
    expected = (
        "runs events activations operations submissions scopes claims signals workflows blobs executors"
    )
    expected += " run_list activation_list operation_list"
    assert set(expected.split()) <= tables(connection)
    schema.migrate(connection, "a.db")  # nothing to do


@pytest.mark.usefixtures("another_migration")
def test_an_old_database_gets_what_is_missing(connection: sqlite3.Connection) -> None:
    first = schema.migrations()[0]
    for statement in schema.statements(first):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match=r"written by an older Perdure .schema 1, this one needs 2"):
        schema.require_current(connection, "a.db")
    schema.migrate(connection, "a.db")
    assert schema.identify(connection, "a.db") == 2
    assert connection.execute("SELECT a FROM more").fetchall() == [(";",)]
    schema.require_current(connection, "a.db")


@pytest.mark.usefixtures("another_migration")
def test_a_fault_at_any_instant_leaves_version_and_tables_in_accord() -> None:
    """SQLite is interrupted at its 1st, 2nd, 3rd … call of the progress handler, until it comes through."""
    whole = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(whole, "whole")
    expected: dict[int, set[str]] = {0: set(), 1: tables(whole) - {"more"}, 2: tables(whole)}
    seen: list[int] = []
    while True:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        calls = iter([*[False] * len(seen), True])
        connection.set_progress_handler(partial(next, calls, False), 5)
        try:
            schema.migrate(connection, "a.db")
        except sqlite3.OperationalError:
            pass
        else:
            connection.close()
            break
        connection.set_progress_handler(None, 0)
        assert not connection.in_transaction
        seen.append(schema.identify(connection, "a.db"))
        assert tables(connection) == expected[seen[-1]]
        schema.migrate(connection, "a.db")
        assert tables(connection) == expected[2]
        connection.close()
    whole.close()
    assert len(seen) > 100
    assert set(seen) == {0, 1, 2}


@pytest.mark.parametrize("number", range(len(list(schema.statements(schema.migrations()[0])))))
def test_a_fault_at_each_statement_leaves_an_empty_database(
    connection: sqlite3.Connection, number: int
) -> None:
    statement = list(schema.statements(schema.migrations()[0]))[number]
    name = next(
        word for word in statement.split("CREATE")[1].split() if word not in ("TABLE", "INDEX", "VIEW")
    )

    def refuse(action: int, argument: str | None, *_: str | None) -> int:
        creating = (sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW)
        return sqlite3.SQLITE_DENY if action in creating and argument == name else sqlite3.SQLITE_OK

    connection.set_authorizer(refuse)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        schema.migrate(connection, "a.db")
    connection.set_authorizer(None)
    assert schema.identify(connection, "a.db") == 0
    assert tables(connection) == set()
    schema.migrate(connection, "a.db")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE runs DROP COLUMN nonce", "its table runs is not as this version"),
        ("ALTER TABLE runs ADD COLUMN more TEXT", "its table runs is not as this version"),
        (
            "ALTER TABLE blobs ADD COLUMN more INTEGER AS (length(data))",
            "its table blobs is not as this version",
        ),
        ("DROP TABLE claims; CREATE VIEW claims AS SELECT 1", "its table claims is not as this version"),
        (
            "CREATE TRIGGER spy AFTER INSERT ON events BEGIN DELETE FROM events; END",
            "the trigger spy on the table events is not Perdure's.*DROP TRIGGER spy",
        ),
        (
            "CREATE INDEX spy ON blobs (upper(digest))",
            "the expression index spy on the table blobs is not Perdure's.*DROP INDEX spy",
        ),
    ],
)
def test_a_database_that_somebody_changed_is_refused(
    connection: sqlite3.Connection, change: str, said: str
) -> None:
    schema.migrate(connection, "a.db")
    connection.executescript(change)
    for open_ in (schema.migrate, schema.require_current):
        with pytest.raises(DatabaseCorruptError, match=rf"a\.db: {said}"):
            open_(connection, "a.db")


def test_what_somebody_adds_beside_our_tables_is_let_be(connection: sqlite3.Connection) -> None:
    schema.migrate(connection, "a.db")
    connection.executescript(
        "CREATE TABLE notes (text); CREATE INDEX notes_upper ON notes (upper(text));"
        "CREATE TRIGGER note AFTER INSERT ON notes BEGIN DELETE FROM notes; END;"
        "CREATE INDEX by_time ON events (at); CREATE VIEW mine AS SELECT * FROM runs"
    )
    schema.migrate(connection, "a.db")
    schema.require_current(connection, "a.db")


def test_a_newer_database_is_not_touched(connection: sqlite3.Connection) -> None:
    schema.migrate(connection, "a.db")
    connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        SchemaTooNewError, match=r"a\.db: written by a newer Perdure .schema 7, this one knows 1"
    ):
        schema.migrate(connection, "a.db")


def test_many_processes_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with child(path) as one, child(path) as two, child(path) as three:
        for process in (one, two, three):  # they have started at once
            process.ask("register")
            process.ask("create", f"run-{process.pid}")
        assert len(one.ask("runs")) == 3
