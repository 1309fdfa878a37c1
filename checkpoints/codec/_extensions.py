"""What msgpack itself lacks: extension types for single values, and marks for tuples, sets and objects of classes.

A single value (a date, a UUID, a member of an Enum) is one extension. What has parts is a map whose first key is a
mark: `{<tuple>: [1, 2]}`, `{<Review>: {}, "text": "…"}`. Marks name classes only to tell those of one annotation apart:
nothing is ever looked up by such a name.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import pathlib
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cached_property, lru_cache, partial
from importlib import import_module
from typing import Any, cast

from ..errors import PerdureError
from ..type_names import type_name

msgpack: Any = import_module("msgpack")  # it ships no types

MAX_DEPTH = 128
"""How deep containers and objects may lie in one another, so that what was written can be read on any stack."""

_BIG_INT, _MEMBER, _TUPLE, _SET, _FROZENSET, _CLASS = range(1, 7)  # extension codes; _VALUES has more
_BUFFER = 1024  # bytes; a packer's first buffer
_CLASSES = 1024  # of which the names of the fields are kept
_SHORT = 40  # characters of a key that a path shows


_NOTHING: dict[str, Any] = {}
kind_of: Callable[[object], Any] = type
"""The exact type of a value: `type` itself, under a name by which a type checker draws no conclusions."""


class ConversionError(PerdureError):
    """A value or bytes that can't be converted; gathers the path while it climbs. Never leaves the codec."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []

    @property
    def path(self) -> str:
        """`$` is the whole value. A long path is shortened in the middle."""
        steps = self.steps[::-1]
        if len(steps) > 20:
            steps = [*steps[:10], "...", *steps[-10:]]
        return "$" + "".join(steps)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member of an Enum as the bytes have it: by its name, a Flag by its number."""

    label: str
    key: str | int


@dataclasses.dataclass(slots=True, eq=False)
class Fields:
    """An object of a class as the bytes have it. Hashed by identity, so that it can be a key until it is converted."""

    label: str
    fields: dict[str, Any]
    rest: Any
    """Of a model: the names of the fields that were `set`, if not all, and its `private` attributes."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Mark:
    code: int
    label: str


class MarkFoundError(PerdureError):
    """The bytes hold a mark, so that they have to be read with marks. Never leaves the codec."""


def step(key: object) -> str:
    """One step of a path: `.name` for a key that reads like a name, else `[key]`, shortened."""
    if type(key) is str and key.isidentifier() and len(key) <= _SHORT:
        return "." + key
    shown = type(key) in (int, float, str, bytes, bool, type(None))
    text = ascii(key) if shown else f"<{type(key).__name__}>"
    return f"[{text if len(text) <= _SHORT else text[:_SHORT] + '...'}]"


# -- writing ---------------------------------------------------------------------------------------------


def write(value: object) -> bytes:
    """The bytes of a value. Raises `ConversionError`, without a path, for what has no form in bytes."""
    try:
        return msgpack.Packer(strict_types=True, default=_extend, buf_size=_BUFFER).pack(value)
    except UnicodeEncodeError:  # rare: a lone surrogate
        return msgpack.Packer(strict_types=True, default=_extend, unicode_errors="surrogatepass").pack(value)
    except (ValueError, RecursionError):
        raise ConversionError("it is nested too deeply; does it contain itself? Flatten it") from None


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
    if isinstance(value, enum.Enum):
        key = value._value_ if isinstance(value, enum.Flag) else value._name_
        return msgpack.ExtType(_MEMBER, write([type_name(kind), key]))
    if (state := state_of(value)) is not None:
        fields, rest = state
        return {_class_mark(kind): rest, **fields}
    if kind.__module__ != "builtins":
        from ._schemas import foreign_form

        return foreign_form(value)
    raise ConversionError(
        f"there is a value of type {kind.__name__}, which can't be stored. "
        "Annotate the place with a type that can, or leave it out and make it where it is needed"
    )


def _mark(code: int, label: str = "") -> Any:
    return msgpack.ExtType(code, label.encode())


