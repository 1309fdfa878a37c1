"""`perdure show`: one run, whole."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..checkpoints import ActivationState, RunStatus
from . import states
from .database import Reading
from .exits import Exit
from .facts import ActivationFacts, RunFacts, Wait, drive_command, facts_form, read_run
from .output import plain_text, write_entry
from .settings import Settings
from .table import Cell, Column, clean, paint, shorten, table, wrap
from .times import clock, span, until

S = ActivationState

FOLDED = 8
"""Activations of one node above which they are counted in one line."""
URGENT_SHOWN = 5
"""Of those, failed and unknown ones that get a line of their own."""
NAMED = 4
"""Activations that a sentence names."""
ERROR_LINES = 5
"""Lines of one error that are shown."""
RESULT_LINES = 6
"""Lines of the result that are shown."""

_COLUMNS = (
    Column("NODE", least=14, cut="middle"),
    Column("STATE", least=16, late=True),
    Column("TRY", right=True),
    Column("AGE"),
    Column("SUBMISSIONS", least=11),
    Column("TOKEN", least=8),
)


def show_run(settings: Settings, name: str, *, everything: bool) -> Exit:
    """Show the run with this id, prefix or `@latest`; every map item by itself with `everything`."""
    with Reading(settings.db) as reading:
        facts = read_run(reading, settings, name)
    page = _Page(settings, facts, time.time(), everything=everything)
    write_entry(settings, facts_form(facts) if settings.output != "table" else {}, page.lines())
    return Exit.OK


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A line of the activations' table: one activation, or many of one node that are counted."""

    activations: Sequence[ActivationFacts]
    node: str


