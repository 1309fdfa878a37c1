"""`perdure tokens`: every continuation token that is out at a provider now."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..checkpoints import ActivationRecord, ActivationState, RunRecord, unpack
from ..checkpoints import reader as rows
from ..engine.events import Address
from . import states
from .database import Reading
from .exits import Exit
from .forms import token_form
from .output import Form, encode, say, write_entries
from .settings import Settings
from .table import Cell, Column, table
from .times import iso_or_none, span, until

_AWAY = (ActivationState.WAITING, ActivationState.CANCELLING)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    run: RunRecord
    record: ActivationRecord
    token: dict[str, Any]
    holder: str | None


def list_tokens(settings: Settings, name: str | None) -> Exit:
    """Show the tokens of all runs, or of one; oldest first."""
    with Reading(settings.db) as reading, reading.snapshot():
        wanted = None if name is None else reading.read(rows.find, name).key
        records = [
            record
            for record in reading.read(rows.in_state, _AWAY)
            if record.token is not None and wanted in (None, record.run)
        ]
        keys = sorted({record.run for record in records})
        runs = {run.key: run for run in reading.read(rows.runs_by_key, keys)}
        holders = {run.owner: reading.holder(run) for run in runs.values()}
    tokens = [
        _Token(
            run=runs[record.run],
            record=record,
            token=unpack(record.token or b""),
            holder=holders[runs[record.run].owner],
        )
        for record in records
    ]
    write_entries(settings, map(_form, tokens), _lines(settings, tokens))
    if not tokens and settings.output == "table":
        say("No token is out at a provider.")
    return Exit.OK


def _form(entry: _Token) -> Form:
    record = entry.record
    return {
        "run": entry.run.id,
        "workflow": entry.run.workflow,
        "node": record.key.node,
        "path": list(record.path),
        "activation": str(Address(record.key.node, record.path)),
        "state": record.state.value,
        **token_form(entry.token),
        "next_poll_at": iso_or_none(record.wake_at),
        "driven_by": entry.holder,
    }


def _lines(settings: Settings, tokens: Sequence[_Token]) -> Iterator[str]:
    if not tokens:
        return
    now = time.time()
    cells = [
        [
            Cell(entry.run.id, "bold"),
            Cell(str(Address(entry.record.key.node, entry.record.path))),
            states.cell(entry.record.state),
            Cell(" ".join(str(value) for value in entry.token["handle"].values())),
            Cell(span(now - entry.token["created_at"])),
            Cell("" if entry.token["cursor"] is None else encode(entry.token["cursor"])),
            _next_poll(entry, now),
            Cell(entry.token["provider"]),
        ]
        for entry in tokens
    ]
    yield from table(_COLUMNS, cells, width=settings.width(sys.stdout), colour=settings.colour(sys.stdout))


def _next_poll(entry: _Token, now: float) -> Cell:
    """The first poll has a time; after it whoever drives the run asks again and again."""
    at = entry.record.wake_at
    if entry.holder is None:
        return Cell("not driven", "magenta")
    return Cell(until(at - now) if at is not None and at > now else "polled")
