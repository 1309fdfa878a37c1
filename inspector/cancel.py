"""`perdure cancel`: end a run, at the providers too. Needs none of the user's code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from ..checkpoints import ActivationRecord, RunRecord, RunStatus, SQLiteStore
from ..engine import Executor
from ..engine.events import Address
from .app import AnyWorkflow, load_app
from .database import find_run
from .exits import Exit
from .facts import command
from .forms import run_form
from .log import Log
from .output import say, write_entry
from .settings import Settings
from .table import wrap

LOOK = 0.2
"""Seconds between two looks at whether the run has ended."""


def cancel_run(settings: Settings, name: str, *, app: str | None) -> Exit:
    """Cancel the run and wait until that is acknowledged everywhere."""
    run_id = find_run(settings, name)
    workflows = load_app(app) if app else ()
    again = command(settings, "cancel", run_id)
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
        run = await store.run(run_id)
        if run.status.finished:
            say(f"Run {run_id} {run.status.value} already: there is nothing to cancel.")
            _show(settings, run, ())
            return Exit.OK
        live = await store.live([run.key])
        await executor.cancel(run_id)
        told = False
        while not (run := await store.run(run_id)).status.finished:
            await executor.settled()
            if not executor.drives(run_id):
                holder = await store.holder(run)
                if holder is None:
                    if (await store.run(run_id)).status.finished:
                        continue
                    if told:  # whoever drove it has ended without it: then it is ours to do
                        told = False
                        await executor.cancel(run_id)
                        continue
                    say(f"Run {run_id} could not be cancelled whole. {log.errors()}")
                    say(f"When the cause is gone: {again}")
                    return Exit.ERROR
                if not told:
                    told = True
                    say(f"{holder} drives run {run_id} and was asked to cancel it; waiting for that ...")
            await asyncio.sleep(LOOK)
        _show(settings, run, live)
    if run.status is not RunStatus.CANCELLED:
        say(f"Run {run_id} {run.status.value} before it could be cancelled.")
    return Exit.OK


def _show(settings: Settings, run: RunRecord, live: Sequence[ActivationRecord]) -> None:
    names = [str(Address(record.key.node, record.path)) for record in live]
    what = f" What was under way: {', '.join(names)}." if names else ""
    text = f"Run {run.id} {run.status.value}.{what}"
    lines = wrap(text, settings.width(sys.stdout)) if run.status is RunStatus.CANCELLED else []
    write_entry(settings, {**run_form(run), "was_under_way": names}, lines)
