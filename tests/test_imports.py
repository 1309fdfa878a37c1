"""The checks of `imports` find what they look for, on small trees that are wrong in one way each."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from .imports import circles_across, circles_within, impurities, private_imports, read_library, upward_imports


def tree(root: Path, **files: str) -> Path:
    """A library of these files: `nodes__agent` is `nodes/agent.py`, `nodes` is `nodes/__init__.py`."""
    for name, text in files.items():
        parts = name.split("__")
        path = root.joinpath(*parts).with_suffix(".py") if len(parts) > 1 else root / name / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return root


LAZILY = """
    def late():
        from .b import B
"""
FOR_TYPES = """
    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        from .b import B
"""


@pytest.mark.parametrize("importing", ["from .b import B", "from . import b", LAZILY, FOR_TYPES])
def test_a_circle_is_found_wherever_the_import_stands(tmp_path: Path, importing: str) -> None:
    library = read_library(tree(tmp_path, nodes__a=importing, nodes__b="from .a import A"))
    assert circles_within(library, "nodes") == ["perdure.nodes.a -> perdure.nodes.b -> perdure.nodes.a"]
    assert circles_across(library) == []


def test_every_circle_is_listed_with_its_modules_in_order(tmp_path: Path) -> None:
    library = read_library(
        tree(
            tmp_path,
            nodes="from .c import C",
            nodes__a="from .b import B",
            nodes__b="from .c import C",
            nodes__c="from .a import A\nfrom . import C",
            nodes__d="from .a import A",
        )
    )
    assert circles_within(library, "nodes") == [
        "perdure.nodes -> perdure.nodes.c -> perdure.nodes",
        "perdure.nodes.a -> perdure.nodes.b -> perdure.nodes.c -> perdure.nodes.a",
    ]


def test_a_package_that_imports_its_modules_is_no_circle(tmp_path: Path) -> None:
    library = read_library(
        tree(tmp_path, nodes="from .a import A\nfrom .b import B", nodes__a="", nodes__b="from . import a")
    )
    assert circles_within(library, "nodes") == []


def test_a_circle_through_several_folders_is_found(tmp_path: Path) -> None:
    library = read_library(
        tree(
            tmp_path,
            api="from .inspector.cli import main",
            inspector="",
            inspector__cli="from .. import Agent",
        )
    )
    assert circles_within(library, "inspector") == []
    assert circles_across(library) == ["perdure -> perdure.inspector.cli -> perdure"]
    assert upward_imports(library, "inspector") == []


@pytest.mark.parametrize(
    ("folder", "importing", "name"),
    [
        ("checkpoints", "from ..nodes.agent import Agent", "perdure.nodes.agent"),
        ("nodes", "from ..engine import Executor", "perdure.engine"),
        ("engine", "from .. import inspector", "perdure.inspector"),
        ("engine", "from .. import Agent", "perdure"),
        ("engine", "from ..temporal.worker import Worker", "perdure.temporal.worker"),
        (
            "simulator",
            FOR_TYPES.replace(".b import B", "..checkpoints import PerdureError"),
            "perdure.checkpoints",
        ),
    ],
)
def test_an_import_that_is_not_allowed_is_named(
    tmp_path: Path, folder: str, importing: str, name: str
) -> None:
    files = {folder: "", f"{folder}__x": importing, "inspector": "", "nodes__agent": "", "api": ""}
    (wrong,) = upward_imports(read_library(tree(tmp_path, **files)), folder)
    assert wrong.startswith(f"{folder}/x.py:")
    assert wrong.endswith(f" imports {name}")


def test_what_is_allowed_is_not_named(tmp_path: Path) -> None:
    library = read_library(
        tree(
            tmp_path,
            engine="",
            engine__x="import asyncio\nfrom ..nodes import node\nfrom ..checkpoints.records import Value\nfrom . import y",
            engine__y="",
        )
    )
    assert upward_imports(library, "engine") == []


@pytest.mark.parametrize(
    ("importer", "line", "name"),
    [
        ("engine__executor", "from .runtime._driver import Driver", "perdure.engine.runtime._driver"),
        ("engine__executor", "from .runtime import _driver", "perdure.engine.runtime._driver"),
        ("engine__executor", "import perdure.engine.runtime._driver", "perdure.engine.runtime._driver"),
        ("engine__core__step", "from ..runtime._driver import Driver", "perdure.engine.runtime._driver"),
        ("inspector__cli", "from ..engine._private.words import word", "perdure.engine._private.words"),
        ("api__testing", FOR_TYPES.replace(".b", "perdure.engine._private"), "perdure.engine._private"),
    ],
)
def test_a_private_module_that_is_imported_from_outside_is_named(
    tmp_path: Path, importer: str, line: str, name: str
) -> None:
    files = {"engine__runtime___driver": "", "engine___private__words": "", importer: line}
    (wrong,) = private_imports(read_library(tree(tmp_path, **files)))
    assert wrong.startswith(f"{'/'.join(importer.split('__'))}.py:")
    assert wrong.endswith(f" imports {name}")


def test_what_lies_in_a_package_may_import_its_private_modules(tmp_path: Path) -> None:
    library = read_library(
        tree(
            tmp_path,
            engine___words="",
            engine__runtime="from ._driver import Driver",
            engine__runtime___driver="from .._words import word\nfrom __future__ import annotations",
            engine__runtime__performers="from . import _poll",
            engine__runtime__performers___poll="from .._driver import Driver\nimport _thread",
        )
    )
    assert private_imports(library) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from asyncio import sleep",
        "import os.path",
        "import pydantic",
        "from ...checkpoints.codec import Codec",
        "from ...checkpoints import Value",
        "from ..driver import Driver",
        "from datetime import datetime as moment; moment.now()",
        "import datetime; datetime.datetime.utcnow()",
        "import datetime; datetime.date.today()",
    ],
)
def test_what_the_core_may_not_use_is_named(tmp_path: Path, line: str) -> None:
    library = read_library(tree(tmp_path, engine__core__step=line, checkpoints__codec="", engine__driver=""))
    (wrong,) = impurities(library["perdure.engine.core.step"], tmp_path)
    assert wrong.startswith("engine/core/step.py:1 ")


def test_what_the_core_may_use_is_not_named(tmp_path: Path) -> None:
    lines = """
        import heapq
        from dataclasses import dataclass
        from datetime import datetime

        from ...checkpoints.records import Value
        from .plan import Plan

        def later(event):
            return datetime.fromtimestamp(event.now)
    """
    library = read_library(tree(tmp_path, engine__core__step=lines, engine__core__plan=""))
    assert impurities(library["perdure.engine.core.step"], tmp_path) == []
