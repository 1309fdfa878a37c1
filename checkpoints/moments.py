"""Dates and times as texts: ISO 8601, with the zone's name in brackets, as RFC 9557 has it.

`2026-11-05T12:00:00+01:00[Europe/Berlin]` comes back with the same `ZoneInfo`, and `...+01:00[=CET]` with the same
named `timezone`. `[fold=1]` is written where `fold` is 1.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timezone, tzinfo

from .plain import MisfitError

_TEXT = re.compile(r"(?P<iso>[^\[]*)(?P<fold>\[fold=1\])?(?:\[(?P<fixed>=)?(?P<zone>.*)\])?", re.DOTALL)


def moment_to_text(value: datetime | time) -> str:
    """The text of a datetime or a time. Raises `MisfitError` for a zone of a class that can't be made again."""
    zone = value.tzinfo
    if zone is None:
        return _text(value)
    from zoneinfo import ZoneInfo  # takes milliseconds to load, and few values need it

    if type(zone) is ZoneInfo and zone.key:
        try:
            _zone((False, zone.key), None)
        except LookupError as error:
            raise MisfitError(str(error)) from error
        # A time alone has no offset in such a zone, so only the bracket tells that it has one.
        return f"{_text(value)}[{zone.key}]"
    if type(zone) is timezone:
        name = zone.tzname(None)
        plain_name = timezone(zone.utcoffset(None)).tzname(None)
        return _text(value) if name == plain_name else f"{_text(value)}[={name}]"
    if _is_fixed(zone, value):
        return _text(value)  # of another library: comes back equal, as a datetime.timezone
    raise MisfitError(
        f"its time zone is of the class {type(zone).__name__}, which can't be made again. "
        "Use zoneinfo.ZoneInfo(...) or datetime.timezone"
    )


def datetime_from_text(text: str) -> datetime:
    """The datetime of such a text. Raises ValueError or LookupError."""
    iso, fold, zone = _parse(text)
    value = datetime.fromisoformat(iso)
    return value.replace(fold=fold, tzinfo=_zone(zone, value.tzinfo) if zone else value.tzinfo)


def time_from_text(text: str) -> time:
    """The time of such a text. Raises ValueError or LookupError."""
    iso, fold, zone = _parse(text)
    value = time.fromisoformat(iso)
    return value.replace(fold=fold, tzinfo=_zone(zone, value.tzinfo) if zone else value.tzinfo)


def _text(value: datetime | time) -> str:
    return value.isoformat() + ("[fold=1]" if value.fold else "")


def _is_fixed(zone: tzinfo, value: datetime | time) -> bool:
    """Whether a zone has one offset only: such a zone tells it without a moment."""
    try:
        offset = zone.utcoffset(None)
        return offset is not None and offset == value.utcoffset()
    except Exception:  # noqa: BLE001 - a class of anybody's; one that fails here is refused with its name
        return False


def _parse(text: str) -> tuple[str, int, tuple[bool, str] | None]:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("something follows the time zone")
    zone = match["zone"]
    return match["iso"], 1 if match["fold"] else 0, None if zone is None else (bool(match["fixed"]), zone)


def _zone(zone: tuple[bool, str], offset: tzinfo | None) -> tzinfo:
    fixed, name = zone
    if not fixed:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(name)
        except ZoneInfoNotFoundError as error:
            raise LookupError(f"this machine knows no time zone {name!r}; install tzdata") from error
    delta = offset.utcoffset(None) if offset is not None else None
    if delta is None:
        raise ValueError("a named zone without an offset")
    return timezone(delta, name)
