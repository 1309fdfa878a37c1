"""What each annotation stores, how it reads in the database, and what is refused with which place."""

import collections
import enum
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
    TypedDict,
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
from typing_extensions import TypeAliasType

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
Loop = TypeAliasType("Loop", "Loop | int")  # pyright: ignore
Itself = TypeAliasType("Itself", "Itself")  # pyright: ignore
Names = TypeAliasType("Names", dict[str, T], type_params=(T,))

ROUND_TRIPS: list[tuple[Any, object, object]] = [
    # type, value, plain data in the database
    (None, None, None),
    (int, True, True),
    (float, 3, 3.0),
    (list[float], [1, 2.5], [1.0, 2.5]),
    (datetime, datetime(2026, 11, 5, 12, 0, 0, 7), "2026-11-05T12:00:00.000007"),
    (datetime, datetime(2026, 11, 5, fold=1), "2026-11-05T00:00:00[fold=1]"),
    (datetime, datetime(2026, 11, 5, tzinfo=UTC), "2026-11-05T00:00:00+00:00"),
    (datetime, datetime(2026, 7, 5, tzinfo=BERLIN), "2026-07-05T00:00:00+02:00[Europe/Berlin]"),
    (
        datetime,
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
        "2026-10-25T02:30:00+01:00[fold=1][Europe/Berlin]",
    ),
    (
        datetime,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1), "C]T")),
        "0001-01-01T00:00:00+01:00[=C]T]",
    ),
    (time, time(1, 2, 3, 4), "01:02:03.000004"),
    (time, time(1, 2, tzinfo=BERLIN, fold=1), "01:02:00[fold=1][Europe/Berlin]"),
    (date, date(1, 1, 1), "0001-01-01"),
    (timedelta, timedelta.min, -86399999913600000000),
    (timedelta, timedelta(seconds=-1, microseconds=5), -999995),
    (uuid.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Decimal, Decimal("-0E+5"), "-0E+5"),
    (Decimal, Decimal("Infinity"), "Infinity"),
    (Path, Path("a/b"), "a/b"),
    (PurePosixPath, PurePosixPath("/a"), "/a"),
    (Colour, Colour.RED, "red"),
    (Colour, Colour.TWO, 2),
    (Tone, Tone.HIGH, "high"),
    (Level, Level.LOW, 1),
    (Planet, Planet.EARTH, "EARTH"),
    (Planet | None, Planet.NONE, "NONE"),
    (Planet | None, None, None),
    (Right, Right.READ | Right.WRITE, 3),
    (Literal["a", 1, True, None, b"x"], True, True),
    (Literal["red", Colour.TWO], Colour.TWO, 2),
    (Literal["red", Colour.RED], Colour.RED, "Colour.RED"),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (tuple[()], (), []),
    (tuple[date, ...], (date(2026, 1, 1),), ["2026-01-01"]),
    (tuple, (1, "a", None), [1, "a", None]),
    (set[str], {"b", "a", "c"}, ["a", "b", "c"]),
    (frozenset[int], frozenset({300, 1}), [1, 300]),
    (set[tuple[int, date]], {(1, date(2026, 1, 1))}, [[1, "2026-01-01"]]),
    (dict[uuid.UUID, int], {uuid.UUID(int=1): 2}, {"00000000-0000-0000-0000-000000000001": 2}),
    (dict[tuple[int, int], str], {(1, 2): "a"}, [[[1, 2], "a"]]),
    (dict[Frozen, int], {Frozen(key="k"): 1}, [[{"key": "k", "inner": []}, 1]]),
    (dict[float, int], {1: 2}, {1.0: 2}),
    (dict, {1: [2]}, {1: [2]}),
    (dict[tuple[int, int], str], {}, []),
    (Review, Review("a", 1, [Review("b")]), None),
    (Frozen, Frozen(key="k", inner=(1,)), {"key": "k", "inner": [1]}),
    (Pair[int, date], Pair(1, [date(2026, 1, 1)]), {"left": 1, "right": ["2026-01-01"]}),
    (IntPair[str], IntPair(1, ["a"], "b"), {"left": 1, "right": ["a"], "more": "b"}),
    (Point, Point(1, "a"), [1, "a"]),
    (Row, {"when": date(2026, 1, 1), "id": 1}, {"when": "2026-01-01", "id": 1}),
    (Loose, {"sure": 1, "maybe": [{"sure": 2}]}, {"sure": 1, "maybe": [{"sure": 2}]}),
    (UserId, UserId(3), 3),
    (Annotated[int, []], 3, 3),
    (list[Annotated[Optional[UserId], "meta"]], [None, 1], [None, 1]),  # noqa: UP045
    (Json, {"a": [1, {"b": [None, 1.5, True]}]}, {"a": [1, {"b": [None, 1.5, True]}]}),
    (Deep, [date(2026, 1, 1), ["2026-01-01"]], None),
    (Deep, ["2026-01-01"], None),
    (Names[date], {"a": date(2026, 1, 1)}, {"a": "2026-01-01"}),
    (Sequence[int], (1, 2), {"tuple[int, ...]": [1, 2]}),
    (Sequence[int], [1, 2], {"list[int]": [1, 2]}),
    (Mapping[str, int], {"a": 1}, {"a": 1}),
    (AbstractSet[int], {1}, {"set[int]": [1]}),
    # unions: untagged where the plain data tells the branches apart
    (int | None, None, None),
    (date | int | list[str], date(2026, 1, 1), "2026-01-01"),
    (Review | list[int] | str, Review("a"), {"text": "a", "score": 0.0, "replies": []}),
    (list[int] | list[str], ["a"], ["a"]),
    (list[float] | list[int], [1], [1]),
    (dict[str, float] | dict[str, int], {"a": 2}, {"a": 2}),
    (float | int, 1, 1),
    (float | str, 1, 1.0),
    (bool | int | str, True, True),
    (Literal["a", "b"] | int, "a", "a"),
    (Literal["a"] | str, "a", "a"),
    # and tagged where it does not
    (date | str, date(2026, 1, 1), {"date": "2026-01-01"}),
    (date | str, "2026-01-01", {"str": "2026-01-01"}),
    (date | datetime, datetime(2026, 1, 1), {"datetime": "2026-01-01T00:00:00"}),
    (Review | Frozen | int, 3, 3),
    (Review | Frozen | int, Frozen(key="k"), {"Frozen": {"key": "k", "inner": []}}),
    (Review | dict[str, object], {"Review": 1}, {"dict[str, object]": {"Review": 1}}),
    (date | str | dict[str, int], {"date": 1}, {"dict[str, int]": {"date": 1}}),
    (Colour | int, 2, {"int": 2}),
    (Colour | int, Colour.TWO, {"Colour": 2}),
    (set[float] | set[int], {1}, {"set[int]": [1]}),
    (tuple[int, float] | tuple[float, float], (1, 2.0), {"tuple[int, float]": [1, 2.0]}),
    (object | date, date(2026, 1, 1), {"date": "2026-01-01"}),
]


