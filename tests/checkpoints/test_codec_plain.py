"""Plain data to bytes and back: what passes unchanged, what is refused and where, and what damage does."""

import struct
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from perdure.checkpoints import (
    PerdureError,
    ValueNotStorableError,
    ValueUnreadableError,
    codec_for,
    join,
    pack,
    split,
    unpack,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.text(st.characters(), max_size=20),  # lone surrogates included
    st.binary(max_size=20),
    st.dates(),
    st.datetimes(
        timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=1), "CET"), ZoneInfo("Asia/Tokyo")])
    ),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False) | st.just(Decimal("-NaN12")),
    st.uuids(),
    st.just(PurePosixPath("a/b")),
)
SINGLE = SCALARS.filter(lambda key: key == key)  # nan finds no entry of a dict
KEYS = SINGLE | st.tuples(SINGLE, SINGLE) | st.frozensets(SINGLE, max_size=2)
PLAIN = st.recursive(
    SCALARS,
    lambda items: st.one_of(
        st.lists(items, max_size=4),
        st.lists(items, max_size=4).map(tuple),
        st.dictionaries(KEYS, items, max_size=4),
        st.sets(KEYS, max_size=3),
        st.frozensets(KEYS, max_size=3),
    ),
    max_leaves=12,
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


class Secret(str):
    pass


@dataclass
class Box:
    content: int


def exactly(value: object) -> object:
    """A picture of a value in which nan equals nan, and 1, True and 1.0 differ, as do 0.0 and -0.0."""
    match value:
        case float():
            return ("float", struct.pack(">d", value))
        case list() | tuple():
            items = cast("list[object]", value)
            return (type(items).__name__, [exactly(item) for item in items])
        case set() | frozenset():
            members = cast("set[object]", value)
            return (type(members).__name__, sorted(repr(exactly(item)) for item in members))
        case datetime() | Decimal():
            return (repr(value), getattr(value, "fold", 0))
        case dict():
            entries = cast("dict[object, object]", value)
            return ("dict", [(exactly(key), exactly(item)) for key, item in entries.items()])
        case _:
            return (type(value).__name__, value)


@given(PLAIN)
@example([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**2000, -(2**2000), 255, 256, -128, -129])
@example([float("nan"), float("inf"), float("-inf"), -0.0, 5e-324])
@example(["\ud800", "\udcff\ud800\udc00", "\U0010ffff", "\0", {"\udfff": "\ud800"}])
@example({None: 1, True: 2, 2**70: 3, 1.5: 4, b"\xff": 5, "": 6, -1: {}})
def test_plain_data_comes_back_equal_and_of_equal_type(value: object) -> None:
    assert exactly(unpack(pack(value))) == exactly(value)
    assert exactly(codec_for(object).decode(codec_for(object).encode(value))) == exactly(value)


@given(PLAIN)
def test_the_same_plain_data_gives_the_same_bytes(value: object) -> None:
    copy = unpack(pack(value))
    assert pack(copy) == pack(value) == codec_for(object).encode(value)


@given(st.integers(min_value=2**64) | st.integers(max_value=-(2**63) - 1))
def test_a_big_integer_takes_no_more_bytes_than_it_needs(value: int) -> None:
    data = pack(value)
    size = len(data) - (2 if data[0] in (0xD4, 0xD5, 0xD6, 0xD7, 0xD8) else 3)
    assert -(2 ** (8 * size - 1)) <= value < 2 ** (8 * size - 1)
    assert not -(2 ** (8 * size - 9)) <= value < 2 ** (8 * size - 9)


CYCLE: list[Any] = []
CYCLE.append({"again": CYCLE})


REFUSED: list[tuple[Any, str, str]] = [
    ({"items": [1, {"owner": Point(1, 2)}]}, "$.items[1].owner", "come back as tuple"),
    ([[], [[], [OrderedDict[str, int]()]]], "$[1][1][0]", "come back as dict"),
    ([([Colour.RED],)], "$[0][0][0]", "annotate the place with its type"),
    ({"a b": {"c": bytearray(b"x")}}, "$['a b'].c", "bytes(...)"),
    ({3: memoryview(b"x")}, "$[3]", "bytes(...)"),
    ({(1, Level.LOW): 3}, "$[<tuple>][1]", "come back as int"),
    ({frozenset({Level.LOW}): 3}, "$[<frozenset>][<Level>]", "come back as int"),
    ([{"x": Colour.RED}], "$[0].x", "come back as str"),
    ([Level.LOW], "$[0]", "come back as int"),
    ([Point(1, 2)], "$[0]", "tuple"),
    ([OrderedDict({"a": 1})], "$[0]", "come back as dict"),
    ([Box(1)], "$[0]", "annotate the place"),
    ([msgpack.ExtType(5, b"x")], "$[0]", "come back as tuple"),
    ([msgpack.Timestamp(1)], "$[0]", "annotate the place"),
    ({"f": lambda: None}, "$.f", "function"),
    ([1 + 2j], "$[0]", "complex"),
    ({"\ud800": object()}, "$['\\ud800']", "object"),
    (CYCLE, "$" + "[0].again" * 5 + "..." + "[0].again" * 5, "contains itself"),
]


@pytest.mark.parametrize(
    ("value", "path", "hint"), REFUSED, ids=lambda x: x[:20] if isinstance(x, str) else None
)
def test_what_plain_data_can_not_hold_is_refused_with_its_place(value: object, path: str, hint: str) -> None:
    for refuse in (pack, codec_for(object).encode):
        with pytest.raises(ValueNotStorableError) as caught:
            refuse(value)
        assert caught.value.path == path
        assert path in str(caught.value)
        assert hint in str(caught.value)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_what_was_stored_can_be_read_however_deep_it_is() -> None:
    deepest = nested(128)
    assert unpack(pack(deepest)) == deepest
    for depth in (129, 5_000):
        with pytest.raises(ValueNotStorableError, match="128 deep"):
            pack(nested(depth))


def test_an_error_shows_no_content_but_keys() -> None:
    with pytest.raises(ValueNotStorableError) as caught:
        pack({"headers": {"authorization": Secret("Bearer sk-secret")}})
    assert "sk-secret" not in str(caught.value)
    assert caught.value.path == "$.headers.authorization"


@given(st.binary(max_size=64))
@example(b"")
@example(b"\xc1")
@example(b"\x91" * 2000 + b"\xc0")
@example(b"\x81\x90\xc0")
@example(b"\x81\x80\xc0")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xd4\x05a")
@example(b"\xd6\xff\0\0\0\1")
@example(b"\xc7\x03\xffabc")
@example(b"\xd7\xff" + b"\xff" * 8)
@example(b"\xa1\xff")
@example(b"\x01\x01")
def test_random_bytes_are_plain_data_or_unreadable(data: bytes) -> None:
    try:
        value = unpack(data)
    except ValueUnreadableError:
        return
    assert exactly(unpack(pack(value))) == exactly(value)


@given(PLAIN, st.data())
def test_bytes_cut_short_are_unreadable(value: object, data: st.DataObject) -> None:
    whole = pack(value)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueUnreadableError):
        unpack(whole[:end])
    with pytest.raises(ValueUnreadableError):
        unpack(whole + b"\xc0")


