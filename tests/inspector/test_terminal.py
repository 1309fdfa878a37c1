"""What a terminal gets and a pipe does not: colour, width; and pipes that close early."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from perdure.checkpoints.codec import pack

from .apps import STEERING, echoing, swearing
from .console import SCRIPT, Console, Done
from .making import make

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


# -- control characters ----------------------------------------------------------------------------------------

CONTROLS = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))} - {"\n"}


def steering(done: Done) -> set[str]:
    """The control characters in what was written, on whatever stream."""
    return set(done.out + done.err) & CONTROLS


@pytest.fixture(scope="module")
def hostile(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the gallery in which whatever text may stand in a row says it in escape sequences."""
    copy = tmp_path_factory.mktemp("hostile") / "hostile.db"
    shutil.copy(gallery, copy)
    token = pack({"provider": STEERING, "handle": {"id": STEERING}, "cursor": STEERING, "created_at": 1.0})
    error = pack({"type": STEERING, "message": STEERING, "node": STEERING, "traceback": STEERING})
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE runs SET id = id || ?, workflow = workflow || ?", (STEERING, STEERING))
        connection.execute("UPDATE runs SET error = ? WHERE status = 'failed'", (error,))
        connection.execute("UPDATE activations SET error = ?", (error,))
        connection.execute("UPDATE operations SET token = ?, error = ?", (token, error))
        connection.execute("UPDATE submissions SET handle = ?, error = ?", (STEERING, error))
        connection.execute("UPDATE events SET type = type || ? WHERE position > 1", (STEERING,))
        connection.execute("UPDATE events SET data = ? WHERE position > 1", (pack({"reply": STEERING}),))
        connection.execute(
            "INSERT INTO signals (run, at, kind, node, path, data) SELECT key, 1.0, ?, ?, '', ? FROM runs",
            (STEERING, STEERING, pack({STEERING: STEERING})),
        )
    connection.close()
    return copy


@pytest.mark.parametrize(
    "words",
    [
        "runs", "show done-1", "show failed-1", "show waiting-1", "show asking-1", "show wide-1 --all", "tokens",
        "events done-1", "graph wide-1", "graph wide-1 --mermaid", "db info", "db check", "show nosuch",
        "answer asking-1 count fail",
    ],
)  # fmt: skip
def test_what_is_stored_cannot_steer_the_terminal(viewer: Console, hostile: Path, words: str) -> None:
    for form in ("table", "json", "jsonl"):
        if form == "table" or "--mermaid" not in words:
            done = viewer.run(*words.split(), "--db", str(hostile), "-o", form)
            assert done.code in (0, 1, 3)
            assert steering(done) == set(), form
            assert "Traceback" not in done.err
            assert "red" in done.out + done.err or words.split()[0] in ("db", "graph") or "nosuch" in words


def test_json_says_hostile_text_to_the_letter(viewer: Console, hostile: Path) -> None:
    runs = viewer.run("runs", "-o", "json", "--db", str(hostile)).json
    assert all(run["id"].endswith(STEERING) for run in runs)


@pytest.mark.parametrize(
    "words",
    [
        [STEERING], ["show", STEERING], ["events", STEERING], ["runs", "--since", STEERING], ["show", "a", STEERING],
        [f"--{STEERING}"], ["runs", f"--{STEERING}"], ["db", STEERING], ["runs", "--status", STEERING],
        ["answer", "asking-1", STEERING, "fail"], ["retry", "done-1", "--app", STEERING],
        ["runs", "--db", f"/nowhere/{STEERING}"],
    ],
    ids=lambda words: " ".join(word for word in words if STEERING not in word) or "alone",
)  # fmt: skip
def test_what_is_typed_cannot_steer_the_terminal(viewer: Console, words: list[str]) -> None:
    done = viewer.run(*words)
    assert done.code in (1, 2, 3)
    assert "red" in done.err
    assert steering(done) == set()


def test_what_a_node_says_cannot_steer_the_terminal_while_it_is_driven(console: Console, db: Path) -> None:
    make(db, swearing, "text", "swearing-1")
    for words in (["retry", "swearing-1"], ["-v", "retry", "swearing-1"]):
        done = console.run(*words)
        assert done.code == 4
        assert "red" in done.err
        assert steering(done) == set()


def test_a_result_is_exact_in_a_pipe_and_harmless_on_a_terminal(console: Console, db: Path) -> None:
    make(db, echoing, "text", "echoing-1")
    exact = subprocess.run(
        [SCRIPT, "resume", "echoing-1"],
        cwd=console.folder,
        env=console.environment,
        capture_output=True,
        check=True,
    )
    assert exact.stdout.decode() == f"text{STEERING}\n"
    shown = console.on_terminal("resume", "echoing-1", "--no-color")
    assert "text" in shown.out
    assert steering(shown) == set()
