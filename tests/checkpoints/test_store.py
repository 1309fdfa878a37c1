"""What every store promises, checked on both stores, and what is SQLite's own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from itertools import count
from pathlib import Path

import pytest
from perdure.checkpoints import (
    STORE_CHECKS,
    ActivationState,
    MemoryStore,
    RunStatus,
    SQLiteStore,
    StoreCheck,
    StoreError,
    StoreFactory,
    Value,
    check_store,
    queries,
)
from perdure.checkpoints.conformance_records import make_change, make_run, make_step


@pytest.fixture(params=["sqlite", "normal", "memory"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[StoreFactory]:
    numbers = count()
    match request.param:
        case "memory":
            yield MemoryStore
        case "normal":
            yield lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db", synchronous="NORMAL")
        case _:
            yield lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db")


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_a_store_keeps_its_promises(check: StoreCheck, factory: StoreFactory) -> None:
    asyncio.run(check(factory))  # pyright: ignore[reportArgumentType] a coroutine function


def test_check_store_finds_a_store_that_breaks_a_promise() -> None:
    class Forgetful(MemoryStore):
        async def input(self, run: int) -> Value:
            return Value(b"")

    with pytest.raises(AssertionError, match="the input is stored"):
        asyncio.run(check_store(Forgetful))


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_what_was_stored_is_there_when_the_store_is_opened_again(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "a.db")

    async def work() -> None:
        async with store:
            await store.register()
            made = await make_run(store, "one")
        async with store:
            found = await store.run("one")
            assert (found.key, found.position, found.owner) == (made.key, made.position, None)
            await store.register()
            assert (await store.claim("one")).granted

    asyncio.run(work())


def test_a_store_is_opened_once_at_a_time(tmp_path: Path) -> None:
    async def work() -> None:
        store = SQLiteStore(tmp_path / "a.db")
        async with store:
            with pytest.raises(StoreError, match="open already"):
                await store.__aenter__()

    asyncio.run(work())


def test_the_files_belong_to_their_user_alone(tmp_path: Path) -> None:
    modes: dict[str, int] = {}

    def look() -> dict[str, int]:
        return {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}

    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await make_run(store, "one")
            modes.update(await asyncio.to_thread(look))

    old = os.umask(0)
    try:
        asyncio.run(work())
    finally:
        os.umask(old)
    assert len(modes) == 4  # the database, its WAL, its shared memory, the lock
    assert set(modes.values()) == {0o600}, modes


def test_closing_leaves_nothing_but_the_database(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await make_run(store, "one")

    asyncio.run(work())
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_commits_are_synchronous_as_asked(tmp_path: Path) -> None:
    async def pragma(store: SQLiteStore, name: str) -> object:
        async with store:
            return await store._call(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])  # pyright: ignore[reportPrivateUsage] no public way to ask

    path = tmp_path / "a.db"
    assert asyncio.run(pragma(SQLiteStore(path), "synchronous")) == 2
    assert asyncio.run(pragma(SQLiteStore(path, synchronous="NORMAL"), "synchronous")) == 1
    assert asyncio.run(pragma(SQLiteStore(path), "journal_mode")) == "wal"


def test_a_large_value_is_stored_once(tmp_path: Path) -> None:
    text = Value(b"t" * 1_000_000)

    async def work() -> int:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            run = await make_run(store, "one", input=text)
            for number in range(50):
                change = make_change(f"n{number}", state=ActivationState.SUCCEEDED, result=text)
                await store.commit(make_step(run.key, position=run.position + number, activations=(change,)))
            info = await store.info()
            assert info.rows["blobs"] == 1
            return info.bytes

    assert asyncio.run(work()) < 1_100_000


def test_a_small_node_takes_little_room(tmp_path: Path) -> None:
    runs, nodes = 200, 10

    async def chain(store: SQLiteStore, run_id: str) -> None:
        run = await make_run(store, run_id)
        for number in range(nodes):
            done = make_change(
                f"node_{number}",
                state=ActivationState.SUCCEEDED,
                result=Value(os.urandom(200)),
                taken=(0,),
            )
            start = make_change(f"node_{number + 1}", state=ActivationState.RUNNING, attempt=1)
            step = make_step(run.key, position=run.position + number, activations=(done, start))
            await store.commit(step)

    async def work() -> int:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await asyncio.gather(*(chain(store, f"run-{number}") for number in range(runs)))
            return (await store.info()).bytes

    assert asyncio.run(work()) / (runs * nodes) < 600


@pytest.mark.parametrize(
    ("query", "parameters", "index"),
    [
        (queries.ACTIVATIONS_AWAY, ("[]",), "activations_away"),
        (queries.UNFINISHED_RUNS, ("[]",), "runs_unfinished"),
        (queries.RELEASE_ALL, ("",), "runs_owned"),
        (queries.STEP_RUN, (0, "", None, None, 0.0, 1, 1, 0), "INTEGER PRIMARY KEY"),
        (queries.RUNS_BY_PREFIX, {"prefix": ""}, "sqlite_autoindex_runs"),
        (queries.LIVE_ACTIVATIONS, ("[]",), "sqlite_autoindex_activations_1 (run=?)"),
        (queries.RESULTS, (1, 0, ""), "sqlite_autoindex_activations_1 (run=? AND scope=? AND node=?)"),
        (
            queries.ACTIVATIONS_OF_OPEN_SCOPES,
            {"run": 1},
            "sqlite_autoindex_activations_1 (run=? AND scope=?)",
        ),
        (queries.HAS_BLOB, (b"",), "sqlite_autoindex_blobs"),
    ],
)
def test_a_query_finds_its_rows_by_an_index(query: str, parameters: object, index: str) -> None:
    async def plan() -> str:
        def explain(connection: sqlite3.Connection) -> str:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)  # pyright: ignore[reportArgumentType]
            return "\n".join(row[3] for row in rows)

        async with MemoryStore() as store:
            return await store._call(explain)  # pyright: ignore[reportPrivateUsage] no public way to ask

    found = asyncio.run(plan())
    assert index in found
    assert "SCAN runs" not in found
    assert "SCAN a" not in found.replace("SCAN a USING INDEX activations_away", "")


def test_views_read_well_in_a_shell(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await make_run(
                store, "one", at=86_400.0, activations=(make_change("a", state=ActivationState.READY),)
            )

    asyncio.run(work())
    connection = sqlite3.connect(tmp_path / "a.db")
    runs = connection.execute("SELECT run, status, created FROM run_list").fetchall()
    activations = connection.execute("SELECT run, node, path, state FROM activation_list").fetchall()
    connection.close()
    assert runs == [("one", RunStatus.RUNNING, "1970-01-02 00:00:00")]
    assert activations == [("one", "a", "", "ready")]


def test_the_records_are_importable_without_asyncio_and_sqlite() -> None:
    code = "import sys, perdure.checkpoints; sys.exit('sqlite3' in sys.modules or 'aiosqlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