@given(st.lists(PLAIN, max_size=20))
@example([None] * 15)
@example([None] * 16)
@example([None] * 65_535)
@example([None] * 65_536)
def test_a_list_splits_into_its_items_and_joins_again(items: list[object]) -> None:
    whole = pack(items)
    encoded = split(whole)
    assert encoded == [pack(item) for item in items]
    assert join(encoded) == whole
    assert split(join(encoded)) == encoded


def test_items_are_split_without_a_look_into_them() -> None:
    """So that one damaged item of a map harms only its own activation."""
    assert split(b"\x92\xa1\xff\x01") == [b"\xa1\xff", b"\x01"]


@given(st.binary(max_size=40))
@example(b"")
@example(pack({}))
@example(pack("abc"))
@example(pack([1, [2]])[:-1])
@example(pack([1]) + b"\xc0")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" + b"\x91" * 5000)
def test_what_is_no_list_does_not_split(data: bytes) -> None:
    try:
        items = split(data)
    except ValueUnreadableError:
        return
    assert b"".join(items) == data[len(data) - sum(map(len, items)) :]
    assert split(join(items)) == items


@pytest.mark.parametrize(
    "data", [b"", pack({}), pack("abc"), pack([1, [2]])[:-1], pack([1]) + b"\xc0", b"\xc1"]
)
def test_what_is_no_list_is_unreadable(data: bytes) -> None:
    with pytest.raises(ValueUnreadableError) as caught:
        split(data)
    assert caught.value.path == "$"


def test_the_errors_are_ours() -> None:
    with pytest.raises(PerdureError):
        pack(object())
    with pytest.raises(PerdureError):
        unpack(b"")
