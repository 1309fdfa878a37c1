"""Pydantic models come back as they were: no alias, serializer, strictness or default stands in between."""

import ipaddress
import itertools
import json
import re
import threading
from datetime import UTC, date, datetime, timezone
from enum import Enum, StrEnum
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from perdure.checkpoints import (
    TypeNotStorableError,
    ValueNotStorableError,
    ValueUnreadableError,
    codec_for,
    pack,
    unpack,
)
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    raw: bytes = b"\xff\x00"


class Dog(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    kind: Literal["dog"] = "dog"
    weight: float = float("inf")
    friends: "list[Dog]" = []


class Zoo(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    all_animals: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    home_page: HttpUrl | None = None
    opened_at: datetime | None = None
    hosts: dict[ipaddress.IPv4Address, set[str]] = {}
    sizes: tuple[int, ...] = ()
    colours: frozenset[Colour] = frozenset()
    secret_note: str = Field(default="", exclude=True, alias="sn")


class Odd(BaseModel):
    """Much that would spoil a way through serialization and strict validation."""

    model_config = ConfigDict(extra="forbid", strict=True, regex_engine="python-re")
    price: float = Field(gt=0)
    steps: list[int] = []
    token: str = Field(default="", pattern=r"(?!x)", repr=False)

    @field_serializer("token")
    def mask(self, value: str) -> str:
        return "***"

    @field_validator("steps")
    @classmethod
    def in_order(cls, value: list[int]) -> list[int]:
        return sorted(value)

    @model_validator(mode="after")
    def shout(self) -> "Odd":
        if not self.token.endswith("!"):
            object.__setattr__(self, "token", self.token + "!")
        return self

    @model_validator(mode="before")
    @classmethod
    def not_free(cls, data: dict[str, Any]) -> dict[str, Any]:
        assert data["price"] != 0.001
        return data

    @model_validator(mode="wrap")
    @classmethod
    def around(cls, data: Any, handler: Any) -> Any:
        return handler(data)

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation says
    @property
    def double(self) -> float:
        return 2 * self.price

    @cached_property
    def heavy(self) -> int:
        return 42


class Growing(BaseModel):
    """Its validator gives another value each time."""

    steps: list[int]

    @field_validator("steps")
    @classmethod
    def one_more(cls, value: list[int]) -> list[int]:
        return [*value, len(value)]


class Counting(BaseModel):
    """Its default is another one each time."""

    id: int = Field(default_factory=itertools.count().__next__)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Inside(BaseModel):
    name: str
    _calls: int = PrivateAttr(default=0)
    _seen: set[date] = PrivateAttr(default_factory=set[date])
    _never: str = PrivateAttr()
    _free: Any = PrivateAttr(default=None)


class Box(BaseModel, Generic[T]):
    item: T


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: "Page[T] | None" = None


class Numbers(RootModel[list[int]]):
    pass


class Nothing(BaseModel):
    pass


class Valued(BaseModel):
    model_config = ConfigDict(use_enum_values=True)
    given: Colour
    default: Colour = Colour.RED


@pydantic_dataclass
class Strict:
    count: int
    when: date


def there_and_back(tp: Any, value: Any) -> Any:
    codec = codec_for(tp)
    data = codec.encode(value)
    back = codec.decode(data)
    assert back == value
    assert type(back) is type(value)
    assert codec.encode(back) == data
    return back


def test_a_model_with_aliases_unions_bytes_and_foreign_types_comes_back() -> None:
    zoo = Zoo.model_validate(
        {
            "allAnimals": [{"kind": "cat"}, {"kind": "dog", "x": [1], "friends": [{"kind": "dog"}]}],
            "homePage": "https://example.org/a?b=c",
            "openedAt": "2026-11-05T12:00:00Z",
            "hosts": {"10.0.0.1": {"b", "a"}},
            "sizes": [1, 2],
            "colours": ["red"],
            "sn": "excluded, yet kept",
        }
    )
    back = there_and_back(Zoo, zoo)
    assert back.secret_note == "excluded, yet kept"
    assert isinstance(back.home_page, HttpUrl)
    assert back.opened_at.utcoffset() == UTC.utcoffset(None)
    assert back.all_animals[1].x == [1]
    assert back.model_fields_set == zoo.model_fields_set
    assert back.all_animals[0].model_fields_set == {"kind"}
    there_and_back(dict[str, Zoo | None], {"a": zoo, "b": None})


def test_it_reads_well_in_the_database() -> None:
    plain = unpack(codec_for(Zoo | None).encode(Zoo(allAnimals=[], homePage=None, openedAt=None)))  # type: ignore
    assert plain == {
        "all_animals": [],
        "home_page": None,
        "opened_at": None,
        "hosts": {},
        "sizes": (),
        "colours": frozenset(),
        "secret_note": "",
    }
    assert unpack(codec_for(Box[int]).encode(Box[int](item=1))) == {"item": 1}
    assert unpack(codec_for(Numbers).encode(Numbers([1, 2]))) == {"root": [1, 2]}


def test_aliases_serializers_and_validators_do_not_stand_in_between() -> None:
    odd = Odd(price=1.5, steps=[7, 1], token="t")
    assert odd.heavy == 42
    assert (odd.steps, odd.token) == ([1, 7], "t!")
    back = there_and_back(Odd, odd)
    assert (back.steps, back.token, back.double, back.heavy) == ([1, 7], "t!", 3.0, 42)


def test_validators_do_not_run_again() -> None:
    growing = Growing(steps=[])
    assert growing.steps == [0]
    assert there_and_back(Growing, growing).steps == [0]
    assert there_and_back(Odd, Odd.model_construct(price=0.001, steps=[2, 1], token="t")).steps == [2, 1]


def test_a_default_is_not_made_again() -> None:
    first = Counting()
    back = there_and_back(Counting, first)
    assert (back.id, back.at, back.model_fields_set) == (first.id, first.at, set[str]())


def test_a_model_that_was_never_validated_comes_back() -> None:
    odd = Odd.model_construct(price=1.0, steps=[], token="t!")
    back = there_and_back(Odd, odd)
    assert back.model_fields_set == {"price", "steps", "token"}


def test_nan_comes_back() -> None:
    data = codec_for(Box[float]).encode(Box[float](item=float("nan")))
    back = codec_for(Box[float]).decode(data)
    assert back.item != back.item
    assert codec_for(Box[float]).encode(back) == data


def test_private_attributes_come_back() -> None:
    inside = Inside(name="a")
    inside._calls = 3  # pyright: ignore[reportPrivateUsage]
    inside._seen.add(date(2026, 1, 1))  # pyright: ignore[reportPrivateUsage]
    back = there_and_back(list[Inside], [inside])[0]
    assert back._calls == 3
    assert not hasattr(back, "_never")
    inside._free = (1,)  # pyright: ignore[reportPrivateUsage]
    assert there_and_back(Inside, inside)._free == (1,)
    inside._free = [Cat()]  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ValueNotStorableError) as caught:
        codec_for(list[Inside]).encode([inside])
    assert caught.value.path == "$[0]._free[0]"


@pytest.mark.parametrize(
    ("tp", "value"),
    [
        (Nothing, Nothing()),
        (Numbers, Numbers([1, 2])),
        (Box[Cat], Box[Cat](item=Cat())),
        (Box[list[date]], Box[list[date]](item=[date(2026, 1, 1)])),
        (Page[Cat], Page[Cat](items=[Cat()], next=Page[Cat](items=[]))),
        (Cat | Dog | None, Dog()),
        (Cat | str, Cat()),
        (Strict, Strict(1, date(2026, 1, 1))),
        (dict[str, Strict], {"a": Strict(1, date(2026, 1, 1))}),
        (Valued, Valued(given=Colour.RED)),
        (set[Dog], set[Dog]()),
    ],
    ids=lambda x: x[:30] if isinstance(x, str) else None,
)
def test_models_of_every_kind_come_back(tp: Any, value: object) -> None:
    there_and_back(tp, value)


def test_an_enum_stored_by_value_stays_what_it_was() -> None:
    back = there_and_back(Valued, Valued(given=Colour.RED))
    assert (back.given, back.default) == ("red", Colour.RED)


class Zone(StrEnum):
    A = "a"


class Secret(BaseModel):
    key: SecretStr


class Patterns(BaseModel):
    patterns: list[re.Pattern[str]]


class Locked(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    lock: threading.Thread | None = None


class Unfinished(BaseModel):
    value: "list[NoSuchName]"  # type: ignore # noqa: F821


class Puppy(Dog):
    pass


@pytest.mark.parametrize(
    ("tp", "value", "path", "hint"),
    [
        (Secret, Secret(key=SecretStr("sk-1")), "$.key", "would not come back the same"),
        (Box[str], Box[str].model_construct(item=Zone.A), "$.item", "annotate the place with its type"),
        (
            list[Dog],
            [Dog(friends=[Dog.model_construct(weight="heavy")])],
            "$[0].friends[0].weight",
            "where float is due",
        ),
        (Dog, Dog.model_validate({"x": {"y": (Cat(),)}}), "$.x.y[0]", "annotate the place with its type"),
        (Dog, Puppy(), "$", "annotate the place with its type"),
        (
            Odd,
            Odd.model_construct(price=1.0, steps=[]).model_copy(update={"token": None}),
            "$.token",
            "where str is due",
        ),
        (Odd, Odd.model_construct(), "$.price", "never set"),
        (Cat, Cat().model_copy(update={"owner": "me"}), "$", "'owner' is no field of Cat"),
        (Zoo, Zoo.model_construct(all_animals=[Cat(), 3]), "$.all_animals[1]", "where Cat | Dog is due"),
        (Zoo, Zoo.model_construct(all_animals=[], home_page="no url"), "$.home_page", "not taken by HttpUrl"),
        (
            Patterns,
            Patterns(patterns=[re.compile("a", re.IGNORECASE)]),
            "$.patterns[0]",
            "come back the same",
        ),
    ],
    ids=lambda x: x[:30] if isinstance(x, str) else None,
)
def test_what_would_not_come_back_is_refused_with_its_place(
    tp: Any, value: object, path: str, hint: str
) -> None:
    with pytest.raises(ValueNotStorableError) as caught:
        codec_for(tp).encode(value)
    assert caught.value.path == path
    assert hint in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_what_only_pydantic_knows_comes_back() -> None:
    there_and_back(Patterns, Patterns(patterns=[re.compile("a+")]))
    there_and_back(HttpUrl, HttpUrl("https://example.org/"))
    there_and_back(HttpUrl | str, HttpUrl("https://example.org/"))
    there_and_back(HttpUrl | str, "https://example.org/")


@pytest.mark.parametrize(
    ("tp", "message"),
    [
        (Locked, "Locked.lock: the type Thread can't be stored"),
        (Unfinished, "name 'NoSuchName' is not defined"),
        (BaseModel, "the type BaseModel can't be stored"),
    ],
    ids=lambda x: x[:30] if isinstance(x, str) else None,
)
def test_a_model_that_can_not_be_stored_is_refused_by_place(tp: Any, message: str) -> None:
    with pytest.raises(TypeNotStorableError) as caught:
        codec_for(tp)
    assert message in str(caught.value)


DAMAGED: list[tuple[Any, dict[Any, Any], object, str]] = [
    (Cat, {"kind": "cat"}, {}, "$.raw"),
    (Cat, {"kind": "dog", "raw": b""}, {}, "$.kind"),
    (Cat, {"kind": "cat", "raw": "text"}, {}, "$.raw"),
    (Cat, {"kind": "cat", "raw": b"", "x": 1}, {}, "$.x"),
    (Cat, {"kind": "cat", "raw": b""}, 1, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"set": 1}, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"set": [1]}, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"set": [[]]}, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"set": ["kind", "raw", "os"]}, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"other": 1}, "$"),
    (Cat, {"kind": "cat", "raw": b""}, {"private": 1}, "$"),
    (Dog, {"kind": "dog", "weight": 1.0, "friends": [], 1: 1}, {}, "$[1]"),
    (Inside, {"name": "a"}, {"private": {"_other": 1}}, "$"),
    (Box[HttpUrl], {"item": "no url"}, {}, "$.item"),
    (Numbers, {"root": ["a"]}, {}, "$.root[0]"),
    (Cat | Dog, {"kind": "bird"}, {}, "$.raw"),
]


