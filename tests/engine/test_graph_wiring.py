"""What is wired to what: each rule of the shape, kept and broken."""

from typing import Any

import pytest
from perdure.engine import Workflow, WorkflowInvalidError
from perdure.nodes import FunctionNode, node
from perdure.nodes.errors import NotBuiltError


@node
def step(text: str) -> str:
    return text


@node
def both(pair: tuple[str | None, str | None]) -> str:
    return "".join(text or "" for text in pair)


@node
def split(text: str) -> list[str]:
    return text.split()


@node
def merge(parts: list[str]) -> str:
    return " ".join(parts)


def steps(*names: str) -> list[FunctionNode[str, Any, str, Any]]:
    return [step.named(name) for name in names]


def long(text: str) -> bool:
    return len(text) > 10


def problems(workflow: Workflow[Any, Any]) -> tuple[str, ...]:
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    return caught.value.problems


def only_problem(workflow: Workflow[Any, Any]) -> str:
    (problem,) = problems(workflow)
    return problem


def test_two_nodes_of_one_name_are_refused_and_renaming_one_fixes_it() -> None:
    first, end = steps("first", "end")

    @node(name="first")
    def other(text: str) -> str:
        return text

    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, other)
    workflow.edge(other, end)
    assert any(
        "two different nodes are named 'first'" in one and "first.named(" in one for one in problems(workflow)
    )

    workflow, other = Workflow("w", start=first, end=end), other.named("other")
    workflow.edge(first, other)
    workflow.edge(other, end)
    workflow.check()


def test_a_workflow_inside_another_is_not_built_and_the_message_says_what_to_do() -> None:
    inner = Workflow("inner", start=step, end=step)
    first, end = steps("first", "end")
    workflow = Workflow("w", start=first, end=end)
    for wire in (
        lambda: workflow.edge(first, inner),
        lambda: workflow.edge(inner, end),
        lambda: workflow.join((first, inner), both),
        lambda: workflow.map(first, inner, each=str.split),
        lambda: workflow.switch(first, len, {1: inner}),
        lambda: Workflow("w", start=inner, end=end),
        lambda: Workflow("w", start=first, end=(end, inner)),
    ):
        with pytest.raises(
            NotBuiltError,
            match=r"Workflow 'w' \(test_graph_wiring\.py:\d+\): inner is a workflow.* not built yet\. Today: wire its nodes",
        ):
            wire()
    workflow.edge(first, end)
    workflow.check()  # what was refused left nothing behind


def test_the_start_has_no_incoming_edge() -> None:
    first, middle, end = steps("first", "middle", "end")
    workflow = Workflow("w", start=middle, end=end)
    workflow.edge(first, middle)
    workflow.edge(middle, end)
    found = problems(workflow)
    assert any("the start middle gets the run's input" in one for one in found)
    assert any("first can't be reached from the start middle" in one for one in found)


def test_the_end_has_no_outgoing_edge() -> None:
    first, end, after = steps("first", "end", "after")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, end)
    workflow.edge(end, after)
    workflow.discard(after)
    assert "the end end gives the run's result and can't have an outgoing edge" in only_problem(workflow)


def test_a_node_without_edges_leads_nowhere_unless_it_is_discarded() -> None:
    first, log, end = steps("first", "log", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, log)
    workflow.edge(first, end)
    assert "log leads nowhere" in only_problem(workflow)
    assert "discard(log)" in only_problem(workflow)
    workflow.discard(log)
    workflow.check()


def test_a_start_without_edges_leads_nowhere() -> None:
    first, end = steps("first", "end")
    found = problems(Workflow("w", start=first, end=end))
    assert any("no path leads from the start first to the end end" in one for one in found)


def test_what_nothing_leads_to_is_refused() -> None:
    first, lost, end = steps("first", "lost", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, end)
    workflow.edge(lost, end)
    assert "lost can't be reached from the start first" in only_problem(workflow)


def test_a_cycle_is_named() -> None:
    first, draft, grade, end = steps("first", "draft", "grade", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, draft)
    workflow.edge(draft, grade)
    workflow.edge(grade, draft, when=long)
    workflow.edge(grade, end, otherwise=True)
    assert only_problem(workflow).startswith("draft -> grade -> draft is a cycle")


