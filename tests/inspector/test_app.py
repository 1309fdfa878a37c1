"""`--app`: where the workflows come from, and what is said when they don't."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import apps
from .console import Console
from .making import make


@pytest.fixture
def failed(console: Console, db: Path) -> str:
    """A run that can be retried, and fails again."""
    make(db, apps.reading, "missing.txt", "missing-1")
    return "missing-1"


@pytest.fixture
def elsewhere(console: Console, tmp_path: Path) -> Console:
    """A console in an empty folder, that names no app."""
    folder = tmp_path / "project"
    folder.mkdir()
    environment = {name: value for name, value in console.environment.items() if name != "PERDURE_APP"}
    moved = Console(folder)
    moved.environment = environment
    return moved


def test_without_an_app_the_three_ways_to_name_one_are_said(elsewhere: Console, failed: str) -> None:
    done = elsewhere.run("retry", failed)
    assert (done.code, done.out) == (2, "")
    for way in ("--app", "PERDURE_APP", "[tool.perdure]"):
        assert way in done.err


def test_the_app_of_the_project_is_found_in_the_current_folder(elsewhere: Console, failed: str) -> None:
    (elsewhere.folder / "pipeline.py").write_text(Path(apps.__file__).read_text(encoding="utf-8"))
    (elsewhere.folder / "pyproject.toml").write_text('[tool.perdure]\napp = "pipeline:reading"\n')
    assert elsewhere.run("retry", failed).code == 4
    assert "perdure retry missing-1\n" in elsewhere.run("show", failed).out


def test_what_is_named_nearer_wins(elsewhere: Console, failed: str) -> None:
    (elsewhere.folder / "pipeline.py").write_text(Path(apps.__file__).read_text(encoding="utf-8"))
    (elsewhere.folder / "pyproject.toml").write_text('[tool.perdure]\napp = "nosuch:project"\n')
    environment = {"PERDURE_APP": "nosuch:environment"}
    assert "nosuch:environment" in elsewhere.run("retry", failed, env=environment).err
    assert elsewhere.run("retry", failed, "--app", "pipeline:reading", env=environment).code == 4


@pytest.mark.parametrize(
    ("app", "code", "message"),
    [
        ("apps", 2, "no module:attribute"),
        ("apps.py:ALL", 2, "without .py"),
        ("./apps:ALL", 2, "no module:attribute"),
        ("nosuch:ALL", 2, "there is no module nosuch in"),
        ("nosuch.deeper:ALL", 2, "there is no module nosuch in"),
        ("apps:NOSUCH", 2, "Its workflows: ONE, asking, briefing"),
        ("apps:NUMBER", 2, "this is of the type int, not a Workflow"),
        ("apps:researcher", 2, "this is of the type Agent, not a Workflow"),
        ("apps:NOTHING", 2, "the list is empty"),
        ("raising:ALL", 1, "importing raising raised ZeroDivisionError"),
        ("leaving:ALL", 1, "importing leaving raised SystemExit"),
        ("lacking:ALL", 1, "imports no_such_package, which is not installed"),
        ("miswired:flow", 1, "can't be run as it is wired"),
        ("apps:ONE", 1, "belongs to workflow reading"),
        ("changed:flow", 1, "node loud is new"),
    ],
)
def test_an_app_that_cannot_be_used(
    elsewhere: Console, failed: str, app: str, code: int, message: str
) -> None:
    node = "from perdure.engine import Workflow\nfrom perdure.nodes import node\n"
    first = "@node\ndef open_the_file(name: str) -> str: return name\n"
    for name, text in {
        "apps": Path(apps.__file__).read_text(encoding="utf-8"),
        "raising": "1 / 0",
        "leaving": "import sys; sys.exit(3)",
        "lacking": "import no_such_package",
        "miswired": f"{node}{first}@node\ndef b(n: str) -> str: return n\n"
        "flow = Workflow('reading', start=open_the_file, end=b)\n",
        "changed": f"{node}{first}@node\ndef loud(n: str) -> str: return n\n"
        "flow = Workflow('reading', start=open_the_file, end=loud)\nflow.edge(open_the_file, loud)\n",
    }.items():
        (elsewhere.folder / f"{name}.py").write_text(text)
    before = elsewhere.run("show", failed, "-o", "json").json["position"]
    done = elsewhere.run("retry", failed, "--app", app)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert elsewhere.run("show", failed, "-o", "json").json["position"] == before


def test_the_traceback_of_an_app_is_shown_on_request(elsewhere: Console, failed: str) -> None:
    (elsewhere.folder / "raising.py").write_text("def half():\n    return 1 / 0\n\nhalf()\n")
    done = elsewhere.run("-v", "retry", failed, "--app", "raising:ALL")
    assert done.code == 1
    assert "in half" in done.err
    assert done.err.rstrip().splitlines()[-1].startswith("Error: --app raising:ALL: importing raising raised")


def test_reading_imports_nothing_of_the_user(elsewhere: Console, failed: str) -> None:
    """Not even where the database says the name of a module that is there."""
    for name in ("apps", "reading", "open_the_file", "shout"):
        (elsewhere.folder / f"{name}.py").write_text("raise SystemExit('imported')")
    environment = {"PERDURE_APP": "apps:ALL"}
    for words in (("runs",), ("show", failed), ("graph", failed), ("events", failed), ("cancel", failed)):
        done = elsewhere.run(*words, env=environment)
        assert done.code == 0, done.err
