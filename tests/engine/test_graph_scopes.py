"""Maps and collects: which node lies in which map, and the wirings that no map makes sense of."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure.engine import Workflow, WorkflowInvalidError
from perdure.engine.graph._draft import Draft
from perdure.engine.graph._scopes import assign_scopes
from perdure.nodes import FunctionNode, Node, node

from .graphs import Choices, draw_plan


@node
def step(text: str) -> str:
    return text


@node
def split(text: str) -> list[str]:
    return text.split()


@node
def merge(parts: list[str]) -> str:
    return " ".join(parts)


@node
def both(pair: tuple[str, str]) -> str:
    return " ".join(pair)


@node
def lists(pair: tuple[list[str], list[str]]) -> str:
    return " ".join(pair[0] + pair[1])


def long(text: str) -> bool:
    return len(text) > 10


def steps(*names: str) -> list[FunctionNode[str, Any, str, Any]]:
    return [step.named(name) for name in names]


def only_problem(workflow: Workflow[Any, Any]) -> str:
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    (problem,) = caught.value.problems
    return problem


def test_maps_nest_and_collects_close_the_innermost() -> None:
    outer, inner = split.named("outer"), split.named("inner")
    low, high = merge.named("low"), merge.named("high")
    (work,) = steps("work")
    workflow = Workflow("w", start=outer, end=high)
    workflow.map(outer, inner)
    workflow.map(inner, work)
    workflow.collect(work, low)
    workflow.collect(low, high)
    plan = workflow.plan
    assert {one.name: one.scope for one in plan.nodes} == {
        "outer": 0,
        "inner": 1,
        "work": 2,
        "low": 1,
        "high": 0,
    }
    assert [(scope.parent, scope.edge, scope.depth) for scope in plan.scopes] == [
        (None, None, 0),
        (0, 0, 1),
        (1, 1, 2),
    ]
    assert [edge.scope for edge in plan.edges] == [1, 2, 2, 1]


def test_a_plain_edge_stays_in_its_map() -> None:
    one, two, three = steps("one", "two", "three")
    workflow = Workflow("w", start=split, end=merge)
    workflow.map(split, one)
    workflow.edge(one, two, when=long)
    workflow.edge(one, three, otherwise=True)
    end = step.named("last")
    workflow.edge(two, end)
    workflow.edge(three, end)
    workflow.collect(end, merge)
    assert [(one.name, one.scope) for one in workflow.plan.nodes if one.scope] == [
        ("one", 1),
        ("two", 1),
        ("three", 1),
        ("last", 1),
    ]


def test_the_end_inside_a_map_is_refused() -> None:
    work, end = steps("work", "end")
    workflow = Workflow("w", start=split, end=end)
    workflow.map(split, work)
    workflow.edge(work, end)
    assert "the end end lies inside the map split -> work" in only_problem(workflow)
    assert "collect(work, ...)" in only_problem(workflow)


def test_the_end_as_a_maps_target_is_refused() -> None:
    (end,) = steps("end")
    workflow = Workflow("w", start=split, end=end)
    workflow.map(split, end)
    problem = only_problem(workflow)
    assert "the end end lies inside the map split -> end" in problem
    assert "`edge(split, end)`" in problem
    assert "`collect(end, ...)`" in problem


def test_the_end_as_the_target_of_a_map_with_each_is_told_to_be_collected() -> None:
    first, end = steps("first", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.map(first, end, each=str.split)
    problem = only_problem(workflow)
    assert "the end end lies inside the map first -> end" in problem
    assert "`collect(end, ...)`" in problem
    assert ".items" not in problem
    assert "edge(" not in problem
    workflow = Workflow("w", start=first, end=merge)
    workflow.map(first, end, each=str.split)
    workflow.collect(end, merge)
    workflow.check()  # what it advises


def test_a_collect_outside_of_a_map_is_refused() -> None:
    (first,) = steps("first")
    workflow = Workflow("w", start=first, end=merge)
    workflow.collect(first, merge)
    assert "first lies in no map, so there is nothing to collect" in only_problem(workflow)


def test_a_collect_too_many_is_refused() -> None:
    work, after = steps("work", "after")
    again = merge.named("again")
    workflow = Workflow("w", start=split, end=again)
    workflow.map(split, work)
    workflow.collect(work, merge)
    workflow.edge(merge, after)
    workflow.collect(after, again)
    assert "after lies in no map" in only_problem(workflow)


def test_an_edge_where_a_collect_must_close_the_map_is_refused() -> None:
    work, end = steps("work", "end")
    workflow = Workflow("w", start=split, end=end)
    workflow.map(split, work)
    workflow.edge(work, end)
    (other,) = steps("other")
    workflow.collect(work, merge)
    workflow.edge(merge, other)
    workflow.edge(other, end)
    problem = only_problem(workflow)
    assert "end gets edge work -> end" in problem
    assert "from inside the map split -> work" in problem
    assert "collect(work, end)" in problem


def two_maps() -> tuple[
    Workflow[str, str], FunctionNode[str, Any, str, Any], FunctionNode[str, Any, str, Any]
]:
    left, right = steps("left", "right")
    workflow = Workflow("w", start=split, end=both)
    workflow.map(split, left)
    workflow.map(split, right)
    return workflow, left, right


def test_a_join_across_sibling_maps_is_refused() -> None:
    workflow, left, right = two_maps()
    workflow.join((left, right), both)
    problem = only_problem(workflow)
    assert "right lies in the map split -> right" in problem
    assert "left" in problem
    assert "Collect each map first" in problem


def test_an_edge_between_sibling_maps_is_refused() -> None:
    workflow, left, right = two_maps()
    (meeting,) = steps("meeting")
    workflow.edge(left, meeting, when=long)
    workflow.edge(right, meeting, when=long)
    workflow.join((meeting, split), both)  # type: ignore[misc]
    with pytest.raises(WorkflowInvalidError, match="These are different maps"):
        workflow.check()


def test_collected_siblings_are_joined() -> None:
    left, right = steps("left", "right")
    workflow = Workflow("w", start=split, end=both)
    workflow.map(split, left)
    workflow.map(split, right)
    merge_left, merge_right = merge.named("merge_left"), merge.named("merge_right")
    workflow.collect(left, merge_left)
    workflow.collect(right, merge_right)
    workflow.join((merge_left, merge_right), both)
    assert [scope.depth for scope in workflow.plan.scopes] == [0, 1, 1]


def test_a_join_reaches_into_the_enclosing_scope() -> None:
    first, work = steps("first", "work")
    inner = step.named("inner")
    workflow = Workflow("w", start=first, end=merge)
    workflow.edge(first, split)
    workflow.map(split, work)
    workflow.edge(work, inner)
    workflow.join((inner, first), both)
    workflow.collect(both, merge)
    assert workflow.plan.node["both"].scope == 1


def test_a_join_of_a_map_and_what_follows_it_is_refused() -> None:
    work, end = steps("work", "end")
    workflow = Workflow("w", start=split, end=end)
    workflow.map(split, work)
    workflow.collect(work, merge)
    workflow.join((work, merge), both)
    workflow.edge(both, end)
    assert "the end end lies inside the map split -> work" in only_problem(workflow)


def test_two_maps_of_one_list_collect_as_alternatives_only_from_one_scope_each() -> None:
    first, left, right = steps("first", "left", "right")
    workflow = Workflow("w", start=first, end=merge)
    many, few = split.named("many"), split.named("few")
    workflow.edge(first, many, when=long)
    workflow.edge(first, few, otherwise=True)
    workflow.map(many, left)
    workflow.map(few, right)
    workflow.collect(left, merge)
    workflow.collect(right, merge)
    plan = workflow.plan
    assert plan.node["merge"].scope == 0
    assert [edge.scope for edge in plan.incoming["merge"]] == [1, 2]


def test_what_a_map_leaves_behind_must_be_discarded() -> None:
    work, log = steps("work", "log")
    workflow = Workflow("w", start=split, end=merge)
    workflow.map(split, work)
    workflow.edge(work, log)
    workflow.collect(work, merge)
    assert "log leads nowhere" in only_problem(workflow)
    workflow.discard(log)
    workflow.check()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_graphs_get_the_scopes_that_they_were_drawn_with(data: st.DataObject) -> None:
    drawn = draw_plan(Choices(data), nodes=14)
    nodes: dict[str, Node[Any, Any]] = {
        one.name: Node(one.name, input=object, output=object) for one in drawn.nodes
    }
    found = assign_scopes(
        Draft(
            name="drawn",
            start=drawn.start,
            ends=drawn.ends,
            nodes=nodes,
            edges=tuple(replace(edge, scope=None) for edge in drawn.edges),
            places=[""] * len(drawn.edges),
            discarded={},
            switches={},
            clashes=[],
            on_failure="cancel",
        ),
        [one.name for one in drawn.nodes],
    )
    assert found.problems == ()
    opened = {scope.index: scope.edge for scope in drawn.scopes}  # numbered in another order
    opened_here = {scope.index: scope.edge for scope in found.scopes}
    assert {one.name: opened[one.scope] for one in drawn.nodes} == {
        name: opened_here[scope] for name, scope in found.of.items()
    }
    for edge, here in zip(drawn.edges, found.edges, strict=True):
        assert (edge.scope is None) == (here.scope is None)
        if edge.scope is not None and here.scope is not None:
            assert opened[edge.scope] == opened_here[here.scope]
    for scope in drawn.scopes:
        (same,) = [one for one in found.scopes if one.edge == scope.edge]
        assert same.depth == scope.depth
        assert (None if scope.parent is None else opened[scope.parent]) == (
            None if same.parent is None else opened_here[same.parent]
        )
