"""A transaction is there whole or not at all, whenever its process dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from perdure.checkpoints import (
    ActivationKey,
    OperationKey,
    RequestRef,
    RunStatus,
    SQLiteStore,
    SQLiteView,
    State,
    Value,
)
from perdure.checkpoints.conformance.examples import (
    make_change,
    make_operation,
    make_run,
    make_scope,
    make_step,
    make_submission,
)

from .children import child

pytestmark = pytest.mark.crash

WRITER = """
import asyncio, os, sys
from perdure.checkpoints import OperationKey, SQLiteStore, State, Value
from perdure.checkpoints.conformance.examples import (
    make_change, make_operation, make_run, make_scope, make_step, make_submission
)

async def chain(store, number):
    run = await make_run(store, f"run-{os.getpid()}-{number}", events=())
    for position in range(0, 10_000, 3):
        await store.commit(make_step(
            run.key,
            position=position,
            events=("a", "b", "c"),
            activations=[
                make_change(f"node_{position}", state=State.SUCCEEDED, result=Value(os.urandom(1_500))),
                make_change(f"node_{position + 3}", state=State.RUNNING),
            ],
            operations=[
                make_operation(
                    OperationKey(0, f"node_{position}", 0), state=State.WAITING, request=Value(b"r" * 1_500)
                ),
            ],
            submissions=[make_submission(OperationKey(0, f"node_{position}", 0), fate="sent")],
            scopes=[make_scope(position + 1, size=position)],
        ))
        if number == 0:
            print(position + 3, flush=True)

async def main():
    async with SQLiteStore(sys.argv[1]) as store:
        await store.register()
        await asyncio.gather(*(chain(store, number) for number in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.db"

    async def look(promised: int) -> None:
        async with SQLiteStore(path, create=False) as store:
            assert await store.read(lambda view: view.check()) == []
            runs = await store.read(lambda view: view.runs())
            assert len(runs) == 20
            assert max(run.position for run in runs) >= promised > 0
            with store.view() as view:
                for run in runs:
                    assert run.position % 3 == 0
                    assert len(view.events(run.key)) == run.position
                    found = view.activations(run.key)
                    done = [one for one in found if one.state is State.SUCCEEDED]
                    steps = run.position // 3
                    assert (len(done), len(found)) == (steps, steps + bool(run.position))
                    assert len(view.scopes(run.key)) == steps
                    operations = view.operations(run.key)
                    assert [one.state for one in operations] == [State.WAITING] * steps
                    assert len(view.submissions(run.key)) == steps
                    for one in done:
                        value = view.value(run.key, one.key)
                        assert isinstance(value, Value)
                        assert len(value.data) == 1_500
                    for operation in operations:
                        assert view.value(run.key, RequestRef(operation.key)) == Value(b"r" * 1_500)

    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        promised = [writer.stdout.readline()]  # commits have begun
        time.sleep(random.Random(seed).uniform(0.0, 0.15))
        os.kill(writer.pid, signal.SIGKILL)
        promised += writer.stdout.readlines()
    whole = [int(line) for line in promised if line.endswith("\n")]
    asyncio.run(look(whole[-1]))


DELETER = """
import asyncio, os, signal, sys, threading
from perdure.checkpoints import SQLiteStore

def die():
    os.kill(os.getpid(), signal.SIGKILL)

async def main(path, statement, delay):
    async with SQLiteStore(path) as store:
        run = await store.read(lambda view: view.run("gone"))
        seen = []

        def executing(text):
            seen.append(text)
            if text == statement or len(seen) == statement:
                threading.Timer(delay, die).start() if delay else die()

        await store._call(lambda connection: connection.set_trace_callback(executing))
        await store.delete(run.key)
        print(*seen, sep=";", flush=True)
        die()

_, path, statement, delay = sys.argv
asyncio.run(main(path, int(statement) if statement.isdigit() else statement, float(delay)))
"""


def delete_and_die(path: Path, statement: int | str, delay: float = 0.0) -> str:
    """Delete the run `gone` in a process that is killed as it executes that statement, else after the delete.

    Returns the statements of a delete that returned.
    """
    words = [sys.executable, "-c", DELETER, str(path), str(statement), str(delay)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    return done.stdout


def contents(path: Path) -> list[str]:
    """Every row of the database."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return list(connection.iterdump())


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    """A database with the runs `gone`, which has ended, and `kept`, which shares a blob with it."""
    path = tmp_path / "a.db"
    key = OperationKey(0, "ask", 0)

    async def make(store: SQLiteStore, name: str) -> None:
        run = await make_run(store, name, input=Value(b"shared" * 1_000))
        own = Value(name.encode() * 1_000)
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                status=RunStatus.SUCCEEDED,
                activations=[make_change("ask", state=State.SUCCEEDED, result=own)],
                operations=[make_operation(key, state=State.SUCCEEDED, request=own)],
                submissions=[make_submission(key, fate="accepted", handle=name)],
                scopes=[make_scope(1, size=1)],
            )
        )
        await store.signal(run.key, "of a later version", None, (), b"")

    async def work() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            await make(store, "gone")
            await make(store, "kept")

    asyncio.run(work())
    return path


def assert_deleted(path: Path) -> None:
    """All of `gone` is gone, and all of `kept` is there."""
    with SQLiteView.open(path) as view:
        assert view.check() == []
        [kept] = view.runs()
        assert view.value(kept.key, "input") == Value(b"shared" * 1_000)
        assert view.value(kept.key, ActivationKey(0, "ask", 0)) == Value(b"kept" * 1_000)
        info = view.info()
    counts = (info.runs, info.activations, info.operations, info.events, info.blobs, info.signals)
    assert counts == (1, 1, 1, kept.position, 2, 1)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("claims", "scopes", "submissions"):
            assert connection.execute(f"SELECT DISTINCT run FROM {table}").fetchall() == [(kept.key,)]


def test_a_delete_whose_process_is_killed_at_any_of_its_statements_is_not_there(two_runs: Path) -> None:
    before = contents(two_runs)
    for statement in range(1, 100):
        seen = delete_and_die(two_runs, statement)
        if seen:
            break
        assert contents(two_runs) == before, f"statement {statement}"
    else:
        pytest.fail("no delete was left to end")
    assert statement == len(seen.split(";")) + 1 > 10  # killed at each, the COMMIT being the last
    assert seen.rstrip().endswith("COMMIT")
    assert_deleted(two_runs)


@pytest.mark.parametrize("delay", [0.0001, 0.0003, 0.001, 0.003, 0.01])
def test_a_delete_whose_process_is_killed_about_its_commit_is_there_whole_or_not_at_all(
    two_runs: Path, delay: float
) -> None:
    before = contents(two_runs)
    told = delete_and_die(two_runs, "COMMIT", delay)
    if told or contents(two_runs) != before:
        assert_deleted(two_runs)


def test_a_writer_that_dies_between_the_wal_and_the_database_loses_nothing(tmp_path: Path) -> None:
    """The next process finds the WAL, larger than what is in it, and goes on."""
    path = tmp_path / "a.db"
    for round_ in range(3):
        with child(path) as writer:
            writer.ask("register")
            for number in range(5):
                writer.ask("create", f"run-{round_}-{number}")
            writer.kill()
    with child(path, read_only=True) as reader:
        assert len(reader.ask("runs")) == 15

    with SQLiteView.open(path) as view:
        assert view.check() == []