@pytest.mark.parametrize(("tp", "value", "plain"), ROUND_TRIPS, ids=named)
def test_a_value_comes_back_equal_and_of_equal_type(tp: Any, value: object, plain: object) -> None:
    codec = codec_for(tp)
    data = codec.encode(value)
    back = codec.decode(data)
    assert back == value
    assert type(back) is (float if tp in (float, float | str) else type(value))
    assert codec.encode(back) == data
    if plain is not None:
        assert unpack(data) == plain
        assert pack(unpack(data)) == data


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
    """Its __post_init__ changes a field, changes an argument in place and sets what is no field."""

    words: list[str]
    total: int = 0
    size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.total += 1
        self.size = len(self.words)
        self.words.append("!")
        self.upper = [word.upper() for word in self.words]


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
            raise RuntimeError("not today")


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
    assert back.upper[:2] == ["A", "!"]
    seeded = Seeded(7)
    assert codec_for(Seeded).decode(codec_for(Seeded).encode(seeded)) == seeded


def test_an_attribute_that_is_no_field_is_not_lost_without_a_word() -> None:
    lazy = Lazy("a b")
    assert lazy.words == ["a", "b"]
    assert codec_for(Lazy).decode(codec_for(Lazy).encode(lazy)).words == ["a", "b"]
    with pytest.raises(ValueNotStorableError, match="'note' is no field of Informal"):
        codec_for(Informal).encode(Informal("a"))


def test_a_post_init_that_fails_makes_the_value_unreadable() -> None:
    moody = Moody(True)
    moody.good = False
    with pytest.raises(ValueUnreadableError, match="not today"):
        codec_for(Moody).decode(codec_for(Moody).encode(moody))


