"""Values to bytes and back: msgpack, and extension types for what it lacks.

The payload of an extension is the msgpack of what its values are made of: a date's text, a tuple's items. What has a
class of its own is `[name of the class, what it is made of]`. The name is looked up among those of one annotation,
nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

from ._classes import form_of
from ._errors import ConversionError, kind_of
from ._single import SINGLE, Extension

msgpack: Any = import_module("msgpack")  # it ships no types

Make: TypeAlias = Callable[..., Any]
"""Makes a value of a class of what the bytes have of it."""

_BIG_INT, _NAMED = 1, 2
_BUFFER = 1024  # bytes; a packer's first buffer


class Unknown:
    """Stands for an object that could not be made, and why. It fits no type."""

    def __init__(self, error: ConversionError) -> None:
        self.error = error


class _Record(dict[str, Any]):
    """The fields of an object. It can be an item of a set, or a key, if the object was."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a dict has none


def write(value: object) -> bytes:
    """The bytes of a value that was checked."""
    try:
        return msgpack.Packer(strict_types=True, default=_extend, buf_size=_BUFFER).pack(value)
    except UnicodeEncodeError:  # rare: a lone surrogate
        return msgpack.Packer(strict_types=True, default=_extend, unicode_errors="surrogatepass").pack(value)


def _extend(value: Any) -> Any:
    kind = kind_of(value)
    if extension := _EXTENSIONS.get(kind):
        code, payload = extension[0], write(extension[1](value))
    elif kind is int:  # beyond 64 bits
        size = (value + (value < 0)).bit_length() // 8 + 1
        code, payload = _BIG_INT, value.to_bytes(size, "big", signed=True)
    else:
        form = form_of(kind)
        code, payload = _NAMED, write([form.label, *form.dump(value)])
    return _new_tuple(_ExtType, (code, payload))  # as _ExtType(...), without its checks


class Reader:
    """Reads the bytes of one value. The classes are those of its type, by name.

    Objects are `Unknown` where they can't be made. Without classes, they are dicts of their fields, and members of
    Enums their names.
    """

    def __init__(self, classes: Mapping[str, Make] | None = None) -> None:
        self._classes = classes
        self.has_objects = False
        """Whether there were objects of classes in what was read."""

    def read(self, data: bytes) -> Any:
        """The value of these bytes. Raises `ConversionError`."""
        try:
            return self._unpack(data)
        except _DAMAGE as error:
            problem = f"the bytes are damaged: {str(error) or type(error).__name__}"
            raise ConversionError(problem) from error

    def _unpack(self, data: bytes) -> Any:
        return _unpackb(
            data, ext_hook=self._value, strict_map_key=False, timestamp=1, unicode_errors="surrogatepass"
        )

    def _value(self, code: int, payload: bytes) -> Any:
        if code == _BIG_INT:
            return int.from_bytes(payload, "big", signed=True)
        plain = self._unpack(payload)
        if code in _LOADS:
            return _LOADS[code](plain)
        if code != _NAMED:
            raise ValueError(f"unknown extension type {code}")
        self.has_objects = True
        name, *parts = plain
        if self._classes is None:
            return _Record(parts[0]) if kind_of(parts[0]) is dict else parts[0]
        try:
            if make := self._classes.get(name):
                return make(*parts)
            error = ConversionError(f"there is an object of the class {name}, which the type does not hold")
        except ConversionError as caught:
            error = caught
        return Unknown(error)


# TypeError: a list or dict as a key, or what an extension holds. ValueError: most else that msgpack finds.
_DAMAGE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, OSError, MemoryError)
_ExtType, _unpackb = msgpack.ExtType, msgpack.unpackb
_new_tuple: Any = tuple[Any, ...].__new__


def _collect(kind: Any, items: Any) -> Any:
    value = kind(items)
    if kind_of(items) is not list or len(value) != len(items):
        raise ValueError("there are no items, or an item of a set is there twice")
    return value


def _sorted(value: Any) -> list[Any]:
    return sorted(value, key=write)


_EXTENSIONS: dict[Any, Extension] = {
    tuple: (3, list, partial(_collect, tuple)),
    set: (4, _sorted, partial(_collect, set)),
    frozenset: (5, _sorted, partial(_collect, frozenset)),
    **SINGLE,
}
_LOADS = {code: load for code, _, load in _EXTENSIONS.values()}
