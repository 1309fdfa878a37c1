"""JSON from schemas: valid for the schemas that pydantic generates, deterministic, finite for recursive types."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from perdure.simulator._schema import document, strict_violation
from pydantic import BaseModel, Field, TypeAdapter


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tree(BaseModel):
    name: str
    children: list["Tree"]
    twin: "Tree | None"


class Everything(BaseModel):
    colour: Colour
    kind: Literal["a", "b"]
    flag: bool
    small: Annotated[float, Field(gt=0, lt=1)]
    score: Annotated[int, Field(ge=10, le=20, multiple_of=4)]
    below: Annotated[int, Field(lt=-5)]
    short: Annotated[str, Field(max_length=5)]
    long: Annotated[str, Field(min_length=200)]
    day: date
    moment: datetime
    key: UUID
    three: Annotated[list[int], Field(min_length=3, max_length=4)]
    pair: tuple[int, str]
    either: int | str | None
    nothing: None
    tree: Tree


@pytest.mark.parametrize(
    "wanted", [Everything, Tree, list[Tree], int | None, dict[str, int], Literal[1, 2], Decimal]
)
def test_a_document_is_valid_for_its_schema(wanted: type[object]) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(wanted)
    schema = adapter.json_schema()
    made = document(schema, "sea otters")
    adapter.validate_python(made) if wanted is Decimal else adapter.validate_json(_json(made))
    assert made == document(schema, "sea otters")


def _json(value: object) -> bytes:
    return TypeAdapter(object).dump_json(value)


def test_texts_say_the_field_and_the_prompt() -> None:
    made = document(
        {"type": "object", "properties": {"titles": {"type": "array", "items": {"type": "string"}}}}, "otters"
    )
    assert made == {"titles": ["title 1: otters", "title 2: otters"]}


def test_what_strict_mode_refuses() -> None:
    good: dict[str, object] = {
        "type": "object",
        "properties": {"type": {"type": "string"}},
        "required": ["type"],
        "additionalProperties": False,
    }
    assert strict_violation(good) is None
    assert strict_violation({"type": "array", "items": good}) is not None
    assert strict_violation({**good, "required": []}) is not None
    inner = {**good, "properties": {"type": {"type": "object"}}}
    assert "('properties', 'type')" in (strict_violation(inner) or "")