MISFITS: list[tuple[Any, object, str, str]] = [
    (list[Review], [Review("a"), Review("b", 0, [Review(3)])], "$[1].replies[0].text", "str is due"),  # type: ignore
    (dict[str, list[int]], {"a": [1, "2"]}, "$.a[1]", "int is due"),
    (dict[str, int], {1: 1}, "$[1]", "as a key"),
    (dict[uuid.UUID, int], {"a": 1}, "$.a", "UUID is due"),
    (dict[tuple[int, int], int], {(1, "a"): 1}, "$[<tuple>]", "as a key"),
    (int, 1.0, "$", "int is due"),
    (int, Level.LOW, "$", "annotate the place with its type"),
    (str, Tone.HIGH, "$", "annotate the place with its type"),
    (float, True, "$", "float is due"),
    (float, 2**53 + 1, "$", "Annotate the place as int"),
    (float, 10**400, "$", "Annotate the place as int"),
    (bool, 1, "$", "bool is due"),
    (bytes, bytearray(b"x"), "$", "bytes is due"),
    (date, datetime(2026, 1, 1), "$", "annotate the place with its type"),
    (list[int], (1,), "$", "list[int] is due"),
    (list[int], collections.UserList([1]), "$", "list[int] is due"),
    (dict[str, int], collections.OrderedDict(a=1), "$", "annotate the place with its type"),
    (tuple[int, int], (1, 2, 3), "$", "3 items"),
    (tuple[int, int], (1, "a"), "$[1]", "int is due"),
    (tuple[int, int], Point(1), "$", "tuple[int, int] is due"),
    (tuple[int, ...], (1, "a"), "$[1]", "int is due"),
    (set[int], {"a"}, "$.a", "int is due"),
    (set[int], frozenset({1}), "$", "set[int] is due"),
    (Colour, "red", "$", "Colour is due"),
    (Literal["a"], "b", "$", "another value"),
    (Literal[1], True, "$", "is due"),
    (Right, 3, "$", "Right is due"),
    (Row, {"id": 1}, "$", "'when'"),
    (Row, {"id": 1, "when": date(2026, 1, 1), "x": 1}, "$.x", "no such key"),
    (Row, {"id": "a", "when": date(2026, 1, 1)}, "$.id", "int is due"),
    (Point, (1, "a"), "$", "Point is due"),
    (Point, Point("a"), "$.x", "int is due"),  # type: ignore
    (Review, Frozen(key="a"), "$", "Review is due"),
    (Lazy, Informal("a"), "$", "annotate the place with its type"),
    (int | str, 1.5, "$", "int | str is due"),
    (list[int] | list[str], [1, "a"], "$[1]", "is due"),
    (list[object], [[1, {"a": (1,)}]], "$[0][1].a", "tuple"),
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


UNREADABLE: list[tuple[Any, object, str]] = [
    (list[Review], [{"text": "a", "score": 1, "replies": []}], "$[0].score"),
    (Review, {"text": "a"}, "$"),
    (Review, {"text": "a", "score": 1.0, "replies": [], "more": 1}, "$"),
    (Frozen, ["k", []], "$"),
    (list[int], {"a": 1}, "$"),
    (list[int], [1, "a"], "$[1]"),
    (dict[str, date], {"a": "2026-13-01"}, "$.a"),
    (dict[str, date], {1: "2026-12-01"}, "$[1]"),
    (dict[tuple[int, int], int], {"a": 1}, "$"),
    (dict[tuple[int, int], int], [[[1, 2]]], "$[0]"),
    (dict[tuple[int, int], int], [[[1, 2], 1], [[1, 2], 2]], "$"),
    (dict[Decimal, int], {"1": 1, "1.0": 2}, "$"),
    (set[int], [1, 1], "$"),
    (set[object], [[1]], "$"),
    (dict[int | list[int], int], [[[1], 1]], "$"),
    (tuple[int, int], [1], "$"),
    (tuple[int, ...], "a", "$"),
    (Point, [1], "$"),
    (Point, {"x": 1}, "$"),
    (Row, {"id": 1}, "$"),
    (Row, {"id": 1, "when": "2026-01-01", "x": 1}, "$.x"),
    (Colour, "blue", "$"),
    (Colour, True, "$"),
    (Right, 8, "$"),
    (Right, "a", "$"),
    (uuid.UUID, "x", "$"),
    (Decimal, "x", "$"),
    (Decimal, 1, "$"),
    (datetime, "2026-01-01T00:00:00+01:00[Nowhere/Else]", "$"),
    (datetime, "2026-01-01T00:00:00+01:00[../../etc/passwd]", "$"),
    (datetime, "2026-01-01T00:00:00+01:00[Europe]", "$"),
    (datetime, "2026-01-01T00:00:00[=CET]", "$"),
    (datetime, "2026-01-01T00:00:00[Europe/Berlin]x", "$"),
    (time, "25:00", "$"),
    (timedelta, 2**80, "$"),
    (timedelta, 1.5, "$"),
    (float, 1, "$"),
    (int, None, "$"),
    (int | str, 1.5, "$"),
    (date | str, "2026-01-01", "$"),
    (date | str, {"date": "2026-01-01", "str": ""}, "$"),
    (date | str, {"Lock": "x"}, "$"),
    (date | str, {"date": "x"}, "$"),
    (list[int] | list[str], [1, "a"], "$[1]"),
]


@pytest.mark.parametrize(("tp", "plain", "path"), UNREADABLE, ids=named)
def test_bytes_of_another_shape_are_unreadable(tp: Any, plain: object, path: str) -> None:
    with pytest.raises(ValueUnreadableError) as caught:
        codec_for(tp).decode(pack(plain))
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
    with pytest.raises(ValueNotStorableError, match="contain itself"):
        codec.encode(endless)
    damaged = b"\x81\xa4next" * 1000 + b"\xc0"
    assert unpack(damaged)
    with pytest.raises(ValueUnreadableError, match="deep"):
        codec.decode(damaged)


@dataclass
class Locked:
    lock: "dict[str, list[threading.Lock]]"


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


def twins() -> tuple[type, type]:
    def make(kind: type) -> type:
        @dataclass
        class Twin:
            value: kind  # type: ignore

        return Twin

    return make(int), make(str)


ONE, OTHER = twins()

REFUSED: list[tuple[Any, str]] = [
    (dict[str, Plain], "dict[str, Plain]: value: the type Plain can't be stored. Make it a dataclass"),
    (list[Locked], "list[Locked]: item: field lock: value: item: the type "),
    (tuple[int, Iterable[int]], "item 1: the type Iterable[int] can't be stored. Use list"),
    (int | Callable[[int], str], "branch Callable[[int], str]: the type Callable[[int], str] can't"),
    ("Review", "Give the type itself, not its name"),
    (list["Review"], "Give the type itself, not its name"),
    (list[T], "list[T]: item: the type T can't be stored. Put a concrete type"),  # type: ignore
    (Pair, "Pair: field left: the type T can't be stored. Put a concrete type"),
    (bytearray, "Use bytes"),
    (complex, "Use tuple[float, float]"),
    (collections.deque, "Use list"),
    (type[int], "the type type[int] can't be stored"),
    (enum.Enum, "the type Enum can't be stored"),
    (Failing, "the type Failing can't be stored"),
    (Unfindable, "an annotation of Unfindable names NoSuchName"),
    (ONE | OTHER, "could its two Twin be told apart: rename one"),
    (Loop, "mentions itself with no list or dict in between"),
    (Itself, "nothing but itself"),
    (Growing[int], "unfolds without end"),
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


SCHEMAS: list[tuple[Any, str, str]] = [
    (list[Review], "list[Review]", "list[dataclass Review{text: str; score: float; replies: list[Review]}]"),
    (
        Optional[Review],  # noqa: UP045
        "Review | None",
        "dataclass Review{text: str; score: float; replies: list[Review]} | None",
    ),
    (Union[str, int, None], "int | str | None", "int | str | None"),  # noqa: UP007
    (dict[str, Any], "dict[str, object]", "dict[str, object]"),
    (list, "list", "list[object]"),
    (tuple[int, ...], "tuple[int, ...]", "tuple[int, ...]"),
    (tuple[()], "tuple[()]", "tuple[()]"),
    (Colour, "Colour", "Enum Colour{RED = 'red'; TWO = 2}"),
    (Planet, "Planet", "Enum Planet{EARTH; NONE}"),
    (Right, "Right", "Flag Right{READ = 1; WRITE = 2}"),
    (Literal["b", "a"], "Literal['a', 'b']", "Literal['a', 'b']"),
    (Row, "Row", "TypedDict Row{id: int; name?: str; when: date}"),
    (Loose, "Loose", "TypedDict Loose{sure: int; maybe?: list[Loose]}"),
    (Point, "Point", "NamedTuple Point{x: int; label: str}"),
    (Pair[int, str], "Pair[int, str]", "dataclass Pair[int, str]{left: int; right: list[str]}"),
    (list[UserId], "list[UserId]", "list[int]"),
    (Json, "Json", "type Json = (bool | dict[str, Json] | float | int | list[Json] | str | None)"),
    (
        tuple[ONE, OTHER],
        "tuple[Twin, Twin]",
        "tuple[dataclass Twin{value: int}, dataclass Twin#2{value: str}]",
    ),
    (dict[Path, uuid.UUID], "dict[Path, UUID]", "dict[Path, UUID]"),
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
    [(int, False), (int | None, True), (None, True), (object, True), (Json, True), (Literal[1, None], True)],
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


def test_pydantic_is_not_loaded_for_types_that_do_without() -> None:
    code = "\n".join(
        [
            "import sys, datetime, uuid, dataclasses, enum",
            "from perdure.checkpoints import codec_for, pack",
            "@dataclasses.dataclass",
            "class D: when: datetime.datetime; id: uuid.UUID | None",
            "codec_for(list[D] | dict[str, object]).encode([D(datetime.datetime.now(), None)])",
            "pack({'a': 1})",
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
