"""Values to bytes and back: msgpack, and extension types for what it lacks.

A single value (a date, a UUID, a member of an Enum) is one extension. What has parts is a map whose first key is a
mark: `{<tuple>: [1, 2]}`, `{<Review>: {}, "text": "…"}`. The name of a class is looked up among those of one
annotation, nowhere else.
"""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, TypeAlias

from ..type_names import type_name
from ._errors import ConversionError, kind_of
from ._objects import adapter, layout_of

msgpack: Any = import_module("msgpack")  # it ships no types

Make: TypeAlias = Callable[[Any, Any], Any]
"""Makes an object of a class from what the bytes have of it and, of a model, what is kept beside its fields."""

_BIG_INT, _NAMED, _TUPLE, _SET, _FROZENSET, _CLASS = range(1, 7)  # extension codes; _VALUES has more
_BUFFER = 1024  # bytes; a packer's first buffer


class Unknown:
    """Stands for an object that could not be made, and why. It fits no type."""

    def __init__(self, error: ConversionError) -> None:
        self.error = error


class _Record(dict[str, Any]):
    """The fields of an object. It can be an item of a set, or a key, if the object was."""

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]


class _Mark:
    __slots__ = ("code", "label")

    def __init__(self, code: int, label: str) -> None:
        self.code = code
        self.label = label


class MarkFoundError(Exception):
    """The bytes hold a mark, so that they have to be read with marks. Never leaves the codec."""


# -- writing ---------------------------------------------------------------------------------------------


def write(value: object) -> bytes:
    """The bytes of a value that was checked."""
    try:
        return msgpack.Packer(strict_types=True, default=_extend, buf_size=_BUFFER).pack(value)
    except UnicodeEncodeError:  # rare: a lone surrogate
        return msgpack.Packer(strict_types=True, default=_extend, unicode_errors="surrogatepass").pack(value)


def _extend(value: Any) -> Any:
    kind = kind_of(value)
    if kind is tuple:
        return {_TUPLE_MARK: list(value)}
    if kind is set or kind is frozenset:
        return {_SET_MARK if kind is set else _FROZENSET_MARK: sorted(value, key=write)}
    if kind is int:  # beyond 64 bits
        size = (value + (value < 0)).bit_length() // 8 + 1
        return msgpack.ExtType(_BIG_INT, value.to_bytes(size, "big", signed=True))
    if kind in _VALUES:
        code, dump, _ = _VALUES[kind]
        return msgpack.ExtType(code, write(dump(value)))
    if dataclasses.is_dataclass(kind) or tuple in kind.__mro__ or hasattr(kind, "model_fields"):
        layout = layout_of(kind)
        fields, rest = layout.state(value)
        return {_class_mark(layout.label): rest, **fields}
    return msgpack.ExtType(_NAMED, write([type_name(kind), single_form(value)]))


@lru_cache
def _class_mark(label: str) -> Any:
    return msgpack.ExtType(_CLASS, label.encode())


def single_form(value: Any) -> Any:
    """What the bytes have of a value without parts: of a member of an Enum its name, of a Flag its number, and what
    pydantic makes of what it alone knows, mostly a text.
    """
    if isinstance(value, enum.Enum):
        return value._value_ if isinstance(value, enum.Flag) else value._name_
    return adapter(kind_of(value)).dump_python(value, mode="json", round_trip=True, warnings="error")


_MADE_OF_LISTS: dict[int, Any] = {_TUPLE: tuple, _SET: set, _FROZENSET: frozenset}
_TUPLE_MARK, _SET_MARK, _FROZENSET_MARK = (msgpack.ExtType(code, b"") for code in _MADE_OF_LISTS)


# -- reading ---------------------------------------------------------------------------------------------


def read(data: bytes, classes: Mapping[str, Make] | None) -> Any:
    """The value of these bytes. Raises `ConversionError`.

    Objects are made by the class of their name, and are `Unknown` where that can't be. Without classes, they are dicts
    of their fields, and members of Enums their names.
    """
    open_marks = 0  # read, and not yet followed by what they mark

    def made(label: str, content: Any, rest: Any = None) -> Any:
        if classes is None:
            return content if rest is None else _Record(content)
        try:
            if make := classes.get(label):
                return make(content, rest)
            error = ConversionError(f"there is an object of the class {label}, which the type does not hold")
        except ConversionError as caught:
            error = caught
        return Unknown(error)

    def extension(code: int, payload: bytes) -> Any:
        nonlocal open_marks
        if _TUPLE <= code <= _CLASS:
            open_marks += 1
            return _Mark(code, payload.decode())
        return made(*_unpack(payload, ext_hook=_big_int)) if code == _NAMED else _value(code, payload)

    def mapping(fields: dict[Any, Any]) -> Any:
        nonlocal open_marks
        mark = next(iter(fields), None)
        if type(mark) is not _Mark:
            return fields
        open_marks -= 1
        content = fields.pop(mark)
        if mark.code == _CLASS:
            return made(mark.label, fields, content)
        value = _MADE_OF_LISTS[mark.code](content)
        if fields or kind_of(content) is not list or len(value) != len(content):
            raise ValueError("what is marked is no list, or an item of a set is there twice")
        return value

    try:
        value = _unpack(data, ext_hook=extension, object_hook=mapping)
    except _DAMAGE as error:
        raise _damaged(error) from error
    if open_marks:
        raise ConversionError("the bytes are damaged: a mark is followed by nothing that it marks")
    return value


