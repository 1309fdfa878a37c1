"""Labels of runs: shown, and what runs are chosen by."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from . import apps
from .console import Console
from .making import make


@pytest.fixture
def labelled(console: Console, db: Path) -> Console:
    """A console on three runs, of which two have labels."""
    for run_id in ("one", "two", "three"):
        make(db, apps.reading, "missing.txt", run_id)
    label(db, "one", {"tenant": "acme", "formula": "a=b"})
    label(db, "two", {"tenant": "um\x1b[31mbrella"})
    return console


def label(db: Path, run_id: str, labels: dict[str, str]) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE runs SET labels = ? WHERE id = ?", (json.dumps(labels), run_id))


def test_json_shows_the_labels(labelled: Console) -> None:
    labels = {run["id"]: run["labels"] for run in labelled.run("runs", "-o", "json").json}
    assert labels == {
        "one": {"tenant": "acme", "formula": "a=b"},
        "two": {"tenant": "um\x1b[31mbrella"},
        "three": {},
    }
    assert labelled.run("show", "one", "-o", "json").json["labels"] == labels["one"]


def test_show_has_a_line_for_them(labelled: Console) -> None:
    assert "  labels tenant=acme, formula=a=b" in labelled.run("show", "one").lines
    shown = labelled.run("show", "two").out
    assert "labels tenant=um" in shown
    assert "\x1b" not in shown
    assert "labels" not in labelled.run("show", "three").out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--label", "tenant=acme"), ["one"]),
        (("--label", "formula=a=b"), ["one"]),
        (("--label", "tenant=acme", "--label", "formula=a=b"), ["one"]),
        (("--label", "tenant=acme", "--label", "formula=x"), []),
        (("--label", "tenant="), []),
        (("--label", "tenant=acme", "--status", "succeeded"), []),
    ],
)
def test_runs_are_chosen_by_labels(labelled: Console, words: tuple[str, ...], expected: list[str]) -> None:
    assert [run["id"] for run in labelled.run("runs", *words, "-o", "json").json] == expected


def test_nothing_found_is_said(labelled: Console) -> None:
    assert labelled.run("runs", "--label", "tenant=nobody").err == "No such runs.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--label", "tenant"), "Write KEY=VALUE"),
        (("--label", "=acme"), "Write KEY=VALUE"),
        (("--label", "tenant=a", "--label", "tenant=b"), "Name one"),
    ],
)
def test_what_is_no_label_is_a_usage_error(labelled: Console, words: tuple[str, ...], message: str) -> None:
    done = labelled.run("runs", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
