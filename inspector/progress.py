"""Telling on stderr what happens to a run while it is driven."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..engine import Run
from ..engine.events import Address
from .events import detail_of, fitted
from .output import say
from .settings import Settings
from .times import clock


async def follow(settings: Settings, run: Run[Any], *, after: int, named: bool) -> None:
    """Tell the run's events behind a position as they happen: on a terminal or with -v, else nothing.

    Until the run has ended or this is cancelled. With `named` each line names the run.
    """
    if not (settings.verbose or sys.stderr.isatty()):
        return
    width, colour = settings.width(sys.stderr), settings.colour(sys.stderr)
    name = f"{run.id}  " if named else ""
    async for event in run.events(after=after):
        where = "" if event.node is None else str(Address(event.node, event.path))
        head = f"{clock(event.at, time.time())}  {name}"
        say(fitted(head, event.type, where, detail_of(event.data), width, colour))
