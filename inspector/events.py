"""`perdure events`: the checkpoint log of a run, also while it grows."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from ..checkpoints import EventRecord, RunRecord, unpack
from ..checkpoints import reader as rows
from ..engine.events import Address
from .database import Reading
from .exits import Exit
from .output import Form, Stream, say
from .settings import Settings
from .table import Style, clean, columns_of, paint, shorten
from .times import clock, iso

PAGE = 500
"""Entries that are read at once."""
INTERVAL = 0.25
"""Seconds between two looks at a log that is followed."""

_STYLES: dict[str, Style] = {
    "succeeded": "green",
    "failed": "red",
    "edges_failed": "red",
    "submission_unknown": "magenta",
    "submitted": "yellow",
    "backed_off": "yellow",
    "cancel_requested": "yellow",
}


def show_events(settings: Settings, name: str, *, after: int, follow: bool) -> Exit:
    """Show the log behind a position; with `follow` until the run has ended."""
    with Reading(settings.db) as reading, Stream(settings) as stream:
        run = reading.read(rows.find, name)
        if follow and not run.status.finished and reading.holder(run) is None:
            say(f"Nobody drives run {run.id} now; new events come when somebody does.")
        while True:
            ended = reading.read(rows.run, run.id).status.finished
            records = reading.read(rows.events, run.key, after=after, limit=PAGE)
            for record in records:
                after = record.position
                stream.write(event_form(run, record), event_line(settings, record))
            if not records:
                if ended or not follow:
                    return Exit.OK
                time.sleep(INTERVAL)


def event_form(run: RunRecord, record: EventRecord) -> Form:
    """An event in JSON."""
    return {
        "run": run.id,
        "position": record.position,
        "at": iso(record.at),
        "type": record.type,
        "node": record.node,
        "path": list(record.path),
        "activation": None if record.node is None else str(Address(record.node, record.path)),
        "data": unpack(record.data),
    }


def event_line(settings: Settings, record: EventRecord) -> str:
    """An event in one line that fits the width."""
    colour = settings.colour(sys.stdout)
    where = "" if record.node is None else str(Address(record.node, record.path))
    head = f"{record.position:>5}  {clock(record.at, time.time())}  "
    return fitted(
        head, record.type, where, detail_of(unpack(record.data)), settings.width(sys.stdout), colour
    )


def fitted(head: str, kind: str, where: str, detail: str, width: int, colour: bool) -> str:
    """The parts of an event in one line of so many columns."""
    where = shorten(where, max(12, width - columns_of(head) - 20 - 1), "middle")
    rest = width - columns_of(head) - 20 - columns_of(where) - 2
    detail = shorten(clean(detail), rest) if rest > 3 else ""
    painted = paint(f"{kind:<19}", _STYLES.get(kind, ""), colour)
    return f"{head}{painted} {where}  {paint(detail, 'dim', colour)}".rstrip()


def detail_of(data: Mapping[str, Any]) -> str:
    """What the log tells about an event, in a few words."""
    match data:
        case {"error": str() as error}:
            return error
        case {"token": token}:
            return " ".join(map(str, token["handle"].values()))
        case {"items": int() as items}:
            return f"{items:,} items"
        case {"submission": int() as submission} if submission > 1:
            return f"submission {submission}"
        case {"provider": str() as provider}:
            return provider
        case _:
            return ""
