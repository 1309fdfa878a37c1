"""`perdure show`: one run with all that belongs to it, as text that people read."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.records import ClaimRecord, RunStatus, State
from ..commands import drive_command
from ..read.activations import Activation
from ..read.run import RunDetails
from ..read.signals import KeptSignal
from ..read.waits import Wait
from ..settings import Settings
from . import states
from .entries import wait_commands
from .output import encode, plain_text
from .table import Cell, Column, table
from .terminal import clean, paint, shorten, wrap
from .times import clock, span, until
from .tokens import handle_text

S = State

FOLDED = 8
"""More activations of one node than these are counted in one line."""
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


def details_lines(settings: Settings, details: RunDetails, *, everything: bool) -> Iterator[str]:
    """The lines of the page; every map item by itself with `everything`."""
    return _Page(settings, details, time.time(), everything=everything).lines()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A line of the activations' table: one activation, or many of one node that are counted."""

    activations: Sequence[Activation]
    node: str


class _Page:
    """The text that people read."""

    def __init__(self, settings: Settings, details: RunDetails, now: float, *, everything: bool) -> None:
        self._settings = settings
        self._details = details
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
        run = self._details.run
        state = states.cell(run.status)
        workflow = clean(run.workflow)
        name = shorten(clean(run.id), max(20, self._width - len(workflow) - len(state.text) - 4))
        yield f"{paint(name, 'bold', self._colour)}  {workflow}  {paint(*state, self._colour)}"
        moved = (
            f"took {span(run.finished_at - run.created_at)}, ended {span(self._now - run.finished_at)} ago"
            if run.finished_at is not None
            else f"last moved {span(self._now - run.updated_at)} ago"
        )
        started = clock(run.created_at, self._now)
        yield f"  started {span(self._now - run.created_at)} ago ({started}), {moved}"
        if run.labels:
            labels = ", ".join(f"{key}={value}" for key, value in run.labels.items())
            yield from self._wrapped("  labels ", labels)
        yield from self._driving()

    def _driving(self) -> Iterator[str]:
        """Who drives it; else who did last, and how that ended."""
        details = self._details
        last = details.claims[-1] if details.claims else None
        if details.holder is not None:
            since = "" if last is None else f", for {span(self._now - last.claimed_at)}"
            yield f"  driven by {details.holder}{since}"
        elif details.run.status.finished:
            if last is not None:
                yield from self._wrapped("  last driven by ", self._last_driven(last))
        elif last is None:
            yield "  nobody drives it now"
        else:
            yield from self._wrapped("  nobody drives it now; last driven by ", self._last_driven(last))

    def _last_driven(self, claim: ClaimRecord) -> str:
        who = f"process {claim.pid}"
        if claim.ended_at is None:
            return (
                f"{who} since {clock(claim.claimed_at, self._now)}, which is gone and did not give it back "
                f"(last checkpoint {clock(self._details.run.updated_at, self._now)})"
            )
        how = {"finished": "when the run ended", "released": "which gave it back", "lost": "which lost it"}
        end = how.get(claim.end or "", "")
        return f"{who} until {clock(claim.ended_at, self._now)}{f', {end}' if end else ''}"

    def _waits(self) -> Iterator[str]:
        by_kind: dict[str, list[Wait]] = {}
        for wait in self._details.waits:
            by_kind.setdefault(wait.on, []).append(wait)
        for wait in by_kind.get("person", []):
            yield from self._wrapped(
                "  waits for you: ",
                f"the provider may have accepted the submission of {wait.operation}, and its handle is not known. "
                "Decide with one of:",
            )
            yield from self._commands(wait)
        providers = sorted(by_kind.get("provider", []), key=lambda wait: wait.provider or "")
        for provider, waiting in groupby(providers, key=lambda wait: wait.provider):
            yield from self._wrapped("  waits on ", f"{provider}: {self._named(list(waiting), 'next poll')}")
        if by_kind.get("time"):
            yield from self._wrapped("  waits until ", self._named(by_kind["time"], "due", always=True))
        yield from self._signals()
        for wait in by_kind.get("driver", []):
            if wait.address is None:
                for line in wait_commands(self._settings, self._details.run.id, wait):
                    yield f"  go on with: {clean(line)}"
            elif wait.undecided:
                yield from self._wrapped(
                    "  interrupted: ",
                    f"the process that submitted {wait.operation} ended before the handle was known, so the provider may "
                    "have accepted it. On resume the node's policy decides, unless you do, with one of:",
                )
                yield from self._commands(wait)

    def _commands(self, wait: Wait) -> Iterator[str]:
        for line in wait_commands(self._settings, self._details.run.id, wait):
            yield f"    {clean(line)}"

    def _signals(self) -> Iterator[str]:
        """What others have left for whoever drives the run, and nobody has acted on yet."""
        for signal in self._details.signals:
            yield from self._wrapped("  ", f"{self._signal(signal)} {self._taken_up()}")

    def _signal(self, signal: KeptSignal) -> str:
        ago = f"{span(self._now - signal.at)} ago"
        if signal.fate is not None:
            operation, reply = signal.fate
            return f"answered {ago}: {reply} for {operation}."
        match signal:
            case KeptSignal(kind="cancel"):
                return f"asked to cancel {ago}."
            case KeptSignal(kind="handle"):
                return f"a late handle of {signal.address} came {ago}."
            case _:
                where = "" if signal.address is None else f" for {signal.address}"
                data = shorten(encode(signal.data), self._width)
                return (
                    f"signal of kind {signal.kind}{where}, {ago}, which this version does not know: {data}."
                )

    def _taken_up(self) -> str:
        holder = self._details.holder
        return "Kept for whoever drives the run next." if holder is None else f"Left to {holder}."

    def _named(self, waiting: Sequence[Wait], what: str, *, always: bool = False) -> str:
        """`research[0], research[1] and 98 more (next poll in 3 s)`."""
        names = [str(wait.address) for wait in waiting]
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        times = [wait.at for wait in waiting if wait.at is not None and wait.at > self._now + 1]
        when = (
            f" ({what} {until(min(times) - self._now)})" if times and (always or self._details.holder) else ""
        )
        return f"{', '.join(names[:NAMED])}{more}{when}"

    def _activations(self) -> Iterator[str]:
        cells = [self._cells(row) for row in self._rows()]
        yield from table(_COLUMNS, cells, width=self._width, colour=self._colour)

    def _rows(self) -> Iterator[_Row]:
        for node, group in groupby(
            self._details.activations, key=lambda activation: activation.record.key.node
        ):
            activations = list(group)
            if self._everything or len(activations) <= FOLDED:
                for activation in activations:
                    yield _Row(activations=[activation], node=str(activation.address))
                continue
            yield _Row(activations=activations, node=f"{node}[…]")
            urgent = [activation for activation in activations if activation.state in states.URGENT]
            for activation in urgent[:URGENT_SHOWN]:
                yield _Row(activations=[activation], node=str(activation.address))

    def _cells(self, row: _Row) -> list[Cell]:
        activations = row.activations
        unknown = sum(activation.unknown for activation in activations)
        submissions = sum(activation.submissions for activation in activations)
        text = f"{submissions:,}" if submissions else ""
        if unknown:
            text += f", {unknown:,} of unknown fate"
        tries = max(activation.record.attempt for activation in activations)
        one = activations[0] if len(activations) == 1 else None
        token = None if one is None or one.state.terminal else one.token
        handle = "" if token is None else handle_text(token, self._now)
        return [
            Cell(row.node),
            states.words(activation.state for activation in activations),
            Cell(str(tries) if tries > 1 else ""),
            Cell(span(self._now - min(activation.record.started_at for activation in activations))),
            Cell(text, "magenta" if unknown else ""),
            Cell(handle, "dim"),
        ]

    def _errors(self) -> Iterator[str]:
        """The errors of activations that did not succeed (yet)."""
        failing = [activation for activation in self._details.activations if activation.error is not None]
        for shown, activation in enumerate(failing):
            if shown == URGENT_SHOWN and not self._everything:
                yield ""
                yield f"and {len(failing) - shown:,} more with errors: --all shows them"
                return
            yield ""
            yield from self._error(str(activation.address), activation.error or {})
            if activation.state is S.BACKOFF and activation.wake_at is not None:
                yield (
                    f"  tried again {until(activation.wake_at - self._now)}"
                    if self._details.holder
                    else "  tried again once somebody drives the run"
                )

    def _error(self, where: str, error: Mapping[str, Any]) -> Iterator[str]:
        message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
        lines = list(self._wrapped(f"{where}: ", message, {clean(str(error.get("type", "Error"))): "red"}))
        yield from lines if self._everything else lines[:ERROR_LINES]
        if len(lines) > ERROR_LINES and not self._everything:
            yield paint("  (cut; --all shows all of it)", "dim", self._colour)
        if error.get("partial"):
            start = shorten(clean(str(error["partial"])), self._width - 25)
            yield f"  text before it failed: {start}"

    def _end(self) -> Iterator[str]:
        details = self._details
        counts = [
            f"{value:,} {name.replace('_', ' ')}"
            for name, value in details.usage.items()
            if isinstance(value, int | float)
        ]
        if counts:
            yield ""
            yield from self._wrapped("usage: ", ", ".join(counts))
        if details.run.status is RunStatus.FAILED:
            yield from self._failure()
        elif details.has_result:
            yield ""
            yield from self._result()

    def _failure(self) -> Iterator[str]:
        run = self._details.run
        error: Mapping[str, Any] | None = None if run.error is None else unpack(run.error)
        shown = [
            str(activation.address)
            for activation in self._details.activations
            if activation.error is not None
        ]
        if error is not None and error.get("node") not in shown:
            yield ""
            yield from self._error(error.get("node") or "run", error)
        yield ""
        yield "When the cause is gone, go on with (what succeeded is kept):"
        yield f"  {clean(drive_command(self._settings, 'retry', run.id))}"

    def _result(self) -> Iterator[str]:
        yield paint("result", "dim", self._colour)
        text = next(plain_text(self._details.result)).splitlines()
        for line in text[:RESULT_LINES]:
            yield f"  {shorten(clean(line), self._width - 2)}"
        cut = any(len(line) > self._width - 2 for line in text[:RESULT_LINES])
        if len(text) > RESULT_LINES or cut:
            yield paint("  (cut; `-o json` has all of it, under `result`)", "dim", self._colour)

    def _wrapped(self, head: str, text: str, styles: Mapping[str, Any] | None = None) -> Iterator[str]:
        """The text after a head, in lines that fit; the words in `styles` are coloured where they occur first."""
        indent = "  " if not head.startswith("  ") else "    "
        first, *rest = wrap(head + text, self._width - 4) or [""]
        for word, style in (styles or {}).items():
            first = first.replace(word, paint(word, style, self._colour), 1)
        leading = head[: len(head) - len(head.lstrip())]
        yield leading + first
        for line in rest:
            yield indent + line