def test_a_cycle_through_a_map_with_each_names_only_what_was_written() -> None:
    first, draft, grade, end = steps("first", "draft", "grade", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.map(grade, draft, each=str.split)
    workflow.edge(draft, grade)
    workflow.edge(grade, end, when=long)
    (cycle,) = [one for one in problems(workflow) if "is a cycle" in one]
    assert cycle.startswith("grade -> draft -> grade is a cycle")


def test_two_maps_with_each_into_one_target_are_refused_by_the_names_of_their_sources() -> None:
    first, second, work = steps("first", "second", "work")
    workflow = Workflow("w", start=first, end=merge)
    workflow.edge(first, second)
    workflow.map(first, work, each=str.split)
    workflow.map(second, work, each=str.split)
    workflow.collect(work, merge)
    problem = only_problem(workflow)
    assert "work is the target of two maps with `each`, from first and from second" in problem
    assert "work.named('...')" in problem
    assert ".items" not in problem


@pytest.mark.parametrize("early", [True, False], ids=["before the map", "after it"])
def test_a_node_with_the_name_of_a_mapped_list_is_told_to_change_it(early: bool) -> None:
    first, work, other = steps("first", "work", "work.items")
    workflow = Workflow("w", start=first, end=merge)
    if early:
        workflow.edge(first, other)
    workflow.map(first, work, each=str.split)
    if not early:
        workflow.edge(first, other)
    assert (
        "a node is named 'work.items', the name under which the list of the map first -> work"
        in only_problem(workflow)
    )


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    first, end = steps("first", "end")
    workflow = Workflow("w", start=first, end=end)
    middle = step.named("middle")
    workflow.edge(first, middle)
    workflow.edge(middle, middle, when=long)
    workflow.edge(middle, end, otherwise=True)
    assert only_problem(workflow).startswith("middle -> middle is a cycle")


def test_a_map_is_its_targets_only_edge() -> None:
    other = split.named("other")
    first, work = steps("first", "work")
    workflow = Workflow("w", start=first, end=merge)
    workflow.edge(first, split)
    workflow.edge(first, other)
    workflow.map(split, work)
    workflow.map(other, work)
    workflow.collect(work, merge)
    assert "work has a map and 1 more incoming" in only_problem(workflow)
    assert "work.named('...')" in only_problem(workflow)


def test_a_join_has_all_sources_of_its_target() -> None:
    first, left, right = steps("first", "left", "right")

    def wired() -> Workflow[str, str]:
        workflow = Workflow("w", start=first, end=both)
        workflow.edge(first, left)
        workflow.edge(first, right)
        workflow.join((left, right), both)
        return workflow

    wired().check()
    workflow: Any = wired()
    workflow.edge(first, both)
    assert any("both has a join and other edges incoming" in one for one in problems(workflow))
    workflow = wired()
    workflow.join((right, left), both)
    assert "both has more than one join incoming" in only_problem(workflow)


def test_otherwise_needs_a_when_beside_it() -> None:
    first, left, end = steps("first", "left", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, left, otherwise=True)
    workflow.edge(left, end)
    assert "has `otherwise`, but no edge from first has a `when`" in only_problem(workflow)
    workflow.edge(first, end, when=long)
    workflow.check()


def test_one_otherwise_per_node() -> None:
    first, left, right, end = steps("first", "left", "right", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, end, when=long)
    for side in (left, right):
        workflow.edge(first, side, otherwise=True)
        workflow.discard(side)
    assert any("first has 2 edges with `otherwise`" in one for one in problems(workflow))


def test_a_discard_must_mean_something() -> None:
    first, middle, end = steps("first", "middle", "end")

    def wired(**how: Any) -> Workflow[str, str]:
        workflow: Any = Workflow("w", start=first, end=end)
        workflow.edge(first, middle)
        workflow.edge(middle, end, **how)
        return workflow

    workflow = wired()
    workflow.discard(middle)
    assert "middle never ends the path, because of edge middle -> end" in only_problem(workflow)
    workflow = wired()
    workflow.discard(end)
    assert "end is the end, whose output is the run's result" in only_problem(workflow)
    workflow = wired(when=long)
    workflow.discard(middle)
    workflow.check()
    workflow = wired(when=long)
    side = step.named("side")
    workflow.edge(middle, side, otherwise=True)
    workflow.discard(side)
    workflow.discard(middle)
    assert any(
        "middle never ends the path, because of edge middle -> side" in one for one in problems(workflow)
    )


def test_an_edge_beside_one_that_always_fires_is_refused() -> None:
    first, end = steps("first", "end")
    for more in ({}, {"when": long}):
        workflow: Any = Workflow("w", start=first, end=end)
        workflow.edge(first, end)
        workflow.edge(first, end, **more)
        assert "always carries that value already" in only_problem(workflow)

    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, end, when=long)
    workflow.edge(first, end, otherwise=True)
    workflow.check()


def test_the_same_collect_twice_is_refused() -> None:
    (work,) = steps("work")
    workflow = Workflow("w", start=split, end=merge)
    workflow.map(split, work)
    workflow.collect(work, merge)
    workflow.collect(work, merge)
    assert "collect work -> merge" in only_problem(workflow)
    assert "always carries that value already" in only_problem(workflow)


def test_a_type_that_is_never_defined_is_reported_with_everything_else() -> None:
    @node
    def strange(text: str) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore
        return text

    first, end = steps("first", "end")
    workflow: Any = Workflow("w", start=first, end=end)
    workflow.edge(first, strange)
    workflow.edge(strange, end)
    assert "'Nowhere', can't be read at run time" in only_problem(workflow)
    assert "move it to module level" in only_problem(workflow)
