"""Where activations lie: what the plan says of a node's place in its scope, and the state of the scope's instances.

The plans are written by hand, because workflows make no other scopes than those of maps. In them a scope's depth is not
the length of the paths inside.
"""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import ActivationKey, ScopeRecord, State
from perdure.engine.core._flow import Step
from perdure.engine.core.addresses import Address
from perdure.engine.core.events import CoreEvent, RunStarted, Succeeded
from perdure.engine.core.machine import advance
from perdure.engine.core.plan import EdgeKind, Plan, PlanEdge, PlanNode, PlanScope, ScopeKind, encloses
from perdure.engine.core.policy import NO_POLICIES
from perdure.engine.core.restore import restore
from perdure.engine.core.sources import Collected, Hidden, Item, Joined, Whole, given, visible
from perdure.engine.core.state import RunState, Scope

from .play import at
from .rows import Rows


def node(name: str, scope: int) -> PlanNode:
    return PlanNode(name=name, kind="function", scope=scope, input="object", output="object")


NESTED = Plan(
    workflow="nested",
    start="plan",
    ends=("plan",),
    nodes=(
        node("plan", 0),
        node("write", 1),
        node("draft", 2),
        node("child/check", 3),
        node("child/part", 4),
        node("other", 5),
    ),
    edges=(
        PlanEdge(index=0, kind=EdgeKind.MAP, source="plan", target="write", scope=1),
        PlanEdge(index=1, kind=EdgeKind.PLAIN, source="write", target="draft"),
        PlanEdge(index=2, kind=EdgeKind.JOIN, source="draft", target="child/check", position=0),
        PlanEdge(index=3, kind=EdgeKind.JOIN, source="plan", target="child/check", position=1),
        PlanEdge(index=4, kind=EdgeKind.MAP, source="child/check", target="child/part", scope=4),
        PlanEdge(index=5, kind=EdgeKind.MAP, source="plan", target="other", scope=5),
    ),
    scopes=(
        PlanScope(index=0, parent=None, edge=None, depth=0, kind=ScopeKind.ROOT),
        PlanScope(index=1, parent=0, edge=0, depth=1, kind=ScopeKind.MAP),
        PlanScope(index=2, parent=1, edge=1, depth=2, kind=ScopeKind.LOOP),
        PlanScope(index=3, parent=2, edge=None, depth=3, kind=ScopeKind.WORKFLOW),
        PlanScope(index=4, parent=3, edge=4, depth=4, kind=ScopeKind.MAP),
        PlanScope(index=5, parent=0, edge=5, depth=1, kind=ScopeKind.MAP),
    ),
)
"""A workflow in a loop in a map, and a map in that workflow: `child/check[1, 4]` lies three scopes deep."""

WITH_CHILD = Plan(
    workflow="with child",
    start="a",
    ends=("a",),
    nodes=(
        node("a", 0),
        node("child/in", 1),
        node("child/item", 2),
        node("child/both", 2),
        node("child/out", 1),
        node("child/left", 1),
        node("child/right", 1),
        node("child/last", 1),
    ),
    edges=(
        PlanEdge(index=0, kind=EdgeKind.MAP, source="child/in", target="child/item", scope=2),
        PlanEdge(index=1, kind=EdgeKind.JOIN, source="child/item", target="child/both", position=0),
        PlanEdge(index=2, kind=EdgeKind.JOIN, source="child/in", target="child/both", position=1),
        PlanEdge(index=3, kind=EdgeKind.JOIN, source="a", target="child/both", position=2),
        PlanEdge(index=4, kind=EdgeKind.COLLECT, source="child/both", target="child/out", scope=2),
        PlanEdge(index=5, kind=EdgeKind.PLAIN, source="child/in", target="child/left"),
        PlanEdge(index=6, kind=EdgeKind.PLAIN, source="child/in", target="child/right"),
        PlanEdge(index=7, kind=EdgeKind.JOIN, source="child/left", target="child/last", position=0),
        PlanEdge(index=8, kind=EdgeKind.JOIN, source="child/right", target="child/last", position=1),
    ),
    scopes=(
        PlanScope(index=0, parent=None, edge=None, depth=0, kind=ScopeKind.ROOT),
        PlanScope(index=1, parent=0, edge=None, depth=1, kind=ScopeKind.WORKFLOW),
        PlanScope(index=2, parent=1, edge=0, depth=2, kind=ScopeKind.MAP),
    ),
)
"""A workflow in the root, where paths are as empty as in the root itself."""


