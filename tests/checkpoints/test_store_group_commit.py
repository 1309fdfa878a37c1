"""Transitions that are ready together share a commit, and none suffers from another."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from perdure.checkpoints import MemoryStore, SQLiteStore, StaleFenceError, State, StoreError, Value
from perdure.checkpoints.conformance.examples import make_change, make_run, make_step
from perdure.checkpoints.sqlite._committer import GROUP_LIMIT, Committer
from perdure.checkpoints.sqlite._connection import Connection
from perdure.checkpoints.sqlite._writer import Job, JobResult


def trace(store: SQLiteStore, statements: list[str]) -> asyncio.Future[None]:
    """Gather what SQLite executes from now on."""
    return asyncio.ensure_future(
        store._call(lambda connection: connection.set_trace_callback(statements.append))  # pyright: ignore[reportPrivateUsage] no public way to look
    )


def test_many_callers_share_few_commits(tmp_path: Path) -> None:
    async def work() -> list[str]:
        executed: list[str] = []
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            runs = [await make_run(store, f"run-{number}") for number in range(200)]
            await trace(store, executed)

            async def chain(key: int, position: int) -> None:
                for step in range(5):
                    await store.commit(make_step(key, position=position + step))

            await asyncio.gather(*(chain(run.key, run.position) for run in runs))
            assert {run.position for run in await store.read(lambda view: view.runs())} == {
                runs[0].position + 5
            }
        return executed

    executed = asyncio.run(work())
    commits = sum(statement == "COMMIT" for statement in executed)
    assert 5 <= commits <= 10, commits  # 5 rounds, 1,000 transitions; the rest is leaving


def test_while_a_group_is_written_the_next_one_gathers() -> None:
    """The committer alone, with a writer that is held up."""
    groups: list[int] = []
    begun, free = threading.Event(), threading.Event()

    def write(connection: sqlite3.Connection, jobs: list[Job]) -> list[JobResult]:
        groups.append(len(jobs))
        begun.set()
        assert free.wait(10)
        return [None] * len(jobs)

    async def work() -> None:
        connection = await Connection.open(
            lambda: sqlite3.connect(":memory:"), lambda error: StoreError(str(error))
        )
        committer = Committer(connection, write)
        first = committer.put(make_step(1, position=0))
        assert await asyncio.to_thread(begun.wait, 10)
        waiting = [committer.put(make_step(1, position=number)) for number in range(1, GROUP_LIMIT + 11)]
        await asyncio.sleep(0.01)
        assert groups == [1]
        free.set()
        await asyncio.gather(first, *waiting)
        await committer.drained()
        await connection.close()

    asyncio.run(work())
    assert groups == [1, GROUP_LIMIT, 10]


def test_every_waiter_gets_an_answer_when_the_connection_is_gone() -> None:
    async def work() -> None:
        async with MemoryStore() as store:
            await store.register()
            run = await make_run(store, "one")
            await store._opened().close()  # pyright: ignore[reportPrivateUsage] as if it had died
            steps = [store.commit(make_step(run.key, position=run.position + number)) for number in range(5)]
            outcomes = await asyncio.wait_for(asyncio.gather(*steps, return_exceptions=True), 10)
            assert [type(outcome) for outcome in outcomes] == [StoreError] * 5
            store._connection = None  # pyright: ignore[reportPrivateUsage] closed above, nothing to close again

    asyncio.run(work())


def test_every_waiter_gets_its_answer_when_the_store_closes_meanwhile(tmp_path: Path) -> None:
    async def work() -> None:
        store = SQLiteStore(tmp_path / "a.db")
        async with store:
            await store.register()
            run = await make_run(store, "one")
            steps = [
                asyncio.ensure_future(store.commit(make_step(run.key, position=run.position + number)))
                for number in range(50)
            ]
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*steps), 10)
        async with store:
            assert (await store.read(lambda view: view.run("one"))).position == run.position + 50

    asyncio.run(work())


def test_a_stale_run_in_a_group_harms_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            runs = [await make_run(store, f"run-{number}") for number in range(9)]
            await store.claim("run-4")  # so that fence 1 is stale
            value = Value(b"v" * 2_000)
            change = make_change("a", state=State.SUCCEEDED, result=value)
            outcomes = await asyncio.gather(
                *(
                    store.commit(make_step(run.key, position=run.position, activations=(change,)))
                    for run in runs
                ),
                return_exceptions=True,
            )
            assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [4]
            assert isinstance(outcomes[4], StaleFenceError)
            assert str(outcomes[4]).startswith(
                "run run-4: another executor took it over (fence 2, ours was 1)"
            )
            with_activation = {
                run.key
                for run in runs
                if await store.read(lambda view: view.activations(run.key))  # noqa: B023  # awaited at once
            }
            assert with_activation == {run.key for run in runs} - {runs[4].key}
            assert await store.read(lambda view: view.check()) == []

    asyncio.run(work())


def test_transitions_of_one_run_are_written_in_the_order_of_the_calls(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            run = await make_run(store, "one", events=())
            states = [State.READY, State.RUNNING, State.BACKOFF] * 20
            await asyncio.gather(
                *(
                    store.commit(
                        make_step(
                            run.key,
                            position=number,
                            events=(f"event-{number}",),
                            activations=(make_change("a", state=state, attempt=number + 1),),
                        )
                    )
                    for number, state in enumerate(states)
                )
            )
            assert [event.type for event in await store.read(lambda view: view.events(run.key))] == [
                f"event-{n}" for n in range(60)
            ]
            [found] = await store.read(lambda view: view.activations(run.key))
            assert (found.state, found.attempt) == (State.BACKOFF, 60)

    asyncio.run(work())


@pytest.mark.parametrize("guilty", [0, 3, 6])
def test_only_the_guilty_transition_fails(tmp_path: Path, guilty: int) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            runs = [await make_run(store, f"run-{number}") for number in range(7)]
            steps = [make_step(run.key, position=run.position) for run in runs]
            huge = make_change("a", state=State.READY, items=2**70)
            steps[guilty] = make_step(runs[guilty].key, position=runs[guilty].position, activations=(huge,))
            outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
            assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [guilty]
            assert type(outcomes[guilty]) is StoreError
            positions = [
                run.position
                for run in await store.read(lambda view: view.runs_by_key([run.key for run in runs]))
            ]
            assert positions == [run.position + (number != guilty) for number, run in enumerate(runs)]
            assert await store.read(lambda view: view.check()) == []

    asyncio.run(work())


def test_a_full_database_fails_what_does_not_fit_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    def set_pages(number: int) -> object:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {number}").fetchone()  # pyright: ignore

    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            small, large = await make_run(store, "small"), await make_run(store, "large")
            pages = (await store.read(lambda view: view.info())).size // 4096
            await store._call(set_pages(pages + 2))  # type: ignore[arg-type]
            value = make_change("a", state=State.SUCCEEDED, result=Value(bytes(100_000)))
            too_large = make_step(large.key, position=large.position, activations=(value,))
            outcomes = await asyncio.gather(
                store.commit(make_step(small.key, position=small.position)),
                store.commit(too_large),
                return_exceptions=True,
            )
            assert outcomes[0] is None
            assert isinstance(outcomes[1], StoreError)
            assert "the disk is full" in str(outcomes[1])
            assert str(tmp_path / "a.db") in str(outcomes[1])
            await store._call(set_pages(1_000_000))  # type: ignore[arg-type]
            await store.commit(too_large)
            assert await store.read(lambda view: view.check()) == []

    asyncio.run(work())


def test_a_refused_run_does_not_refuse_a_creation_in_its_group(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            await store.register()
            one = await make_run(store, "one")
            made, again, refused = await asyncio.gather(
                make_run(store, "two"),
                make_run(store, "one"),
                store.commit(make_step(one.key, position=one.position, fence=7)),
                return_exceptions=True,
            )
            assert not isinstance(made, BaseException)
            assert "there is a run with this id already" in str(again)
            assert isinstance(refused, StaleFenceError)
            assert [run.id for run in await store.read(lambda view: view.runs())] == ["two", "one"]

    asyncio.run(work())
