"""What a type checker sees of a wiring: the wrong ones are errors, the right ones have the right types."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WRONG_USE = ("reportArgumentType", "reportAssignmentType", "reportAttributeAccessIssue", "reportCallIssue")
"""What a wrong wiring is called. Other rules would say that something is unused or unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What pyright says of a file, by line number."""

    errors: dict[int, str]
    misuses: set[int]
    revealed: dict[int, str]


@cache
def pyright() -> dict[str, Seen]:
    """Both files in one call, with the settings of the file beside them."""
    files = ("wrong_wirings.py", "right_wirings.py")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", HERE],
        capture_output=True,
        text=True,
        check=False,  # there are errors, so it exits with 1
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    seen = {file: Seen(errors={}, misuses=set(), revealed={}) for file in files}
    for entry in report["generalDiagnostics"]:
        of = seen[Path(entry["file"]).name]
        line = entry["range"]["start"]["line"] + 1
        if entry["severity"] == "information":
            of.revealed[line] = entry["message"].partition('" is "')[2].rstrip('"')
        else:
            of.errors[line] = entry["message"]
            if entry.get("rule") in WRONG_USE or "is not awaitable" in entry["message"]:
                of.misuses.add(line)
    return seen


def lines(name: str) -> list[tuple[int, str]]:
    return list(enumerate((HERE / name).read_text().splitlines(), 1))


WRONG = [
    (number, text.partition("# wrong: ")) for number, text in lines("wrong_wirings.py") if "# wrong: " in text
]
REVEALED = [
    (number, text.partition("# ")) for number, text in lines("right_wirings.py") if "reveal_type(" in text
]


@pytest.mark.parametrize(("number", "code", "why"), [(n, code.strip(), why) for n, (code, _, why) in WRONG])
def test_a_wrong_wiring_is_a_type_error(number: int, code: str, why: str) -> None:
    assert number in pyright()["wrong_wirings.py"].misuses, f"{code} is taken, although: {why}"


def test_nothing_else_is_an_error_there() -> None:
    marked = {number for number, _ in WRONG}
    errors = pyright()["wrong_wirings.py"].errors
    assert {number: message for number, message in errors.items() if number not in marked} == {}


def test_there_are_as_many_as_were_once_tried() -> None:
    assert len(WRONG) >= 74


def test_right_wirings_have_no_error() -> None:
    assert pyright()["right_wirings.py"].errors == {}


@pytest.mark.parametrize(("number", "type_"), [(n, type_) for n, (_, _, type_) in REVEALED if type_])
def test_the_types_are_inferred(number: int, type_: str) -> None:
    assert pyright()["right_wirings.py"].revealed[number] == type_
