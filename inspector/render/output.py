"""Data onto stdout, in the form that was asked for. Messages go to stderr, through `say`."""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from typing import Any, TypeAlias

from ..settings import Settings
from .terminal import clean_lines

Entry: TypeAlias = Mapping[str, Any]
"""An entry as JSON shows it. Its keys are part of the command line's contract."""

_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What could steer a terminal and `json` leaves as it is: DEL and the C1 controls, and what changes the direction."""


def write_entries(settings: Settings, entries: Iterable[Entry], lines: Iterable[str]) -> None:
    """Several entries: a table, a JSON array, or an object per line. Only what is asked for is computed."""
    match settings.output:
        case "table":
            _write(lines)
        case "json":
            _write([encode(list(entries), indent=2)])
        case "jsonl":
            _write(map(encode, entries))


def write_entry(settings: Settings, entry: Entry, lines: Iterable[str]) -> None:
    """One entry: text for people, or one JSON object."""
    match settings.output:
        case "table":
            _write(lines)
        case "json":
            _write([encode(entry, indent=2)])
        case "jsonl":
            _write([encode(entry)])


class Stream:
    """Entries that come one by one, each shown at once. A JSON array is closed at the end, whatever ended it."""

    def __init__(self, settings: Settings) -> None:
        self._array = settings.output == "json"
        self._table = settings.output == "table"
        self._begun = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._array and (kind is None or not issubclass(kind, BrokenPipeError)):
            _write(["\n]" if self._begun else "[]"])

    def write(self, entry: Entry, line: str) -> None:
        """Show one entry."""
        if self._table:
            _write([line])
        elif self._array:
            sys.stdout.write((",\n" if self._begun else "[\n") + encode(entry))
        else:
            _write([encode(entry)])
        self._begun = True
        sys.stdout.flush()


def encode(value: object, indent: int | None = None) -> str:
    """Plain data as JSON. Bytes become base64; a date, a UUID or a number that JSON lacks (nan, inf) its text.

    Control characters are escaped, so it can be shown on a terminal.
    """
    text = json.dumps(_jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(message: str) -> None:
    """A message for people, on stderr, without control characters."""
    write_message(clean_lines(message))


def write_message(line: str) -> None:
    """A line on stderr that is clean already, and may be coloured."""
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)


def plain_text(value: object) -> Iterator[str]:
    """A result: text as it is, anything else as JSON. On a terminal the text can't steer it."""
    if not isinstance(value, str):
        yield encode(value, indent=2)
    else:
        yield clean_lines(value) if sys.stdout.isatty() else value


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.write("\n")


def _jsonable(value: Any) -> Any:
    match value:
        case dict():
            return {_key(key): _jsonable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple() | set() | frozenset():
            return [_jsonable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case float() if not math.isfinite(value):
            return str(value)
        case date() | time():
            return value.isoformat()
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else encode(key).strip('"')
