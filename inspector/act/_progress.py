"""Printing on stderr what happens to a run while it is driven."""

from __future__ import annotations

import sys
import time
from typing import Any

from ...engine.run import Run
from ..render.events import detail_of, fitted
from ..render.output import write_message
from ..render.terminal import clean
from ..render.times import clock
from ..settings import Settings


async def follow(settings: Settings, run: Run[Any], *, after: int, named: bool) -> None:
    """Print the run's events after a position as they happen: on a terminal or with -v, else nothing.

    Until the run has ended or this is cancelled. With `named` each line names the run.
    """
    if not (settings.verbose or sys.stderr.isatty()):
        return
    width, colour = settings.width(sys.stderr), settings.colour(sys.stderr)
    name = f"{clean(run.id)}  " if named else ""
    async for event in run.events(after=after):
        where = event.activation or ""
        head = f"{clock(event.at.timestamp(), time.time())}  {name}"
        write_message(fitted(head, event.type, where, detail_of(event.data), width, colour))
