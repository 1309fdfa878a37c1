"""Text in columns that fit a width, with colour where it is wanted. Knows nothing of runs.

What comes out of a database may come from anywhere, so control characters never reach the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Style: TypeAlias = Literal["", "bold", "dim", "red", "green", "yellow", "blue", "magenta", "cyan"]

_CODES: dict[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
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


def paint(text: str, style: Style, colour: bool) -> str:
    """The text in that style, plain where there is no colour."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if colour and style and text else text


def clean(text: str) -> str:
    """One line without control characters: line breaks and tabs become spaces."""
    if text.isprintable():
        return text
    return " ".join(
        "".join(char if _harmless(char) else "\N{REPLACEMENT CHARACTER}" for char in text).split()
    )


def _harmless(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co")


def columns_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int, cut: Literal["end", "middle"] = "end") -> str:
    """The text within so many columns, with `…` for what is left out."""
    if columns_of(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    tail = (width - 1) // 2 if cut == "middle" else 0
    return f"{_first(text, width - 1 - tail)}…{_first(text[::-1], tail)[::-1]}"


def _first(text: str, width: int) -> str:
    taken = 0
    for index, char in enumerate(text):
        taken += _columns_of(char)
        if taken > width:
            return text[:index]
    return text


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most so many columns, broken at spaces where there are any."""
    lines: list[str] = []
    line = ""
    for word in clean(text).split():
        rest = word
        if line and columns_of(line) + 1 + columns_of(rest) <= width:
            line = f"{line} {rest}"
            continue
        if line:
            lines.append(line)
        while columns_of(rest) > width:
            head = _first(rest, max(1, width)) or rest[:1]
            lines.append(head)
            rest = rest[len(head) :]
        line = rest
    return [*lines, line] if line else lines


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int, colour: bool
) -> Iterator[str]:
    """The lines of a table. Columns in which nothing stands are left out; long cells are cut to fit the width."""
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
        room = {
            index: size
            for index, size in widths.items()
            if (least := columns[index].least) is not None and size > least
        }
        if not room:
            return
        widest = max(room, key=lambda index: (not columns[index].late, room[index]))
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
