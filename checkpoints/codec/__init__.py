"""The codec of stored values: `codec_for(type)` encodes and decodes by annotation, `pack` and `unpack` plain data.

The bytes are msgpack, with extension types for what it lacks. No pickle, no class that the data names: only the
annotation decides what comes back. Each value is decoded once when it is encoded, and refused with the place unless it
comes back equal and of equal type. So validators of pydantic models have to be pure, and leave alone what they have
seen before. Pydantic is imported for the first type that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import ValueNotStorableError, ValueUnreadableError
from ..type_names import type_name
from ._checks import are_plain, check, compare, plain_check
from ._extensions import ConversionError, Fields, MarkFoundError, Member, msgpack, read, read_plain, write

if TYPE_CHECKING:
    from ._schemas import Converter

T = TypeVar("T")

_TYPES = 1024  # codecs kept


class Codec(Generic[T]):
    """Values of one type to bytes and back. Made by `codec_for`; safe to share between threads."""

    def __init__(self, type_: object) -> None:
        self.type = type_
        self.name = type_name(type_)
        """The type as a person writes it: `list[Review]`."""
        self._fits = plain_check(type_, are_plain)
        self._reads = plain_check(type_, lambda _: True)  # what was read is plain data
        if self._fits is None:
            _ = self._converter

    @cached_property
    def schema(self) -> str:
        """The canonical text of the type, with the fields of each class in it; a changed type has another text."""
        return self.name if self._fits else self._converter.text

    @cached_property
    def optional(self) -> bool:
        """Whether None is a legal value."""
        return self._fits(None) if self._fits else self._converter.takes_none()

    def encode(self, value: T) -> bytes:
        """The bytes of a value. Raises `ValueNotStorableError` with the path.

        The same value gives the same bytes, in every process. A dict's order is part of the value.
        """
        try:
            if self._fits is None:
                return self._encode(value)
            if self._fits(value):
                return write(value)
            check(value)
            return self._encode(value)
        except ConversionError as error:
            raise _not_storable(self.name, error) from error.__cause__

    def decode(self, data: bytes) -> T:
        """The value of these bytes. Raises `ValueUnreadableError` with the path."""
        try:
            if self._reads is not None:
                try:
                    value = read_plain(data)
                except MarkFoundError:
                    value = read(data, _refuse_object)
                if self._reads(value):
                    return value
            return self._converter.load(data)
        except ConversionError as error:
            raise _unreadable(self.name, error) from error.__cause__

    def _encode(self, value: T) -> bytes:
        try:
            data = write(value)
        except ConversionError:
            check(value, objects=True)  # finds the place
            raise
        try:
            back = self._converter.load(data)
        except ConversionError as error:
            error.problem += ". Convert it, or annotate the place with its type"
            raise
        return write(back) if compare(value, back) else data

    @cached_property
    def _converter(self) -> Converter:
        from ._schemas import Converter

        return Converter(self.type)

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
    """The bytes of plain data. Raises `ValueNotStorableError` with the path."""
    try:
        check(value)
        return write(value)
    except ConversionError as error:
        raise _not_storable("plain data", error) from error.__cause__


def unpack(data: bytes) -> Any:
    """The data of these bytes, whatever wrote them. Raises `ValueUnreadableError`.

    Objects come back as dicts of their fields, members of Enums as their names: no class is needed, and none is made.
    """
    try:
        try:
            return read_plain(data)
        except MarkFoundError:
            return read(data, _plain_form)
    except ConversionError as error:
        raise _unreadable("plain data", error) from error.__cause__


def split(data: bytes) -> list[bytes]:
    """The encoded items of an encoded list, not decoded. Raises `ValueUnreadableError`."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), strict_map_key=False)
    unpacker.feed(data)
    try:
        count = unpacker.read_array_header()
        start = unpacker.tell()
        items: list[bytes] = []
        for _ in range(count):
            unpacker.skip()
            end = unpacker.tell()
            items.append(data[start:end])
            start = end
    except (ValueError, msgpack.OutOfData, MemoryError) as error:
        raise _unreadable(
            "a list", ConversionError("the bytes are damaged, or not those of a list")
        ) from error
    if start != len(data):
        raise _unreadable("a list", ConversionError("more bytes follow the end of the list"))
    return items


def join(items: Sequence[bytes]) -> bytes:
    """The encoded list of encoded items: `split(join(items)) == items`."""
    header: bytes = msgpack.Packer(buf_size=16).pack_array_header(len(items))
    return b"".join((header, *items))


class _Record(dict[str, Any]):
    """The fields of an object. It can be an item of a set, or a key, if the object was."""

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]


def _plain_form(found: Fields | Member) -> Any:
    return _Record(found.fields) if isinstance(found, Fields) else found.key


def _refuse_object(found: Fields | Member) -> Any:
    raise ConversionError(f"there is an object of the class {found.label}, which the type does not hold")


def _not_storable(name: str, error: ConversionError) -> ValueNotStorableError:
    return ValueNotStorableError(f"can't be stored as {name}: at {error.path} {error.problem}", error.path)


def _unreadable(name: str, error: ConversionError) -> ValueUnreadableError:
    return ValueUnreadableError(
        f"the stored bytes can't be read as {name}: at {error.path} {error.problem}. "
        "They were written by another type, or the database is damaged",
        error.path,
    )
