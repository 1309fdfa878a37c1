"""What the README tells to do works as it is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from perdure.simulator import Simulator
from perdure.simulator.fixture import simulator as simulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_pipeline_runs_as_it_stands_and_runs_nothing_again(simulator: Simulator, tmp_path: Path) -> None:
    (pipeline,) = (block for block in python_blocks() if "Workflow(" in block)
    (tmp_path / "pipeline.py").write_text(pipeline, encoding="utf-8")
    told = [
        subprocess.run(
            [sys.executable, "pipeline.py"],
            cwd=tmp_path,
            env={**os.environ, **simulator.env},
            check=True,
            capture_output=True,
            text=True,
        )
        for _ in range(2)
    ]
    assert "How do sea otters sleep?" in told[0].stdout
    assert told[1].stdout == told[0].stdout
    assert told[0].stderr == ""
    assert told[1].stderr.startswith("run otters-1 has ended before (succeeded, ")
    assert simulator.ledger().summary["submissions_received"] == 4


def test_one_agent_runs_as_it_stands(simulator: Simulator, tmp_path: Path) -> None:
    (alone,) = (block for block in python_blocks() if "Write about sea otters." in block)
    (tmp_path / "writer.py").write_text(alone, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "writer.py"],
        cwd=tmp_path,
        env={**os.environ, **simulator.env},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Write about sea otters." in done.stdout
    assert simulator.ledger().summary["submissions_received"] == 1


def test_every_block_of_python_is_python() -> None:
    assert len(python_blocks()) >= 2
    for block in python_blocks():
        source = (
            block if "async def" in block else "async def main():\n" + re.sub("^", "    ", block, flags=re.M)
        )
        compile(source, "README.md", "exec")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_targets_that_are_named_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make (\w+)", README)) - {"PYTHON"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
