"""Runs a notebook's cells one after another in one running event loop, as a kernel does, and prints what they show.

    python -m tests.examples.cells NOTEBOOK

Arguments after the notebook are cells that are run in place of its own. Prints a line of JSON per cell: the `repr` of
its last expression, or the error that it raised.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sys
from pathlib import Path
from types import CodeType
from typing import Any


def sources(notebook: Path) -> list[str]:
    """The notebook's cells of code."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


async def execute(code: CodeType, names: dict[str, Any]) -> object:
    """Run code at whose top level there may be an await."""
    value = eval(code, names)
    return await value if code.co_flags & inspect.CO_COROUTINE else value


async def show(source: str, names: dict[str, Any]) -> object:
    """Run a cell; the value of its last expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    await execute(compile(ast.Module(body, []), "<cell>", "exec", flags), names)
    if not isinstance(last, ast.Expr):
        return None
    return await execute(compile(ast.Expression(last.value), "<cell>", "eval", flags), names)


async def main(cells: list[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        try:
            shown = {"value": repr(await show(cell, names))}
        except Exception as error:  # noqa: BLE001  # as a kernel does: the next cell can be run
            shown = {"error": str(error), "type": type(error).__name__}
        print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2:] or sources(Path(sys.argv[1]))))
