"""The names of `perdure`: all there, lazily imported, and no heavier than they must be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import perdure
import pytest
from perdure import errors
from perdure.checkpoints import errors as checkpoints
from perdure.engine import errors as engine
from perdure.nodes import errors as nodes

ROOT = Path(__file__).parents[2]
OURS_OF_OPENAI = "perdure.nodes.operations.openai"


def loaded_by(code: str) -> set[str]:
    """The modules that a new process has loaded after this."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(told.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", perdure.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(perdure, name) is not None


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = perdure.nothing  # type: ignore[attr-defined]


def test_the_import_alone_loads_nothing_of_ours() -> None:
    assert {name for name in loaded_by("import perdure") if name.startswith("perdure.")} == set()


def test_a_workflow_of_functions_loads_neither_openai_nor_the_code_for_it() -> None:
    code = """
from perdure import Workflow, node
@node
def double(number: int) -> int:
    return number * 2
Workflow("double", start=double, end=double).check()
"""
    loaded = loaded_by(code)
    assert "openai" not in loaded
    assert {name for name in loaded if name.startswith(OURS_OF_OPENAI)} == set()


def test_no_module_of_the_face_has_the_name_of_a_function() -> None:
    modules = {path.stem for path in (ROOT / "api").rglob("*.py")}
    assert modules & {"node", "run"} == set()


def test_every_error_is_in_perdure_errors() -> None:
    for module in (checkpoints, engine, nodes):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, errors.PerdureError):
                assert getattr(errors, name) is kind
