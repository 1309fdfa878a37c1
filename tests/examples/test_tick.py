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


def tick(folder: Path, simulator: Simulator, day: str) -> subprocess.CompletedProcess[str]:
    """One call, which must go well."""
    return subprocess.run(
        [sys.executable, "-m", "examples.embedding.tick", day],
        cwd=folder,
        env=environment(simulator.env),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def tick_until_done(folder: Path, simulator: Simulator, day: str) -> str:
    """Call it as cron does, only more often; what the last call prints."""
    deadline = time.monotonic() + PATIENCE
    while not (told := tick(folder, simulator, day)).stdout:
        assert f"news-{day}" in told.stderr
        assert time.monotonic() < deadline, told.stderr
    assert told.stderr == ""
    return told.stdout


def script(simulator: Simulator, duration: float) -> None:
    simulator.script(
        Rule(match=Match(contains="Write a briefing"), answer=Answer(text=NEWS, duration=0.2)),
        Rule(answer=Answer(duration=duration)),
    )


def test_calls_bring_the_run_to_its_end_and_submit_nothing_twice(
    simulator: Simulator, tmp_path: Path
) -> None:
    script(simulator, 4.0)
    first = tick(tmp_path, simulator, "2026-11-25")
    assert first.stdout == ""
    assert "1 to be asked after again" in first.stderr
    assert simulator.ledger().summary["submissions_received"] == 1
    assert tick_until_done(tmp_path, simulator, "2026-11-25") == f"{NEWS}\n"
    assert tick(tmp_path, simulator, "2026-11-25").stdout == f"{NEWS}\n"
    assert simulator.ledger().summary["submissions_received"] == 2


def test_today_finishes_what_yesterday_began(simulator: Simulator, tmp_path: Path) -> None:
    script(simulator, 1.0)
    tick(tmp_path, simulator, "2026-11-24")
    tick_until_done(tmp_path, simulator, "2026-11-25")
    deadline = time.monotonic() + PATIENCE
    while simulator.ledger().summary["submissions_received"] < 4:  # yesterday's briefing is asked for as well
        assert time.monotonic() < deadline
        tick(tmp_path, simulator, "2026-11-25")
    assert tick_until_done(tmp_path, simulator, "2026-11-24") == f"{NEWS}\n"
    assert simulator.ledger().summary["submissions_received"] == 4