# -- the plan -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [("plan", ()), ("write", (1,)), ("draft", (1, 4)), ("child/check", (1, 4)), ("child/part", (1, 4, 2))],
)
def test_a_path_has_a_number_for_each_map_and_loop_around_and_none_for_a_workflow(
    name: str, path: tuple[int, ...]
) -> None:
    assert NESTED.path_in(name, (1, 4, 2)) == path


@pytest.mark.parametrize(
    ("address", "item"),
    [("plan", 0), ("write[1]", 1), ("draft[1, 4]", 4), ("child/check[1, 4]", 0), ("child/part[1, 4, 2]", 2)],
)
def test_an_activation_is_kept_by_its_item_where_its_scope_has_items(address: str, item: int) -> None:
    assert NESTED.place(at(address)) == (at(address).node, item)


def test_only_the_scopes_of_maps_are_taken_for_maps() -> None:
    assert {scope: edge.target for scope, edge in NESTED.map_edges.items()} == {
        1: "write",
        4: "child/part",
        5: "other",
    }


def test_a_join_reaches_in_from_every_scope_that_encloses_it_whatever_the_paths_are() -> None:
    assert NESTED.reaching_in == {2, 3}  # `draft` has the same paths as `child/check`
    assert WITH_CHILD.reaching_in == {2, 3}


def test_a_node_sees_its_own_scope_and_those_around() -> None:
    names = ["plan", "write", "draft", "child/check", "child/part"]  # each one scope deeper
    for place, name in enumerate(names):
        assert [NESTED.sees(name, other) for other in names] == [
            depth <= place for depth in range(len(names))
        ]
    assert not NESTED.sees("child/part", "other")
    assert not encloses(NESTED.scopes, 5, 1)


def test_the_scope_without_a_parent_is_the_root() -> None:
    assert PlanScope(index=0, parent=None, edge=None, depth=0).kind is ScopeKind.ROOT


def test_a_stored_plan_names_the_kinds_of_its_scopes_but_those_of_root_and_maps() -> None:
    plain = NESTED.to_plain()
    assert [scope.get("kind") for scope in plain["scopes"]] == [None, None, "loop", "workflow", None, None]
    assert Plan.from_plain(plain) == NESTED


# -- the state ----------------------------------------------------------------------------------------------


def entered(plan: Plan, *scopes: Scope) -> RunState:
    """A state in which these scopes were entered."""
    state = RunState(plan=plan)
    for scope in scopes:
        state.open(scope)
    return state


def inside_nested() -> RunState:
    return entered(
        NESTED,
        Scope(number=0, scope=0, parent=None, path=(), size=1),
        Scope(number=1, scope=1, parent=0, path=(), size=2),
        Scope(number=2, scope=2, parent=1, path=(0,), size=9),
        Scope(number=3, scope=2, parent=1, path=(1,), size=9),
        Scope(number=4, scope=3, parent=3, path=(1, 4), size=0),
        Scope(number=5, scope=4, parent=4, path=(1, 4), size=3),
    )


@pytest.mark.parametrize(
    ("text", "number", "item"),
    [
        ("plan", 0, 0),
        ("write[1]", 1, 1),
        ("draft[0, 4]", 2, 4),
        ("draft[1, 4]", 3, 4),
        ("child/check[1, 4]", 4, 0),
        ("child/part[1, 4, 2]", 5, 2),
    ],
)
def test_an_address_lies_in_the_instance_that_its_path_names(text: str, number: int, item: int) -> None:
    state, address = inside_nested(), at(text)
    scope = state.scopes[number]
    assert state.instance(address) is scope
    assert state.address_in(scope, address.node, item) == address
    assert state.key(address) == ActivationKey(number, address.node, item)
    assert state.address(state.key(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "plan[0]",
        "write",
        "write[0, 0]",
        "draft[1]",
        "draft[7, 0]",
        "child/check[1, 5]",
        "child/check[1, 4, 0]",
    ],
)
def test_an_address_that_the_plan_does_not_have_or_nobody_entered_lies_nowhere(text: str) -> None:
    state = inside_nested()
    assert state.instance(at(text)) is None
    assert state.find(at(text)) is None


