"""Text in columns that fit a width, with colour where it is wanted. Knows nothing of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .terminal import Style, clean, columns_of, paint, shorten

GAP = 2
"""Columns between two columns."""


class Cell(NamedTuple):
    """A text and how it is coloured."""

    text: str
    style: Style = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. It is at least `least` wide if its content is; None: it is never cut. `late`: after the others."""

    title: str
    least: int | None = None
    right: bool = False
    cut: Literal["end", "middle"] = "end"
    late: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int, colour: bool
) -> Iterator[str]:
    """The lines of a table. Empty columns are left out; long cells are cut to fit the width."""
    rows = [[Cell(clean(cell.text), cell.style) for cell in row] for row in rows]
    used = [index for index in range(len(columns)) if any(row[index].text for row in rows)]
    widths = {
        index: max(columns_of(columns[index].title), *(columns_of(row[index].text) for row in rows))
        for index in used
    }
    _squeeze(columns, widths, width)
    yield _line(columns, [Cell(column.title, "dim") for column in columns], widths, colour)
    for row in rows:
        yield _line(columns, row, widths, colour)


def _squeeze(columns: Sequence[Column], widths: dict[int, int], width: int) -> None:
    """Take from the widest of the columns that may be cut until all fit."""
    excess = sum(widths.values()) + GAP * (len(widths) - 1) - width
    while excess > 0:
        spare = {
            index: size
            for index, size in widths.items()
            if (least := columns[index].least) is not None and size > least
        }
        if not spare:
            return
        widest = max(spare, key=lambda index: (not columns[index].late, spare[index]))
        widths[widest] -= 1
        excess -= 1


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: dict[int, int], colour: bool) -> str:
    parts: list[str] = []
    for index, size in widths.items():
        cell = row[index]
        text = shorten(cell.text, size, columns[index].cut)
        padding = " " * (size - columns_of(text))
        painted = paint(text, cell.style, colour)
        parts.append(padding + painted if columns[index].right else painted + padding)
    return (" " * GAP).join(parts).rstrip()
