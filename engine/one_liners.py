"""`run` and `run_sync`: a run in one line, from its start, or from where it stands, to its result."""

from __future__ import annotations

import asyncio
import sys
from typing import TypeVar

from ..nodes.node import Node
from ._run_ids import new_run_id
from .client import Database
from .errors import LoopRunningError
from .executor import Executor

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output


async def run(workflow: Node[I, O], value: I, /, *, run_id: str | None = None, db: Database = None) -> O:
    """Run a workflow, or any node as a workflow of one, and return its result.

    With a `run_id` the same call goes on with that run, in this process or another; one that has ended gives its result
    and runs nothing. `db`: a path or a store; None: `PERDURE_DB`, else `perdure.db`. Raises as `Executor.start` and
    `Run.result`.
    """
    async with Executor(db) as executor:
        return await (await executor.start(workflow, value, run_id=run_id)).result()


def run_sync(workflow: Node[I, O], value: I, /, *, run_id: str | None = None, db: Database = None) -> O:
    """As `run`, blocking. Ctrl-C leaves the run to be taken up again.

    Raises `LoopRunningError` where an event loop runs already, as in a notebook.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise LoopRunningError(
            "An event loop runs here already (as in a notebook), and run_sync would block it. Write "
            "`await perdure.run(...)`."
        )
    run_id = new_run_id() if run_id is None else run_id
    try:
        return asyncio.run(run(workflow, value, run_id=run_id, db=db))
    except KeyboardInterrupt:
        print(
            f"Run {run_id} is kept: go on with run_id={run_id!r}, or look with `perdure show {run_id}`.",
            file=sys.stderr,
        )
        raise
