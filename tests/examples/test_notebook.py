"""The notebook, whose cells share one running event loop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from perdure.simulator import Answer, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .programs import PATIENCE, ROOT, environment

NOTEBOOK = ROOT / "examples" / "embedding" / "notebook.ipynb"


def kernel(folder: Path, simulator: Simulator, *cells: str, warned: int = 0) -> list[dict[str, Any]]:
    """What each cell shows in a fresh kernel, which warns of so many runs that have ended before."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.examples.cells", str(NOTEBOOK), *cells],
        cwd=folder,
        env=environment(simulator.env),
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.stderr.count("\n") == ended.stderr.count("has ended before") == warned, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def values(shown: list[dict[str, Any]]) -> list[str]:
    """What cells show that raise nothing."""
    assert all("value" in cell for cell in shown), shown
    return [cell["value"] for cell in shown]


def test_the_cells_run_and_a_fresh_kernel_pays_for_nothing_again(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.script(
        Rule(match=Match(contains="Write a briefing"), answer=Answer(text="They hold hands.", duration=0.2)),
        Rule(answer=Answer(text="Afloat.", duration=2.0)),
    )
    imported, slept, started, status, left, result, closed = values(kernel(tmp_path, simulator))
    assert (slept, started, result) == ("'Afloat.'", "'otters-1'", "'They hold hands.'")
    assert status in ("'running'", "'waiting'")
    assert (imported, left, closed) == ("None",) * 3
    again = values(kernel(tmp_path, simulator, warned=2))
    assert again == ["None", slept, started, "'succeeded'", "None", result, "None"]
    assert simulator.ledger().summary["submissions_received"] == 3


def test_run_sync_says_what_to_write_instead(simulator: Simulator, tmp_path: Path) -> None:
    _, shown = kernel(
        tmp_path,
        simulator,
        "import perdure; from examples.embedding.briefings import researcher",
        'perdure.run_sync(researcher, "How do sea otters sleep?")',
    )
    assert "await perdure.run(" in shown["error"]
    assert not (tmp_path / "perdure.db").exists()
    assert simulator.ledger().requests == ()
