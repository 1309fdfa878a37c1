"""Structured outputs: which types the API's strict mode can say, and how answers are read back."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

import pytest
from perdure.nodes import Agent, NodeDefinitionError, OutputInvalidError
from perdure.nodes._text_format import TextFormat
from pydantic import BaseModel, Field, create_model
from typing_extensions import TypedDict


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str = Field(description="What it is called", min_length=2, max_length=10)
    weight: Annotated[float, Field(ge=0)]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    friends: list[Dog]


class Thing(BaseModel):
    """Something with parts."""

    parts: list[Part]
    main: Part = Field(description="The one that counts")
    note: str | None = None
    colour: Colour
    day: date
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    tags: set[str]


@dataclass
class Point:
    x: int
    y: int = 0


class Place(TypedDict):
    name: str
    at: Point


class Forgetful(TypedDict):
    name: str
    nickname: NotRequired[str]


@dataclass
class Listing:
    names: list[str] = field(default_factory=list[str])


class Mapped(BaseModel):
    scores: dict[str, int]


class Anything(BaseModel):
    inner: list[Any]


class Loose(BaseModel, extra="allow"):
    name: str


class Paired(BaseModel):
    pair: tuple[int, str]


class Pair(NamedTuple):
    left: int
    right: int


def objects(schema: Any) -> list[Mapping[str, Any]]:
    """Every schema of an object inside."""
    if isinstance(schema, list):
        return [found for inner in schema for found in objects(inner)]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return []
    here: list[Mapping[str, Any]] = [schema] if schema.get("type") == "object" else []  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return here + [found for inner in schema.values() for found in objects(inner)]  # pyright: ignore[reportUnknownVariableType]


def words(schema: Any) -> set[str]:
    """Every keyword of a schema; names of properties and definitions are none."""
    if isinstance(schema, list):
        return {word for inner in schema for word in words(inner)}  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return set()
    found: set[str] = set()
    for word, inner in schema.items():  # pyright: ignore[reportUnknownVariableType]
        named = word in ("properties", "$defs")
        found |= {str(word)} | words(list(inner.values()) if named else inner)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return found


def schema_of(output: object) -> Any:
    form: Any = TextFormat(output, where="here").parameter["format"]
    assert (form["type"], form["strict"]) == ("json_schema", True)
    return form["schema"]


@pytest.mark.parametrize("output", [Thing, Point, Place, Dog])
def test_every_object_is_closed_and_asks_for_all_its_fields(output: object) -> None:
    schema = schema_of(output)
    assert schema["type"] == "object"
    found = objects(schema)
    assert found
    for inner in found:
        assert inner["additionalProperties"] is False
        assert inner["required"] == list(inner["properties"])


def test_only_words_that_strict_mode_knows_are_said() -> None:
    unknown = words(schema_of(Thing)) & {
        "default",
        "oneOf",
        "discriminator",
        "minLength",
        "maxLength",
        "uniqueItems",
    }
    assert unknown == set()


def test_what_was_left_out_of_the_schema_is_checked_in_the_answer() -> None:
    with pytest.raises(OutputInvalidError, match="at least 2 characters"):
        TextFormat(Part, where="here").read('{"name": "x", "weight": 1}')


def test_a_reference_stands_alone() -> None:
    """With a description beside it the API refuses the schema."""
    main = schema_of(Thing)["properties"]["main"]
    assert main == {"anyOf": [{"$ref": "#/$defs/Part"}], "description": "The one that counts"}


def test_the_schema_is_the_same_each_time() -> None:
    first, second = (json.dumps(TextFormat(Thing, where="here").parameter) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (Point, '{"x": 1, "y": 2}', Point(x=1, y=2)),
        (Place, '{"name": "home", "at": {"x": 1, "y": 2}}', {"name": "home", "at": Point(x=1, y=2)}),
        (Cat, '{"kind": "cat", "lives": 7}', Cat(kind="cat", lives=7)),
    ],
)
def test_an_answer_is_read_as_the_type(output: object, text: str, value: object) -> None:
    assert TextFormat(output, where="here").read(text) == value


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"x": "one"}', '{"y": 1}', '{"x": 1'])
def test_an_answer_that_does_not_fit_is_an_error_with_its_text(text: str) -> None:
    with pytest.raises(OutputInvalidError) as caught:
        TextFormat(Point, where="ask (a.py:3)").read(text)
    assert caught.value.partial == text
    assert "ask (a.py:3)" in str(caught.value)
    assert "Point" in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (str, "no object with named fields"),
        (int, "no object with named fields"),
        (list[Point], "no object with named fields"),
        (Point | Cat, "no object with named fields"),
        (dict[str, int], "no object with named fields"),
        (Pair, "no object with named fields"),
        ("Point", "not its name in quotes"),
        (object(), "can't be an output"),
        (Mapped, r"\$\.scores: it takes any keys"),
        (Loose, r"at \$: it takes any keys"),
        (Anything, r"\$\.inner\[\]: it can be anything"),
        (Paired, r"\$\.pair: it is a tuple"),
        (Forgetful, r"\$\.nickname: it can be left out"),
        (Listing, r"\$\.names: it can be left out"),
    ],
)
def test_what_strict_mode_can_not_say_is_refused_with_its_place(output: object, said: str) -> None:
    with pytest.raises(NodeDefinitionError, match=said) as caught:
        TextFormat(output, where="ask (a.py:3)")
    assert "ask (a.py:3)" in str(caught.value)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        (Literal["refund", "bug"], r"Literal\['bug', 'refund'\]"),
        (list[str], r"list\[str\]"),
        (bool, "bool"),
        (Point | None, r"Point \| None"),
    ],
)
def test_a_root_that_is_no_object_is_told_how_to_be_wrapped(output: Any, name: str) -> None:
    with pytest.raises(
        NodeDefinitionError,
        match=rf"Agent 'judge': output={name} is no object.*`class Answer\(BaseModel\): value: {name}`, and say output=Answer",
    ):
        Agent("judge", model="m", output=output)
    wrapped = create_model("Answer", value=(output, ...))
    assert Agent("judge", model="m", output=wrapped).output is wrapped
