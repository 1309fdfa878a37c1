"""What a terminal gets and a pipe does not: colour, width; and pipes that close early."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .console import SCRIPT, Console

ESCAPE = "\x1b["
NEVER = "never"


@pytest.mark.parametrize("verb", [("runs",), ("show", "wide-1"), ("graph", "narrow-1"), ("events", "done-1")])
def test_colour_is_for_terminals(viewer: Console, verb: tuple[str, ...]) -> None:
    assert ESCAPE in viewer.on_terminal(*verb).out
    assert ESCAPE not in viewer.run(*verb).out


@pytest.mark.parametrize(
    ("environment", "words", "on_terminal", "in_pipe"),
    [
        ({}, (), True, False),
        ({"NO_COLOR": "1"}, (), False, False),
        ({"NO_COLOR": ""}, (), True, False),
        ({"FORCE_COLOR": "1"}, (), True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False, False),
        ({"FORCE_COLOR": "1"}, ("--no-color",), False, False),
        ({"TERM": "dumb"}, (), False, False),
    ],
)
def test_who_decides_about_colour(
    viewer: Console, environment: dict[str, str], words: tuple[str, ...], on_terminal: bool, in_pipe: bool
) -> None:
    assert (ESCAPE in viewer.on_terminal("runs", *words, env=environment).out) is on_terminal
    assert (ESCAPE in viewer.run("runs", *words, env=environment).out) is in_pipe


def test_json_is_never_coloured(viewer: Console) -> None:
    assert ESCAPE not in viewer.on_terminal("runs", "-o", "json", env={"FORCE_COLOR": "1"}).out


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_tables_are_as_wide_as_the_terminal(viewer: Console, columns: int) -> None:
    done = viewer.on_terminal("runs", "--no-color", columns=columns)
    assert max(map(len, done.lines)) <= columns
    assert columns < 200 or max(map(len, done.lines)) > 100, "a wide terminal shows long ids whole"


@pytest.mark.parametrize("words", ["show wide-1 --all", "events wide-1", "events wide-1 -o json", "--help"])
def test_a_pipe_that_closes_early_is_no_error(viewer: Console, words: str) -> None:
    done = subprocess.run(
        f"{SCRIPT} {words} | head -n 1",
        shell=True,
        cwd=viewer.folder,
        env=viewer.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_nothing_waits_for_input(viewer: Console) -> None:
    """stdin is closed in all of these tests; on a terminal nothing asks either."""
    assert viewer.on_terminal("show", "done-1").code == 0


def test_the_module_is_the_script(viewer: Console, gallery: Path) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "perdure.inspector", "show"],
        cwd=viewer.folder,
        env=viewer.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: perdure show")
