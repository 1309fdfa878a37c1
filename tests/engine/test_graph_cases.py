"""Cases of a switch that its key can never give."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum, Flag, StrEnum
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from perdure.engine import Workflow, WorkflowInvalidError
from perdure.nodes import node

if TYPE_CHECKING:
    from decimal import Decimal


class Kind(Enum):
    REFUND = "refund"
    BUG = "bug"
    OTHER = "other"


class Text(StrEnum):
    REFUND = "refund"
    BUG = "bug"


class Mode(Flag):
    FAST = 1
    CHEAP = 2


Word = Literal["refund", "bug"]


@node
def step(text: str) -> str:
    return text


def wired(key: Callable[[Any], Any], *cases: Hashable) -> Workflow[str, str]:
    """A switch with a target for each case."""
    first, end = step.named("first"), step.named("end")
    workflow = Workflow("w", start=first, end=end)
    targets = {case: step.named(f"case{number}") for number, case in enumerate(cases)}
    workflow.switch(first, key, targets)
    for target in targets.values():
        workflow.edge(target, end)
    return workflow


def problems(key: Callable[[Any], Any], *cases: Hashable) -> tuple[str, ...]:
    with pytest.raises(WorkflowInvalidError) as caught:
        wired(key, *cases).check()
    return caught.value.problems


def word(text: str) -> Word:
    return "bug"


def maybe(text: str) -> Annotated[Word | None, "of a ticket"]:
    return None


def kind(text: str) -> Kind:
    return Kind.BUG


def text_kind(text: str) -> Text:
    return Text.BUG


def long(text: str) -> bool:
    return len(text) > 10


def mode(text: str) -> Mode:
    return Mode.FAST | Mode.CHEAP


def any_text(text: str) -> str:
    return text


def mixed(text: str) -> Literal["bug"] | int:
    return 1


def unseen(amount: Decimal) -> Word:
    return "bug"


def unannotated(text):  # type: ignore[no-untyped-def]  # pyright: ignore
    return text  # pyright: ignore


class Picker:
    def pick(self, text: str) -> Word:
        return "bug"


def test_a_misspelled_case_is_refused_with_the_nearest_and_with_all_that_can_be_given() -> None:
    (problem,) = problems(word, "bug", "refnud")
    assert problem.startswith("switch first -> case1 (test_graph_cases.py:")
    assert problem.endswith("the key never gives 'refnud', only 'refund', 'bug'. Did you mean 'refund'?")


@pytest.mark.parametrize(
    ("key", "case", "end"),
    [
        (word, "spam", "never gives 'spam', only 'refund', 'bug'. Remove the case."),
        (maybe, "bugs", "only 'refund', 'bug', None. Did you mean 'bug'?"),
        (
            kind,
            "refund",
            "never gives 'refund', only Kind.REFUND, Kind.BUG, Kind.OTHER. Did you mean Kind.REFUND?",
        ),
        (kind, "BUG", "Did you mean Kind.BUG?"),
        (
            kind,
            Text.BUG,
            "never gives Text.BUG, only Kind.REFUND, Kind.BUG, Kind.OTHER. Did you mean Kind.BUG?",
        ),
        (text_kind, "refunds", "only Text.REFUND, Text.BUG. Did you mean Text.REFUND?"),
        (long, "true", "never gives 'true', only True, False. Did you mean True?"),
        (bool, None, "never gives None, only True, False. Remove the case."),
        (Kind, "bug", "Did you mean Kind.BUG?"),
        (Picker().pick, "bugs", "Did you mean 'bug'?"),
        (partial(word), "bugs", "Did you mean 'bug'?"),
    ],
)
def test_what_is_no_member_is_refused(key: Callable[[Any], Any], case: Hashable, end: str) -> None:
    (problem,) = problems(key, case)
    assert problem.endswith(end)


same: Callable[[str], str] = lambda text: text  # noqa: E731  # what can't be seen of a key


PASSING: list[tuple[Any, tuple[object, ...]]] = [
    (word, ("bug", "refund")),
    (maybe, ("bug", None)),
    (kind, (Kind.BUG, Kind.OTHER)),
    (text_kind, ("bug", Text.REFUND)),  # equal to its member, which is how a case is found
    (long, (True, False)),
    (mode, (Mode.FAST | Mode.CHEAP,)),
    (any_text, ("anything",)),
    (mixed, ("anything",)),
    (unseen, ("anything",)),
    (unannotated, ("anything",)),
    (len, (1,)),
    (itemgetter(0), ("anything",)),
    (same, ("anything",)),
]


@pytest.mark.parametrize(("key", "cases"), PASSING)
def test_members_pass_and_so_does_what_cannot_be_seen(
    key: Callable[[Any], Any], cases: tuple[Hashable, ...]
) -> None:
    wired(key, *cases).check()


def test_all_wrong_cases_are_told_at_once() -> None:
    assert len(problems(long, "yes", "no")) == 2
