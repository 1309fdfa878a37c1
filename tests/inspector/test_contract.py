"""The command line as a whole: verbs, help, reference, global options, and what is imported for what."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from perdure.inspector import reference
from perdure.inspector.cli import cli

from .console import Console

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def verbs(
    group: click.Group = cli, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb with the words that name it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, (*before, name))
        else:
            yield (*before, name), command


VERBS = dict(verbs())


def test_the_verbs_are_those_of_the_contract() -> None:
    assert [" ".join(words) for words in VERBS] == [
        "runs", "show", "tokens", "events", "graph", "resume", "retry", "cancel", "delete", "answer", "simulate",
        "db info", "db check",
    ]  # fmt: skip


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_and_option_has_help(words: tuple[str, ...]) -> None:
    command = VERBS[words]
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option)), (
        "an option without help"
    )
    shown = CliRunner().invoke(cli, [*words, "--help"])
    assert shown.exit_code == 0
    assert command.help.split("\n")[0] in shown.output
    assert all(len(line) <= 80 for line in shown.output.splitlines())


def test_the_list_of_verbs_cuts_no_sentence() -> None:
    for words in (["--help"], ["db", "--help"]):
        usage, _, listed = CliRunner().invoke(cli, words).output.partition("\n")
        assert "..." in usage
        assert "..." not in listed


def test_the_reference_is_what_the_command_line_says() -> None:
    assert PAGE.read_text(encoding="utf-8").splitlines() == list(reference.lines()), "stale: run `make docs`"


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_is_in_the_reference(words: tuple[str, ...]) -> None:
    assert f"## {' '.join(words)}" in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_keys_of_json_are_in_the_reference(viewer: Console) -> None:
    text = PAGE.read_text(encoding="utf-8")
    run = viewer.run("show", "waiting-1", "-o", "json").json
    operation = run["activations"][1]["operations"][0]
    entries = [
        run,
        run["waits_on"][0],
        run["activations"][1],
        operation,
        operation["submissions"][0],
        run["claims"][0],
        viewer.run("runs", "--status", "failed", "-o", "json").json[0]["error"],
        viewer.run("tokens", "-o", "json").json[0],
        viewer.run("events", "done-1", "-o", "json").json[0],
        viewer.run("graph", "done-1", "-o", "json").json,
        viewer.run("db", "info", "-o", "json").json,
        viewer.run("db", "check", "-o", "json").json,
    ]
    assert [key for entry in entries for key in entry if f"`{key}`" not in text] == []


@pytest.mark.parametrize("order", ["before", "behind", "between"])
def test_global_options_stand_anywhere(viewer: Console, gallery: Path, order: str) -> None:
    options = ["--db", str(gallery), "-o", "json", "--no-color"]
    words = {
        "before": [*options, "show", "done-1"],
        "behind": ["show", "done-1", *options],
        "between": [*options[:2], "show", *options[2:], "done-1"],
    }[order]
    done = viewer.run(*words, env={"PERDURE_DB": "/nowhere/at/all.db"})
    assert done.code == 0, done.err
    assert done.json["id"] == "done-1"


def test_what_stands_behind_the_verb_wins(viewer: Console, gallery: Path) -> None:
    done = viewer.run("--db", "/nowhere.db", "-o", "jsonl", "db", "info", "--db", str(gallery), "-o", "json")
    assert done.json["path"] == str(gallery)
    assert len(done.lines) > 1


def test_the_database_is_perdure_db_where_nothing_names_one(
    viewer: Console, gallery: Path, tmp_path: Path
) -> None:
    here = Console(tmp_path)
    assert here.run("runs").code == 3
    (tmp_path / "perdure.db").symlink_to(gallery)
    assert here.run("runs").code == 0


@pytest.mark.parametrize(
    "words", [["rnus"], ["show"], ["show", "a", "b"], ["runs", "--nope"], ["runs", "-o", "xml"], ["db", "nope"],
              ["resume"], ["resume", "a", "--all"], ["events", "a", "--after", "-1"], ["runs", "--limit", "0"]],
)  # fmt: skip
def test_what_is_typed_wrong_is_a_usage_error(viewer: Console, words: list[str]) -> None:
    done = viewer.run(*words)
    assert (done.code, done.out) == (2, "")
    assert "--help" in done.err


def test_the_version_is_the_package_s(viewer: Console) -> None:
    from importlib.metadata import version

    assert viewer.run("--version").out == f"perdure {version('perdure')}\n"


HEAVY = ("openai", "networkx", "pydantic", "starlette", "uvicorn", "asyncio", "aiosqlite")
DRIVING = (
    "perdure.engine.runtime",
    "perdure.engine.executor",
    "perdure.engine.graph.workflow",
    "perdure.nodes",
)


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        (["--help"], (*HEAVY, *DRIVING, "sqlite3", "perdure.checkpoints")),
        (["runs"], (*HEAVY, *DRIVING)),
        (["show", "done-1"], (*HEAVY, *DRIVING)),
        (["tokens"], (*HEAVY, *DRIVING)),
        (["events", "done-1"], (*HEAVY, *DRIVING)),
        (["events", "done-1", "-f"], (*HEAVY, *DRIVING)),
        (["graph", "done-1"], (*HEAVY, *DRIVING)),
        (["graph", "done-1", "--mermaid"], (*HEAVY, *DRIVING)),
        (["db", "info"], (*HEAVY, *DRIVING)),
        (["db", "check"], (*HEAVY, *DRIVING)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "lacks",  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
)
def test_looking_loads_nothing_heavy_and_nothing_that_drives(
    viewer: Console, words: list[str], lacks: tuple[str, ...]
) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print(sorted(set({lacks!r}) & set(sys.modules)), file=sys.stderr))\n"
        "from perdure.inspector.__main__ import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=viewer.folder,
        env=viewer.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


TABLES = re.compile(
    r"\b(runs|activations|operations|submissions|scopes|events|signals|claims|workflows|blobs)\b"
)


def reads_a_table(statement: str) -> bool:
    """Whether it reads rows of ours. SQLite traces its own look at a table's columns as a comment."""
    return TABLES.search(statement) is not None and not statement.startswith("--")


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["show", "waiting-1"],
        ["show", "wide-1", "-o", "json"],
        ["tokens"],
        ["tokens", "waiting-1", "-o", "json"],
        ["events", "wide-1"],
        ["events", "done-1", "-o", "jsonl"],
        ["graph", "wide-1"],
        ["graph", "wide-1", "--mermaid"],
        ["db", "info"],
        ["db", "check"],
    ],
    ids=" ".join,
)
def test_a_look_is_of_one_moment(gallery: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """All that a verb reads of the tables is read in one transaction, of which there is one."""
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    done = CliRunner().invoke(cli, [*words, "--db", str(gallery)])
    assert done.exit_code == 0, done.output
    assert [statement for statement in statements if statement in ("BEGIN", "ROLLBACK", "COMMIT")] == [
        "BEGIN", "ROLLBACK",
    ]  # fmt: skip
    begun, ended = statements.index("BEGIN"), statements.index("ROLLBACK")
    assert any(map(reads_a_table, statements[begun:ended]))
    assert [
        statement for statement in [*statements[:begun], *statements[ended:]] if reads_a_table(statement)
    ] == []
