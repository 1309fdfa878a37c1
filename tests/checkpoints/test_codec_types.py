"""What each annotation stores, how it reads in the database, and what is refused with which place."""

import collections
import enum
import inspect
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import GenericAlias
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypeVar,
    Union,
)
from zoneinfo import ZoneInfo

import pytest
from perdure.checkpoints import (
    TypeNotStorableError,
    ValueNotStorableError,
    ValueUnreadableError,
    codec_for,
    join,
    pack,
    split,
    unpack,
)
from typing_extensions import TypeAliasType, TypedDict

T = TypeVar("T")
U = TypeVar("U")
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Tone(enum.StrEnum):
    HIGH = "high"


class Level(enum.IntEnum):
    LOW = 1


class Planet(enum.Enum):
    EARTH = (5.97e24, 6.37e6)
    NONE = None


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Review:
    text: str
    score: float = 0.0
    replies: "list[Review]" = field(default_factory=list["Review"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    key: str
    inner: tuple[int, ...] = ()


@dataclass
class Pair(Generic[T, U]):
    left: T
    right: list[U]


@dataclass
class IntPair(Pair[int, T]):
    more: T | None = None


def unpacked(text: str) -> dict[str, object]:
    """A Review of this text as anyone reads it."""
    return {"text": text, "score": 0.0, "replies": []}


@dataclass
class Copy:
    """Another class with the fields of Review."""

    text: str
    score: float = 0.0
    replies: "list[Review]" = field(default_factory=list["Review"])


class Point(NamedTuple):
    x: int
    label: str = ""


class Base(TypedDict):
    id: int


class Row(Base, total=False):
    name: str
    when: Required[date]


class Loose(TypedDict):
    sure: int
    maybe: "NotRequired[list[Loose]]"


def named(value: object) -> str:
    """A test's name, the same in every process: a set has no order of its own, and an object's address is its own."""
    text = repr(sorted(value, key=repr)) if isinstance(value, set | frozenset) else str(value)  # pyright: ignore[reportUnknownArgumentType]
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:40]


UserId = NewType("UserId", int)
Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | float | int | bool | None")  # pyright: ignore
Deep = TypeAliasType("Deep", "list[Deep] | list[str] | date")  # pyright: ignore
Loop = TypeAliasType("Loop", "Loop | int")  # type: ignore[misc]
Itself = TypeAliasType("Itself", "Itself")  # type: ignore[misc]
Names = TypeAliasType("Names", dict[str, T], type_params=(T,))

SAME: Any = object()
"""Stands for a value that anyone reads as what it is."""

ROUND_TRIPS: list[tuple[Any, object, object]] = [
    # type, value, what anyone reads in the database without the type
    (None, None, SAME),
    (int, True, SAME),
    (float, 3, SAME),
    (float, 2**53 + 1, SAME),
    (list[float], [1, 2.5], SAME),
    (datetime, datetime(2026, 11, 5, 12, 0, 0, 7), SAME),
    (datetime, datetime(2026, 11, 5, fold=1), SAME),
    (datetime, datetime(2026, 11, 5, tzinfo=UTC), SAME),
    (datetime, datetime(2026, 7, 5, tzinfo=BERLIN), SAME),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), SAME),
    (datetime, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1), "C]T")), SAME),
    (datetime, datetime(1, 1, 1, tzinfo=timezone(timedelta(microseconds=-1))), SAME),
    (time, time(1, 2, 3, 4), SAME),
    (time, time(1, 2, tzinfo=BERLIN, fold=1), SAME),
    (date, date(1, 1, 1), SAME),
    (timedelta, timedelta.min, SAME),
    (timedelta, timedelta(seconds=-1, microseconds=5), SAME),
    (uuid.UUID, uuid.UUID(int=1), SAME),
    (Decimal, Decimal("-0E+5"), SAME),
    (Decimal, Decimal("Infinity"), SAME),
    (Path, Path("a/b"), SAME),
    (PurePosixPath, PurePosixPath("/a"), SAME),
    (Colour, Colour.RED, "RED"),
    (Colour, Colour.TWO, "TWO"),
    (Tone, Tone.HIGH, "HIGH"),
    (Level, Level.LOW, "LOW"),
    (Planet, Planet.EARTH, "EARTH"),
    (Planet | None, Planet.NONE, "NONE"),
    (Planet | None, None, SAME),
    (Right, Right.READ | Right.WRITE, 3),
    (Literal["a", 1, True, None, b"x"], True, SAME),
    (Literal["red", Colour.TWO], Colour.TWO, "TWO"),
    (Literal["red", Colour.RED], Colour.RED, "RED"),
    (Literal["red", Colour.RED], "red", SAME),
    (tuple[int, str], (1, "a"), SAME),
    (tuple[()], (), SAME),
    (tuple[date, ...], (date(2026, 1, 1),), SAME),
    (tuple, (1, "a", None), SAME),
    (set[str], {"b", "a", "c"}, SAME),
    (frozenset[int], frozenset({300, 1}), SAME),
    (set[tuple[int, date]], {(1, date(2026, 1, 1))}, SAME),
    (set[Frozen], {Frozen(key="k"), Frozen(key="l")}, None),
    (dict[uuid.UUID, int], {uuid.UUID(int=1): 2}, SAME),
    (dict[tuple[int, int], str], {(1, 2): "a"}, SAME),
    (dict[Frozen, int], {Frozen(key="k"): 1}, None),
    (dict[Colour, Point], {Colour.RED: Point(1)}, {"RED": {"x": 1, "label": ""}}),
    (dict[float, int], {1: 2}, SAME),
    (dict, {1: [2]}, SAME),
    (dict[tuple[int, int], str], {}, SAME),
    (Review, Review("a", 1, [Review("b")]), {"text": "a", "score": 1, "replies": [unpacked("b")]}),
    (Frozen, Frozen(key="k", inner=(1,)), {"key": "k", "inner": (1,)}),
    (Pair[int, date], Pair(1, [date(2026, 1, 1)]), {"left": 1, "right": [date(2026, 1, 1)]}),
    (Point, Point(1, "a"), {"x": 1, "label": "a"}),
    (Row, {"when": date(2026, 1, 1), "id": 1}, SAME),
    (Loose, {"sure": 1, "maybe": [{"sure": 2}]}, SAME),
    (UserId, UserId(3), SAME),
    (Annotated[int, []], 3, SAME),
    (list[Annotated[Optional[UserId], "meta"]], [None, 1], SAME),  # noqa: UP045
    (Json, {"a": [1, {"b": [None, 1.5, True]}]}, SAME),
    (Deep, [date(2026, 1, 1), ["2026-01-01"]], SAME),
    (Deep, ["2026-01-01"], SAME),
    (Names[date], {"a": date(2026, 1, 1)}, SAME),
    (Sequence[int], (1, 2), SAME),
    (Sequence[int], [1, 2], SAME),
    (Mapping[str, int], {"a": 1}, SAME),
    (AbstractSet[int], frozenset({1}), SAME),
    (AbstractSet[int], {1}, SAME),
    # anything: what has no class
    (object, {"a": (1, {2, 3}, frozenset({date(2026, 1, 1)})), (1,): Decimal("1.0")}, SAME),
    # unions
    (int | None, None, SAME),
    (date | int | list[str], date(2026, 1, 1), SAME),
    (Review | list[int] | str, Review("a"), unpacked("a")),
    (list[int] | list[str], ["a"], SAME),
    (list[float] | list[int], [1], SAME),
    (dict[str, float] | dict[str, int], {"a": 2}, SAME),
    (float | int, 1, SAME),
    (float | str, 1, SAME),
    (bool | int | str, True, SAME),
    (Literal["a", "b"] | int, "a", SAME),
    (Literal["a"] | str, "a", SAME),
    (date | str, date(2026, 1, 1), SAME),
    (date | str, "2026-01-01", SAME),
    (date | datetime, datetime(2026, 1, 1), SAME),
    (date | datetime | str, date(2026, 1, 1), SAME),
    (Review | Frozen | int, 3, SAME),
    (Review | Frozen | int, Frozen(key="k"), {"key": "k", "inner": ()}),
    (Copy | Review, Review("a"), unpacked("a")),
    (Review | Copy, Copy("a"), unpacked("a")),
    (Review | dict[str, object], {"text": "a", "score": 0.0, "replies": []}, SAME),
    (Review | dict[str, object], Review("a"), unpacked("a")),
    (date | str | dict[str, int], {"date": 1}, SAME),
    (Colour | int, 2, SAME),
    (Colour | int, Colour.TWO, "TWO"),
    (set[float] | set[int], {1}, SAME),
    (tuple[int, float] | tuple[float, float], (1, 2.0), SAME),
    (list[int] | tuple[int, ...] | set[int], (1,), SAME),
    (object | date, date(2026, 1, 1), SAME),
]


