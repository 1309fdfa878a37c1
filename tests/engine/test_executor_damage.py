"""Rows that somebody has overwritten: one run that can't be read stops no other, and is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from perdure.checkpoints import DatabaseCorruptError, PerdureError
from perdure.engine import Executor, RunFailedError, Workflow

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
        "INSERT INTO signals (run, at, kind, node, path, data) VALUES ({run}, 0, 'fate', 'print', 'x', x'80')"
    ),
}


def overwrite(file: Path, run_id: str, statement: str) -> None:
    """As somebody with a SQLite shell would."""
    with closing(sqlite3.connect(file)) as connection, connection:
        (run,) = connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()
        changed = connection.execute(statement.format(run=run))
        assert changed.rowcount > 0


def owner(file: Path, run_id: str) -> object:
    """Who has the run."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT owner FROM runs WHERE id = ?", (run_id,)).fetchone()[0]


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


def test_a_damaged_run_that_is_retried_is_given_back(files: Stores, tmp_path: Path, works: Works) -> None:
    works.polling = lambda batch: setattr(batch, "status", "hopeless")
    workflow = chain("w", first, batch_node("print", works))
    file = tmp_path / "perdure.db"

    async def test() -> None:
        async with Executor(files(), workflows=[workflow]) as executor, Executor(files()) as other:
            with pytest.raises(RunFailedError):
                await (await executor.start(workflow, "x", run_id="r")).result()
            overwrite(file, "r", "UPDATE activations SET state = 'odd' WHERE run = {run} AND node = 'print'")
            with raises(DatabaseCorruptError, "Run r", "'odd'", "perdure db check"):
                await executor.retry("r")
            overwrite(
                file, "r", "UPDATE activations SET state = 'failed' WHERE run = {run} AND node = 'print'"
            )
            works.polling = None
            await until(lambda: not executor.drives("r"))
            again = await other.start(workflow, "x", run_id="r")
            assert not again.driven_here
            await until(lambda: owner(file, "r") is None)
            assert await (await other.retry("r")).result() == "done: x1"

    perform(test())


def test_a_run_whose_plan_is_damaged_is_not_claimed_by_a_cancel(
    files: Stores, tmp_path: Path, works: Works
) -> None:
    """Without its workflow nothing can be done for it here, so another executor may have it at once."""
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        works.hold = True
        async with Executor(files()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
        overwrite(tmp_path / "perdure.db", "r", "UPDATE workflows SET plan = x'c1' WHERE {run} > 0")
        works.hold = False
        async with Executor(files()) as stranger, Executor(files(), workflows=[workflow]) as executor:
            with raises(PerdureError):
                await stranger.cancel("r")
            assert await (await executor.resume("r")).result() == "done: x1"

    perform(test())