@pytest.mark.parametrize(
    ("tp", "fields", "rest", "path"),
    DAMAGED,
    ids=lambda x: x[:30] if isinstance(x, str) else None,
)
def test_damage_is_found(tp: Any, fields: dict[Any, Any], rest: object, path: str) -> None:
    label = "Cat" if tp == Cat | Dog else codec_for(tp).name
    payload = pack([label, fields, rest])
    data = bytes([0xC7, len(payload), 2]) + payload
    with pytest.raises(ValueUnreadableError) as caught:
        codec_for(tp).decode(data)
    assert caught.value.path == path


def test_a_model_is_no_dict_and_a_dict_no_model() -> None:
    for data in (pack({"kind": "cat", "raw": b""}), codec_for(Dog).encode(Dog())):
        with pytest.raises(
            ValueUnreadableError, match=r"(class Dog, which the type does not hold|where Cat is due)"
        ):
            codec_for(Cat).decode(data)


@pytest.mark.parametrize(
    ("tp", "schema"),
    [
        (Cat, "Cat, model Cat{kind: Literal['cat']; raw: bytes}"),
        (Dog, "Dog, model Dog{kind: Literal['dog']; weight: float; friends: list[Dog]; ...}"),
        (Box[date], "Box[date], model Box[date]{item: date}"),
        (Inside, "Inside, model Inside{name: str}"),
        (Nothing, "Nothing, model Nothing{}"),
    ],
    ids=lambda x: x[:30] if isinstance(x, str) else None,
)
def test_a_schema_lists_the_fields_and_their_types(tp: Any, schema: str) -> None:
    assert codec_for(tp).schema == schema


def test_a_model_of_a_structured_answer_comes_back() -> None:
    """As the adapter makes it: validated from the JSON text of a model's answer."""

    class Review(BaseModel):
        text: str
        at: datetime
        score: Annotated[float, Field(ge=0), AfterValidator(lambda score: round(score, 2))]
        parts: list["Review"] = []

    text = json.dumps({"text": "é \U0001f9a6", "at": "2026-11-05T12:00:00+02:00", "score": 3})
    review = Review.model_validate_json(text)
    back = there_and_back(Review, review)
    assert back.at == review.at
    assert isinstance(back.at.tzinfo, timezone)
