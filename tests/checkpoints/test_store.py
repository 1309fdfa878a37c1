"""What every store promises, checked on both stores, and what is SQLite's own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from itertools import count
from pathlib import Path

import pytest
from perdure.checkpoints import (
    STORE_CHECKS,
    MemoryStore,
    OperationKey,
    RunStatus,
    SQLiteStore,
    SQLiteView,
    State,
    StoreCheck,
    StoreError,
    StoreFactory,
    Transition,
    Value,
    View,
    check_store,
)
from perdure.checkpoints.conformance.examples import (
    PLAN,
    make_change,
    make_operation,
    make_run,
    make_step,
    make_submission,
)
from perdure.checkpoints.sqlite import _queries as queries


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
    asyncio.run(check(factory))  # type: ignore[arg-type]  # a coroutine function


def test_check_store_finds_a_store_that_breaks_a_promise() -> None:
    class Unbounded(MemoryStore):
        async def commit(self, transition: Transition) -> None:
            current = await self.read(lambda view: view.fences([transition.run]))
            await super().commit(transition._replace(fence=current.get(transition.run, 0)))

    with pytest.raises(AssertionError, match="a former owner's transition is refused"):
        asyncio.run(check_store(Unbounded))


def test_check_store_finds_a_view_that_shows_something_else() -> None:
    class Belated(MemoryStore):
        def view(self) -> View:
            return empty.view()

    async def work() -> None:
        async with empty:
            await check_store(Belated)

    empty = MemoryStore()
    with pytest.raises((AssertionError, StoreError)):
        asyncio.run(work())


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_what_was_stored_is_there_when_the_store_is_opened_again(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "a.db")

    async def work() -> None:
        async with store:
            await store.register()
            made = await make_run(store, "one")
        async with store:
            found = await store.read(lambda view: view.run("one"))
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


def test_no_connection_trusts_the_schema(tmp_path: Path) -> None:
    async def work() -> None:
        for store in (SQLiteStore(tmp_path / "a.db"), MemoryStore()):
            async with store:
                views = [await store.read(trusts)]
                with store.view() as view:
                    views.append(trusts(view))
                assert views == [0, 0]

    def trusts(view: View) -> int:
        assert isinstance(view, SQLiteView)
        return view._number("PRAGMA trusted_schema")  # pyright: ignore[reportPrivateUsage] no public way to ask

    asyncio.run(work())


def test_a_large_value_is_stored_once(tmp_path: Path) -> None:
    text = Value(b"t" * 1_000_000)

    async def work() -> int:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            empty = (await store.read(lambda view: view.info())).size
            run = await make_run(store, "one", input=text)
            for number in range(50):
                change = make_change(f"n{number}", state=State.SUCCEEDED, result=text)
                await store.commit(make_step(run.key, position=run.position + number, activations=(change,)))
            info = await store.read(lambda view: view.info())
            assert (info.blobs, info.blob_bytes) == (1, 1_000_000)
            return info.size - empty

    assert asyncio.run(work()) < 1_050_000


def test_a_small_node_takes_little_room(tmp_path: Path) -> None:
    runs, nodes = 200, 10

    async def chain(store: SQLiteStore, run_id: str) -> None:
        run = await make_run(store, run_id)
        for number in range(nodes):
            done = make_change(
                f"node_{number}",
                state=State.SUCCEEDED,
                result=Value(os.urandom(200)),
                taken=(0,),
            )
            start = make_change(f"node_{number + 1}", state=State.RUNNING, attempt=1)
            step = make_step(run.key, position=run.position + number, activations=(done, start))
            await store.commit(step)

    async def work() -> int:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await asyncio.gather(*(chain(store, f"run-{number}") for number in range(runs)))
            return (await store.read(lambda view: view.info())).size

    assert asyncio.run(work()) / (runs * nodes) < 600


_OF_RUN = "sqlite_autoindex_activations_1 (run=?)"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (queries.CLAIMABLE_RUNS, "SEARCH runs USING INDEX runs_unfinished (signature=?)"),
        (queries.UNFINISHED_RUNS, "SCAN runs USING INDEX runs_unfinished"),
        (queries.RELEASE_ALL, "runs_owned"),
        (queries.STEP_RUN, "INTEGER PRIMARY KEY"),
        (queries.FENCES, "INTEGER PRIMARY KEY"),
        (queries.RUNS_BY_PREFIX, "sqlite_autoindex_runs"),
        (queries.LIVE_ACTIVATIONS, _OF_RUN),
        (queries.OUTPUTS, "sqlite_autoindex_activations_1 (run=? AND scope=? AND node=?)"),
        (queries.ACTIVATIONS_OF_OPEN_SCOPES, "sqlite_autoindex_activations_1 (run=? AND scope=?)"),
        (queries.OPEN_OPERATIONS, "SCAN o USING INDEX operations_open"),
        (queries.LIVE_OPERATIONS, "SEARCH o USING INDEX operations_open (run=?)"),
        (queries.OPERATIONS, "sqlite_autoindex_operations_1 (run=?)"),
        (
            queries.OPERATIONS_TO_GO_ON_WITH,
            "sqlite_autoindex_operations_1 (run=? AND scope=? AND node=? AND item=? AND attempt=?)",
        ),
        (queries.SUBMISSIONS, "sqlite_autoindex_submissions_1 (run=?)"),
        (queries.SUBMISSIONS_BY_HANDLE, "submissions_handle (handle=?)"),
        (queries.STRAYS, "submissions_stray (run=?)"),
        (
            queries.SUBMISSIONS_TO_GO_ON_WITH,
            "sqlite_autoindex_submissions_1 (run=? AND scope=? AND node=? AND item=?",
        ),
        (queries.UNSETTLED_RUNS, "SCAN submissions USING INDEX submissions_stray"),
        (queries.SIGNALS_OF_RUNS, "signals_run (run=?)"),
        (queries.SIGNALS_OF_OWNER, "SCAN signals"),
        (queries.END_CLAIM, "PRIMARY KEY (run=? AND fence=?)"),
        (queries.END_ALL_CLAIMS, "runs_owned"),
        (queries.CLAIMS, "PRIMARY KEY (run=?)"),
        (queries.HAS_BLOB, "sqlite_autoindex_blobs"),
        (queries.DIGESTS_OF_RUN, "sqlite_autoindex_operations_1 (run=?)"),
        (queries.IS_UNSETTLED, "submissions_stray (run=?)"),
        *(
            (queries.DELETE_UNUSED_BLOB, index)
            for index in ("runs_input", "activations_result", "operations_request", "operations_outcome")
        ),
        *((statement, "(run=?)") for statement in queries.DELETE_PARTS),
    ],
)
def test_a_query_finds_its_rows_by_an_index(query: str, index: str) -> None:
    async def plan() -> str:
        def explain(connection: sqlite3.Connection) -> str:
            names = ("prefix", "runs", "signatures", "executor", "at", "run", "digest")
            named: Mapping[str, str] = dict.fromkeys(names, "[]")
            parameters = named if ":" in query else ["[]"] * query.count("?")
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)
            return "\n".join(row[3] for row in rows)

        async with MemoryStore() as store:
            return await store._call(explain)  # pyright: ignore[reportPrivateUsage] no public way to ask

    found = asyncio.run(plan())
    assert index in found, found
    # Nothing reads a whole table; a partial index holds what is unfinished alone, and signals are few.
    partial = ("runs_unfinished", "operations_open", "submissions_stray")
    allowed = ("SCAN signals", "SCAN CONSTANT ROW", "SCAN json_each VIRTUAL TABLE INDEX 1:", "SCAN place")
    whole = [line for line in found.splitlines() if line.startswith("SCAN") and not line.endswith(partial)]
    assert [line for line in whole if line not in allowed] == []


def test_finished_runs_cost_a_look_for_unfinished_ones_nothing(tmp_path: Path) -> None:
    """Counted in SQLite's own steps, with ten finished runs and with a thousand."""

    async def steps(store: SQLiteStore, work: Callable[[], Awaitable[object]]) -> int:
        counted: list[None] = []

        def count_steps(connection: sqlite3.Connection) -> None:
            connection.set_progress_handler(lambda: counted.append(None), 1)

        await store._call(count_steps)  # pyright: ignore[reportPrivateUsage] no public way to look
        await work()
        await store._call(lambda connection: connection.set_progress_handler(None, 0))  # pyright: ignore[reportPrivateUsage] as above
        return len(counted)

    async def finish(store: SQLiteStore, number: int) -> None:
        run = await make_run(store, f"run-{number}")
        await store.commit(make_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))

    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await make_run(store, "unfinished")
            counts: list[list[int]] = []
            for numbers in (range(10), range(10, 1_000)):
                await asyncio.gather(*(finish(store, number) for number in numbers))
                counts.append(
                    [
                        await steps(store, lambda: store.read(lambda view: view.unfinished())),
                        await steps(store, lambda: store.claim_all([PLAN.signature])),
                    ]
                )
            assert counts[0] == counts[1]

    asyncio.run(work())