def read_plain(data: bytes) -> Any:
    """As `read`, faster. Raises `MarkFoundError` for bytes with marks or objects."""
    try:
        return _unpack(data, ext_hook=_value)
    except _DAMAGE as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ConversionError:
    return ConversionError(f"the bytes are damaged: {str(error) or type(error).__name__}")


def _value(code: int, payload: bytes) -> Any:
    if _BIG_INT < code <= _CLASS:
        raise MarkFoundError
    return _LOADS[code](_unpack(payload, ext_hook=_big_int)) if code in _LOADS else _big_int(code, payload)


def _big_int(code: int, payload: bytes) -> int:
    if code != _BIG_INT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(payload, "big", signed=True)


_unpack: Any = partial(msgpack.unpackb, strict_map_key=False, timestamp=1, unicode_errors="surrogatepass")
# TypeError: a list or dict as a key, or what an extension holds. ValueError: most else that msgpack finds.
_DAMAGE = (
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    OSError,
    MemoryError,
    RecursionError,
)


# -- dates, times and other single values ----------------------------------------------------------------


def _dump_moment(value: datetime | time) -> list[Any]:
    """The text without zone, the fold, and the zone: its name, or offset in microseconds and name."""
    return [value.replace(tzinfo=None).isoformat(), value.fold, dump_zone(value)]


def _load_moment(kind: Any, plain: list[Any]) -> Any:
    text, fold, zone = plain
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))


def dump_zone(value: datetime | time) -> Any:
    """The zone of a moment as the bytes have it. Raises `ConversionError` for one that can't be made again."""
    zone = value.tzinfo
    if zone is None:
        return None
    if zone is UTC:
        return [0, None]
    if type(zone) is not timezone:
        from zoneinfo import ZoneInfo  # takes milliseconds to import, and few values need it

        if type(zone) is ZoneInfo and zone.key:
            try:
                _load_zone(zone.key)
            except (LookupError, ValueError) as error:
                raise ConversionError(
                    f"this machine knows no time zone {zone.key!r}", "Install tzdata"
                ) from error
            return zone.key
    try:
        offset = zone.utcoffset(None)  # a zone with one offset tells it without a moment
        fixed = timezone(offset) if offset is not None and offset == value.utcoffset() else None
    except Exception:  # noqa: BLE001 - a class of anybody's; one that fails here is refused with its name
        fixed = None
    if fixed is None:
        problem = f"its time zone is of the class {type(zone).__name__}, which can't be made again"
        raise ConversionError(problem, "Use zoneinfo.ZoneInfo(...) or datetime.timezone")
    name = zone.tzname(None) if type(zone) is timezone else None
    return [_dump_delta(fixed.utcoffset(None)), None if name == fixed.tzname(None) else name]


def _load_zone(zone: Any) -> Any:
    if type(zone) is str:
        from zoneinfo import ZoneInfo

        return ZoneInfo(zone)
    if zone is None:
        return None
    offset, name = timedelta(microseconds=zone[0]), zone[1]
    return timezone(offset, name) if name is not None else timezone(offset) if offset else UTC


def _dump_delta(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


PATHS = (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))  # those of this system
_PATHS = {kind.__name__: kind for kind in PATHS}

_VALUES: dict[Any, tuple[int, Callable[[Any], Any], Callable[[Any], Any]]] = {
    date: (16, date.isoformat, date.fromisoformat),
    datetime: (17, _dump_moment, partial(_load_moment, datetime)),
    time: (18, _dump_moment, partial(_load_moment, time)),
    timedelta: (19, _dump_delta, lambda count: timedelta(microseconds=count)),
    Decimal: (20, str, Decimal),
    uuid.UUID: (21, lambda value: value.bytes, lambda data: uuid.UUID(bytes=data)),
    **dict.fromkeys(
        PATHS, (22, lambda path: [type(path).__name__, str(path)], lambda plain: _PATHS[plain[0]](plain[1]))
    ),
}
_LOADS = {code: load for code, _, load in _VALUES.values()}
