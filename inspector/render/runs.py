"""`perdure runs`: the list of runs as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from ...checkpoints.codec import unpack
from ...checkpoints.records import RunRecord
from ..settings import Settings
from . import states
from .table import Cell, Column, table
from .times import span

_COLUMNS = (
    Column("RUN", least=12),
    Column("WORKFLOW", least=6),
    Column("STATUS"),
    Column("STARTED"),
    Column("MOVED"),
    Column("ERROR", least=6),
)


def run_lines(settings: Settings, runs: Sequence[RunRecord]) -> Iterator[str]:
    """The lines of the table, none where there is no run."""
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
