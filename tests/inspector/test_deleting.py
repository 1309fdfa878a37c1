"""`delete`: a run that has ended goes, after a question; one that is under way stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from perdure.checkpoints import SQLiteStore
from perdure.checkpoints.codec import pack
from perdure.simulator import Answer, Match, Rule, Simulator

from . import apps
from .console import Console
from .making import make, two_wait


@pytest.fixture
def poems(db: Path, tmp_path: Path) -> Path:
    """A database with a run that succeeded and one that failed."""
    (tmp_path / "poem.txt").write_text("a poem")
    make(db, apps.reading, "poem.txt", "poem-1")
    make(db, apps.reading, "missing.txt", "missing-1")
    return db


def rows(console: Console) -> dict[str, int]:
    return console.run("db", "info", "-o", "json").json["rows"]


@pytest.mark.usefixtures("poems")
def test_a_run_is_deleted_with_all_that_is_stored_of_it(console: Console) -> None:
    done = console.run("delete", "poem", "--yes", env={"PERDURE_APP": "no.such:app"})
    assert (done.code, done.out, done.err) == (0, "Run poem-1 deleted.\n", "")
    assert [run["id"] for run in console.run("runs", "-o", "json").json] == ["missing-1"]
    assert console.run("show", "poem-1").code == 3
    assert console.run("delete", "missing-1", "--yes").code == 0
    assert set(rows(console).values()) == {0}
    assert console.run("db", "check").code == 0


@pytest.mark.usefixtures("poems")
def test_json_shows_the_run_as_it_was(console: Console) -> None:
    [before] = console.run("runs", "--status", "failed", "-o", "json").json
    assert console.run("delete", "missing-1", "--yes", "-o", "json").json == before
    assert console.run("runs", "--status", "failed", "-o", "json").json == []


@pytest.mark.usefixtures("poems")
def test_without_a_terminal_nobody_is_asked_and_nothing_deleted(console: Console) -> None:
    done = console.run("delete", "poem-1")
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert rows(console)["runs"] == 2


@pytest.mark.usefixtures("poems")
@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 1), ("n\n", 1, 2), ("\n", 1, 2)])
def test_on_a_terminal_a_person_is_asked(console: Console, typed: str, code: int, left: int) -> None:
    done = console.on_terminal("delete", "@latest", typed=typed)
    assert "Delete run missing-1 (reading, failed) and all that is stored of it? [y/N]" in " ".join(
        done.out.split()
    )
    assert done.code == code
    assert ("Nothing was deleted." in done.out) == (code == 1)
    assert rows(console)["runs"] == left


def test_a_run_that_is_under_way_is_to_be_cancelled_first(
    console: Console, db: Path, simulator: Simulator
) -> None:
    simulator.script(Rule(match=Match(contains="otters"), answer=Answer(duration=3600)))
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    refused = console.run("delete", "otters-1", "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "Cancel it first: perdure cancel otters-1" in refused.err
    assert console.run("cancel", "otters-1").code == 0
    assert console.run("delete", "otters-1", "--yes").code == 0
    assert rows(console)["runs"] == 0


def test_a_run_of_which_something_is_to_be_cancelled_at_the_provider_is_kept(
    console: Console, poems: Path
) -> None:
    async def leave() -> None:
        async with SQLiteStore(poems) as store:
            run = await store.read(lambda view: view.run("poem-1"))
            await store.signal(run.key, "handle", "open_the_file", (), pack({}))

    asyncio.run(leave())
    refused = console.run("delete", "poem-1", "--yes")
    assert refused.code == 1
    assert "still to be cancelled at the provider" in refused.err
    assert "perdure resume poem-1" in refused.err
    assert rows(console)["runs"] == 2


@pytest.mark.usefixtures("poems")
def test_a_run_that_is_not_there_cannot_be_deleted(console: Console, tmp_path: Path) -> None:
    assert console.run("delete", "nosuch", "--yes").code == 3
    elsewhere = tmp_path / "nosuch.db"
    assert console.run("delete", "poem-1", "--yes", "--db", str(elsewhere)).code == 3
    assert not elsewhere.exists()
    assert rows(console)["runs"] == 2