@pytest.mark.parametrize(("tp", "value", "plain"), ROUND_TRIPS, ids=named)
def test_a_value_comes_back_equal_and_of_equal_type(tp: Any, value: object, plain: object) -> None:
    codec = codec_for(tp)
    data = codec.encode(value)
    back = codec.decode(data)
    assert back == value
    assert type(back) is type(value)
    assert codec.encode(back) == data
    if plain is SAME:
        assert unpack(data) == value
        assert type(unpack(data)) is type(value)
        assert pack(unpack(data)) == data
    elif plain is not None:
        assert unpack(data) == plain


def test_objects_that_were_keys_and_items_of_sets_can_be_read_without_their_class() -> None:
    frozen = Frozen(key="k")
    assert list(unpack(codec_for(dict[Frozen, int]).encode({frozen: 1}))) == [{"key": "k", "inner": ()}]
    assert list(unpack(codec_for(set[Frozen]).encode({frozen}))) == [{"key": "k", "inner": ()}]


def test_a_zone_comes_back_the_same() -> None:
    codec = codec_for(datetime)
    back = codec.decode(codec.encode(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)))
    assert (back.tzinfo, back.fold, back.utcoffset()) == (BERLIN, 1, timedelta(hours=1))
    named = codec.decode(codec.encode(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET"))))
    assert named.tzname() == "CET"
    alone = codec_for(time).decode(codec_for(time).encode(time(1, tzinfo=BERLIN)))
    assert alone.tzinfo is BERLIN


class Sundial(tzinfo):
    def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
        return None if dt is None else timedelta(hours=dt.month)

    def dst(self, dt: datetime | None, /) -> timedelta | None:
        return None

    def tzname(self, dt: datetime | None, /) -> str | None:
        raise RuntimeError


class Fixed(Sundial):
    def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
        return timedelta(hours=2)


class Broken(Sundial):
    def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
        raise RuntimeError


def test_a_fixed_offset_of_another_library_comes_back_equal() -> None:
    codec, value = codec_for(datetime), datetime(2026, 1, 1, tzinfo=Fixed())
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("zone", [Sundial(), Broken()])
def test_a_zone_that_can_not_be_made_again_is_refused(zone: tzinfo) -> None:
    with pytest.raises(ValueNotStorableError, match=r"\$\[0\].*Use zoneinfo"):
        codec_for(list[datetime]).encode([datetime(2026, 1, 1, tzinfo=zone)])


@dataclass
class Counted:
    """Its __post_init__ changes a field, changes an argument in place and sets a field that is no argument."""

    words: list[str]
    total: int = 0
    size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.total += 1
        self.size = len(self.words)
        self.words.append("!")


@dataclass
class Seeded:
    seed: InitVar[int]
    value: int = 0

    def __post_init__(self, seed: int) -> None:
        self.value = seed


@dataclass
class Moody:
    good: bool

    def __post_init__(self) -> None:
        if not self.good:
            raise RuntimeError


@dataclass
class Lazy:
    text: str

    @cached_property
    def words(self) -> list[str]:
        return self.text.split()


class Informal(Lazy):
    """No dataclass itself, though its base is one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.note = "kept nowhere"


def test_a_dataclass_comes_back_as_it_was_whatever_its_post_init_does() -> None:
    value = Counted(["a"])
    assert (value.words, value.total, value.size) == (["a", "!"], 1, 1)
    back = codec_for(Counted).decode(codec_for(Counted).encode(value))
    assert (back.words, back.total, back.size) == (["a", "!"], 1, 1)
    seeded = Seeded(7)
    assert codec_for(Seeded).decode(codec_for(Seeded).encode(seeded)) == seeded


def test_an_attribute_that_is_no_field_is_not_lost_without_a_word() -> None:
    lazy = Lazy("a b")
    assert lazy.words == ["a", "b"]
    assert codec_for(Lazy).decode(codec_for(Lazy).encode(lazy)).words == ["a", "b"]
    with pytest.raises(ValueNotStorableError, match="'note' is no field of Informal"):
        codec_for(Informal).encode(Informal("a"))


def test_a_post_init_does_not_run_again() -> None:
    moody = Moody(True)
    moody.good = False
    assert codec_for(Moody).decode(codec_for(Moody).encode(moody)) == moody


def test_a_type_variable_that_a_base_class_has_bound_is_refused_and_never_taken_for_another() -> None:
    """Pydantic gives it the argument of the variable that has its name in the derived class."""
    with pytest.raises(ValueNotStorableError, match=r"\$\.left "):
        codec_for(IntPair[str]).encode(IntPair(1, ["a"], "b"))


MISFITS: list[tuple[Any, object, str, str]] = [
    (list[Review], [Review("a"), Review("b", 0, [Review(3)])], "$[1].replies[0].text", "where str is due"),  # type: ignore
    (dict[str, list[int]], {"a": [1, "2"]}, "$.a[1]", "where int is due"),
    (dict[str, int], {1: 1}, "$[1]", "where a key of type str is due"),
    (dict[uuid.UUID, int], {"a": 1}, "$.a", "UUID"),
    (dict[tuple[int, int], int], {(1, "a"): 1}, "$[<tuple>][1]", "where int is due"),
    (int, 1.0, "$", "where int is due"),
    (int, Level.LOW, "$", "annotate the place with its type"),
    (str, Tone.HIGH, "$", "annotate the place with its type"),
    (list[Point], [Point(Level.LOW)], "$[0].x", "annotate the place with its type"),
    (float, True, "$", "where float is due"),
    (bool, 1, "$", "where bool is due"),
    (bytes, bytearray(b"x"), "$", "bytes(...)"),
    (tuple[bytes], (bytearray(b"x"),), "$[0]", "bytes(...)"),
    (tuple[bytes], (memoryview(b"x"),), "$[0]", "bytes(...)"),
    (date, datetime(2026, 1, 1), "$", "annotate the place with its type"),
    (list[int], (1,), "$", "where list[int] is due"),
    (list[int], collections.UserList([1]), "$", "annotate the place with its type"),
    (dict[str, int], collections.OrderedDict(a=1), "$", "annotate the place with its type"),
    (Frozen | dict[str, int], collections.OrderedDict(a=1), "$", "come back as"),
    (tuple[int, int], (1, 2, 3), "$", "3 items, not 2"),
    (tuple[int, int], (1, "a"), "$[1]", "where int is due"),
    (tuple[int, int], [1, 2], "$", "where tuple[int, int] is due"),
    (tuple[int, int], Point(1), "$", "where tuple[int, int] is due"),
    (tuple[int, ...], (1, "a"), "$[1]", "where int is due"),
    (set[int], {"a"}, "$.a", "where int is due"),
    (set[int], frozenset({1}), "$", "where set[int] is due"),
    (AbstractSet[int], {"a"}, "$.a", "where int is due"),
    (Colour, "red", "$", "where Colour is due"),
    (Literal["a"], "b", "$", "where Literal['a'] is due"),
    (Literal[1], True, "$", "where Literal[1] is due"),
    (Right, 3, "$", "Right is due"),
    (Row, {"id": 1}, "$.when", "is missing"),
    (Row, {"id": 1, "when": date(2026, 1, 1), "x": 1}, "$.x", "does not have it"),
    (Row, {"id": "a", "when": date(2026, 1, 1)}, "$.id", "where int is due"),
    (Point, (1, "a"), "$", "Point is due"),
    (Point, Point("a"), "$.x", "where int is due"),  # type: ignore
    (Review, Frozen(key="a"), "$", "Review is due"),
    (Review, Copy("a"), "$", "Review is due"),
    (Review, unpacked("a"), "$", "Review is due"),
    (dict[str, object], Review("a"), "$", "annotate the place with its type"),
    (dict[str, object], {"a": [Review("a")]}, "$.a[0]", "annotate the place with its type"),
    (Pair[object, int], Pair(Review("a"), [1]), "$.left", "annotate the place with its type"),
    (Lazy, Informal("a"), "$", "where Lazy is due"),
    (int | str, 1.5, "$", "where int | str is due"),
    (list[int] | list[str], [1, "a"], "$[1]", "where int is due"),
    (Review | None, Review("a", 0, [3]), "$.replies[0]", "Review is due"),  # type: ignore
]


@pytest.mark.parametrize(("tp", "value", "path", "hint"), MISFITS, ids=named)
def test_a_value_that_does_not_fit_is_refused_with_its_place(
    tp: Any, value: object, path: str, hint: str
) -> None:
    with pytest.raises(ValueNotStorableError) as caught:
        codec_for(tp).encode(value)
    assert caught.value.path == path
    assert f"at {path} " in str(caught.value)
    assert hint in str(caught.value)


def test_a_field_that_was_never_set_is_named() -> None:
    value = Frozen(key="a")
    object.__delattr__(value, "inner")
    with pytest.raises(ValueNotStorableError, match=r"at \$\.inner .*never set"):
        codec_for(Frozen).encode(value)


def extension(code: int, plain: object) -> bytes:
    """The bytes of an extension that nobody wrote."""
    payload = pack(plain)
    return bytes([0xC7, len(payload), code]) + payload


UNREADABLE: list[tuple[Any, bytes, str]] = [
    (list[Review], pack([unpacked("a")]), "$[0]"),
    (list[Review], codec_for(list[Copy]).encode([Copy("a")]), "$[0]"),
    (list[Frozen], codec_for(list[Colour]).encode([Colour.RED]), "$[0]"),
    (Point, codec_for(Pair[int, str]).encode(Pair(1, ["a"])), "$"),
    (object, codec_for(Review).encode(Review("a")), "$"),
    (dict[str, object], codec_for(dict[str, Review]).encode({"a": Review("a")}), "$.a"),
    (dict[str, object], codec_for(dict[str, Colour]).encode({"a": Colour.RED}), "$.a"),
    (Frozen, pack(["k", [1]]), "$"),
    (list[int], pack({"a": 1}), "$"),
    (list[int], pack([1, "a"]), "$[1]"),
    (dict[str, date], pack({"a": "2026-12-01"}), "$.a"),
    (dict[str, date], pack({1: date(2026, 1, 1)}), "$[1]"),
    (dict[tuple[int, int], int], pack({"a": 1}), "$.a"),
    (set[int], pack([1, 1]), "$"),
    (set[int], pack({1})[:-2] + b"\x92\x01\x01", "$"),
    (set[object], pack({1})[:-2] + b"\x91\x90", "$"),
    (set[int], extension(4, [1, 1]), "$"),
    (set[object], extension(4, "ab"), "$"),
    (set[object], pack({1})[:-2] + b"\x01", "$"),
    (tuple[int, int], pack((1,)), "$"),
    (tuple[int, ...], pack("a"), "$"),
    (Point, pack([1]), "$"),
    (Point, pack({"x": 1}), "$"),
    (Row, pack({"id": 1}), "$.when"),
    (Row, pack({"id": 1, "when": date(2026, 1, 1), "x": 1}), "$.x"),
    (Row, extension(2, ["Row", {"id": 1, "name": "a", "when": date(2026, 1, 1)}]), "$"),
    (Colour, pack("RED"), "$"),
    (Colour, pack("red"), "$"),
    (Colour, extension(2, ["Colour", "BLUE"]), "$"),
    (Colour, extension(2, ["Tone", "RED"]), "$"),
    (Colour, extension(2, ["Colour"]), "$"),
    (Colour, extension(2, ["Colour", [1]]), "$"),
    (Right, extension(2, ["Right", 8]), "$"),
    (Right, pack(1), "$"),
    (uuid.UUID, pack("x"), "$"),
    (uuid.UUID, extension(21, b"x"), "$"),
    (Decimal, pack("1"), "$"),
    (Decimal, extension(20, "x"), "$"),
    (Decimal, extension(20, []), "$"),
    (Path, extension(22, ["Popen", "ls"]), "$"),
    (datetime, pack("2026-01-01"), "$"),
    (datetime, extension(17, ["2026-01-01", 0]), "$"),
    (datetime, extension(17, ["2026-13-01", 0, None]), "$"),
    (datetime, extension(17, ["2026-01-01", 0, "Nowhere/Else"]), "$"),
    (datetime, extension(17, ["2026-01-01", 0, "../../etc/passwd"]), "$"),
    (datetime, extension(17, ["2026-01-01", 0, "Europe"]), "$"),
    (datetime, extension(17, ["2026-01-01", 0, [2**70, None]]), "$"),
    (datetime, extension(17, ["2026-01-01", 0, [0, 1]]), "$"),
    (datetime, extension(17, ["2026-01-01", 7, None]), "$"),
    (time, extension(18, ["25:00", 0, None]), "$"),
    (timedelta, extension(19, 2**80), "$"),
    (timedelta, extension(19, "a"), "$"),
    (int, extension(99, 1), "$"),
    (int, extension(16, "2026-01-01"), "$"),
    (int, pack(None), "$"),
    (int | str, pack(1.5), "$"),
    (date | str, pack(1), "$"),
    (list[int] | list[str], pack([1, "a"]), "$[1]"),
]


@pytest.mark.parametrize(("tp", "data", "path"), UNREADABLE, ids=named)
def test_bytes_of_another_type_are_unreadable(tp: Any, data: bytes, path: str) -> None:
    with pytest.raises(ValueUnreadableError) as caught:
        codec_for(tp).decode(data)
    assert caught.value.path == path
    assert f"at {path} " in str(caught.value)


@dataclass
class Chain:
    next: "Chain | None" = None


def test_what_mentions_itself_may_be_deep_but_not_endless() -> None:
    codec = codec_for(Chain)
    deep = Chain()
    for _ in range(120):
        deep = Chain(deep)
    assert codec.decode(codec.encode(deep)) == deep
    for depth in (10, 5_000):
        for _ in range(depth):
            deep = Chain(deep)
        with pytest.raises(ValueNotStorableError, match="deep"):
            codec.encode(deep)
    endless = Chain()
    endless.next = endless
    with pytest.raises(ValueNotStorableError, match="contains itself"):
        codec.encode(endless)
    damaged = pack(None)
    for _ in range(140):
        payload = pack("Chain") + b"\x81" + pack("next") + damaged
        damaged = b"\xc9" + (len(payload) + 1).to_bytes(4, "big") + b"\x02\x92" + payload
    assert unpack(damaged)
    with pytest.raises(ValueUnreadableError, match="deep"):
        codec.decode(damaged)


def test_a_stack_that_is_deep_already_is_no_crash() -> None:
    codec = codec_for(tuple[object])
    value: tuple[object, ...] = ()
    for _ in range(100):
        value = (value,)
    data = codec.encode(value)

    def deep_down(frames: int, work: Callable[[], object]) -> object:
        return deep_down(frames - 1, work) if frames else work()

    free = sys.getrecursionlimit() - len(inspect.stack())
    assert deep_down(free - 300, lambda: codec.decode(codec.encode(value))) == value
    for left in (20, 50, 90, 150):
        with pytest.raises(ValueNotStorableError, match="deep"):
            deep_down(free - left, lambda: codec.encode(value))
        with pytest.raises(ValueUnreadableError, match="deep"):
            deep_down(free - left, lambda: codec.decode(data))


@dataclass
class Locked:
    lock: "dict[str, list[threading.Lock]]"


@dataclass
class Holder:
    plain: "dict[str, list[Plain]]"


@dataclass
class Unfindable:
    value: "NoSuchName"  # type: ignore # noqa: F821


@dataclass
class Failing(Exception):  # noqa: N818
    code: int


@dataclass
class Growing(Generic[T]):
    value: "Growing[list[T]] | None"


class Plain:
    pass


@dataclass
class Doubling:
    value: int  # pyright: ignore[reportRedeclaration]

    @property  # type: ignore[no-redef]
    def value(self) -> int:
        return self._value

    @value.setter
    def value(self, value: int) -> None:
        self._value = 2 * value


def twins() -> tuple[type, type]:
    def make(kind: type) -> type:
        @dataclass
        class Twin:
            value: kind  # type: ignore

        return Twin

    return make(int), make(str)


ONE, OTHER = twins()

REFUSED: list[tuple[Any, str]] = [
    (dict[str, Plain], "dict[str, Plain]: the type Plain can't be stored. Make it a dataclass"),
    (list[Holder], "Holder.plain: the type Plain can't be stored"),
    (list[Locked], "Locked.lock: the type allocate_lock can't be stored"),
    (tuple[int, Iterable[int]], "the type Iterable can't be stored. Use list"),
    (int | Callable[[int], str], "the type Callable can't be stored. Make it"),
    ("Review", "'Review' is a name. Give the type itself"),
    (list["Review"], "'Review' is a name. Give the type itself"),
    (bytearray, "the type bytearray can't be stored. Use bytes"),
    (complex, "the type complex can't be stored. Use tuple[float, float]"),
    (collections.deque, "the type deque can't be stored. Use list"),
    (type[int], "the type type can't be stored"),
    (enum.Enum, "the type Enum can't be stored"),
    (Failing, "the type Failing can't be stored"),
    (Unfindable, "name 'NoSuchName' is not defined"),
    (ONE | OTHER, "could its two Twin be told apart. Rename one"),
    (GenericAlias(tuple, (ONE, OTHER)), "could its two Twin be told apart. Rename one"),
    (Itself, "circular reference to itself"),
    (Growing[int], "unfolds without end"),
    (Doubling, "Doubling.value: a field that is a property can't be stored"),
    (tuple[int, *tuple[str, ...]], "Use tuple[X, ...]"),
    (collections.OrderedDict, "the type OrderedDict can't be stored"),
    (3, "can't be stored"),
]


@pytest.mark.parametrize(("tp", "message"), REFUSED, ids=named)
def test_a_type_that_can_not_be_stored_is_refused_by_name_and_place(tp: Any, message: str) -> None:
    with pytest.raises(TypeNotStorableError) as caught:
        codec_for(tp)
    assert message in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_final_field_is_its_type() -> None:
    @dataclass
    class Fixed:
        value: Final[int] = 3

    assert codec_for(Fixed).decode(codec_for(Fixed).encode(Fixed(4))) == Fixed(4)


def test_a_local_class_may_mention_itself() -> None:
    @dataclass
    class Tree:
        children: "list[Tree]"

    value = Tree([Tree([])])
    assert codec_for(Tree).decode(codec_for(Tree).encode(value)) == value


REVIEW = "dataclass Review{text: str; score: float; replies: list[Review]}"

SCHEMAS: list[tuple[Any, str, str]] = [
    (list[Review], "list[Review]", f"list[Review], {REVIEW}"),
    (Optional[Review], "Review | None", f"Review | None, {REVIEW}"),  # noqa: UP045
    (Union[str, int, None], "int | str | None", "int | str | None"),  # noqa: UP007
    (dict[str, Any], "dict[str, object]", "dict[str, object]"),
    (list, "list", "list[object]"),
    (tuple[int, ...], "tuple[int, ...]", "tuple[int, ...]"),
    (tuple[()], "tuple[()]", "tuple[()]"),
    (Colour, "Colour", "Colour, Enum Colour{RED = 'red'; TWO = 2}"),
    (Planet, "Planet", "Planet, Enum Planet{EARTH = ...; NONE = None}"),
    (Right, "Right", "Right, Flag Right{READ = 1; WRITE = 2}"),
    (Literal["b", "a"], "Literal['a', 'b']", "Literal['a', 'b']"),
    (Row, "Row", "Row, TypedDict Row{id: int; name?: str; when: date}"),
    (Loose, "Loose", "Loose, TypedDict Loose{sure: int; maybe?: list[Loose]}"),
    (Point, "Point", "Point, NamedTuple Point{x: int; label: str}"),
    (
        Pair[int, str],
        "Pair[int, str]",
        "Pair[int, str], dataclass Pair[int, str]{left: int; right: list[str]}",
    ),
    (list[UserId], "list[UserId]", "list[int]"),
    (Json, "Json", "Json, Json = bool | dict[str, Json] | float | int | list[Json] | str | None"),
    (dict[Path, uuid.UUID], "dict[Path, UUID]", "dict[Path, UUID]"),
    (Sequence[int] | None, "Sequence[int] | None", "Sequence[int] | None"),
]


@pytest.mark.parametrize(("tp", "name", "schema"), SCHEMAS, ids=named)
def test_name_and_schema_read_as_a_person_writes(tp: Any, name: str, schema: str) -> None:
    codec = codec_for(tp)
    assert (codec.name, codec.schema) == (name, schema)


def test_a_schema_knows_no_modules_and_no_order_of_branches() -> None:
    code = "\n".join(
        [
            "from dataclasses import dataclass",
            "from typing import List, Union",
            "from perdure.checkpoints import codec_for",
            "@dataclass",
            "class Review: text: str",
            "first, second = List[Union[str, Review]], List[Union[Review, str]]",
            "import sys",
            "tp = (first, second)[int(sys.argv[1])]",
            "print(codec_for(tp).schema, codec_for(tp).encode([Review('a'), 'b']).hex())",
        ]
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, order], capture_output=True, text=True, check=True).stdout
        for order in ("0", "1")
    ]
    assert runs[0] == runs[1]
    assert "__main__" not in runs[0]


def test_sets_have_the_same_bytes_in_every_process() -> None:
    code = (
        "from perdure.checkpoints import codec_for; print(codec_for(set[str]).encode(set('abcdefgh')).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("tp", "optional"),
    [
        (int, False),
        (int | None, True),
        (None, True),
        (object, True),
        (Json, True),
        (Literal[1, None], True),
        (Review | None, True),
        (Review, False),
    ],
)
def test_optional_says_whether_none_is_legal(tp: Any, optional: bool) -> None:
    assert codec_for(tp).optional is optional


def test_a_codec_is_made_once_per_type() -> None:
    assert codec_for(list[Review]) is codec_for(list[Review])
    assert codec_for(Literal[1]) is not codec_for(Literal[True])


def test_the_items_of_a_list_are_those_of_its_type() -> None:
    """So that a map can hand out the items of a list, and a collect or join put them together, undecoded."""
    review, item = Review("a", 1, [Review("b")]), codec_for(Review)
    whole = codec_for(list[Review]).encode([review, review])
    assert [item.decode(data) for data in split(whole)] == [review, review]
    assert join([item.encode(review), item.encode(review)]) == whole
    mixed = join([item.encode(review), codec_for(date | str).encode("x"), pack(None)])
    assert codec_for(tuple[Review, date | str, int | None]).decode(mixed) == (review, "x", None)


def test_pydantic_is_not_imported_for_plain_data() -> None:
    code = "\n".join(
        [
            "import sys, datetime",
            "from perdure.checkpoints import codec_for, pack, unpack",
            "codec = codec_for(dict[str, list[int | str] | dict[str, object] | None])",
            "codec.decode(codec.encode({'a': [1, 'b'], 'c': {'d': datetime.datetime.now()}}))",
            "unpack(pack({'a': {1, 2}}))",
            "sys.exit('pydantic' in sys.modules)",
        ]
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_threads_share_a_codec() -> None:
    codec = codec_for(list[float] | list[int] | set[float] | set[int])
    values: list[Any] = [[1], [1.5, 2.0], {1}, {1.5}, [2**80, 1]]
    expected = [codec.encode(value) for value in values]
    wrong: list[object] = []

    def work() -> None:
        for _ in range(300):
            wrong.extend(set(map(codec.encode, values)) ^ set(expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
