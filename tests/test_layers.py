"""The folders of the library: which may import which, that no import goes in a circle, and what is imported lazily."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .imports import (
    FACE,
    circles_across,
    circles_within,
    impurities,
    private_imports,
    read_library,
    upward_imports,
)

ROOT = Path(__file__).parents[1]
LIBRARY = read_library(ROOT)
FOLDERS = sorted({module.folder for module in LIBRARY.values()})
HEAVY = frozenset({"aiosqlite", "jinja2", "networkx", "openai", "pydantic", "starlette", "uvicorn"})


def test_the_folders_that_are_checked_are_those_that_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(project["tool"]["setuptools"]["package-dir"].values()) == FOLDERS
    assert len(LIBRARY) > 80


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_imports_one_that_it_may_not(folder: str) -> None:
    assert upward_imports(LIBRARY, folder) == []


@pytest.mark.parametrize("folder", ["checkpoints", "simulator"])
def test_a_folder_that_stands_alone_imports_nothing_of_ours(folder: str) -> None:
    ours = {
        found.module
        for module in LIBRARY.values()
        if module.folder == folder
        for found in module.imports
        if found.module.split(".")[0] == "perdure"
    }
    assert {".".join(name.split(".")[:2]) for name in ours} == {f"perdure.{folder}"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_import_goes_in_a_circle(folder: str) -> None:
    assert circles_within(LIBRARY, folder) == []


def test_no_circle_passes_through_several_folders() -> None:
    assert circles_across(LIBRARY) == []


def test_private_modules_are_imported_in_their_package_alone() -> None:
    assert private_imports(LIBRARY) == []


def test_the_core_only_computes() -> None:
    """It loads where there is no clock, no IO and no event loop; its package imports nothing else either."""
    core = [module for name, module in LIBRARY.items() if f"{name}.".startswith("perdure.engine.core.")]
    assert [impurity for module in core for impurity in impurities(module, ROOT)] == []


def test_the_library_imports_itself_relatively() -> None:
    """So that the files read the same in the tree and installed."""
    absolute = [
        f"{module.path}:{node.lineno}"
        for module in LIBRARY.values()
        if module.folder != FACE  # which lies beside the others in the tree, and above them once installed
        for node in ast.walk(ast.parse((ROOT / module.path).read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("perdure"))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("perdure") for alias in node.names))
    ]
    assert absolute == []


def test_the_core_is_found_and_reaches_nothing_but_the_records() -> None:
    """Followed through all that it imports of ours, so that nothing impure comes in by another module."""
    core = {name for name in LIBRARY if f"{name}.".startswith("perdure.engine.core.")}
    assert {
        "perdure.engine.core.machine",
        "perdure.engine.core.pending",
        "perdure.engine.core.restore",
    } <= core
    rest, seen = [*core], set[str]()
    while rest:
        name = rest.pop()
        if name not in seen:
            seen.add(name)
            rest += [found.module for found in LIBRARY[name].imports if found.module in LIBRARY]
    assert seen - core <= {"perdure.checkpoints.records", "perdure.checkpoints.errors"}
    assert [impurity for name in seen for impurity in impurities(LIBRARY[name], ROOT)] == []


def loaded(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after this, by top-level name."""
    told = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.split(".")[0] for name in json.loads(told.stdout)}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import perdure.checkpoints", HEAVY | {"sqlite3", "asyncio"}),
        ("import perdure.engine", HEAVY | {"asyncio"}),
        ("from perdure.engine import Plan", HEAVY - {"pydantic"}),
        ("from perdure.engine import Workflow, Executor", HEAVY - {"pydantic", "networkx", "aiosqlite"}),
        ("from perdure.nodes import Agent, node", HEAVY - {"pydantic"}),
        ("from perdure.checkpoints import SQLiteStore", HEAVY - {"aiosqlite"}),
        ("import perdure.inspector", HEAVY),
    ],
)
def test_what_is_heavy_is_loaded_when_it_is_needed(statement: str, absent: set[str]) -> None:
    assert loaded(statement) & absent == set()


def test_the_command_line_helps_without_loading_much() -> None:
    run = "import sys\nsys.argv[1:] = ['--help']\nfrom perdure.inspector.__main__ import main"
    run += "\ntry:\n    main()\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    told = subprocess.run(
        [sys.executable, "-c", run],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Usage" in told.stdout
    assert {name.split(".")[0] for name in told.stderr.split()} & (HEAVY | {"asyncio"}) == set()
