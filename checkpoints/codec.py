"""The codec of stored values: `codec_for(type)` encodes and decodes by annotation, `pack` and `unpack` plain data.

The bytes are msgpack of plain data. No pickle, no class that the data names: only the annotation decides what comes
back, and what comes back is equal to what was given and of equal type, else `encode` refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from .annotations import shape_of
from .errors import ValueNotStorableError, ValueUnreadableError
from .plain import MisfitError, check_plain, parts, read, whole, write
from .spelling import spell

T = TypeVar("T")

_TYPES = 1024  # codecs kept


class Codec(Generic[T]):
    """Values of one type to bytes and back. Made by `codec_for`; safe to share between threads."""

    def __init__(self, type_: object) -> None:
        shape, recursive = shape_of(type_)
        self.type = type_
        self.name = spell(type_)
        """The type as a person writes it: `list[Review]`."""
        self.schema = shape.describe({})
        """The canonical text of the type with its fields and theirs; a changed type has another text."""
        self.optional = type(None) in shape.takes
        """Whether None is a legal value."""
        self._recursive = recursive
        self._dump = shape.dump
        self._load = shape.load

    def encode(self, value: T) -> bytes:
        """The bytes of a value. Raises `ValueNotStorableError` with the path.

        The same value gives the same bytes, in every process. A dict's order is part of the value.
        """
        try:
            plain = self._dump(value)
            if self._recursive:
                check_plain(plain)  # not too deep to be read again
            return write(plain)
        except MisfitError as misfit:
            raise _not_storable(self.name, misfit) from misfit.__cause__
        except RecursionError:
            raise _not_storable(self.name, _too_deep()) from None

    def decode(self, data: bytes) -> T:
        """The value of these bytes. Raises `ValueUnreadableError` with the path."""
        try:
            return self._load(read(data))
        except MisfitError as misfit:
            raise _unreadable(self.name, misfit) from misfit.__cause__
        except RecursionError:
            raise _unreadable(self.name, _too_deep()) from None

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"


def codec_for(tp: object) -> Codec[Any]:
    """The codec of a type, as `typing` spells it. Raises `TypeNotStorableError` for a type that can't be stored."""
    try:
        hash(tp)
    except TypeError:  # an Annotated whose metadata can't be hashed
        return Codec(tp)
    return _cached(tp)


@lru_cache(maxsize=_TYPES)
def _cached(tp: object) -> Codec[Any]:
    return Codec(tp)


def pack(value: object) -> bytes:
    """The bytes of plain data. Raises `ValueNotStorableError`."""
    try:
        check_plain(value)
        return write(value)
    except MisfitError as misfit:
        raise _not_storable("plain data", misfit) from None


def unpack(data: bytes) -> Any:
    """The plain data of these bytes. Raises `ValueUnreadableError`."""
    try:
        return read(data)
    except MisfitError as misfit:
        raise _unreadable("plain data", misfit) from misfit.__cause__


def split(data: bytes) -> list[bytes]:
    """The encoded items of an encoded list, not decoded. Raises `ValueUnreadableError`."""
    try:
        return parts(data)
    except MisfitError as misfit:
        raise _unreadable("a list", misfit) from misfit.__cause__


def join(items: Sequence[bytes]) -> bytes:
    """The encoded list of encoded items: `split(join(items)) == items`."""
    return whole(items)


def _too_deep() -> MisfitError:
    return MisfitError("the value is nested too deeply; does it contain itself? Flatten it")


def _not_storable(name: str, misfit: MisfitError) -> ValueNotStorableError:
    return ValueNotStorableError(f"can't be stored as {name}: at {misfit.path} {misfit.problem}", misfit.path)


def _unreadable(name: str, misfit: MisfitError) -> ValueUnreadableError:
    return ValueUnreadableError(
        f"the stored bytes can't be read as {name}: at {misfit.path} {misfit.problem}. "
        "They were written by another type, or the database is damaged",
        misfit.path,
    )
