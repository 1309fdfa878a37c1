"""`perdure tokens`: the continuation tokens that are out now as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..read.tokens import OpenToken
from ..settings import Settings
from . import states
from .output import encode
from .table import Cell, Column, table
from .times import clock, span, until

TIMER = "perdure.timer"
"""The provider of timers' tokens."""

_COLUMNS = (
    Column("RUN", least=10),
    Column("NODE", least=12, cut="middle"),
    Column("STATE"),
    Column("HANDLE", least=14),
    Column("AGE"),
    Column("CURSOR", least=6),
    Column("NEXT POLL", least=6),
    Column("PROVIDER", least=6),
)


def token_lines(settings: Settings, tokens: Sequence[OpenToken]) -> Iterator[str]:
    """The lines of the table, none where there is no token."""
    if not tokens:
        return
    now = time.time()
    cells = [
        [
            Cell(entry.run.id, "bold"),
            Cell(str(entry.address)),
            states.cell(entry.operation.state),
            Cell(handle_text(entry.token, now)),
            Cell(span(now - entry.token["created_at"])),
            Cell("" if entry.token["cursor"] is None else encode(entry.token["cursor"])),
            _next_poll(entry, now),
            Cell(entry.token["provider"]),
        ]
        for entry in tokens
    ]
    yield from table(_COLUMNS, cells, width=settings.width(sys.stdout), colour=settings.colour(sys.stdout))


def handle_text(token: Mapping[str, Any], now: float) -> str:
    """The provider's id or ids in one line; of a timer the time that it waits for."""
    handle: Mapping[str, Any] = token["handle"]
    at = handle.get("until")
    if token["provider"] == TIMER and isinstance(at, int | float):
        return f"until {clock(at, now)}"
    return " ".join(str(value) for value in handle.values())


def _next_poll(entry: OpenToken, now: float) -> Cell:
    """The first poll has a time; after it whoever drives the run polls again and again."""
    at = entry.operation.wake_at
    if entry.holder is None:
        return Cell("not driven", "magenta")
    return Cell(until(at - now) if at is not None and at > now else "polled")