@lru_cache(maxsize=_CLASSES)
def _class_mark(kind: Any) -> Any:
    return _mark(_CLASS, type_name(kind))


_MADE_OF_LISTS: dict[int, Any] = {_TUPLE: tuple, _SET: set, _FROZENSET: frozenset}
_TUPLE_MARK, _SET_MARK, _FROZENSET_MARK = map(_mark, (_TUPLE, _SET, _FROZENSET))


def state_of(value: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The fields of a dataclass, named tuple or pydantic model, and what is kept beside them; None for all else."""
    kind = kind_of(value)
    names, is_model = _field_names(kind)
    if names is None:
        return None
    if isinstance(value, tuple):
        return dict(zip(names, value, strict=True)), {}  # pyright: ignore[reportUnknownArgumentType]
    held: dict[str, Any] = getattr(value, "__dict__", _NOTHING)
    try:
        fields = {name: held[name] if name in held else getattr(value, name) for name in names}
    except AttributeError as error:
        unset = ConversionError("the field was never set. Set it, or give it a default")
        unset.steps.append(step(error.name))
        raise unset from None
    if len(held) > len(fields):
        _refuse_others(kind, held.keys() - fields.keys())
    rest: dict[str, Any] = {}
    if is_model:
        fields |= value.__pydantic_extra__ or _NOTHING
        if value.__pydantic_fields_set__ != fields.keys():
            rest["set"] = sorted(value.__pydantic_fields_set__)
        if value.__pydantic_private__:
            from pydantic_core import PydanticUndefined

            private: dict[str, Any] = value.__pydantic_private__
            if private := {name: item for name, item in private.items() if item is not PydanticUndefined}:
                rest["private"] = private
    return fields, rest


@lru_cache(maxsize=_CLASSES)
def _field_names(kind: Any) -> tuple[tuple[str, ...] | None, bool]:
    """The names of the fields that a class has, if it has any, and whether it is a pydantic model."""
    if hasattr(kind, "__dataclass_fields__"):
        return tuple(field.name for field in dataclasses.fields(kind)), False
    if hasattr(kind, "__pydantic_fields__"):
        return tuple(kind.__pydantic_fields__), True
    names: Any = getattr(kind, "_fields", None)
    return names if tuple in kind.__mro__ else None, False


def _refuse_others(kind: Any, names: set[str]) -> None:
    """Raise for an attribute that is no field, and would be lost. A cached property is made again when asked."""
    for name in sorted(names - {"__orig_class__"}):
        if not isinstance(inspect.getattr_static(kind, name, None), cached_property):
            what = f"the attribute {name!a} is no field of {type_name(kind)}"
            raise ConversionError(f"{what} and would be lost. Make it one")


# -- reading ---------------------------------------------------------------------------------------------


def read(data: bytes, objects: Callable[[Fields | Member], Any]) -> Any:
    """The value of these bytes, each object and Enum member as `objects` gives it. Raises `ConversionError` alone."""

    open_marks = 0  # read, and not yet followed by what they mark

    def extension(code: int, payload: bytes) -> Any:
        nonlocal open_marks
        if _TUPLE <= code <= _CLASS:
            open_marks += 1
            return _Mark(code, payload.decode())
        return (
            objects(Member(*_unpack(payload, ext_hook=_big_int)))
            if code == _MEMBER
            else _value(code, payload)
        )

    def mapping(fields: dict[Any, Any]) -> Any:
        nonlocal open_marks
        mark = next(iter(fields), None)
        if type(mark) is not _Mark:
            return fields
        open_marks -= 1
        content = fields.pop(mark)
        if mark.code == _CLASS:
            return objects(Fields(mark.label, fields, content))
        value = _MADE_OF_LISTS[mark.code](content)
        if fields or not isinstance(content, list) or len(value) != len(cast("list[Any]", content)):
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
    """As `read`, faster. Raises `MarkFoundError` for bytes with marks or Enum members."""
    try:
        return _unpack_plain(data)
    except _DAMAGE as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ConversionError:
    return ConversionError(f"the bytes are damaged: {str(error) or type(error).__name__}")


def _value(code: int, payload: bytes) -> Any:
    if _BIG_INT < code <= _CLASS:
        raise MarkFoundError
    if code in _LOADS:
        return _LOADS[code](_unpack(payload, ext_hook=_big_int))
    return _big_int(code, payload)


def _big_int(code: int, payload: bytes) -> int:
    if code != _BIG_INT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(payload, "big", signed=True)


_unpack: Any = partial(msgpack.unpackb, strict_map_key=False, timestamp=1, unicode_errors="surrogatepass")
_unpack_plain: Any = partial(_unpack, ext_hook=_value)
# TypeError: a list or dict as a key, or what an extension holds. ValueError: most else that msgpack finds.
_DAMAGE = (ValueError, TypeError, ArithmeticError, LookupError, OSError, MemoryError, RecursionError)


# -- dates, times and other single values ----------------------------------------------------------------


def _dump_moment(value: datetime | time) -> list[Any]:
    """The text without zone, the fold, and the zone: its name, or offset in microseconds and name."""
    return [value.replace(tzinfo=None).isoformat(), value.fold, _dump_zone(value)]


def _load_moment(kind: Any) -> Callable[[list[Any]], Any]:
    def load(plain: list[Any]) -> Any:
        text, fold, zone = plain
        return kind.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))

    return load


def _dump_zone(value: datetime | time) -> Any:
    zone = value.tzinfo
    if zone is None:
        return None
    if type(zone) is not timezone:
        from zoneinfo import ZoneInfo  # takes milliseconds to import, and few values need it

        if type(zone) is ZoneInfo and zone.key:
            try:
                _load_zone(zone.key)
            except LookupError as error:
                raise ConversionError(
                    f"this machine knows no time zone {zone.key!r}; install tzdata"
                ) from error
            return zone.key
    try:
        offset = zone.utcoffset(None)  # a zone with one offset tells it without a moment
        fixed = timezone(offset) if offset is not None and offset == value.utcoffset() else None
    except Exception:  # noqa: BLE001 - a class of anybody's; one that fails here is refused with its name
        fixed = None
    if fixed is None:
        raise ConversionError(
            f"its time zone is of the class {type(zone).__name__}, which can't be made again. "
            "Use zoneinfo.ZoneInfo(...) or datetime.timezone"
        )
    name = zone.tzname(None) if type(zone) is timezone else None
    return [_dump_delta(fixed.utcoffset(None)), None if name == fixed.tzname(None) else name]


def _load_zone(zone: Any) -> Any:
    if zone is None:
        return None
    if type(zone) is str:
        from zoneinfo import ZoneInfo

        return ZoneInfo(zone)
    offset, name = timedelta(microseconds=zone[0]), zone[1]
    if name is None:
        return timezone(offset) if offset else UTC
    return timezone(offset, name)


def _dump_delta(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


def _dump_path(value: pathlib.PurePath) -> list[str]:
    return [type(value).__name__, str(value)]


def _load_path(plain: list[str]) -> pathlib.PurePath:
    return _PATHS[plain[0]](plain[1])


_PATHS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))  # those of this system
}

_VALUES: dict[Any, tuple[int, Callable[[Any], Any], Callable[[Any], Any]]] = {
    date: (16, date.isoformat, date.fromisoformat),
    datetime: (17, _dump_moment, _load_moment(datetime)),
    time: (18, _dump_moment, _load_moment(time)),
    timedelta: (19, _dump_delta, lambda count: timedelta(microseconds=count)),
    Decimal: (20, str, Decimal),
    uuid.UUID: (21, lambda value: value.bytes, lambda data: uuid.UUID(bytes=data)),
    **dict.fromkeys(_PATHS.values(), (22, _dump_path, _load_path)),
}
_LOADS = {code: load for code, _, load in _VALUES.values()}

VALUES: frozenset[Any] = frozenset(_VALUES)
"""The exact types, beside those of msgpack, of single values that can be anywhere in plain data."""
