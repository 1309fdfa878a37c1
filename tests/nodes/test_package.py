"""What importing `perdure.nodes` loads, and that its names stay what they are."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after this code."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(run.stdout))


DECLARE = """
from datetime import timedelta
from perdure.nodes import Context, FunctionNode, node, timer

@node
async def double(n: int, ctx: Context) -> int:
    return 2 * n

@timer
def pause(n: int) -> timedelta:
    return timedelta(n)
"""


@pytest.mark.parametrize("code", ["import perdure.nodes", DECLARE, "import perdure.nodes.operations"])
def test_functions_and_timers_load_nothing_of_agents(code: str) -> None:
    modules = loaded(code)
    assert "perdure.nodes.node" in modules
    assert not [name for name in modules if name.startswith("perdure.nodes.operations.openai")]
    assert modules.isdisjoint({"openai", "pydantic", "asyncio", "sqlite3", "pytest", "perdure.nodes.agent"})


def test_the_small_operations_do_without_pytest() -> None:
    modules = loaded("from perdure.nodes.conformance import FindableOperation")
    assert "perdure.nodes.conformance.ledger" in modules
    assert "pytest" not in modules


@pytest.mark.parametrize(
    "package", ["perdure.nodes", "perdure.nodes.operations", "perdure.nodes.conformance"]
)
def test_every_public_name_is_there_and_no_other(package: str) -> None:
    code = f"""
import importlib
package = importlib.import_module({package!r})
missing = [name for name in package.__all__ if not hasattr(package, name)]
assert not missing, missing
assert package.__all__ == sorted(set(package.__all__), key=lambda name: (not name.isupper(), name[0].islower(), name))
assert not hasattr(package, "no_such_name")
"""
    loaded(code)


def test_a_decorator_is_never_mistaken_for_the_module_of_its_name() -> None:
    code = """
import perdure.nodes.node, perdure.nodes.timer_node
from perdure.nodes import *
import perdure.nodes as nodes
assert callable(node) and callable(timer) and callable(nodes.node) and callable(nodes.timer)
"""
    loaded(code)
