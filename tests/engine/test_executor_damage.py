"""Rows that somebody has overwritten: one run that can't be read stops no other, and is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from perdure.checkpoints import PerdureError
from perdure.engine import Executor, Workflow

from .batches import Works, batch_node
from .bench import Stores, chain, first, perform, raises, second, third, until

DAMAGE = {
    "activation's state": "UPDATE activations SET state = 'odd' WHERE run = {run} AND node = 'print'",
    "activation's edges": "UPDATE activations SET taken = 'x' WHERE run = {run} AND node = 'first'",
    "operation's state": "UPDATE operations SET state = 'odd' WHERE run = {run}",
    "token": "UPDATE operations SET token = x'c1' WHERE run = {run}",
    "token's content": "UPDATE operations SET token = x'80' WHERE run = {run}",
    "policies": "UPDATE runs SET policies = x'c1' WHERE key = {run}",
    "policies' content": "UPDATE runs SET policies = x'81a57072696e7401' WHERE key = {run}",
    "status": "UPDATE runs SET status = 'odd' WHERE key = {run}",
    "signal's path": (
        "INSERT INTO signals (run, at, kind, node, path, data) VALUES ({run}, 0, 'answer', 'print', 'x', x'80')"
    ),
}


def overwrite(file: Path, run_id: str, statement: str) -> None:
    """As somebody with a SQLite shell would."""
    with closing(sqlite3.connect(file)) as connection, connection:
        (run,) = connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()
        changed = connection.execute(statement.format(run=run))
        assert changed.rowcount > 0


async def leave_four(files: Stores, workflow: Workflow[str, str], works: Works) -> None:
    """Four runs that wait at a provider, and nobody who drives them."""
    works.hold = True
    async with Executor(files()) as executor:
        for name in "abcd":
            await executor.start(workflow, name, run_id=name)
        await until(lambda: len(works.batches) == 4)
        await executor.settled()
    works.hold = False


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_run_among_four_stops_none_of_the_others(
    damage: str, files: Stores, tmp_path: Path, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    workflow = chain("w", first, batch_node("print", works), third)

    async def test() -> None:
        await leave_four(files, workflow, works)
        overwrite(tmp_path / "perdure.db", "b", DAMAGE[damage])
        async with Executor(files(), workflows=[workflow]) as executor:
            resumed = await executor.resume_all()
            runs = {run.id: run for run in resumed.runs}
            assert {"a", "c", "d"} <= runs.keys()
            for name in "acd":
                assert await runs[name].result() == f"done: {name}13"
            if "b" in runs:
                with raises(PerdureError):
                    await runs["b"].result()
                assert not executor.drives("b")
                assert "run b is not driven on: " in caplog.text
            else:  # not even its own row can be read
                assert damage == "status"
                assert "run b is left out, its row is damaged" in caplog.text
        assert len(works.batches) == 4

    perform(test())


@pytest.mark.parametrize("damage", ["activation's state", "operation's state", "token"])
def test_a_run_that_is_damaged_while_it_waits_stops_none_of_those_that_are_due_with_it(
    damage: str, files: Stores, tmp_path: Path, works: Works
) -> None:
    workflow = chain("w", first, batch_node("print", works), third)

    async def test() -> None:
        await leave_four(files, workflow, works)
        works.hold = True
        async with Executor(files(), workflows=[workflow]) as executor:
            runs = {run.id: run for run in (await executor.resume_all()).runs}
            overwrite(tmp_path / "perdure.db", "b", DAMAGE[damage])
            if damage == "token":  # a poll that has read its row before would succeed
                await until(lambda: not executor.drives("b"))
            works.hold = False
            for name in "acd":
                assert await runs[name].result() == f"done: {name}13"
            with raises(PerdureError):
                await runs["b"].result()

    perform(test())


def test_resume_all_reads_no_run_that_has_ended(files: Stores, tmp_path: Path, works: Works) -> None:
    """They can't even be read: each of their statuses is a word that nobody knows."""
    waiting = chain("w", first, batch_node("print", works))
    ended = chain("w2", first, second)

    async def test() -> None:
        works.hold = True
        async with Executor(files()) as executor:
            for number in range(3):
                await (await executor.start(ended, "x", run_id=f"ended-{number}")).result()
            await executor.start(waiting, "x", run_id="r")
            await until(lambda: bool(works.batches))
        overwrite(
            tmp_path / "perdure.db", "r", "UPDATE runs SET status = 'odd' WHERE finished_at IS NOT NULL"
        )
        works.hold = False
        async with Executor(files(), workflows=[waiting, ended]) as executor:
            resumed = await executor.resume_all()
            assert [run.id for run in resumed.runs] == ["r"]
            assert resumed.left == {}
            assert await resumed.runs[0].result() == "done: x1"
            with raises(Exception, "odd"):
                await executor.resume("ended-0")

    perform(test())