class _Page:
    """The text that people read."""

    def __init__(self, settings: Settings, facts: RunFacts, now: float, *, everything: bool) -> None:
        self._settings = settings
        self._facts = facts
        self._now = now
        self._everything = everything
        self._width = settings.width(sys.stdout)
        self._colour = settings.colour(sys.stdout)

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield from self._head()
        yield from self._waits()
        yield ""
        yield from self._activations()
        yield from self._errors()
        yield from self._end()

    def _head(self) -> Iterator[str]:
        run = self._facts.run
        state = states.cell(run.status)
        name = shorten(run.id, max(20, self._width - len(run.workflow) - len(state.text) - 4))
        yield f"{paint(name, 'bold', self._colour)}  {run.workflow}  {paint(*state, self._colour)}"
        moved = (
            f"took {span(run.finished_at - run.created_at)}, ended {span(self._now - run.finished_at)} ago"
            if run.finished_at is not None
            else f"last moved {span(self._now - run.updated_at)} ago"
        )
        started = clock(run.created_at, self._now)
        yield f"  started {span(self._now - run.created_at)} ago ({started}), {moved}"
        if not run.status.finished:
            yield f"  driven by {self._facts.holder}" if self._facts.holder else "  nobody drives it now"

    def _waits(self) -> Iterator[str]:
        by_kind: dict[str, list[Wait]] = {}
        for wait in self._facts.waits:
            by_kind.setdefault(wait.on, []).append(wait)
        for wait in by_kind.get("person", []):
            yield from self._wrapped(
                "  waits for you: ",
                f"the provider may have accepted the submission of {wait.node}, and its handle is not known. Decide:",
            )
            yield f"    {wait.command}"
        providers = sorted(by_kind.get("provider", []), key=lambda wait: wait.provider or "")
        for provider, waiting in groupby(providers, key=lambda wait: wait.provider):
            yield from self._wrapped(
                "  waits on ", f"{provider}: {self._named(list(waiting), 'asked first')}"
            )
        if by_kind.get("time"):
            yield from self._wrapped("  waits until ", self._named(by_kind["time"], "tried again"))
        for wait in by_kind.get("driver", []):
            if wait.node is None:
                yield f"  go on with: {wait.command}"
                continue
            yield from self._wrapped(
                "  interrupted: ",
                f"the process that submitted {wait.node} ended before the handle was known, so the provider may have "
                "accepted it. On resume the node's policy decides, unless you do:",
            )
            yield f"    {wait.command}"

    def _named(self, waiting: Sequence[Wait], what: str) -> str:
        """`research[0], research[1] and 98 more (next asked in 3 s)`."""
        names = [str(wait.node) for wait in waiting]
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        times = [wait.at for wait in waiting if wait.at is not None and wait.at > self._now + 1]
        when = f" ({what} {until(min(times) - self._now)})" if times and self._facts.holder else ""
        return f"{', '.join(names[:NAMED])}{more}{when}"

    def _activations(self) -> Iterator[str]:
        cells = [self._cells(row) for row in self._rows()]
        yield from table(_COLUMNS, cells, width=self._width, colour=self._colour)

    def _rows(self) -> Iterator[_Row]:
        for node, group in groupby(
            self._facts.activations, key=lambda activation: activation.record.key.node
        ):
            activations = list(group)
            if self._everything or len(activations) <= FOLDED:
                for activation in activations:
                    yield _Row(activations=[activation], node=str(activation.address))
                continue
            yield _Row(activations=activations, node=f"{node}[…]")
            urgent = [activation for activation in activations if activation.record.state in states.URGENT]
            for activation in urgent[:URGENT_SHOWN]:
                yield _Row(activations=[activation], node=str(activation.address))

    def _cells(self, row: _Row) -> list[Cell]:
        records = [activation.record for activation in row.activations]
        unknown = sum(record.unknown for record in records)
        submissions = sum(record.submission for record in records)
        text = f"{submissions:,}" if submissions else ""
        if unknown:
            text += f", {unknown:,} of unknown fate"
        tries = max(record.attempt for record in records)
        one = row.activations[0] if len(row.activations) == 1 else None
        away = "" if one is None or one.record.state.terminal else one.handle
        return [
            Cell(row.node),
            states.words(record.state for record in records),
            Cell(str(tries) if tries > 1 else ""),
            Cell(span(self._now - min(record.started_at for record in records))),
            Cell(text, "magenta" if unknown else ""),
            Cell(away, "dim"),
        ]

    def _errors(self) -> Iterator[str]:
        """The errors of activations that did not succeed (yet)."""
        failing = [activation for activation in self._facts.activations if activation.error is not None]
        for shown, activation in enumerate(failing):
            if shown == URGENT_SHOWN and not self._everything:
                yield ""
                yield f"and {len(failing) - shown:,} more with errors: --all shows them"
                return
            yield ""
            record = activation.record
            yield from self._error(str(activation.address), activation.error or {})
            if record.state is S.BACKOFF and record.wake_at is not None:
                yield f"  tried again {until(record.wake_at - self._now)}"

    def _error(self, where: str, error: Mapping[str, Any]) -> Iterator[str]:
        message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
        lines = list(self._wrapped(f"{where}: ", message, {error.get("type", "Error"): "red"}))
        yield from lines if self._everything else lines[:ERROR_LINES]
        if len(lines) > ERROR_LINES and not self._everything:
            yield paint("  (cut; --all shows it whole)", "dim", self._colour)
        if error.get("partial"):
            start = shorten(clean(str(error["partial"])), self._width - 25)
            yield f"  text before it failed: {start}"

    def _end(self) -> Iterator[str]:
        facts, run = self._facts, self._facts.run
        counts = [
            f"{value:,} {name.replace('_', ' ')}"
            for name, value in facts.usage.items()
            if isinstance(value, int | float)
        ]
        if counts:
            yield ""
            yield from self._wrapped("usage: ", ", ".join(counts))
        if run.status is RunStatus.FAILED:
            yield from self._failure()
        elif facts.has_result:
            yield ""
            yield from self._result()

    def _failure(self) -> Iterator[str]:
        form = facts_form(self._facts)["error"]
        at = [
            str(activation.address) for activation in self._facts.activations if activation.error is not None
        ]
        if form is not None and form["node"] not in at:  # else it stands above
            yield ""
            yield from self._error(form["node"] or "run", form)
        yield ""
        yield "When the cause is gone, go on with (what succeeded is kept):"
        yield f"  {drive_command(self._settings, 'retry', self._facts.run.id)}"

    def _result(self) -> Iterator[str]:
        yield paint("result", "dim", self._colour)
        text = next(plain_text(self._facts.result)).splitlines()
        for line in text[:RESULT_LINES]:
            yield f"  {shorten(clean(line), self._width - 2)}"
        cut = any(len(line) > self._width - 2 for line in text[:RESULT_LINES])
        if len(text) > RESULT_LINES or cut:
            yield paint("  (cut; `-o json` has it whole, under `result`)", "dim", self._colour)

    def _wrapped(self, head: str, text: str, styles: Mapping[str, Any] | None = None) -> Iterator[str]:
        """The text behind a head, in lines that fit; the words in `styles` are coloured where they stand first."""
        indent = "  " if not head.startswith("  ") else "    "
        first, *rest = wrap(head + text, self._width - 4) or [""]
        for word, style in (styles or {}).items():
            first = first.replace(word, paint(word, style, self._colour), 1)
        leading = head[: len(head) - len(head.lstrip())]
        yield leading + first
        for line in rest:
            yield indent + line
