"""The codec of stored values: `codec_for(type)` encodes and decodes by annotation, `pack` and `unpack` plain data.

The bytes are msgpack, with extension types for what it lacks. No pickle, no class that the data names: only the
annotation decides what comes back. A value is written if it is of the annotated type to the last leaf, so that it
comes back equal and of equal type, and is refused with the place otherwise. Objects are made again without their
`__init__`, aliases, defaults, validators and serializers. Pydantic says which fields a model has, and is imported for
the first class that may be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Generic, TypeVar, cast

from ..errors import ValueNotStorableError, ValueUnreadableError
from ..type_names import type_name
from ._bytes import Reader, msgpack, write
from ._checks import ANY, READ, Check
from ._errors import ConversionError
from ._types import TypeReader

T = TypeVar("T")

_TYPES = 1024  # codecs kept


class Codec(Generic[T]):
    """Values of one type to bytes and back. Made by `codec_for`; safe to share between threads."""

    def __init__(self, type_: object) -> None:
        self.type = type_
        self.name = type_name(type_)
        """The type as a person writes it: `list[Review]`."""
        reader = TypeReader(type_)
        self.schema = reader.text
        """The canonical text of the type, with the fields of each class in it; a changed type has another text."""
        self._check = reader.check
        self._classes = reader.makes

    @cached_property
    def optional(self) -> bool:
        """Whether None is a legal value."""
        try:
            self._check.takes(None)
        except ConversionError:
            return False
        return True

    def encode(self, value: T) -> bytes:
        """The bytes of a value. Raises `ValueNotStorableError` with the path.

        The same value gives the same bytes, in every process. A dict's order is part of the value.
        """
        try:
            self._check.takes(value)
            return write(value)
        except (ConversionError, RecursionError) as error:
            raise _not_storable(self.name, error) from error.__cause__

    def decode(self, data: bytes) -> T:
        """The value of these bytes. Raises `ValueUnreadableError` with the path."""
        try:
            reader = Reader(self._classes)
            value = reader.read(data)
            check = self._check if reader.has_objects else self._check_plain
            if type(value) is list and tuple in check.tests and list not in check.tests:  # joined items
                value = tuple(cast("Iterable[Any]", value))
            check.takes(value)
            return cast("T", value)
        except (ConversionError, RecursionError) as error:
            raise _unreadable(self.name, error) from error.__cause__

    @cached_property
    def _check_plain(self) -> Check:
        """What is left to be checked of plain data that was read."""
        return TypeReader(self.type, READ).check

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"


_cached = lru_cache(maxsize=_TYPES)(Codec[Any])


def codec_for(tp: object) -> Codec[Any]:
    """The codec of a type, as `typing` spells it. Raises `TypeNotStorableError` for a type that can't be stored."""
    try:
        hash(tp)
    except TypeError:  # an Annotated whose metadata can't be hashed
        return Codec(tp)
    return _cached(tp)


def pack(value: object) -> bytes:
    """The bytes of plain data. Raises `ValueNotStorableError` with the path."""
    try:
        ANY.takes(value)
        return write(value)
    except (ConversionError, RecursionError) as error:
        raise _not_storable("plain data", error) from error.__cause__


def pack_known(value: object) -> bytes:
    """As `pack`, for data that is known to be plain, being our own or packed before: it is not looked at again."""
    return write(value)


def unpack(data: bytes) -> Any:
    """The data of these bytes, whatever wrote them. Raises `ValueUnreadableError`.

    Objects come back as dicts of their fields, members of Enums as their names: no class is needed, and none is made.
    """
    try:
        return Reader().read(data)
    except (ConversionError, RecursionError) as error:
        raise _unreadable("plain data", error) from error.__cause__


def split(data: bytes) -> list[bytes]:
    """The encoded items of an encoded list, not decoded. Raises `ValueUnreadableError`."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), strict_map_key=False)
    unpacker.feed(data)
    try:
        count, ends = unpacker.read_array_header(), [unpacker.tell()]
        for _ in range(count):
            unpacker.skip()
            ends.append(unpacker.tell())
    except (ValueError, msgpack.OutOfData, MemoryError) as error:
        problem = "the bytes are damaged, or not those of a list"
        raise _unreadable("a list", ConversionError(problem)) from error
    if ends[-1] != len(data):
        raise _unreadable("a list", ConversionError("more bytes follow the end of the list"))
    return [data[start:end] for start, end in pairwise(ends)]


def join(items: Sequence[bytes]) -> bytes:
    """The encoded list of encoded items: `split(join(items)) == items`."""
    header: bytes = msgpack.Packer(buf_size=16).pack_array_header(len(items))
    return b"".join((header, *items))


def _not_storable(name: str, error: ConversionError | RecursionError) -> ValueNotStorableError:
    error = _conversion_error(error)
    return ValueNotStorableError(
        f"can't be stored as {name}: at {error.path} {error.problem}. {error.fix}", error.path
    )


def _unreadable(name: str, error: ConversionError | RecursionError) -> ValueUnreadableError:
    problem = _conversion_error(error)
    return ValueUnreadableError(
        f"the stored bytes can't be read as {name}: at {problem.path} {problem.problem}. "
        "They were written by another type, or the database is damaged",
        problem.path,
    )


def _conversion_error(error: ConversionError | RecursionError) -> ConversionError:
    if isinstance(error, RecursionError):  # the stack was deep already
        return ConversionError("it is nested too deeply", "Flatten it")
    return error