def test_views_read_well_in_a_shell(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            await make_run(
                store,
                "one",
                at=86_400.0,
                activations=(make_change("a", state=State.RUNNING),),
                operations=(make_operation(key, state=State.WAITING, submission=2, wake_at=86_401.0),),
                submissions=(
                    make_submission(key, 1, fate="unknown"),
                    make_submission(key, 2, fate="accepted", handle="resp_1"),
                ),
            )

    key = OperationKey(0, "a", 0)
    asyncio.run(work())
    connection = sqlite3.connect(tmp_path / "a.db")
    runs = connection.execute("SELECT run, status, created FROM run_list").fetchall()
    activations = connection.execute("SELECT run, node, path, state FROM activation_list").fetchall()
    operations = connection.execute(
        "SELECT run, node, path, attempt, state, handle, wakes FROM operation_list"
    ).fetchall()
    claims = connection.execute("SELECT run, fence, end FROM claims").fetchall()
    connection.close()
    assert runs == [("one", RunStatus.RUNNING, "1970-01-02 00:00:00")]
    assert activations == [("one", "a", "", "running")]
    assert operations == [("one", "a", "", 1, "waiting", "resp_1", "1970-01-02 00:00:01")]
    assert claims == [(1, 1, "released")]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import perdure.checkpoints.records", {"asyncio", "sqlite3", "msgpack", "pydantic", "aiosqlite"}),
        (
            "from perdure.checkpoints import RunStatus, StoreError",
            {"asyncio", "sqlite3", "msgpack", "pydantic"},
        ),
        ("from perdure.checkpoints import SQLiteView", {"asyncio", "aiosqlite", "msgpack", "pydantic"}),
    ],
)
def test_names_are_imported_when_they_are_used(statement: str, absent: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(told.stdout.split()) & absent == set()


def test_the_records_import_the_standard_library_alone() -> None:
    code = "import sys\nbefore = set(sys.modules)\nimport perdure.checkpoints.records\nprint(*set(sys.modules) - before)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    outside = {name.split(".")[0] for name in told.stdout.split()} - sys.stdlib_module_names
    assert outside == {"perdure"}


def test_every_name_of_the_package_is_there() -> None:
    import perdure.checkpoints as package

    assert [name for name in package.__all__ if getattr(package, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        package.Nonsense  # type: ignore[attr-defined]  # noqa: B018
