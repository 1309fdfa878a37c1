"""Plans for tests of the core: a short way to write one down, and a way to draw one at random.

`Sketch` writes `Plan` data directly, so that these tests stand on nothing but the core's own input. It
works out scopes as a workflow does and checks nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import strategies as st
from perdure.engine.core.plan import EdgeKind, OnFailure, Plan, PlanEdge, PlanNode, PlanScope
from perdure.engine.core.policy import Policies, Policy

T = TypeVar("T")


class Sketch:
    """A plan in the making. Nodes are declared by their first mention; each method returns edge indices."""

    def __init__(self, start: str) -> None:
        self.start = start
        self.scope_of = {start: 0}
        self.scopes = [PlanScope(index=0, parent=None, edge=None, depth=0)]
        self.edges: list[PlanEdge] = []
        self.policy_of: dict[str, Policy] = {}

    def edge(self, source: str, target: str, *, when: bool = False, otherwise: bool = False) -> int:
        return self._add(
            EdgeKind.PLAIN, source, target, self.scope_of[source], conditional=when, otherwise=otherwise
        )

    def chain(self, *nodes: str) -> None:
        for source, target in pairwise(nodes):
            self.edge(source, target)

    def map(self, source: str, target: str, *, concurrency: int | None = None) -> int:
        outer = self.scopes[self.scope_of[source]]
        scope = PlanScope(
            index=len(self.scopes), parent=outer.index, edge=len(self.edges), depth=outer.depth + 1
        )
        self.scopes.append(scope)
        if concurrency is not None:
            self.policy(target, concurrency=concurrency)
        return self._add(EdgeKind.MAP, source, target, scope.index, scope=scope.index)

    def collect(self, source: str, target: str) -> int:
        closed = self.scopes[self.scope_of[source]]
        assert closed.parent is not None, f"{source} lies in no map"
        return self._add(EdgeKind.COLLECT, source, target, closed.parent, scope=closed.index)

    def join(self, sources: tuple[str, ...], target: str) -> None:
        scope = max((self.scope_of[source] for source in sources), key=lambda index: self.scopes[index].depth)
        for position, source in enumerate(sources):
            self._add(EdgeKind.JOIN, source, target, scope, position=position)

    def policy(self, node: str, **options: Any) -> None:
        """Change options of the node's policy."""
        self.policy_of[node] = replace(self.policy_of.get(node, Policy()), **options)

    @property
    def policies(self) -> Policies:
        """Those of all nodes."""
        return Policies(self.policy_of)

    def plan(self, *ends: str, on_failure: OnFailure = "cancel") -> Plan:
        order = TopologicalSorter[str]({self.start: ()})
        for edge in self.edges:
            order.add(edge.target, edge.source)
        sources = {edge.source for edge in self.edges}
        return Plan(
            workflow="sketch",
            start=self.start,
            ends=ends,
            nodes=tuple(
                PlanNode(
                    name=name,
                    kind="function",
                    scope=self.scope_of[name],
                    input="object",
                    output="object",
                    discarded=name not in ends and name not in sources,
                )
                for name in order.static_order()
            ),
            edges=tuple(self.edges),
            scopes=tuple(self.scopes),
            on_failure=on_failure,
        )

    def _add(
        self,
        kind: EdgeKind,
        source: str,
        target: str,
        target_scope: int,
        *,
        conditional: bool = False,
        otherwise: bool = False,
        position: int = 0,
        scope: int | None = None,
    ) -> int:
        assert self.scope_of.setdefault(target, target_scope) == target_scope, f"{target} lies in two scopes"
        edge = PlanEdge(
            index=len(self.edges),
            kind=kind,
            source=source,
            target=target,
            conditional=conditional,
            otherwise=otherwise,
            position=position,
            scope=scope,
        )
        self.edges.append(edge)
        return edge.index


