"""Times as people and programs read them. All are seconds since the Unix epoch, durations are seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FIRST, _LAST = -62_135_510_400.0, 253_402_214_400.0
"""The times that any zone can show: a day inside of what `datetime` holds."""
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_DURATION = re.compile(r"\s*(?P<count>\d+(?:\.\d+)?)\s*(?P<unit>s|sec|m|min|h|d|w)\s*")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def iso(at: float) -> str:
    """`2026-11-22T20:04:57.250Z`. What lies outside of the years 1 to 9999 is shown as the nearest time inside."""
    at = min(max(at, _FIRST), _LAST)
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(at: float | None) -> str | None:
    """The same, None for None."""
    return None if at is None else iso(at)


def span(seconds: float) -> str:
    """In people's words, rounded down to one unit: `42 s`, `3 min`, `2 h`, `5 d`."""
    full = max(0, int(seconds))
    for unit, size in _UNITS:
        if full >= size:
            return f"{full // size} {unit}"
    return "0 s"


def until(seconds: float) -> str:
    """When something comes: `in 42 s`, `now` where it is due."""
    return "now" if seconds < 0.5 else f"in {span(seconds + 0.5)}"


def clock(at: float, now: float) -> str:
    """Local time of day, with the date where that is not today's."""
    local = datetime.fromtimestamp(min(max(at, _FIRST), _LAST), UTC).astimezone()
    today = datetime.fromtimestamp(now).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S")


def point_in_time(text: str, now: float) -> float:
    """What a person means by `2h` (so long ago), `2026-11-22`, `2026-11-22T08:30` (local) or `…Z` (UTC).

    Raises `ValueError`.
    """
    match = _DURATION.fullmatch(text)
    if match is not None:
        return now - float(match["count"]) * _SECONDS[match["unit"]]
    return datetime.fromisoformat(text).timestamp()
