"""The shapes of values without parts: numbers, texts, dates and times, UUID, Decimal, paths."""

from __future__ import annotations

import pathlib
import threading
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any

from .moments import datetime_from_text, moment_to_text, time_from_text
from .plain import Kind, MisfitError, kind_of
from .shapes import Shape

_MICROSECOND = timedelta(microseconds=1)


class _Coercions(threading.local):
    """How many ints became floats in this thread: by this a union finds the branch that changes nothing."""

    count = 0


coercions = _Coercions()


class ScalarShape(Shape):
    """None, bool, int, str or bytes: stored as it is. A bool passes as an int, since it comes back a bool."""

    def __init__(self, name: str, *types: type) -> None:
        super().__init__(name)
        self.as_is = frozenset(types)

    @property
    def takes(self) -> frozenset[Kind]:
        return self.as_is

    @property
    def kinds(self) -> frozenset[Kind]:
        return self.as_is

    @property
    def identity(self) -> bool:
        return True

    def dump(self, value: Any) -> Any:
        if kind_of(value) not in self.as_is:
            raise self.misfit(value)
        return value

    def load(self, plain: Any) -> Any:
        if kind_of(plain) not in self.as_is:
            raise self.misfit(plain)
        return plain


class FloatShape(ScalarShape):
    """A float, nan and infinities included. An int is stored as the float that equals it."""

    def __init__(self) -> None:
        super().__init__("float", float)

    def dump(self, value: Any) -> Any:
        kind = kind_of(value)
        if kind is float:
            return value
        if kind is not int:
            raise self.misfit(value)
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if number != value:
            raise MisfitError(
                "there is an int that no float equals. Annotate the place as int, or round it with float()"
            )
        coercions.count += 1
        return number


class TextShape(Shape):
    """A value that is stored as a text from which its type can make it again."""

    def __init__(
        self, name: str, type_: type, to_text: Callable[[Any], str], from_text: Callable[[str], Any]
    ) -> None:
        super().__init__(name)
        self._type = type_
        self._to_text = to_text
        self._from_text = from_text

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({str})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self._type:
            raise self.misfit(value)
        return self._to_text(value)

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not str:
            raise self.misfit(plain)
        try:
            return self._from_text(plain)
        except (ValueError, ArithmeticError, LookupError, OSError) as error:
            raise MisfitError(f"the text is no {self.name}: {error}") from error


class TimedeltaShape(Shape):
    """A timedelta: its whole number of microseconds."""

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({timedelta})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({int})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not timedelta:
            raise self.misfit(value)
        return value // _MICROSECOND

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not int:
            raise self.misfit(plain)
        seconds, microseconds = divmod(plain, 1_000_000)
        try:
            return timedelta(seconds=seconds, microseconds=microseconds)
        except OverflowError as error:
            raise MisfitError("the number is too large for a timedelta") from error


def _paths() -> dict[object, Shape]:
    classes: tuple[type[pathlib.PurePath], ...] = (
        pathlib.Path,
        pathlib.PurePath,
        type(pathlib.Path()),  # PosixPath or WindowsPath, whichever this system has
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    )
    return {cls: TextShape(cls.__name__, type(cls()), str, cls) for cls in classes}


SCALAR_SHAPES: dict[object, Shape] = {
    None: ScalarShape("None", NoneType),
    NoneType: ScalarShape("None", NoneType),
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
    **_paths(),
}
"""The shape of each type without parts."""
