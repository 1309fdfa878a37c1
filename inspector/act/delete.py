"""`perdure delete`: remove a run that has ended. Needs none of the user's code."""

from __future__ import annotations

import asyncio
import sys

import click

from ...checkpoints.records import RunRecord
from ...checkpoints.sqlite import SQLiteStore
from ..exits import Exit
from ..read.database import reading
from ..render.entries import run_entry
from ..render.output import say, write_entry
from ..render.terminal import clean
from ..settings import Settings


def delete_run(settings: Settings, name: str, *, yes: bool) -> Exit:
    """Delete the run, after a question unless `yes`. Raises `RunNotDeletableError` when it is not over."""
    with reading(settings) as view:
        run = view.find(name)
    if not yes and not _confirmed(run):
        say("Nothing was deleted.")
        return Exit.ERROR
    asyncio.run(_delete(settings, run))
    write_entry(settings, run_entry(run), [f"Run {clean(run.id)} deleted."])
    return Exit.OK


def _confirmed(run: RunRecord) -> bool:
    """Whether a person says that this run is meant."""
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at. Say --yes if it is meant.")
    what = f"Delete run {clean(run.id)} ({clean(run.workflow)}, {run.status.value}) and all that is stored of it?"
    return click.confirm(what, err=True)


async def _delete(settings: Settings, run: RunRecord) -> None:
    async with SQLiteStore(settings.db, create=False) as store:
        await store.delete(run.key)
