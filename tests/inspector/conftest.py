"""Fixtures of the command line's tests: a console, a simulator, and a database with runs of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from perdure.simulator import Answer, ConnectionLost, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from . import apps
from .console import HERE, Console
from .making import backs_off, make, one_waits, two_wait, unknown

LONG = "nightly/2026-11-22/" + "a-long-id-that-somebody-thought-was-a-good-idea-" * 3 + "end"


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to look at; nobody drives its runs. Don't write into it."""
    folder = tmp_path_factory.mktemp("gallery")
    db = folder / "gallery.db"
    (folder / "poem.txt").write_text("a poem")
    environment = pytest.MonkeyPatch()
    with Simulator(duration=0.2) as simulator:
        for name, value in {**simulator.env, "PERDURE_TEST_FOLDER": str(folder)}.items():
            environment.setenv(name, value)
        simulator.script(
            Rule(match=Match(contains="otters"), answer=Answer(text="Otters float.")),
            Rule(match=Match(contains="seals"), answer=Answer(duration=3600)),
            Rule(match=Match(contains="Look at"), fault=ConnectionLost(accepted=True)),
        )
        make(db, apps.briefing, "otters", "done-1")
        make(db, apps.reading, "missing.txt", "failed-1")
        make(db, apps.reading, "poem.txt", LONG)
        make(db, apps.briefing, "seals", "waiting-1", until=two_wait)
        make(db, apps.asking, "whales", "asking-1", until=unknown)
        make(db, apps.pausing, "later", "timer-1", until=one_waits)
        make(db, apps.sections, 1000, "wide-1")
        make(db, apps.sections, 3, "narrow-1")
        make(db, apps.stumbling, 1, "stumbling-1", until=backs_off)
    environment.undo()
    return db


@pytest.fixture
def viewer(gallery: Path) -> Console:
    """A console on that database, without provider, key or app."""
    return Console(gallery.parent, PERDURE_DB=str(gallery))


@pytest.fixture
def console(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console of a user: the folder of the app, a database to come, the simulator as provider.

    What the test makes itself in this process goes to the same provider.
    """
    for name, value in {**simulator.env, "PERDURE_TEST_FOLDER": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return Console(
        HERE,
        **simulator.env,
        PERDURE_DB=str(tmp_path / "perdure.db"),
        PERDURE_APP="apps:ALL",
        PERDURE_TEST_FOLDER=str(tmp_path),
        PYTHONDONTWRITEBYTECODE="1",
    )


@pytest.fixture
def db(console: Console) -> Path:
    """The console's database."""
    return Path(console.environment["PERDURE_DB"])
