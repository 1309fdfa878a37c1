"""`info` and `check`: what a database is, and whether it is sound."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from perdure.checkpoints import MemoryStore, OperationKey, SQLiteStore, SQLiteView, State, Value
from perdure.checkpoints.conformance.examples import (
    LARGE,
    make_change,
    make_operation,
    make_run,
    make_step,
    make_submission,
)


def fill(path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            run = await make_run(store, "one", input=LARGE)
            change = make_change("a", state=State.SUCCEEDED, result=Value(bytes(3_000)))
            key = OperationKey(0, "a", 0)
            operation = make_operation(key, state=State.WAITING)
            submission = make_submission(key, fate="sent")
            await store.commit(
                make_step(
                    run.key,
                    position=run.position,
                    activations=(change,),
                    operations=(operation,),
                    submissions=(submission,),
                )
            )

    asyncio.run(work())


def check(path: Path) -> list[str]:
    with SQLiteView.open(path) as view:
        return view.check()


def test_info_says_what_the_database_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    with SQLiteView.open(path) as view:
        info = view.info()
    assert (info.path, info.schema, info.journal_mode) == (str(path), 1, "wal")
    assert (info.size, info.wal_size) == (path.stat().st_size, 0)
    assert info.sqlite == sqlite3.sqlite_version
    assert (info.runs, info.activations, info.operations, info.events, info.signals) == (1, 1, 1, 2, 0)
    assert (info.blobs, info.blob_bytes) == (2, 1_025 + 3_000)

    async def work() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            with store.view() as view:
                assert view.info().wal_size > 1_000_000, "the WAL has its full size from the beginning"
        async with MemoryStore() as memory:
            info = await memory.read(lambda view: view.info())
            assert (info.path, info.wal_size, info.journal_mode) == (None, 0, "memory")

    asyncio.run(work())


def test_a_sound_database_has_no_damage(tmp_path: Path) -> None:
    fill(tmp_path / "a.db")
    assert check(tmp_path / "a.db") == []


@pytest.mark.parametrize(
    ("damage", "report"),
    [
        ("UPDATE blobs SET data = CAST('x' AS BLOB) WHERE length(data) = 3000", "its bytes have changed"),
        (
            "DELETE FROM blobs WHERE length(data) = 3000",
            "activations row 1: refers to a row of blobs that is gone",
        ),
        ("DELETE FROM blobs WHERE length(data) < 3000", "run one: its input is gone"),
        (
            "DELETE FROM events WHERE position = 1",
            "run one: it is at position 2, but its journal has 1 events up to 2",
        ),
        (
            "UPDATE runs SET position = 9",
            "run one: it is at position 9, but its journal has 2 events up to 2",
        ),
        ("DELETE FROM activations", "operations row 1: refers to a row of activations that is gone"),
        ("DELETE FROM operations", "submissions row 1: refers to a row of operations that is gone"),
        ("DELETE FROM workflows", "runs row 1: refers to a row of workflows that is gone"),
    ],
)
def test_check_finds_each_damage(tmp_path: Path, damage: str, report: str) -> None:
    path = tmp_path / "a.db"
    fill(path)
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute(damage).rowcount == 1
    connection.close()
    found = check(path)
    assert len(found) == 1
    assert report in found[0]


def test_check_finds_damaged_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 50)
    found = check(path)
    assert found
    assert all(line.startswith("page damage: ") for line in found)
