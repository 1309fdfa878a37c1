"""The rooms and the arrows between them: checkpoints <- nodes <- engine <- inspector, and what is loaded when."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("checkpoints", "nodes", "engine", "inspector")
"""Each may import itself and those before it."""
HEAVY = frozenset({"aiosqlite", "jinja2", "networkx", "openai", "pydantic", "starlette", "uvicorn"})


def modules() -> list[Path]:
    """Every Python file of the library."""
    return sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """What the file imports, absolute: (line, `perdure.nodes.errors` or `asyncio`)."""
    package = ("perdure", *file.relative_to(ROOT).parent.parts)
    for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            yield from ((found.lineno, alias.name) for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and found.level:
            base = package[: len(package) - found.level + 1]
            assert base, f"{file}:{found.lineno} climbs out of the library"
            if found.module:
                yield found.lineno, ".".join((*base, found.module))
            else:
                yield from ((found.lineno, ".".join((*base, alias.name))) for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            assert found.module is not None
            yield found.lineno, found.module


def test_there_is_something_to_look_at() -> None:
    assert len(modules()) > 80
    assert {file.relative_to(ROOT).parts[0] for file in modules()} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_one_above_it(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    upward = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in modules()
        if file.relative_to(ROOT).parts[0] == room
        for line, name in imported(file)
        if name.split(".")[0] == "perdure"
        and name.split(".")[1:2] != []
        and name.split(".")[1] not in allowed
    ]
    assert upward == []


def test_the_library_imports_itself_relatively() -> None:
    """So that the files read the same in the tree and installed."""
    absolute = [
        f"{file.relative_to(ROOT)}:{found.lineno}"
        for file in modules()
        for found in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (
            isinstance(found, ast.ImportFrom)
            and not found.level
            and (found.module or "").startswith("perdure")
        )
        or (isinstance(found, ast.Import) and any(alias.name.startswith("perdure") for alias in found.names))
    ]
    assert absolute == []


def test_the_scheduler_knows_no_clock_no_chance_and_no_world() -> None:
    """The pure core, followed through all that it imports of the engine."""
    rest, seen = [ROOT / "engine" / "scheduler.py"], set[Path]()
    outside: set[str] = set()
    while rest:
        file = rest.pop()
        if file in seen:
            continue
        seen.add(file)
        for _, name in imported(file):
            parts = name.split(".")
            if parts[:2] == ["perdure", "engine"]:
                rest.append(ROOT / "engine" / f"{parts[2]}.py")
            else:
                outside.add(parts[0] if parts[0] != "perdure" else name)
    assert len(seen) > 2
    assert outside <= {
        *("__future__", "collections", "copy", "dataclasses", "enum", "functools", "hashlib", "heapq"),
        *("itertools", "typing"),
        "perdure.checkpoints",  # the states, and the codec of plans
    }


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
