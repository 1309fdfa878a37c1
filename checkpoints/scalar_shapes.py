"""The shapes of values without parts that are no plain data: dates and times, UUID, Decimal, paths."""

from __future__ import annotations

import pathlib
import types
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .moments import datetime_from_text, moment_to_text, time_from_text
from .plain import Misfit
from .shapes import FloatShape, ScalarShape, Shape, TextShape

_MICROSECOND = timedelta(microseconds=1)


class TimedeltaShape(Shape):
    """A timedelta: its whole number of microseconds."""

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({timedelta})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({int})

    def dump(self, value: Any) -> int:
        if type(value) is not timedelta:
            raise self.misfit(value)
        return value // _MICROSECOND

    def load(self, plain: Any) -> timedelta:
        if type(plain) is not int:
            raise self.misfit(plain)
        seconds, microseconds = divmod(plain, 1_000_000)
        try:
            return timedelta(seconds=seconds, microseconds=microseconds)
        except OverflowError as error:
            raise Misfit("the number is too large for a timedelta") from error

    def describe(self, seen: dict[Shape, str]) -> str:
        return self.name


def _paths() -> list[Shape]:
    classes = (
        pathlib.Path,
        pathlib.PurePath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        type(pathlib.Path()),
    )
    return [TextShape(cls.__name__, type(cls()), str, cls) for cls in classes]


SCALAR_SHAPES: dict[object, Shape] = {
    None: ScalarShape("None", types.NoneType),
    types.NoneType: ScalarShape("None", types.NoneType),
    bool: ScalarShape("bool", bool),
    int: ScalarShape("int", int, bool),
    float: FloatShape(),
    str: ScalarShape("str", str),
    bytes: ScalarShape("bytes", bytes),
    datetime: TextShape("datetime", datetime, moment_to_text, datetime_from_text),
    date: TextShape("date", date, date.isoformat, date.fromisoformat),
    time: TextShape("time", time, moment_to_text, time_from_text),
    timedelta: TimedeltaShape("timedelta"),
    uuid.UUID: TextShape("UUID", uuid.UUID, str, uuid.UUID),
    Decimal: TextShape("Decimal", Decimal, str, Decimal),
    **{getattr(pathlib, shape.name): shape for shape in _paths()},
}
