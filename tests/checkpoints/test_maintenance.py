"""`info` and `check`: what a database is, and whether it is sound."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from perdure.checkpoints import ActivationState, MemoryStore, SQLiteStore, Value
from perdure.checkpoints.conformance_records import LARGE, make_change, make_run, make_step


def fill(path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            run = await make_run(store, "one", input=LARGE)
            change = make_change("a", state=ActivationState.SUCCEEDED, result=Value(bytes(3_000)))
            await store.commit(make_step(run.key, position=run.position, activations=(change,)))

    asyncio.run(work())


def check(path: Path) -> list[str]:
    async def work() -> list[str]:
        async with SQLiteStore(path, read_only=True) as store:
            return await store.check()

    return asyncio.run(work())


def test_info_says_what_the_database_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)

    async def work() -> None:
        async with SQLiteStore(path) as store:
            info = await store.info()
            assert (info.path, info.schema, info.journal_mode) == (str(path), 1, "wal")
            assert info.bytes == path.stat().st_size
            assert info.free_bytes == 0
            assert info.sqlite == sqlite3.sqlite_version
            assert info.rows == {
                "runs": 1,
                "activations": 1,
                "events": 2,
                "scopes": 0,
                "workflows": 1,
                "blobs": 2,
                "inbox": 0,
                "executors": 0,
            }
        async with MemoryStore() as memory:
            info = await memory.info()
            assert (info.path, info.wal_bytes, info.journal_mode) == (None, 0, "memory")

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
            "run one: it is at position 2, but its log has 1 events up to 2",
        ),
        ("UPDATE runs SET position = 9", "run one: it is at position 9, but its log has 2 events up to 2"),
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
