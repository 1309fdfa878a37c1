"""Dates, times, numbers and paths: the classes without parts that msgpack lacks, and what the bytes have of each."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from ._errors import ConversionError, kind_of

Extension: TypeAlias = tuple[int, Callable[[Any], Any], Callable[[Any], Any]]
"""The code of a class, what the bytes have of a value, and the value of that."""


def _dump_moment(value: datetime | time) -> list[Any]:
    """The text without zone, the fold, and the zone."""
    return [value.replace(tzinfo=None).isoformat(), value.fold, dump_zone(value)]


def _load_moment(kind: Any, plain: list[Any]) -> Any:
    text, fold, zone = plain
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))


def dump_zone(value: datetime | time) -> Any:
    """The zone of a moment as the bytes have it: its name, or its offset in microseconds and, if it has one, the name
    of that. Raises `ConversionError` for a zone that can't be made again.
    """
    zone: Any = value.tzinfo
    if zone is None:
        return None
    if zone is UTC:
        return [0]
    try:
        if kind_of(zone) is timezone:
            offset, *name = zone.__getinitargs__()  # as pickle has it
            return [_dump_delta(offset), *name]
        from zoneinfo import ZoneInfo  # takes milliseconds to import, and few values need it

        if type(zone) is ZoneInfo:
            return ZoneInfo(zone.key).key
        offset = zone.utcoffset(None)  # a zone with one offset tells it without a moment
        if offset != value.utcoffset():
            raise ValueError("the offset depends on the moment")
        return [_dump_delta(offset)]
    except Exception as error:  # a class of anybody's; one that fails here is refused with its name
        raise ConversionError(
            f"its time zone is of the class {type(zone).__name__} and can't be made again",
            "Use zoneinfo.ZoneInfo(...) of a zone that this machine knows (tzdata has all), or datetime.timezone",
        ) from error


def _load_zone(zone: Any) -> Any:
    if type(zone) is str:
        from zoneinfo import ZoneInfo

        return ZoneInfo(zone)
    if zone is None or zone == [0]:
        return zone and UTC
    return timezone(timedelta(microseconds=zone[0]), *zone[1:])


def _dump_delta(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


PATHS = (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))  # those of this system
_PATHS = {kind.__name__: kind for kind in PATHS}

SINGLE: dict[Any, Extension] = {
    date: (16, date.isoformat, date.fromisoformat),
    datetime: (17, _dump_moment, partial(_load_moment, datetime)),
    time: (18, _dump_moment, partial(_load_moment, time)),
    timedelta: (19, _dump_delta, lambda count: timedelta(microseconds=count)),
    Decimal: (20, str, Decimal),
    UUID: (21, lambda value: value.bytes, lambda data: UUID(bytes=data)),
    **dict.fromkeys(
        PATHS, (22, lambda path: [type(path).__name__, str(path)], lambda plain: _PATHS[plain[0]](plain[1]))
    ),
}
