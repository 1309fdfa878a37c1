"""Text on a terminal: colour, how wide it is, what may be printed at all. Knows nothing of runs.

What comes out of a database, from a provider or from a command line may hold anything, so control characters never
reach the terminal.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["", "bold", "dim", "red", "green", "yellow", "blue", "magenta", "cyan"]

_BREAKS = "\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"
"""Spaces that move the cursor."""

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


def clean_lines(text: str) -> str:
    """The text in its own lines, without control characters: tabs become spaces, the rest is marked."""
    if text.isprintable():
        return text
    return "\n".join(
        "".join(char if char.isprintable() else " " if char == "\t" else _marked(char) for char in line)
        for line in text.split("\n")
    )


def _marked(char: str) -> str:
    return char if _harmless(char) and char not in _BREAKS else "\N{REPLACEMENT CHARACTER}"


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
