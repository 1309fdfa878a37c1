"""What may be skipped, and what certainly meets: the build-time checks that follow conditions through the graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure.engine import Workflow, WorkflowInvalidError
from perdure.engine.core.plan import EdgeKind, PlanEdge, PlanScope
from perdure.engine.graph._skip_analysis import ALWAYS, NEVER, SkipAnalysis, TooManyConditionsError
from perdure.nodes import FunctionNode, node


@node
def step(text: str) -> str:
    return text


@node
def maybe(text: str) -> str | None:
    return text or None


@node
def both(pair: tuple[str, str]) -> str:
    return " ".join(pair)


@node
def first_maybe(pair: tuple[str | None, str]) -> str:
    return " ".join(text or "" for text in pair)


@node
def any_of(texts: tuple[str | None, ...]) -> str:
    return " ".join(text or "" for text in texts)


@node
def split(text: str) -> list[str]:
    return text.split()


@node
def merge(parts: list[str]) -> str:
    return " ".join(parts)


def long(text: str) -> bool:
    return len(text) > 10


def steps(*names: str) -> list[FunctionNode[str, Any, str, Any]]:
    return [step.named(name) for name in names]


def only_problem(workflow: Workflow[Any, Any]) -> str:
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    (problem,) = caught.value.problems
    return problem


# -- several values for one input -----------------------------------------------------------------------


def test_two_certain_sources_want_a_join() -> None:
    first, left, right, end = steps("first", "left", "right", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, left)
    workflow.edge(first, right)
    workflow.edge(left, end)
    workflow.edge(right, end)
    problem = only_problem(workflow)
    assert "end gets a value from edge left -> end" in problem
    assert "always both" in problem
    assert "join((left, right), end)" in problem


def test_two_sources_that_always_go_together_want_a_join_even_behind_a_condition() -> None:
    first, branch, left, right, meeting, end = steps("first", "branch", "left", "right", "meeting", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, branch, when=long)
    workflow.edge(first, end, otherwise=True)
    workflow.edge(branch, left)
    workflow.edge(branch, right)
    workflow.edge(left, meeting)
    workflow.edge(right, meeting)
    workflow.edge(meeting, end)
    assert "join((left, right), meeting)" in only_problem(workflow)


def test_branches_of_one_decision_are_alternatives() -> None:
    first, left, right, end = steps("first", "left", "right", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, left, when=long)
    workflow.edge(first, right, otherwise=True)
    workflow.edge(left, end)
    workflow.edge(right, end)
    workflow.check()


# -- the end ----------------------------------------------------------------------------------------------


def test_an_end_that_can_be_skipped_needs_no_none_because_the_run_fails_then() -> None:
    first, middle, end = steps("first", "middle", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, middle)
    workflow.edge(middle, end, when=long)
    workflow.discard(middle)
    workflow.check()


def test_ends_that_are_surely_both_reached_are_refused() -> None:
    first, left, right = steps("first", "left", "right")
    workflow = Workflow("w", start=first, end=(left, right))
    workflow.edge(first, left)
    workflow.edge(first, right)
    problem = only_problem(workflow)
    assert "the ends left and right are alternatives, but always both reached" in problem
    assert "join((left, right), ...)" in problem
    assert "discard(right)" in problem


def test_ends_that_are_reached_together_are_refused_behind_a_condition_too() -> None:
    first, branch, left, right, other = steps("first", "branch", "left", "right", "other")
    workflow = Workflow("w", start=first, end=(left, other, right))
    workflow.edge(first, branch, when=long)
    workflow.edge(first, other, otherwise=True)
    workflow.edge(branch, left)
    workflow.edge(branch, right)
    assert "the ends left and right" in only_problem(workflow)


def test_ends_of_which_one_can_be_missed_are_alternatives() -> None:
    first, hint, last = steps("first", "hint", "last")
    workflow = Workflow("w", start=first, end=(hint, last))  # last where there is no hint
    workflow.edge(first, hint, when=long)
    workflow.edge(first, last)
    assert workflow.plan.ends == ("hint", "last")


def test_cases_of_a_switch_exclude_each_other_and_conditions_do_not() -> None:
    first, left, right, end = steps("first", "left", "right", "end")

    def wired(*, switch: bool) -> SkipAnalysis:
        workflow = Workflow("w", start=first, end=end)
        if switch:
            workflow.switch(first, len, {1: left, 2: right})
        else:
            workflow.edge(first, left, when=long)
            workflow.edge(first, right, when=long)
        workflow.edge(left, end)
        workflow.edge(right, end)
        plan = workflow.plan
        return SkipAnalysis(
            start="first",
            order=[each.name for each in plan.nodes],
            edges=plan.edges,
            scopes=plan.scopes,
            discarded=(),
        )

    cases, conditions = wired(switch=True), wired(switch=False)
    assert cases.both(cases.taken[0], cases.taken[1]) == NEVER
    assert conditions.both(conditions.taken[0], conditions.taken[1]) != NEVER
    assert cases.runs["end"] == conditions.runs["end"] == ALWAYS


def test_an_end_behind_branches_that_meet_again_is_certain() -> None:
    names = [f"n{number}" for number in range(13)]
    nodes = steps(*names)
    workflow = Workflow("w", start=nodes[0], end=nodes[12])
    for number in range(0, 12, 4):  # three diamonds in a row, a plain edge between them
        top, left, right, bottom = nodes[number : number + 4]
        workflow.edge(top, left, when=long)
        workflow.edge(top, right, otherwise=True)
        workflow.edge(left, bottom)
        workflow.edge(right, bottom)
        workflow.edge(bottom, nodes[number + 4])
    workflow.check()


def test_an_end_behind_a_condition_that_must_hold_is_certain() -> None:
    """With no otherwise and no discard, a run in which the condition is false has failed."""
    first, end = steps("first", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, end, when=long)
    workflow.check()


# -- joins ------------------------------------------------------------------------------------------------


def with_optional_source(target: FunctionNode[Any, Any, str, Any]) -> Workflow[str, str]:
    first, extra = steps("first", "extra")
    workflow = Workflow("w", start=first, end=target)
    base = step.named("base")
    workflow.edge(first, extra, when=long)
    workflow.edge(first, base)
    workflow.join((extra, base), target)
    return workflow


def test_a_join_position_that_can_be_skipped_allows_none() -> None:
    problem = only_problem(with_optional_source(both))
    assert "extra can be skipped, by the conditions after first" in problem
    assert "both then gets None at position 0" in problem
    assert "`str | None`" in problem
    with_optional_source(first_maybe).check()
    with_optional_source(any_of).check()


def test_a_join_that_runs_only_with_all_its_sources_needs_no_none() -> None:
    first, branch, left, right, end = steps("first", "branch", "left", "right", "end")
    workflow = Workflow("w", start=first, end=end)
    workflow.edge(first, branch, when=long)
    workflow.edge(first, end, otherwise=True)
    workflow.edge(branch, left)
    workflow.edge(branch, right)
    workflow.join((left, right), both)
    workflow.edge(both, end)
    workflow.check()


def test_a_join_of_alternatives_needs_none_everywhere() -> None:
    first, left, right = steps("first", "left", "right")
    workflow = Workflow("w", start=first, end=both)
    workflow.edge(first, left, when=long)
    workflow.edge(first, right, otherwise=True)
    workflow.join((left, right), both)
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    assert len(caught.value.problems) == 2


# -- maps -------------------------------------------------------------------------------------------------


def test_a_collect_is_as_certain_as_its_map_whatever_happens_to_the_items() -> None:
    work, kept = steps("work", "kept")
    workflow = Workflow("w", start=split, end=merge)
    workflow.map(split, work)
    workflow.edge(work, kept, when=long)
    workflow.discard(work)
    workflow.collect(kept, merge)
    workflow.check()


def test_the_collect_of_a_map_that_can_be_skipped_can_be_skipped() -> None:
    first, work, base = steps("first", "work", "base")
    workflow = Workflow("w", start=first, end=both)
    workflow.edge(first, split, when=long)
    workflow.edge(first, base)
    workflow.map(split, work)
    workflow.collect(work, merge)
    workflow.join((merge, base), both)
    assert "merge can be skipped, by the conditions after first" in only_problem(workflow)


# -- the analysis against plain enumeration --------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[PlanEdge], set[str], int]:
    """Random graphs of up to seven nodes with conditions, otherwises and discards."""
    count = draw(st.integers(2, 7))
    edges: list[PlanEdge] = []
    discarded: set[str] = set()
    for source in range(count - 1):
        targets = draw(st.lists(st.integers(source + 1, count - 1), max_size=3, unique=True))
        kinds = [draw(st.sampled_from(["when", "when", "always"])) for _ in targets]
        if "when" in kinds and kinds.count("always") and draw(st.booleans()):
            kinds[kinds.index("always")] = "otherwise"
        for target, kind in zip(targets, kinds, strict=True):
            edges.append(
                PlanEdge(
                    index=len(edges),
                    kind=EdgeKind.PLAIN,
                    source=f"n{source}",
                    target=f"n{target}",
                    conditional=kind == "when",
                    otherwise=kind == "otherwise",
                )
            )
        if draw(st.booleans()):
            discarded.add(f"n{source}")
    return edges, discarded, count


def enumerate_runs(
    edges: Sequence[PlanEdge], discarded: set[str], count: int
) -> list[tuple[set[str], set[int]]]:
    """The nodes that run and the edges taken, for every outcome of the conditions that fails no run."""
    conditional = [edge.index for edge in edges if edge.conditional]
    found: list[tuple[set[str], set[int]]] = []
    for outcome in product((False, True), repeat=len(conditional)):
        true = {index for index, value in zip(conditional, outcome, strict=True) if value}
        ran, taken, failed = {"n0"}, set[int](), False
        for number in range(count):
            outgoing = [edge for edge in edges if edge.source == f"n{number}"]
            if f"n{number}" not in ran:
                continue
            whens = [edge for edge in outgoing if edge.conditional]
            fired = {edge.index for edge in whens if edge.index in true}
            fires = fired | {
                edge.index for edge in outgoing if not edge.conditional and (not edge.otherwise or not fired)
            }
            failed |= bool(outgoing) and not fires and f"n{number}" not in discarded
            taken |= fires
            ran |= {edge.target for edge in outgoing if edge.index in fires}
        if not failed:
            found.append((ran, taken))
    return found


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_the_analysis_agrees_with_trying_every_outcome(graph: tuple[list[PlanEdge], set[str], int]) -> None:
    edges, discarded, count = graph
    analysis = SkipAnalysis(
        start="n0",
        order=[f"n{number}" for number in range(count)],
        edges=edges,
        scopes=[PlanScope(index=0, parent=None, edge=None, depth=0)],
        discarded=discarded,
    )
    runs = enumerate_runs(edges, discarded, count)
    for name, function in analysis.runs.items():
        assert (function == ALWAYS) == all(name in ran for ran, _ in runs)
    for one, other in product(edges, repeat=2):
        together = all((one.index in taken) == (other.index in taken) for _, taken in runs)
        assert (analysis.taken[one.index] == analysis.taken[other.index]) == together


def chain(length: int) -> Workflow[str, str | None]:
    nodes = steps(*[f"n{number}" for number in range(length)])
    workflow = Workflow("w", start=nodes[0], end=maybe)
    for source, target in pairwise(nodes):
        workflow.edge(source, target, when=long)
        workflow.discard(source)
    workflow.edge(nodes[-1], maybe)
    return workflow


def test_a_chain_of_thousands_of_conditions_is_analysed() -> None:
    chain(3000).check()


def test_conditions_beyond_the_budget_are_left_to_the_run() -> None:
    """An order that interleaves the branches makes the diagrams grow like two to their number."""
    width = 20
    edges: list[PlanEdge] = []

    def add(source: str, target: str, *, conditional: bool) -> None:
        edges.append(
            PlanEdge(
                index=len(edges), kind=EdgeKind.PLAIN, source=source, target=target, conditional=conditional
            )
        )

    for number in range(width):
        add("n", f"a{number}", conditional=True)
        add(f"a{number}", f"b{number}", conditional=True)
        add(f"b{number}", "end", conditional=False)
    order = ["n", *(f"{kind}{number}" for kind in "ab" for number in range(width)), "end"]
    scopes = [PlanScope(index=0, parent=None, edge=None, depth=0)]
    with pytest.raises(TooManyConditionsError):
        SkipAnalysis(start="n", order=order, edges=edges, scopes=scopes, discarded=set(order))
