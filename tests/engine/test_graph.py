"""A workflow becomes a plan: complete, deterministic, frozen."""

import gc
import json
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from perdure.engine import Workflow, WorkflowFrozenError, WorkflowInvalidError
from perdure.engine.core.plan import EdgeKind, Plan, differences
from perdure.engine.graph import as_workflow
from perdure.engine.graph.plan_form import decode_plan, encode_plan, plan_record
from perdure.nodes import node
from perdure.nodes.errors import NotBuiltError


@node
def plan(topic: str) -> list[str]:
    return [topic]


@node
async def research(question: str) -> str:
    return question


@node
def review(findings: list[str]) -> str:
    return "\n".join(findings)


@node
def publish(text: str) -> str:
    return text


@node
def compare(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def briefing() -> Workflow[str, str]:
    workflow = Workflow("briefing", start=plan, end=publish)
    workflow.map(plan, research, concurrency=8)
    workflow.collect(research, review)
    workflow.edge(review, publish)
    return workflow


def test_the_plan_says_all_about_nodes_edges_and_scopes() -> None:
    made = briefing().plan
    assert (made.workflow, made.start, made.ends, made.on_failure) == (
        "briefing",
        "plan",
        ("publish",),
        "finish",
    )
    assert [(one.name, one.kind, one.scope, one.input, one.output) for one in made.nodes] == [
        ("plan", "function", 0, "str", "list[str]"),
        ("research", "function", 1, "str", "str"),
        ("review", "function", 0, "list[str]", "str"),
        ("publish", "function", 0, "str", "str"),
    ]
    assert [(edge.index, edge.kind, edge.source, edge.target, edge.scope) for edge in made.edges] == [
        (0, EdgeKind.MAP, "plan", "research", 1),
        (1, EdgeKind.COLLECT, "research", "review", 1),
        (2, EdgeKind.PLAIN, "review", "publish", None),
    ]
    assert [(scope.index, scope.parent, scope.edge, scope.depth) for scope in made.scopes] == [
        (0, None, None, 0),
        (1, 0, 0, 1),
    ]
    assert decode_plan(encode_plan(made)) == made


def test_conditions_positions_discards_and_on_failure_are_in_the_plan() -> None:
    left, right, rest = (publish.named(name) for name in ("left", "right", "rest"))
    workflow = Workflow("w", start=publish, end=compare, on_failure="cancel")

    def long(text: str) -> bool:
        return len(text) > 10

    workflow.edge(publish, left, when=long)
    workflow.edge(publish, right, otherwise=True)
    workflow.edge(left, rest)
    workflow.edge(right, rest)
    workflow.discard(rest)
    nothing = publish.named("nothing")
    workflow.edge(publish, nothing)
    workflow.join((nothing, publish), compare)
    made = workflow.plan
    assert [(edge.conditional, edge.otherwise) for edge in made.edges[:2]] == [(True, False), (False, True)]
    assert workflow.when(0) is not None
    assert workflow.when(1) is None
    assert [(edge.source, edge.position) for edge in made.edges if edge.kind is EdgeKind.JOIN] == [
        ("nothing", 0),
        ("publish", 1),
    ]
    assert not made.node["left"].discarded
    assert made.node["rest"].discarded
    assert made.on_failure == "cancel"
    assert workflow.node("left") is left


def test_nodes_are_in_topological_order_with_ties_as_declared() -> None:
    first, second, third = (publish.named(name) for name in ("z", "a", "m"))
    workflow = Workflow("w", start=publish, end=compare)
    workflow.edge(second, third)
    workflow.edge(publish, first)
    workflow.edge(publish, second)
    workflow.join((third, first), compare)
    assert [one.name for one in workflow.plan.nodes] == ["publish", "a", "m", "z", "compare"]


def test_a_plan_is_stored_under_its_signature_and_read_back_without_the_workflow() -> None:
    workflow = briefing()
    record = workflow.plan_record
    assert (record.workflow, record.signature) == ("briefing", workflow.signature)
    read = decode_plan(record.plan)
    assert read == workflow.plan
    assert plan_record(read) == record


def test_a_plan_survives_as_json() -> None:
    made = briefing().plan
    assert Plan.from_plain(json.loads(json.dumps(made.to_plain()))) == made


def test_the_same_wiring_has_the_same_signature_and_another_has_another() -> None:
    assert briefing().signature == briefing().signature
    other = briefing()
    log = publish.named("log")
    other.edge(review, log)
    other.discard(log)
    assert other.signature != briefing().signature


def test_concurrency_is_kept_beside_the_plan_and_does_not_change_the_signature() -> None:
    other = Workflow("briefing", start=plan, end=publish)
    other.map(plan, research, concurrency=9)
    other.collect(research, review)
    other.edge(review, publish)
    assert other.signature == briefing().signature
    assert (other.concurrency("research"), briefing().concurrency("research")) == (9, 8)
    assert other.concurrency("review") is None
    assert other.named("copy").concurrency("research") == 9


def test_a_copy_has_a_signature_of_its_own() -> None:
    workflow = briefing()
    assert re.fullmatch("[0-9a-f]{16}", workflow.signature)
    assert workflow.named("other").signature != workflow.signature


def test_what_changed_between_two_plans_is_said_in_words() -> None:
    other = Workflow("briefing", start=plan, end=publish, on_failure="cancel")
    log = publish.named("log")
    other.map(plan, research)
    other.collect(research, review)
    other.edge(review, publish, when=bool)
    other.edge(review, log, otherwise=True)
    other.edge(log, publish)
    changed: dict[str, dict[str, Any]] = {
        "review": {"discarded": True},
        "research": {"kind": "agent", "output": "int"},
    }
    new = replace(
        other.plan, nodes=tuple(replace(one, **changed.get(one.name, {})) for one in other.plan.nodes)
    )
    assert differences(briefing().plan, new) == [
        "edge log -> publish (plain) is new",
        "edge review -> log (plain, otherwise) is new",
        "edge review -> publish (plain) is gone",
        "edge review -> publish (plain, when) is new",
        "node log is new",
        "node research: kind was function, is agent",
        "node research: output was str, is int",
        "node review: discarded was False, is True",
        "on_failure was finish, is cancel",
    ]


def test_two_plans_of_one_shape_differ_in_order_alone() -> None:
    made = briefing().plan
    assert differences(made, replace(made, nodes=made.nodes[::-1])) == [
        "the order in which nodes or edges are declared"
    ]


def test_one_node_makes_a_workflow() -> None:
    workflow = Workflow("one", start=publish, end=publish)
    assert [one.name for one in workflow.plan.nodes] == ["publish"]
    assert (workflow.input, workflow.output) == (str, str)


def test_it_is_frozen_at_first_use() -> None:
    workflow = briefing().check()
    changes: list[Callable[[], None]] = [
        lambda: workflow.edge(publish, publish),
        lambda: workflow.map(plan, research),
        lambda: workflow.collect(research, review),
        lambda: workflow.join((publish, review), compare),
        lambda: workflow.discard(publish),
    ]
    for change in changes:
        with pytest.raises(WorkflowFrozenError, match=r"'briefing' was checked or used already.*named"):
            change()


def test_a_frozen_workflow_takes_nothing_in() -> None:
    workflow = briefing().check()
    late = publish.named("late")
    with pytest.raises(WorkflowFrozenError):
        workflow.join((late, review), compare)
    with pytest.raises(KeyError):
        workflow.node("late")


def test_a_refused_workflow_can_be_fixed() -> None:
    workflow = Workflow("briefing", start=plan, end=publish)
    workflow.map(plan, research)
    workflow.collect(research, review)
    with pytest.raises(WorkflowInvalidError):
        workflow.check()
    workflow.edge(review, publish)
    assert workflow.plan.ends == ("publish",)


def test_a_named_copy_is_wired_on_by_itself() -> None:
    workflow = briefing().check()
    copy = workflow.named("longer")
    tail = publish.named("tail")
    copy.edge(review, tail)
    copy.discard(tail)
    assert copy.plan.workflow == "longer"
    assert "tail" in copy.plan.node
    assert "tail" not in workflow.plan.node
    assert workflow.plan.workflow == "briefing"


def test_one_node_object_is_one_node_however_often_it_is_wired() -> None:
    workflow = Workflow("w", start=publish, end=compare)
    middle = publish.named("middle")
    workflow.edge(publish, middle)
    workflow.join((publish, middle), compare)
    assert len(workflow.plan.nodes) == 3


def test_all_problems_are_reported_at_once_with_their_places() -> None:
    workflow = Workflow("w", start=publish, end=compare)
    loose, lost = publish.named("loose"), publish.named("lost")
    workflow.edge(publish, loose)
    workflow.edge(lost, loose)
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    assert caught.value.workflow == "w"
    assert len(caught.value.problems) == 3
    text = str(caught.value)
    assert "'w' can't be run as it is wired, 3 problems:" in text
    assert "1. loose leads nowhere" in text
    assert "no path leads from the start publish to the end compare" in text
    assert "lost can't be reached" in text


def test_a_problem_says_where_the_edge_was_wired() -> None:
    workflow: Any = Workflow("w", start=plan, end=publish)
    workflow.edge(plan, publish)
    with pytest.raises(WorkflowInvalidError, match=r"edge plan -> publish \(test_graph.py:\d+\)"):
        workflow.check()


WRONG_ARGUMENTS: list[tuple[Callable[[Any], None], str]] = [
    (lambda w: w.map(plan, research, concurrency=0), "concurrency=0.*1 or more"),
    (lambda w: w.edge(review, publish, when=bool, otherwise=True), "not both"),
    (lambda w: w.edge(review, publish, when=3), "`when` must be a plain function"),
    (lambda w: w.edge(review, publish, when=research.fn), "`when` must be a plain function"),
    (lambda w: w.edge(review, print), "print is not a node.*@node"),
    (lambda w: w.join([plan, publish], compare), "as a tuple"),
    (lambda w: w.join((publish,), compare), "two sources or more, not 1"),
    (lambda w: w.join((publish, len), compare), "len is not a node"),
]


@pytest.mark.parametrize(("wire", "problem"), WRONG_ARGUMENTS)
def test_a_wrong_argument_is_refused_where_it_stands(wire: Callable[[Any], None], problem: str) -> None:
    workflow = briefing()
    with pytest.raises(WorkflowInvalidError, match=problem):
        wire(workflow)
    assert len(workflow.plan.edges) == 3  # nothing of it was taken in


def test_networkx_is_not_loaded_before_a_workflow_is_checked() -> None:
    script = """
import sys
from perdure.engine import Workflow
from perdure.nodes import node

def echo(text: str) -> str:
    return text

workflow = Workflow("w", start=node(echo), end=node(echo).named("end"))
workflow.edge(workflow.node("echo"), workflow.node("end"))
assert "networkx" not in sys.modules
workflow.check()
assert "networkx" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_stored_plan_is_read_without_nodes_and_checks() -> None:
    script = """
import sys
from perdure.engine.core.plan import Plan, PlanNode, PlanScope
from perdure.engine.graph.plan_form import decode_plan, encode_plan

node = PlanNode(name="n", kind="function", scope=0, input="str", output="str")
root = PlanScope(index=0, parent=None, edge=None, depth=0)
plan = Plan(workflow="w", start="n", ends=("n",), nodes=(node,), edges=(), scopes=(root,))
assert decode_plan(encode_plan(plan)) == plan
loaded = [name for name in sys.modules if name.startswith(("perdure.nodes", "perdure.engine.graph.", "networkx"))]
assert loaded == ["perdure.engine.graph.plan_form"], loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# -- several ends, drawings, nodes as workflows -------------------------------------------------------------


@node
def length(text: str) -> int:
    return len(text)


def test_the_result_of_several_ends_is_of_any_of_their_types() -> None:
    workflow = Workflow("w", start=publish, end=(length, compare))
    assert workflow.output == int | compare.output  # pyright: ignore[reportOperatorIssue]
    assert Workflow("w", start=length, end=length).output is int


@pytest.mark.parametrize("twice", [True, False])
def test_ends_are_some_and_different(twice: bool) -> None:
    with pytest.raises(WorkflowInvalidError, match="a tuple of different ones"):
        Workflow("w", start=publish, end=(publish, publish) if twice else ())


def test_a_switch_has_cases_and_is_the_only_one() -> None:
    workflow = Workflow("w", start=publish, end=length)
    with pytest.raises(WorkflowInvalidError, match="it has no case"):
        workflow.switch(publish, len, {})
    workflow.switch(publish, len, {1: length, 2: length})
    with pytest.raises(WorkflowInvalidError, match="publish has a switch already"):
        workflow.switch(publish, len, {3: length})
    (edge,) = workflow.plan.edges
    assert (edge.case, edge.conditional) == ("1, 2", True)


def test_any_node_is_a_workflow_of_one() -> None:
    alone = as_workflow(publish)
    assert (alone.name, alone.plan.start, alone.plan.ends) == ("publish", "publish", ("publish",))
    assert as_workflow(publish) is alone
    assert as_workflow(alone) is alone
    twin = publish.named("twin")
    assert (as_workflow(twin).name, as_workflow(twin).start) == ("twin", twin)
    assert as_workflow(publish.named("publish")) is not alone
    kept = weakref.ref(twin)
    del twin
    gc.collect()
    assert kept() is None


def drawn() -> Workflow[str, Any]:
    workflow: Workflow[str, Any] = Workflow("w", start=publish, end=(review, length))
    word = publish.named("word")
    workflow.switch(publish, str.lower, {'a"<b': length, "c": word.named("pass")})
    workflow.map(workflow.node("pass"), word, each=str.split, concurrency=2)
    workflow.collect(word, review)
    return workflow


def test_a_workflow_draws_itself_and_is_not_frozen_by_that() -> None:
    workflow = drawn()
    chart = workflow.mermaid()
    assert chart.splitlines()[0] == "flowchart TD"
    for line in (
        'subgraph s1 ["for each item of pass"]',
        "|\"'a#quot;&lt;b'\"|",
        '(["length"])',
        '(["review"])',
        '["each"]',
        "|map concurrency 2|",
        "|collect|",
    ):
        assert line in chart, line
    bundle = workflow._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]  # as notebooks call it
    assert bundle["text/vnd.mermaid"] == chart
    assert bundle["text/markdown"] == f"```mermaid\n{chart}```\n"
    lost = publish.named("lost")
    workflow.discard(lost)
    text = workflow._repr_mimebundle_()["text/plain"]  # pyright: ignore[reportPrivateUsage]
    assert "lost can't be reached from the start publish" in text


def test_the_halves_of_a_map_with_each_are_one_edge_in_messages() -> None:
    workflow: Any = Workflow("w", start=publish, end=length)
    workflow.map(publish, length, each=str.split)
    with pytest.raises(WorkflowInvalidError) as caught:
        workflow.check()
    assert "the end length lies inside the map publish -> length" in str(caught.value)
    workflow = Workflow("w", start=publish, end=length)
    workflow.map(publish, length, each=str.split)
    workflow.edge(publish, length)
    with pytest.raises(WorkflowInvalidError, match=r"map publish -> length \(test_graph\.py:\d+\)"):
        workflow.check()


def test_what_is_not_built_says_what_to_do_today() -> None:
    workflow: Any = Workflow("w", start=publish, end=length)
    for attempt in (
        lambda: workflow.first((publish, publish), length),
        lambda: workflow.allow_failure(publish),
        lambda: workflow.catch(publish, length),
        lambda: workflow.loop(publish, publish, when=bool, max_iterations=3),
        workflow.as_child_run,
        lambda: workflow.collect(publish, length, quorum=2),
        lambda: workflow.collect(publish, length, rest="finish"),
    ):
        with pytest.raises(NotBuiltError, match=r"is not built yet\. Today: "):
            attempt()
