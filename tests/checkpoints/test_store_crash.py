"""A transaction is there whole or not at all, whenever its process dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from perdure.checkpoints import Request, SQLiteStore, SQLiteView, State, Value

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
                    for one in operations:
                        assert view.value(run.key, Request(one.key)) == Value(b"r" * 1_500)

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
