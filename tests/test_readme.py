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


def console(page: str) -> list[str]:
    """The lines of its console output, without what differs from one time to the next."""
    (block,) = re.findall(r"^```console\n(\$ python pipeline\.py.*?)^```", page, re.DOTALL | re.MULTILINE)
    varying = re.compile(r"(?:resp_\w+…?|\d+|openai\S*|\s)+")
    return [varying.sub(" ", line).strip() for line in block.splitlines()]


@pytest.mark.timeout(180)
def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(README, encoding="utf-8")
    alone = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    demo = [sys.executable, "-m", "examples.demo", "--write", str(page)]
    done = subprocess.run(demo, cwd=ROOT, env=alone, check=True, capture_output=True, text=True)
    assert "agent runs: 4, submissions by the provider's ledger: 4\n" in done.stdout
    shown, made = console(README), console(page.read_text(encoding="utf-8"))
    assert [line for line in made if line.startswith("$")] == [line for line in shown if line.startswith("$")]
    resumed = shown.index("$ perdure resume otters- --app pipeline:briefing")
    assert made[made.index(shown[resumed]) :] == shown[resumed:]  # what is killed when depends on the machine


def test_the_demo_plays_the_pipeline_of_the_readme() -> None:
    assert (ROOT / "examples" / "pipeline.py").read_text(encoding="utf-8") in python_blocks()


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