class Choices:
    """Where random tests take their decisions from: hypothesis, so that a failure shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def number(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low if low == high else self._data.draw(st.integers(low, high))

    def one(self, options: list[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def some(self, options: list[T], least: int, most: int) -> list[T]:
        """Several different ones, in the order in which they were drawn."""
        left, chosen = list(options), list[T]()
        for _ in range(min(self.number(least, most), len(options))):
            chosen.append(left.pop(self.number(0, len(left) - 1)))
        return chosen


def draw_plan(choices: Choices, *, nodes: int = 7, depth: int = 3) -> Plan:
    """A random plan: a DAG with conditions, alternatives, joins (over enclosing scopes too), nested maps,
    collects (none, one or several of a scope), and nodes where ending is meant."""
    sketch = _Drawing(choices, nodes, depth).draw()
    return replace(_shuffled(sketch, choices), on_failure="finish" if choices.chance(30) else "cancel")


def draw_policies(choices: Choices, plan: Plan) -> Policies:
    """Random policies: maps of which few items run at once, retries, every way to deal with an unknown fate."""
    return Policies({node.name: _draw_policy(choices, plan, node.name) for node in plan.nodes})


def _draw_policy(choices: Choices, plan: Plan, name: str) -> Policy:
    mapped = any(edge.kind is EdgeKind.MAP for edge in plan.incoming[name])
    return Policy(
        concurrency=choices.one([None, None, 1, 2]) if mapped else None,
        retries=choices.number(0, 2),
        on_unknown_submit=choices.one(["resubmit", "fail", "hold"]),
        submit_timeout=choices.one([86_400.0, 30.0]),
        deadline=choices.one([None, None, 100.0]),
        queue_limit=choices.one([None, None, 50.0]),
        idempotent_for=choices.one([0.0, 0.0, 1_000.0]),
        find_after=choices.one([None, 0.0, 20.0]),
        once=choices.chance(30),
    )


class _Drawing:
    """Grows a sketch node by node. `budget` bounds how many nodes are added besides start and end."""

    def __init__(self, choices: Choices, budget: int, depth: int) -> None:
        self.choices = choices
        self.budget = budget
        self.depth = depth
        self.sketch = Sketch("n0")
        self.names = 0

    def draw(self) -> Sketch:
        root = ["n0"]
        self._grow(root, outer=[], least=2, most=self.budget)
        before = [name for name in root if name != "n0"] or root
        self._connect(self.choices.some(before, 1, 3), "end")
        if self.choices.chance(40):
            self._connect(self.choices.some(before, 1, 2), "end2")
        return self.sketch

    def _name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def _grow(self, scope: list[str], outer: list[str], *, least: int, most: int) -> None:
        """Add nodes to this scope; `scope` holds its nodes so far, `outer` those of the enclosing ones."""
        for _ in range(self.choices.number(least, most)):
            if self.budget <= 0:
                return
            self.budget -= 1
            what = self.choices.number(0, 9)
            if what <= 3 and self.sketch.scopes[self.sketch.scope_of[scope[0]]].depth < self.depth:
                self._map(scope, outer)
            elif what <= 5 and outer:
                inner, outside = self.choices.some(scope, 1, 2), self.choices.some(outer, 1, 2)
                self._join([*outside, *inner] if self.choices.chance(50) else [*inner, *outside], scope)
            else:
                name = self._name()
                self._connect(self.choices.some(scope, 1, 3), name)
                scope.append(name)

    def _connect(self, sources: list[str], target: str) -> None:
        """Alternatives or a join; a single source gives a plain edge."""
        if len(sources) > 1 and self.choices.chance(50):
            self.sketch.join(tuple(sources), target)
            return
        for source in sources:
            mark = self.choices.number(0, 4)
            siblings = [edge for edge in self.sketch.edges if edge.source == source]
            if mark == 4 and any(edge.conditional for edge in siblings):
                self.sketch.edge(source, target, otherwise=True)
            else:
                self.sketch.edge(source, target, when=mark >= 2)

    def _join(self, sources: list[str], scope: list[str]) -> None:
        name = self._name()
        self.sketch.join(tuple(sources), name)
        scope.append(name)

    def _map(self, scope: list[str], outer: list[str]) -> None:
        source, target = self.choices.one(scope), self._name()
        self.sketch.map(source, target)
        inner = [target]
        self._grow(inner, outer=[*outer, *scope], least=1, most=4)
        name = self._name()
        for _ in range(self.choices.number(0, 2)):
            self.sketch.collect(self.choices.one(inner), name)
            if name not in scope:
                scope.append(name)
                if self.choices.chance(20):  # a collect beside alternatives
                    self._alternatives([other for other in scope if other != name], name)
            if self.choices.chance(50):
                name = self._name()

    def _alternatives(self, sources: list[str], target: str) -> None:
        for source in self.choices.some(sources, 0, 1):
            self.sketch.edge(source, target, when=self.choices.chance(50))


def _shuffled(sketch: Sketch, choices: Choices) -> Plan:
    """The same graph, with its edges declared in reverse order half of the time."""
    ends = [name for name in ("end", "end2") if name in sketch.scope_of]
    plan = sketch.plan(*(reversed(ends) if choices.chance(30) else ends))
    if choices.chance(50):
        return plan
    last = len(plan.edges) - 1
    return replace(
        plan,
        edges=tuple(replace(edge, index=last - edge.index) for edge in reversed(plan.edges)),
        scopes=tuple(
            scope if scope.edge is None else replace(scope, edge=last - scope.edge) for scope in plan.scopes
        ),
    )
