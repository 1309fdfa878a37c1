"""Databases that can't be used: a message that says what to do, the right exit code, and nothing written."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from . import apps
from .console import Console
from .making import make, two_wait

VERBS = [
    ("runs",),
    ("show", "done-1"),
    ("tokens",),
    ("events", "done-1"),
    ("graph", "done-1"),
    ("db", "info"),
    ("db", "check"),
    ("resume", "done-1", "--app", "apps:ALL"),
    ("resume", "--all", "--app", "apps:ALL"),
    ("retry", "done-1", "--app", "apps:ALL"),
    ("cancel", "done-1"),
    ("answer", "done-1", "look", "fail"),
]


def missing(path: Path) -> None:
    """Nothing there."""


def text_file(path: Path) -> None:
    """No database at all."""
    path.write_text("These are not the runs that you are looking for. " * 100)


def empty_file(path: Path) -> None:
    """What `touch` makes."""
    path.touch()


def a_folder(path: Path) -> None:
    """No file."""
    path.mkdir()


def of_somebody_else(path: Path) -> None:
    """A SQLite database of another program."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id TEXT)")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    """Written by a Perdure to come."""
    make(path, apps.dozing, 0.0, "done-1")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def torn(path: Path) -> None:
    """Cut off in the middle."""
    make(path, apps.dozing, 0.0, "done-1")
    os.truncate(path, path.stat().st_size // 3)


SPOILT = [
    (missing, 3, "--db or PERDURE_DB"),
    (a_folder, 3, "Name a file"),
    (text_file, 1, "Name another file"),
    (empty_file, 1, "Name another file"),
    (of_somebody_else, 1, "Name another file"),
    (newer, 1, "pip install -U perdure"),
    (torn, 1, "Restore a backup"),
]
CASES = [
    pytest.param(words, *case, id=f"{' '.join(words[:2])}-{case[0].__name__}")
    for case in SPOILT
    for words in VERBS
    if case[0] is missing or words[0] in ("show", "db", "resume", "answer")
]


@pytest.mark.parametrize(("words", "spoil", "code", "fix"), CASES)
def test_a_database_that_cannot_be_used(
    console: Console, db: Path, words: tuple[str, ...], spoil: Callable[[Path], None], code: int, fix: str
) -> None:
    spoil(db)
    before = _contents(db.parent)
    done = console.run(*words)
    assert (done.code, done.out) == (code, ""), done.err
    assert done.err.startswith("Error: ")
    assert db.name in done.err
    assert fix in done.err
    assert "Traceback" not in done.err
    assert _contents(db.parent) == before


def test_looking_makes_no_file_and_changes_none(viewer: Console, gallery: Path) -> None:
    before = _contents(gallery.parent)
    for words in VERBS[:7]:
        assert viewer.run(*words).code == 0
    assert _contents(gallery.parent) == before


def as_others_are() -> None:
    """Let modes hold for root too, in a child: without CAP_DAC_OVERRIDE (Linux; capabilities(7), prctl(2))."""
    if os.geteuid() == 0:
        pr_capbset_drop, cap_dac_override = 24, 1
        assert ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0) == 0


def test_a_database_that_may_only_be_read(console: Console, gallery: Path, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    copy = folder / "copy.db"
    shutil.copy(gallery, copy)
    copy.chmod(0o444)
    folder.chmod(0o555)
    before = _contents(folder)
    for words in VERBS[:7]:
        done = console.run("--db", str(copy), *words, preexec_fn=as_others_are)
        assert done.code == 0, done.err
    for words in VERBS[7:]:
        done = console.run("--db", str(copy), *words, preexec_fn=as_others_are)
        assert (done.code, done.out) == (1, "")
        assert "write permission" in done.err or "may write" in done.err
    assert _contents(folder) == before


def test_a_database_that_somebody_writes_to_can_be_read_and_not_be_answered(
    console: Console, db: Path
) -> None:
    make(db, apps.dozing, 0.0, "done-1")
    connection = sqlite3.connect(db, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        assert console.run("runs", "-o", "json").json[0]["id"] == "done-1"
        done = console.run("resume", "done-1")
    finally:
        connection.execute("ROLLBACK")
        connection.close()
    assert (done.code, done.out) == (1, "")
    assert "another process has held its lock" in done.err
    assert "try again" in done.err
    assert console.run("resume", "done-1").code == 0


def test_damage_is_listed_line_by_line(console: Console, db: Path) -> None:
    make(db, apps.dozing, 0.0, "done-1")
    connection = sqlite3.connect(db)
    connection.execute("DELETE FROM events WHERE position = 2")
    connection.commit()
    connection.close()
    done = console.run("db", "check")
    assert done.code == 1
    assert len(done.lines) == 1
    assert "done-1" in done.lines[0]
    assert "backup" in done.err
    form = console.run("db", "check", "-o", "json")
    assert (form.code, form.json["sound"], form.json["damage"]) == (1, False, done.lines)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("UPDATE blobs SET data = CAST('x' AS BLOB)", "of run large-1: its bytes have changed"),
        ("DELETE FROM blobs", "run large-1: its input is gone"),
        ("DELETE FROM blobs", "run large-1: activations row 2: refers to a row of blobs that is gone"),
        (
            "UPDATE runs SET signature = 'none'",
            "run large-1: runs row 1: refers to a row of workflows that is gone",
        ),
    ],
)
def test_damage_names_the_run(console: Console, db: Path, damage: str, line: str) -> None:
    make(db, apps.echoing, "otters " * 1000, "large-1")
    connection = sqlite3.connect(db)
    connection.execute(damage)
    connection.commit()
    connection.close()
    done = console.run("db", "check")
    assert done.code == 1
    assert any(line in found for found in done.lines), done.out


def test_a_damaged_output_is_told_with_its_run_and_node(console: Console, db: Path) -> None:
    make(db, apps.echoing, "otters", "otters-1")
    connection = sqlite3.connect(db)
    connection.execute("UPDATE activations SET result = x'c1' WHERE result IS NOT NULL")
    connection.commit()
    connection.close()
    for words in (("show", "otters-1"), ("resume", "otters-1", "--app", "apps:ALL")):
        done = console.run(*words)
        assert (done.code, "Traceback" in done.err) == (1, False)
        assert "Run otters-1: " in done.err
        assert f"output of {apps.echoing.plan.ends[0]}: " in done.err
        assert "bytes are damaged" in done.err


def test_damaged_pages_are_said(console: Console, db: Path) -> None:
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(db.read_bytes())
    for page in range(3, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    db.write_bytes(data)
    done = console.run("db", "check")
    assert done.code == 1
    assert "damage" in done.out + done.err
    for verb in ("runs", "tokens"):
        looked = console.run(verb)
        assert (looked.code, "Traceback" in looked.err) == (1, False)
        assert ".recover" in looked.err


def _contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder that are no folders, with what is in them. SQLite's shared memory is no content."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file() and not file.name.endswith("-shm")
    }
