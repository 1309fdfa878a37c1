"""`perdure runs`: the list of runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from ..checkpoints import RunRecord, RunStatus, unpack
from ..checkpoints import reader as rows
from . import states
from .database import Reading
from .exits import Exit
from .forms import run_form
from .output import say, write_entries
from .settings import Settings
from .table import Cell, Column, table
from .times import span

SHOWN = 50
"""Runs in a table where nothing else is asked for."""

_COLUMNS = (
    Column("RUN", least=12),
    Column("WORKFLOW", least=6),
    Column("STATUS"),
    Column("STARTED"),
    Column("MOVED"),
    Column("ERROR", least=6),
)


def list_runs(
    settings: Settings,
    *,
    status: Sequence[str],
    workflow: str | None,
    since: float | None,
    limit: int | None,
) -> Exit:
    """Show the runs, newest first. A table is cut at `SHOWN` where no limit is given, and says so."""
    most = limit if limit is not None else SHOWN + 1 if settings.output == "table" else None
    with Reading(settings.db) as reading:
        found = reading.read(
            rows.runs,
            status=[RunStatus(name) for name in status],
            workflow=workflow,
            since=since,
            limit=most,
        )
    more = limit is None and settings.output == "table" and len(found) > SHOWN
    shown = found[:SHOWN] if more else found
    write_entries(settings, map(run_form, shown), _lines(settings, shown))
    if not found and settings.output == "table":
        say("No runs." if not (status or workflow or since) else "No such runs.")
    if more:
        say(f"These are the {SHOWN} newest. `--limit N` shows more, `-o json` all of them.")
    return Exit.OK


def _lines(settings: Settings, runs: Sequence[RunRecord]) -> Iterator[str]:
    if not runs:
        return
    now = time.time()
    cells = [
        [
            Cell(run.id, "bold"),
            Cell(run.workflow),
            states.cell(run.status),
            Cell(span(now - run.created_at)),
            Cell(span(now - run.updated_at)),
            Cell(_error(run)),
        ]
        for run in runs
    ]
    yield from table(_COLUMNS, cells, width=settings.width(sys.stdout), colour=settings.colour(sys.stdout))


def _error(run: RunRecord) -> str:
    if run.error is None:
        return ""
    error = unpack(run.error)
    where = f"{error['node']}: " if error.get("node") else ""
    return f"{where}{error.get('type', '')}: {error.get('message', '')}"
