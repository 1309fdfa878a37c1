"""What type checkers see of `perdure`: pipelines as people write them pass, and what is wrong is an error for each of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

FACE = Path(__file__).parent / "face"
WRONG = {
    number: text
    for number, text in enumerate((FACE / "wrong.py").read_text(encoding="utf-8").splitlines(), 1)
    if "# wrong: " in text
}
CHECKERS = ("pyright", "mypy", "pyrefly")
MISSED = {
    "pyrefly": (
        "bad_agent: Agent[int] = ",  # solves for an Agent[int] and asks no more of `output`
        'event.type == "suceeded"',  # has no rule for comparisons that are never true
    )
}
"""What a checker lets pass, by how the line begins or what stands in it. The other checkers reject it."""

pytestmark = pytest.mark.timeout(300)  # the first test of each waits for the checker


@cache
def errors_of(checker: str) -> Mapping[str, Mapping[int, str]]:
    """The errors that a checker has in its strictest mode, by file and line."""
    return {"pyright": _pyright, "mypy": _mypy, "pyrefly": _pyrefly}[checker]()


def _pyright() -> Mapping[str, Mapping[int, str]]:
    done = _run("-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(FACE))
    report = json.loads(done)
    assert report["summary"]["filesAnalyzed"] == len(list(FACE.glob("*.py")))
    found: dict[str, dict[int, str]] = {}
    for entry in report["generalDiagnostics"]:
        if entry["severity"] != "information":
            line = entry["range"]["start"]["line"] + 1
            found.setdefault(Path(entry["file"]).name, {})[line] = entry["message"]
    return found


def _mypy() -> Mapping[str, Mapping[int, str]]:
    options = (
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        "--no-pretty",
        "--cache-dir=/dev/null",
    )
    done = _run("-m", "mypy", *options, *sorted(file.name for file in FACE.glob("*.py")))
    found: dict[str, dict[int, str]] = {}
    for line in done.splitlines():
        match = re.fullmatch(r"([\w/.]+):(\d+): error: (.*)", line)
        if match is not None:
            found.setdefault(Path(match[1]).name, {})[int(match[2])] = match[3]
    assert found, done
    return found


def _pyrefly() -> Mapping[str, Mapping[int, str]]:
    report = json.loads(
        _run("-m", "pyrefly", "check", "--output-format=json", "--python-interpreter-path", sys.executable)
    )
    found: dict[str, dict[int, str]] = {}
    for entry in report["errors"]:
        found.setdefault(Path(entry["path"]).name, {})[entry["line"]] = entry["description"]
    return found


def _run(*command: str) -> str:
    return subprocess.run(
        [sys.executable, *command],
        cwd=FACE,
        capture_output=True,
        text=True,
        check=False,  # there are errors, so it exits with 1
    ).stdout


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("file", sorted(file.name for file in FACE.glob("*.py") if file.name != "wrong.py"))
def test_a_right_program_has_no_error(checker: str, file: str) -> None:
    assert errors_of(checker).get(file, {}) == {}


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_an_error(checker: str, line: int) -> None:
    if any(part in WRONG[line] for part in MISSED.get(checker, ())):
        pytest.skip(f"{checker} takes it")
    assert line in errors_of(checker)["wrong.py"], f"{checker} takes {WRONG[line].strip()}"


@pytest.mark.parametrize("checker", CHECKERS)
def test_nothing_else_is_an_error_there(checker: str) -> None:
    errors = errors_of(checker)["wrong.py"]
    assert {line: text for line, text in errors.items() if line not in WRONG} == {}


def test_there_are_as_many_as_were_once_tried() -> None:
    assert len(WRONG) >= 29
