"""States for people: their colours, and many of them in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..checkpoints import ActivationState, RunStatus
from .table import Cell, Style

S = ActivationState

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
    RunStatus.QUEUED: "dim",
}

URGENT = (S.FAILED, S.SUBMIT_UNKNOWN, S.CANCELLING)
"""What is shown by itself even where the rest is counted."""


def cell(state: ActivationState | RunStatus) -> Cell:
    """A state in its colour."""
    return Cell(state.value, _STYLES.get(state, ""))


def counted(states: Iterable[ActivationState]) -> list[tuple[ActivationState, int]]:
    """How many are in which state, in the order in which states are declared."""
    counts = Counter(states)
    return [(state, counts[state]) for state in ActivationState if counts[state]]


def words(states: Iterable[ActivationState]) -> Cell:
    """`950 succeeded, 50 waiting`, or just the state where there is one activation."""
    counts = counted(states)
    if not counts:
        return Cell("")
    if len(counts) == 1 and counts[0][1] == 1:
        return cell(counts[0][0])
    text = ", ".join(f"{count:,} {state.value}" for state, count in counts)
    telling = [state for state, _ in counts if state is not S.SUCCEEDED] or [S.SUCCEEDED]
    first = next((state for state in URGENT if state in telling), telling[0])
    return Cell(text, _STYLES.get(first, ""))
