"""The cron job: called again and again until its run is done."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from perdure.simulator import Answer, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .programs import PATIENCE, environment

NEWS = "Otters were seen."


def script(simulator: Simulator, duration: float) -> None:
    """Research that takes so many seconds."""
    simulator.script(
        Rule(match=Match(contains="Write a briefing"), answer=Answer(text=NEWS, duration=0.2)),
        Rule(answer=Answer(duration=duration)),
    )


def tick(folder: Path, simulator: Simulator, day: str) -> str:
    """What one call prints. It must go well."""
    ended = subprocess.run(
        [sys.executable, "-m", "examples.embedding.tick", day],
        cwd=folder,
        env=environment(simulator.env),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.stderr == ""
    return ended.stdout


def tick_until(folder: Path, simulator: Simulator, day: str, *published: str) -> None:
    """Call it as cron does, only more often, until these files are there."""
    deadline = time.monotonic() + PATIENCE
    while not all((folder / name).exists() for name in published):
        assert time.monotonic() < deadline
        tick(folder, simulator, day)


def test_calls_bring_the_run_to_its_end_and_submit_nothing_twice(
    simulator: Simulator, tmp_path: Path
) -> None:
    script(simulator, 3.0)
    assert tick(tmp_path, simulator, "2026-11-25") == "1 to be asked after again\n"
    assert len(simulator.ledger().submissions(node="researcher")) == 1
    tick(tmp_path, simulator, "2026-11-25")
    assert len(simulator.ledger().submissions(node="researcher")) == 1
    tick_until(tmp_path, simulator, "2026-11-25", "news-2026-11-25.txt")
    assert (tmp_path / "news-2026-11-25.txt").read_text() == NEWS
    assert tick(tmp_path, simulator, "2026-11-25") == "0 to be asked after again\n"
    assert simulator.ledger().summary["submissions_received"] == 2


def test_today_finishes_what_yesterday_began(simulator: Simulator, tmp_path: Path) -> None:
    script(simulator, 1.0)
    tick(tmp_path, simulator, "2026-11-24")
    tick_until(tmp_path, simulator, "2026-11-25", "news-2026-11-24.txt", "news-2026-11-25.txt")
    assert simulator.ledger().summary["submissions_received"] == 4
