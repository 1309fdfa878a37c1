"""`perdure events`: entries of the journal, a line each."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.records import EventRecord
from ...engine.core.addresses import Address
from ..settings import Settings
from .terminal import Style, clean, columns_of, paint, shorten
from .times import clock

_STYLES: dict[str, Style] = {
    "succeeded": "green",
    "attempt_failed": "red",
    "edges_failed": "red",
    "given_up": "red",
    "submission_unknown": "magenta",
    "nothing_found": "magenta",
    "stray_cancelled": "magenta",
    "submitted": "yellow",
    "opened": "yellow",
    "submission_refused": "yellow",
    "cancel_requested": "yellow",
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
    """The parts of an event in one line of so many columns. All but the head is cleaned of control characters."""
    kind = clean(kind)
    where = shorten(clean(where), max(12, width - columns_of(head) - 20 - 1), "middle")
    rest = width - columns_of(head) - 20 - columns_of(where) - 2
    detail = shorten(clean(detail), rest) if rest > 3 else ""
    painted = paint(f"{kind:<19}", _STYLES.get(kind, ""), colour)
    return f"{head}{painted} {where}  {paint(detail, 'dim', colour)}".rstrip()


def detail_of(data: Mapping[str, Any]) -> str:
    """What the journal says about an event, in a few words."""
    match data:
        case {"error": {"message": message, **rest}}:
            return f"{rest.get('type', 'Error')}: {message}"
        case {"token": {"handle": handle}}:
            return " ".join(map(str, handle.values()))
        case {"reply": str() as reply}:
            return reply
        case {"reason": str() as reason}:
            return reason
        case {"items": int() as items}:
            return f"{items:,} items"
        case {"submission": int() as submission} if submission > 1:
            return f"submission {submission}"
        case {"provider": str() as provider}:
            return provider
        case _:
            return ""
