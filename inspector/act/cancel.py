"""`perdure cancel`: end a run, at the providers too. Needs none of the user's code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from ...checkpoints.records import RunRecord, RunStatus
from ...checkpoints.sqlite import SQLiteStore
from ...checkpoints.view import View
from ...engine.core.addresses import Address
from ...engine.executor import Executor
from ..commands import command
from ..exits import Exit
from ..read.database import find_run
from ..render.entries import run_entry
from ..render.output import say, write_entry
from ..render.terminal import wrap
from ..settings import Settings
from ._app import AnyWorkflow, load_app
from ._log import Log

LOOK = 0.2
"""Seconds between two looks at whether the run has ended."""


def cancel_run(settings: Settings, name: str, *, app: str | None) -> Exit:
    """Cancel the run and wait until that is acknowledged everywhere."""
    run_id = find_run(settings, name)
    workflows = load_app(app) if app else ()
    again = command(settings, "cancel", run_id, *(("--app", app) if app else ()))
    with Log(settings) as log:
        try:
            return asyncio.run(_cancel(settings, run_id, workflows, log, again))
        except KeyboardInterrupt:
            say(f"Interrupted. What was asked for stays so; wait for the rest with: {again}")
            return Exit.INTERRUPTED
        except SystemExit as stop:
            if stop.code != Exit.TERMINATED:
                raise
            say(f"Terminated. What was asked for stays so; wait for the rest with: {again}")
            return Exit.TERMINATED


async def _cancel(
    settings: Settings, run_id: str, workflows: Sequence[AnyWorkflow], log: Log, again: str
) -> Exit:
    store = SQLiteStore(settings.db, create=False)
    async with Executor(store, workflows=workflows) as executor:
        run, under_way, _ = await store.read(lambda view: _read(view, run_id))
        if run.status.finished:
            say(f"Run {run_id} {run.status.value} already: there is nothing to cancel.")
            _show(settings, run, ())
            return Exit.OK
        await executor.cancel(run_id)
        announced = False
        while True:
            run, _, holder = await store.read(lambda view: _read(view, run_id))
            if run.status.finished:
                break
            await executor.settled()
            if not executor.drives(run_id):
                run, _, holder = await store.read(lambda view: _read(view, run_id))
                if run.status.finished:
                    break
                if holder is None:
                    if announced:  # whoever drove it has ended without it: then it is ours to do
                        announced = False
                        await executor.cancel(run_id)
                        continue
                    say(
                        f"Run {run_id} is {run.status.value}: the cancel is committed, but not acknowledged everywhere. "
                        f"{log.errors()}"
                    )
                    say(f"When the cause is gone, go on with: {again}")
                    return Exit.ERROR
                if not announced:
                    announced = True
                    say(f"{holder} drives run {run_id} and was asked to cancel it; waiting for that ...")
            await asyncio.sleep(LOOK)
        _show(settings, run, under_way)
    if run.status is not RunStatus.CANCELLED:
        say(f"Run {run_id} {run.status.value} before it could be cancelled.")
    return Exit.OK


def _read(view: View, run_id: str) -> tuple[RunRecord, list[str], str | None]:
    """The run, what of it is under way, and who drives it."""
    with view.snapshot():
        run = view.run(run_id)
        activations, _ = view.live([run.key])
        return run, [str(Address(record.key.node, record.path)) for record in activations], view.holder(run)


def _show(settings: Settings, run: RunRecord, under_way: Sequence[str]) -> None:
    what = f" What was under way: {', '.join(under_way)}." if under_way else ""
    text = f"Run {run.id} {run.status.value}.{what}"
    lines = wrap(text, settings.width(sys.stdout)) if run.status is RunStatus.CANCELLED else []
    write_entry(settings, {**run_entry(run), "was_under_way": list(under_way)}, lines)
