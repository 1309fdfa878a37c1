"""Plain data and its bytes: None, bool, int, float, str, bytes, list, dict, as msgpack.

Everything that a checkpoint holds has this form in the end. How a typed value becomes plain data is told in
`shapes.py`; here is only what msgpack itself needs: integers of any size, lone surrogates, exact types, and
errors that name the place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import NoneType
from typing import Any, TypeAlias, cast

from .errors import PerdureError

_msgpack: Any = import_module("msgpack")  # it ships no types; what leaves this file has them
_Packer: Any = _msgpack.Packer
_unpackb: Any = _msgpack.unpackb

MAX_DEPTH = 128
"""How deep lists and dicts may lie in one another, so that what was written can be read on any stack."""

Kind: TypeAlias = type[object]
kind_of: Callable[[object], Kind] = type
"""The exact type of a value: `type` itself, under a name by which a type checker draws no conclusions."""

SCALARS: frozenset[Kind] = frozenset({NoneType, bool, int, float, str, bytes})
"""The exact types of plain data without parts."""

PLAIN: frozenset[Kind] = SCALARS | {list, dict}
"""The exact types of plain data."""

_BIG_INT = 1  # msgpack extension type: an integer beyond 64 bits, signed, big-endian, as short as it can be
_BUFFER = 1024  # bytes; a packer's first buffer
_SHORT = 40  # characters of a key that a path shows


class MisfitError(PerdureError):
    """A value or plain data that doesn't fit its shape; gathers the path while it climbs. Never leaves us."""

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


def step(key: object) -> str:
    """One step of a path: `.name` for a key that reads like a name, else `[key]`, shortened."""
    if type(key) is str and key.isidentifier() and len(key) <= _SHORT:
        return "." + key
    text = ascii(key) if type(key) in SCALARS else f"<{type(key).__name__}>"
    return f"[{text if len(text) <= _SHORT else text[:_SHORT] + '...'}]"


def check_plain(value: object, depth: int = MAX_DEPTH) -> None:
    """Raise `MisfitError` if `value` is not plain data to the last leaf, or is nested deeper than `depth`."""
    kind = type(value)
    if kind in SCALARS:
        return
    if depth == 0:
        raise MisfitError(
            f"lists and dicts lie more than {MAX_DEPTH} deep in one another; does one contain itself? Flatten it"
        )
    if kind is dict:
        key: object = None
        try:
            for key, item in cast("dict[object, object]", value).items():
                if type(key) not in SCALARS:
                    raise MisfitError(
                        f"a key of the dict is {a(key)}; in plain data keys are None, bool, int, float, str or bytes"
                    )
                if type(item) not in SCALARS:
                    check_plain(item, depth - 1)
        except MisfitError as misfit:
            misfit.steps.append(step(key))
            raise
    elif kind is list:
        index = 0
        items = cast("list[object]", value)
        if SCALARS.issuperset(map(type, items)):
            return
        try:
            for item in items:
                check_plain(item, depth - 1)
                index += 1
        except MisfitError as misfit:
            misfit.steps.append(f"[{index}]")
            raise
    else:
        raise MisfitError(f"there is {a(value)}, which plain data does not hold. {mend(value)}")


def write(value: object) -> bytes:
    """The bytes of plain data that was checked. The same value gives the same bytes."""
    try:
        return _Packer(strict_types=True, buf_size=_BUFFER).pack(value)
    except (OverflowError, UnicodeEncodeError):  # rare: an int beyond 64 bits, a lone surrogate
        packer = _Packer(strict_types=True, buf_size=_BUFFER, default=_extend, unicode_errors="surrogatepass")
        return packer.pack(value)


def read(data: bytes) -> Any:
    """The plain data of these bytes. Raises `MisfitError` and nothing else."""
    try:
        return _unpackb(
            data, strict_map_key=False, timestamp=1, unicode_errors="surrogatepass", ext_hook=_restore
        )
    except (ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        # TypeError: a list or dict as a key. ValueError: all else that msgpack finds.
        reason = str(error) or type(error).__name__
        raise MisfitError(f"the bytes are damaged: {reason}") from error


def parts(data: bytes) -> list[bytes]:
    """The encoded items of an encoded list, none of them decoded. Raises `MisfitError` and nothing else."""
    unpacker = _msgpack.Unpacker(max_buffer_size=max(len(data), 1), strict_map_key=False)
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
    except (ValueError, _msgpack.OutOfData, MemoryError) as error:
        raise MisfitError("the bytes are damaged, or not those of a list") from error
    if start != len(data):
        raise MisfitError("more bytes follow the end of the list")
    return items


def whole(items: Sequence[bytes]) -> bytes:
    """The encoded list of these encoded items."""
    header: bytes = _Packer(buf_size=_BUFFER).pack_array_header(len(items))
    return b"".join((header, *items))


def a(value: object) -> str:
    """How a message names a value: by its type, so that no content leaks into an error."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def mend(value: object) -> str:
    """What to do with a value that plain data can't hold."""
    match value:
        case tuple():
            return "It would come back as a list: make it a list, or annotate the place as a tuple"
        case set() | frozenset():
            return "Make it a list, or annotate the place as a set"
        case bytearray() | memoryview():
            return "Convert it with bytes(...)"
        case bool() | int() | float() | str() | bytes() | list() | dict():
            base = next(t for t in type(cast("object", value)).__mro__ if t in PLAIN)
            return f"It would come back as {base.__name__}: convert it, or annotate the place with its type"
        case Mapping() | Sequence():
            return "Convert it to a dict or a list"
        case _ if hasattr(type(value), "__await__"):
            return "Await it before it is returned"
        case _:
            return "Annotate the place with a type that can be stored, or leave it out and make it where it is needed"


def _extend(value: object) -> Any:
    if type(value) is not int:
        raise TypeError(f"unchecked {type(value).__name__}")
    size = (value + (value < 0)).bit_length() // 8 + 1
    return _msgpack.ExtType(_BIG_INT, value.to_bytes(size, "big", signed=True))


def _restore(code: int, data: bytes) -> int:
    if code != _BIG_INT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(data, "big", signed=True)
