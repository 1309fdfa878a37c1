"""Values along the edges: only what certainly does not fit is refused, and it names both ends."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
from perdure.engine import Workflow, WorkflowInvalidError
from perdure.engine.graph._assignability import assignable
from perdure.nodes import node
from pydantic import BaseModel
from typing_extensions import TypeAliasType

T = TypeVar("T")


class Animal:
    pass


class Dog(Animal):
    pass


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Text(TypedDict):
    text: str


class Titled(Text):
    title: str


class Perhaps(TypedDict):
    text: NotRequired[str]


class Numbered(TypedDict):
    text: int


class Unreadable(TypedDict):
    text: Missing  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore


class Review(BaseModel):
    text: str


class Report(Review):
    pages: int


class Page(BaseModel, Generic[T]):
    content: T


@dataclass
class Box(Generic[T]):
    content: T


class IntList(list[int]):
    pass


class Tagged(list[int], Generic[T]):
    """Its argument says nothing of its items."""


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Word(enum.StrEnum):
    YES = "yes"


UserId = NewType("UserId", int)
Alias = TypeAliasType("Alias", list[int])

FITTING: list[tuple[Any, Any]] = [
    (str, str),
    (Dog, Animal),
    (bool, int),
    (int, float),
    (int, complex),
    (bytearray, bytes),
    (datetime, date),
    (Report, Review),
    (Word, str),
    (int, object),
    (int, Any),
    (Any, int),
    (None, None),
    (None, type(None)),
    (None, Optional[str]),  # noqa: UP045
    (str, Optional[str]),  # noqa: UP045
    (int, int | str),
    (int | str, str | int | None),
    (Union[int, str], int | str),  # noqa: UP007
    (bool | int, float),
    (Annotated[str, "short"], str),
    (str, Annotated[str, "short"]),
    (UserId, int),
    (int, UserId),
    (Alias, list[int]),
    (list[int], Alias),
    (T, int),  # pyright: ignore[reportGeneralTypeIssues]
    (int, T),
    (T, int),  # pyright: ignore
    (Dog, Named),
    (Named, Dog),
    (list[int], list[int]),
    (list[int], list),
    (list, list[int]),
    (list[Any], list[int]),
    (list[bool], list[int]),
    (list[Dog], Sequence[Animal]),
    (list[str], Iterable[str]),
    (str, Sequence[str]),
    (set[int], Iterable[int]),
    (dict[str, int], Mapping[str, int]),
    (dict[str, int], Iterable[str]),
    (dict[str, bool], dict[str, int]),
    (tuple[int, str], tuple[int, str]),
    (tuple[int, bool], tuple[int, ...]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, ...], Sequence[int]),
    (tuple[int, str], tuple),
    (Point, tuple),
    (IntList, list[int]),
    (Tagged[str], list[int]),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Literal["a", 1], str | int),
    (Literal["a"], Literal["a"] | None),
    (bool, Literal[True, False]),
    (Colour, Literal[Colour.RED, Colour.BLUE]),
    (None, Literal["a", None]),
    (Titled, Text),
    (Text, Perhaps),
    (Text, dict[str, object]),
    (dict[str, str], Text),
    (Text, Mapping[str, object]),
    (Unreadable, Text),
    (Box[int], Box[int]),
    (Box[bool], Box[int]),
    (Box[int], Box),
    (Page[int], Page[int]),
]

UNFIT: list[tuple[Any, Any]] = [
    (int, str),
    (str, int),
    (float, int),
    (Animal, Dog),
    (Review, Report),
    (Decimal, float),
    (object, str),
    (None, str),
    (str, None),
    (Optional[str], str),  # noqa: UP045
    (int | str, int),
    (int, str | None),
    (list[int] | None, list[int]),
    (str, list[str]),
    (list[str], str),
    (list[int], list[str]),
    (list[int | None], list[int]),
    (Alias, list[str]),
    (list[str], Alias),
    (UserId, str),
    (list[int], Sequence[str]),
    (list[list[int]], list[list[str]]),
    (set[int], list[int]),
    (dict[str, int], dict[str, str]),
    (dict[str, int], dict[int, int]),
    (dict[str, int], list[str]),
    (dict[str, int], Iterable[int]),
    (Sequence[int], list[int]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int, str], tuple[int, str, str]),
    (tuple[int, ...], tuple[str, str]),
    (tuple[int, str], tuple[int, ...]),
    (tuple[int, int], list[int]),
    (Literal["a", "c"], Literal["a", "b"]),
    (Literal["a"], int),
    (Literal["a", 1], str),
    (Literal[1], Literal[True]),
    (str, Literal["a"]),
    (float, Literal["a"]),
    (Text, Titled),
    (Text, Numbered),
    (list[str], Text),
    (Text, str),
    (Box[int], Box[str]),
    (Page[int], Page[str]),
    (Colour, str),
    (Colour, Literal["red"]),
]


@pytest.mark.parametrize(("source", "target"), FITTING)
def test_what_may_fit_is_let_through(source: Any, target: Any) -> None:
    assert assignable(source, target)


@pytest.mark.parametrize(("source", "target"), UNFIT)
def test_what_certainly_does_not_fit_is_refused(source: Any, target: Any) -> None:
    assert not assignable(source, target)


# -- along the edges ----------------------------------------------------------------------------------------


@node
def words(text: str) -> list[str]:
    return text.split()


@node
def count(text: str) -> int:
    return len(text)


@node
def show(number: int) -> str:
    return str(number)


@node
def total(numbers: list[int]) -> str:
    return str(sum(numbers))


@node
def merge(parts: list[str]) -> str:
    return " ".join(parts)


@node
def pair(given: tuple[int, str]) -> str:
    return f"{given[0]} {given[1]}"


@node
def everything(given: object) -> str:
    return str(given)


def problems(workflow: Any) -> tuple[str, ...]:
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    return caught.value.problems


def wired(start: Any, end: Any) -> Any:
    """A workflow whose methods take anything, as for a caller without a type checker."""
    return Workflow("w", start=start, end=end)


def test_an_edge() -> None:
    workflow = wired(words, merge)
    workflow.edge(words, merge)
    workflow.check()
    workflow = wired(count, merge)
    workflow.edge(count, merge)
    (problem,) = problems(workflow)
    assert "count returns int, merge takes list[str]" in problem
    assert "Let merge take int, or put a node between them" in problem


def test_an_edge_where_a_map_is_meant() -> None:
    workflow = wired(words, count)
    workflow.edge(words, count)
    (problem,) = problems(workflow)
    assert "Use `map(words, count)` to run it once per item" in problem


def test_an_edge_where_a_collect_is_meant() -> None:
    workflow = wired(words, total)
    workflow.map(words, count)
    workflow.edge(count, total)
    assert any("Use `collect(count, total)`" in problem for problem in problems(workflow))


def test_a_map() -> None:
    last = merge.named("last")
    workflow = wired(words, last)
    workflow.map(words, show)
    workflow.collect(show, last)
    (problem,) = problems(workflow)
    assert "the items of words are str, show takes int" in problem
    workflow = wired(count, last)
    workflow.map(count, show)
    workflow.collect(show, last)
    (problem,) = problems(workflow)
    assert "count returns int, and only a list can be mapped" in problem


def test_a_collect() -> None:
    workflow = wired(words, merge)
    workflow.map(words, count)
    workflow.collect(count, merge)
    (problem,) = problems(workflow)
    assert "list[int], but takes list[str]" in problem
    workflow = wired(words, total)
    workflow.map(words, count)
    workflow.collect(count, total)
    workflow.check()


def joined(target: Any, *sources: Any) -> Any:
    first = everything.named("first")
    workflow = wired(first, target)
    for source in sources:
        workflow.edge(first, source)
    workflow.join(sources, target)
    return workflow


def test_a_join() -> None:
    say = everything.named("say")
    joined(pair, count, say).check()
    assert any(
        "say returns str, pair takes int at position 0" in one for one in problems(joined(pair, say, count))
    )
    (problem,) = problems(joined(pair, count, say, words))
    assert "join (count, say, words) -> pair: 3 sources, but pair takes 2, tuple[int, str]" in problem
    (problem,) = problems(joined(merge, say, count))
    assert "merge gets a tuple, but takes list[str]" in problem
    joined(everything, count, say).check()


def test_an_input_of_any_kind_takes_everything_and_its_type_need_not_be_storable() -> None:
    @node
    def read(named: Named) -> str:
        return named.name

    @node
    def make(name: str) -> Box[str]:
        return Box(name)

    workflow = wired(make, read)
    workflow.edge(make, read)
    assert workflow.plan.node["read"].input == "Named"
    assert "content: str" in workflow.plan.node["make"].output


def test_what_a_node_returns_must_be_storable() -> None:
    @node
    def stream(text: str) -> Iterator[str]:
        return iter(text)

    workflow = wired(stream, everything)
    workflow.edge(stream, everything)
    (problem,) = problems(workflow)
    assert "what stream returns is stored" in problem
    assert "Iterator[str]" in problem


def test_what_a_map_with_each_makes_must_be_storable_and_is_called_by_its_nodes() -> None:
    @node
    def make(text: str) -> str:
        return text

    @node
    def read(part: Iterator[str]) -> str:
        return "".join(part)

    @node
    def merge(parts: list[str]) -> str:
        return "".join(parts)

    workflow = wired(make, merge)

    def letters(text: str) -> list[Iterator[str]]:
        return [iter(text)]

    workflow.map(make, read, each=letters)
    workflow.collect(read, merge)
    (problem,) = problems(workflow)
    assert "the list that `each` makes for the map make -> read is stored" in problem
    assert "read.items" not in problem


def test_what_a_run_is_started_with_must_be_storable() -> None:
    @node
    def read(named: Named) -> str:
        return named.name

    (problem,) = problems(wired(read, read))
    assert "the input of the start read is stored with the run" in problem
