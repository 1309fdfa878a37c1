"""Databases that are missing, locked, read-only, damaged, somebody else's or too new: each says what to do."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from perdure.checkpoints import (
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    RunNotFoundError,
    SchemaTooNewError,
    SQLiteStore,
    SQLiteView,
    StoreError,
    Value,
)
from perdure.checkpoints.conformance.examples import PLAN, make_run, make_step

from .children import child

NOBODY = 65534


def fill(path: Path) -> None:
    """Make a sound database with one run."""

    async def work() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            await make_run(store, "one")

    asyncio.run(work())


def opening(store: SQLiteStore) -> Callable[[], None]:
    async def work() -> None:
        async with store:
            await store.read(lambda view: view.runs())

    return lambda: asyncio.run(work())


def write(path: Path) -> None:
    """Open the database to write, and close it."""
    opening(SQLiteStore(path))()


def read(path: Path) -> None:
    """Open the database to read, and close it."""
    with SQLiteView.open(path) as view:
        view.runs()


@pytest.mark.parametrize(
    "open_", [opening(SQLiteStore("missing.db", create=False)), lambda: read(Path("missing.db"))]
)
def test_readers_never_make_a_missing_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_: Callable[[], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatabaseMissingError, match=r"missing\.db: there is no database.*--db"):
        open_()
    assert list(tmp_path.iterdir()) == []


def test_memory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"use MemoryStore"):
        SQLiteStore(":memory:")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError, match=r"the folder .*nowhere does not exist. Make it"):
        opening(SQLiteStore(tmp_path / "nowhere" / "a.db"))()


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError, match=r"this is a folder. Name a file"):
        opening(SQLiteStore(tmp_path))()


def test_a_path_with_letters_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro#%41 ü.db"
    fill(path)
    assert path.exists()


def test_no_sqlite_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is a letter to a friend, and not at all short\n" * 100)
    with pytest.raises(DatabaseCorruptError, match=r"a\.db: this is no SQLite database. Name another file"):
        opening(SQLiteStore(path))()
    assert path.read_bytes().startswith(b"this is a letter")


def test_somebody_elses_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = path.read_bytes()
    for open_ in (read, write):
        with pytest.raises(DatabaseCorruptError, match="not one of Perdure's"):
            open_(path)
    assert path.read_bytes() == before


def test_an_empty_file_holds_no_runs_for_a_reader_and_becomes_a_database_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    with pytest.raises(DatabaseCorruptError, match="the file is empty"):
        read(path)
    write(path)
    read(path)


@pytest.mark.parametrize("open_", [read, write])
def test_a_newer_schema(tmp_path: Path, open_: Callable[[Path], None]) -> None:
    path = tmp_path / "a.db"
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaTooNewError, match=r"written by a newer Perdure .schema 99.*Upgrade Perdure"):
        open_(path)


def test_damaged_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(DatabaseCorruptError, match=r"pages of the database are damaged .*Restore a backup"):
        opening(SQLiteStore(path))()


def test_a_database_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    os.truncate(path, 6_000)
    with pytest.raises(DatabaseCorruptError):
        opening(SQLiteStore(path))()


@pytest.fixture
def locked(tmp_path: Path) -> Generator[Path]:
    """A sound database on which somebody has begun to write and not ended."""
    path = tmp_path / "a.db"
    fill(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield path
    holder.close()


def test_a_lock_that_is_held_for_too_long(locked: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(locked, busy_timeout=0.2) as store:
            assert len(await store.read(lambda view: view.runs())) == 1, "readers are not held up"
            with pytest.raises(
                DatabaseLockedError, match=r"a\.db: another process has held its lock .* 0\.2 s"
            ):
                await store.register()
            with pytest.raises(DatabaseLockedError):
                await store.signal(1, "cancel", None, (), b"")

    asyncio.run(work())


def test_a_lock_fails_the_whole_group_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def work() -> None:
        async with SQLiteStore(path, busy_timeout=0.2) as store:
            await store.register()
            runs = [await make_run(store, f"run-{number}") for number in range(3)]
            steps = [make_step(run.key, position=run.position) for run in runs]
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [DatabaseLockedError] * 3
            holder.close()
            await asyncio.gather(*map(store.commit, steps))
            assert {run.position for run in await store.read(lambda view: view.runs())} == {2}

    asyncio.run(work())


def test_what_waits_behind_a_lock_gets_the_same_error_and_can_be_tried_again(tmp_path: Path) -> None:
    """A driver that waits out a lock must not be told that its run was taken over."""
    path = tmp_path / "a.db"

    async def work() -> None:
        async with SQLiteStore(path, busy_timeout=0.3) as store:
            await store.register()
            run = await make_run(store, "one")
            steps = [make_step(run.key, position=run.position + number) for number in range(4)]
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            first = [asyncio.ensure_future(store.commit(step)) for step in steps[:2]]
            await asyncio.sleep(0.1)  # these are being written; the next ones wait behind them
            behind = [asyncio.ensure_future(store.commit(step)) for step in steps[2:]]
            outcomes = await asyncio.gather(*first, *behind, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [DatabaseLockedError] * 4
            assert "the transition before it in its run was not" in str(outcomes[2])
            holder.close()
            await asyncio.gather(*map(store.commit, steps))
            assert (await store.read(lambda view: view.run("one"))).position == run.position + 4

    asyncio.run(work())


def test_a_look_for_runs_to_take_needs_no_lock_when_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def work() -> None:
        async with SQLiteStore(path) as owner, SQLiteStore(path, busy_timeout=0.2) as other:
            await owner.register()
            await other.register()
            run = await make_run(owner, "one")
            await make_run(other, "two")
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            [claim] = await other.claim_all([PLAN.signature])
            assert (claim.run, claim.granted, claim.holder) == (run, False, f"process {os.getpid()}")
            assert await other.claim_all([PLAN.signature], exclude={run.key}) == []
            holder.close()
            await owner.release([run])
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseLockedError):
                await other.claim_all([PLAN.signature])
            holder.close()
            assert [claim.granted for claim in await other.claim_all([PLAN.signature])] == [True]

    asyncio.run(work())


def as_nobody(path: Path, **options: object) -> dict[str, str] | str:
    """What a process of a user without rights gets: "ready" or an error. Root is not stopped by modes."""
    user = {"user": NOBODY} if os.geteuid() == 0 else {}
    with child(path, **options, **user) as process:
        return process.greeting


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that every user can reach and write to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o777)


def test_a_file_that_may_only_be_read(open_folder: Path) -> None:
    path = open_folder / "a.db"
    fill(path)
    path.chmod(0o444)
    user = {"user": NOBODY} if os.geteuid() == 0 else {}
    with child(path, **user) as process:
        refused = process.ask("register")
        assert refused["error"] == DatabaseReadOnlyError.__name__
        assert "a.db: this user may not write to the file" in refused["message"]
        assert "Give write permission" in refused["message"]
        assert process.ask("runs") == ["one"]


def test_a_folder_that_may_only_be_read(open_folder: Path) -> None:
    path = open_folder / "a.db"
    fill(path)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    assert as_nobody(path, read_only=True) == "ready", "a reader needs no rights to write"
    refused = as_nobody(path)
    assert isinstance(refused, dict)
    assert refused["error"] == DatabaseReadOnlyError.__name__
    refused = as_nobody(open_folder / "new.db")
    assert isinstance(refused, dict)
    assert refused["error"] == DatabaseReadOnlyError.__name__
    assert "the database can't be reached or made (Permission denied)" in refused["message"]


def test_a_wal_that_cant_be_read_is_not_passed_over(open_folder: Path) -> None:
    """What is in the WAL is newer than the database: to leave it out would show the past."""
    path = open_folder / "a.db"
    fill(path)
    with child(path) as writer:
        writer.ask("register")
        writer.ask("create", "two")
        writer.kill()
    assert (open_folder / "a.db-wal").stat().st_size > 0
    (open_folder / "a.db-shm").unlink()
    path.chmod(0o444)
    (open_folder / "a.db-wal").chmod(0o444)
    open_folder.chmod(0o555)
    user = {"user": NOBODY} if os.geteuid() == 0 else {}
    with child(path, read_only=True, **user) as reader:
        if reader.greeting == "ready":
            assert sorted(reader.ask("runs")) == ["one", "two"]
        else:
            assert reader.greeting["error"] == DatabaseReadOnlyError.__name__


def test_another_users_database(open_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file for one user and open it as another")
    path = open_folder / "a.db"
    fill(path)
    refused = as_nobody(path, read_only=True)
    assert isinstance(refused, dict)
    assert refused["error"] == DatabaseReadOnlyError.__name__


def test_a_full_disk(tmp_path: Path) -> None:
    """A file system of 1 MB. (`PRAGMA max_page_count` does it without, in the tests of group commit.)"""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user can't mount a small file system")

    async def work() -> None:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(300_000))
        async with SQLiteStore(small / "a.db") as store:
            await store.register()  # the WAL can't be extended: that is no error
            runs = [
                make_run(store, f"run-{number}", input=Value(os.urandom(3_000))) for number in range(1_000)
            ]
            outcomes = await asyncio.gather(*runs, return_exceptions=True)
            refused = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
            written = len(outcomes) - len(refused)
            assert written > 5
            assert "a.db: the disk is full. Free some space" in str(refused[0])
            assert len(await store.read(lambda view: view.runs())) == written
            assert await store.read(lambda view: view.check()) == []
            ballast.unlink()
            await make_run(store, "one more")
            assert len(await store.read(lambda view: view.runs())) == written + 1

    try:
        asyncio.run(work())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)

    with SQLiteView.open(path) as view:
        assert view.find("@latest").id == "one"
        with pytest.raises(RunNotFoundError):
            view.run("two")
        # All of it, whatever its methods do: the connection itself refuses.
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            view._opened().execute("DELETE FROM runs")  # pyright: ignore[reportPrivateUsage] no method writes
        assert view.check() == []
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_a_view_is_held_up_by_no_writer(locked: Path) -> None:
    started = time.monotonic()
    with SQLiteView.open(locked, busy_timeout=5) as view, view.snapshot():
        assert [run.id for run in view.runs()] == ["one"]
        assert view.info().runs == 1
        assert view.check() == []
    assert time.monotonic() - started < 4


def test_a_snapshot_holds_up_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def work() -> None:
        async with SQLiteStore(path, busy_timeout=0.2) as store:
            await store.register()
            run = await make_run(store, "one")
            with store.view() as view:
                with view.snapshot():
                    for number in range(100):
                        await store.commit(make_step(run.key, position=run.position + number))
                    assert view.run("one") == run
                assert view.run("one").position == run.position + 100

    asyncio.run(work())


def test_an_error_of_sqlite_in_a_view_names_the_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    with SQLiteView.open(path) as view:
        view._opened().close()  # pyright: ignore[reportPrivateUsage] as if it had died
        for read_ in (
            lambda: view.runs(),
            lambda: view.run("one"),
            lambda: view.info(),
            lambda: view.changes(),
        ):
            with pytest.raises(StoreError, match=r"a\.db: the database could not do it"):
                read_()
