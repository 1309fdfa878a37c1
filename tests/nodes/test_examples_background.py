"""The example of background responses runs as it stands, and shows what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from perdure.simulator import Answer, Rule, Simulator

ROOT = Path(__file__).parents[2]


def run_example(env: dict[str, str]) -> tuple[str, str]:
    """What it prints, and what it says beside it."""
    command = [sys.executable, "-W", "error", "-m", "examples.background_responses"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_the_example_shows_polls_and_a_resumed_stream(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=2.0)))
    out, said = run_example({**os.environ, **simulator.env})
    assert said == ""
    polls = [line for line in out.splitlines() if line.startswith("poll: ")]
    assert "initial status: queued" in out
    assert polls[-1] == "poll: completed"
    begun = out.split("first stream: ")[1].split("\n")[0]
    resumed = out.split("resumed stream: ")[1].split("\n")[0]
    whole = out.split("whole answer: ")[1].split("\n")[0]
    assert begun
    assert resumed
    assert begun + resumed == whole
    assert len(simulator.ledger().submissions()) == 2


def test_the_example_starts_a_simulator_where_there_is_no_key() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    out, said = run_example(env)
    assert "OPENAI_API_KEY is not set" in said
    assert "status: completed" in out
