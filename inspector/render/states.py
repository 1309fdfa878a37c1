"""States for people: their colours, and many of them in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...checkpoints.records import RunStatus, State
from .table import Cell
from .terminal import Style

S = State

_STYLES: dict[str, Style] = {
    S.READY: "dim",
    S.RUNNING: "cyan",
    S.SUBMITTING: "cyan",
    S.SUBMIT_UNKNOWN: "magenta",
    S.WAITING: "yellow",
    S.BACKOFF: "yellow",
    S.CANCELLING: "yellow",
    S.SUCCEEDED: "green",
    S.FAILED: "red",
    S.SKIPPED: "dim",
    S.CANCELLED: "dim",
    S.LOST: "red",
    RunStatus.QUEUED: "dim",
    RunStatus.FAILING: "red",
}

URGENT = (S.FAILED, S.LOST, S.SUBMIT_UNKNOWN, S.CANCELLING)
"""What is shown by itself even where the rest is counted."""


def cell(state: State | RunStatus) -> Cell:
    """A state in its colour."""
    return Cell(state.value, _STYLES.get(state, ""))


def counted(states: Iterable[State]) -> list[tuple[State, int]]:
    """How many are in which state, in the order in which states are declared."""
    counts = Counter(states)
    return [(state, counts[state]) for state in State if counts[state]]


def words(states: Iterable[State]) -> Cell:
    """`950 succeeded, 50 waiting`, or just the state where there is one activation."""
    counts = counted(states)
    if not counts:
        return Cell("")
    if len(counts) == 1 and counts[0][1] == 1:
        return cell(counts[0][0])
    text = ", ".join(f"{count:,} {state.value}" for state, count in counts)
    telling: list[State] = [state for state, _ in counts if state is not S.SUCCEEDED] or [S.SUCCEEDED]
    first = next((state for state in URGENT if state in telling), telling[0])
    return Cell(text, _STYLES.get(first, ""))
