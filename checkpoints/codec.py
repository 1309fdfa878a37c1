"""The codec of stored values: `codec_for(type)` encodes and decodes by annotation, `pack` and `unpack` plain data.

The bytes are msgpack of plain data. No pickle, no class that the data names: only the annotation decides what comes
back, and what comes back is equal to what was given and of equal type, else `encode` refuses it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from .annotations import shape_of
from .errors import ValueNotStorableError, ValueUnreadableError
from .plain import Misfit, check_plain, parts, read, whole, write
from .shapes import Shape
from .spelling import spell

T = TypeVar("T")

_TYPES = 1024  # codecs kept


class Codec(Generic[T]):
    """Values of one type to bytes and back. Made by `codec_for`; safe to share between threads."""

    def __init__(self, type_: object, shape: Shape) -> None:
        self.type = type_
        self.name = spell(type_)
        """The type as a person writes it: `list[Review]`."""
        self.schema = shape.describe({})
        """The canonical text of the type with its fields and theirs; a changed type has another text."""
        self.optional = type(None) in shape.takes
        """Whether None is a legal value."""
        self._dump = shape.dump
        self._load = shape.load

    def encode(self, value: T) -> bytes:
        """The bytes of a value; equal values have equal bytes. Raises `ValueNotStorableError` with the path."""
        try:
            plain = self._dump(value)
            return write(plain)
        except Misfit as misfit:
            raise _not_storable(self.name, misfit) from None
        except (RecursionError, ValueError) as error:
            raise _not_storable(self.name, _too_deep(error)) from None

    def decode(self, data: bytes) -> T:
        """The value of these bytes. Raises `ValueUnreadableError` with the path."""
        try:
            return self._load(read(data))
        except Misfit as misfit:
            raise _unreadable(self.name, misfit) from misfit.__cause__
        except RecursionError as error:
            raise _unreadable(self.name, _too_deep(error)) from None

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"


def codec_for(tp: object) -> Codec[Any]:
    """The codec of a type, as `typing` spells it. Raises `TypeNotStorableError` for a type that can't be stored."""
    return _cached(tp) if isinstance(tp, Hashable) else Codec(tp, shape_of(tp))


@lru_cache(maxsize=_TYPES)
def _cached(tp: object) -> Codec[Any]:
    return Codec(tp, shape_of(tp))


def pack(value: object) -> bytes:
    """The bytes of plain data. Raises `ValueNotStorableError`."""
    try:
        check_plain(value)
        return write(value)
    except Misfit as misfit:
        raise _not_storable("plain data", misfit) from None


def unpack(data: bytes) -> Any:
    """The plain data of these bytes. Raises `ValueUnreadableError`."""
    try:
        return read(data)
    except Misfit as misfit:
        raise _unreadable("plain data", misfit) from misfit.__cause__


def split(data: bytes) -> list[bytes]:
    """The encoded items of an encoded list, not decoded. Raises `ValueUnreadableError`."""
    try:
        return parts(data)
    except Misfit as misfit:
        raise _unreadable("a list", misfit) from misfit.__cause__


def join(items: Sequence[bytes]) -> bytes:
    """The encoded list of encoded items: `split(join(items)) == items`."""
    return whole(items)


def _too_deep(error: Exception) -> Misfit:
    return Misfit("the value is nested too deeply; does it contain itself? Flatten it")


def _not_storable(name: str, misfit: Misfit) -> ValueNotStorableError:
    return ValueNotStorableError(f"can't be stored as {name}: at {misfit.path} {misfit.problem}", misfit.path)


def _unreadable(name: str, misfit: Misfit) -> ValueUnreadableError:
    return ValueUnreadableError(
        f"the stored bytes can't be read as {name}: at {misfit.path} {misfit.problem}. "
        "They were written by another type, or the database is damaged",
        misfit.path,
    )