def test_a_closed_instance_is_remembered_while_the_one_around_it_is_open() -> None:
    state = inside_nested()
    state.close(state.scopes[5])
    assert state.instance(at("child/part[1, 4, 2]")) is None
    assert state.entered(4, (1, 4)) == 5
    state.close(state.scopes[4])
    assert (state.entered(4, (1, 4)), state.entered(3, (1, 4))) == (None, 4)


def test_what_lies_in_a_workflow_in_the_root_does_not_lie_in_the_root() -> None:
    state = entered(
        WITH_CHILD,
        Scope(number=0, scope=0, parent=None, path=(), size=1),
        Scope(number=1, scope=1, parent=0, path=(), size=0),
    )
    address = Address("child/in")
    assert state.instance(address) is state.scopes[1]
    assert state.key(address) == ActivationKey(1, "child/in", 0)
    assert state.address(ActivationKey(1, "child/in", 0)) == address


# -- the flow, inside a workflow ----------------------------------------------------------------------------


class Course:
    """A run of `WITH_CHILD` whose child was entered, with its rows; after each event they give the same state."""

    def __init__(self) -> None:
        self.state = RunState(plan=WITH_CHILD)
        self.rows = Rows()
        self.apply(RunStarted(0.0))
        root = self.state.scopes[0]
        child = Scope(number=1, scope=1, parent=0, path=(), size=0, unresolved=1)
        self.state.next_number = 2
        self.state.open(child)
        root.unresolved += 1
        self.rows.scopes[1] = ScopeRecord(number=1, scope=1, parent=0, path=(), size=0, open=True)
        step = Step(self.state)
        step.activate(child, Address("child/in"))
        self.rows.write(step.commands, status=self.state.status, outcome=None)

    def apply(self, event: CoreEvent) -> None:
        commands = advance(self.state, event)
        self.rows.write(commands, status=self.state.status, outcome=self.state.outcome)
        assert restore(WITH_CHILD, NO_POLICIES, self.rows.loaded()) == self.state

    def succeed(self, text: str, items: int | None = None) -> None:
        self.apply(Succeeded(0.0, at(text), (), items))

    def is_at(self, text: str) -> State | None:
        activation = self.state.find(at(text))
        return None if activation is None else activation.own


def test_a_map_a_collect_and_joins_that_reach_in_work_inside_a_workflow() -> None:
    course = Course()
    course.succeed("child/in", items=2)
    assert given(course.state, at("child/item[1]")) == Item("child/in", ActivationKey(1, "child/in", 0), 1)
    course.succeed("child/item[0]")
    assert course.is_at("child/both[0]") is None  # `a` runs
    course.succeed("a")
    assert course.is_at("child/both[0]") is State.RUNNING
    course.succeed("child/item[1]")
    both = at("child/both[1]")
    assert given(course.state, both) == Joined(
        (
            Whole("child/item", ActivationKey(2, "child/item", 1)),
            Whole("child/in", ActivationKey(1, "child/in", 0)),
            Whole("a", ActivationKey(0, "a", 0)),
        )
    )
    assert visible(course.state, both, "child/in") == Whole("child/in", ActivationKey(1, "child/in", 0))
    course.succeed("child/both[0]")
    course.succeed("child/both[1]")
    assert course.is_at("child/out") is State.RUNNING
    assert given(course.state, at("child/out")) == Collected("child/both", 2)
    assert isinstance(visible(course.state, at("child/out"), "child/item"), Hidden)
    assert sorted(course.state.scopes) == [0, 1]  # the map is closed


def test_a_join_inside_a_workflow_waits_for_all_its_sources() -> None:
    course = Course()
    course.succeed("child/in", items=0)
    course.succeed("child/left")
    assert course.is_at("child/last") is None
    course.succeed("child/right")
    assert course.is_at("child/last") is State.RUNNING
    assert course.is_at("child/out") is State.RUNNING  # it gets the empty list
