"""Which edges an output takes: the user's conditions, their failures, and outputs that go nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from perdure.checkpoints.records import Value
from perdure.engine import Workflow
from perdure.engine.core.addresses import Address
from perdure.engine.errors import ConditionError, NoEdgeTakenError
from perdure.engine.graph.conditions import taken_edges
from perdure.nodes import node


@node
def first(text: str) -> list[str]:
    return text.split()


@node
def second(words: list[str]) -> str | None:
    return " ".join(words)


left, right, rest = (second.named(name) for name in ("left", "right", "rest"))
HERE = Address("first", (3,))


def value(*words: str) -> Value:
    return Value(first.output_codec.encode(list(words)))


def taken(workflow: Workflow[str, Any], output: Value) -> tuple[int, ...]:
    return taken_edges(workflow.plan, workflow, "otters-1", HERE, output)


def many(words: list[str]) -> bool:
    return len(words) > 2


def branching(when: Callable[[list[str]], bool], *, otherwise: bool = False, always: bool = False) -> Any:
    """Two conditional edges (0: `when`, 1: more than two words), perhaps an edge 2 to what is left."""
    workflow: Any = Workflow("w", start=first, end=left)
    workflow.edge(first, left, when=when)
    workflow.edge(first, right, when=many)
    workflow.discard(right)
    if otherwise or always:
        workflow.edge(first, rest, **({"otherwise": True} if otherwise else {}))
        workflow.discard(rest)
    return workflow


def test_every_edge_whose_condition_is_true_is_taken() -> None:
    workflow = branching(lambda words: "otter" in words, otherwise=True)
    assert taken(workflow, value("otter")) == (0,)
    assert taken(workflow, value("a", "b", "c")) == (1,)
    assert taken(workflow, value("a", "b", "otter")) == (0, 1)


def test_otherwise_is_taken_when_no_condition_is_true() -> None:
    assert taken(branching(lambda words: False, otherwise=True), value("a")) == (2,)


def test_conditions_are_called_once_each_and_what_they_return_counts_as_true_or_false() -> None:
    calls: list[list[str]] = []

    def when(words: list[str]) -> Any:
        calls.append(words)
        return words and "yes"

    assert taken(branching(when, otherwise=True), value("a")) == (0,)
    assert calls == [["a"]]


def test_a_node_without_conditions_decodes_nothing_and_needs_no_workflow() -> None:
    workflow = Workflow("w", start=first, end=left)
    workflow.edge(first, left)
    assert taken_edges(workflow.plan, None, "otters-1", Address("first"), Value(b"not msgpack")) == ()


def test_an_output_that_takes_no_edge_is_an_error_that_names_the_fix() -> None:
    with pytest.raises(NoEdgeTakenError) as caught:
        taken(branching(lambda words: False), value("a"))
    assert str(caught.value) == (
        "first[3] succeeded, but none of the conditions of its edges to left, right is true. Add "
        "edge(first, …, otherwise=True), or discard(first) if ending there is meant; then retry run otters-1."
    )


def test_an_output_may_take_no_edge_where_that_is_meant_or_another_edge_carries_it() -> None:
    workflow = branching(lambda words: False)
    workflow.discard(first)
    assert taken(workflow, value("a")) == ()
    assert taken(branching(lambda words: False, always=True), value("a")) == ()


@pytest.mark.parametrize("error", [KeyError("otter"), SystemExit(3)])
def test_a_condition_that_raises_is_named_with_its_cause(error: BaseException) -> None:
    def when(words: list[str]) -> bool:
        raise error

    with pytest.raises(ConditionError) as caught:
        taken(branching(when, otherwise=True), value("a"))
    assert str(caught.value) == (
        f"the condition of the edge from first[3] to left raised {type(error).__name__}: {error}. The result of "
        "first[3] is kept; fix the condition, then retry run otters-1."
    )
    assert caught.value.__cause__ is error


def test_an_interrupt_in_a_condition_is_no_error_of_the_condition() -> None:
    def when(words: list[str]) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taken(branching(when), value("a"))


def test_an_output_that_does_not_decode_is_kept_like_one_whose_condition_raised() -> None:
    workflow = branching(lambda words: True)
    with pytest.raises(ConditionError, match="The result of first\\[3\\] is kept"):
        taken(workflow, Value(second.output_codec.encode("text")))
