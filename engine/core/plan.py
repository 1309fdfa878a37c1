"""`Plan`: the shape of a workflow as plain data. It is what the core sees and what the database keeps.

A plan holds names, edges and scopes; no functions, no policies, and of types only their names. It is stored once per
signature and is enough to read, draw and cancel a run without the user's code. Its stored form is in
`engine/graph/plan_form.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, TypeAlias

OnFailure: TypeAlias = Literal["cancel", "finish"]
"""What becomes of activations that are under way when another one fails: they are cancelled, or they finish."""


class EdgeKind(StrEnum):
    """How a value flows along an edge."""

    PLAIN = "plain"
    MAP = "map"  # opens a scope: one activation of the target per item
    COLLECT = "collect"  # closes it: the target gets the list
    JOIN = "join"  # one position of the tuple that the target gets


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanNode:
    """A node in its scope."""

    name: str
    kind: str  # "function", "agent", "operation", …
    scope: int  # index in Plan.scopes
    input: str  # the name of the type, without modules
    output: str
    discarded: bool = False  # ending here is meant


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanEdge:
    """An edge. `index` is its place in `Plan.edges`, which is the order in which edges were declared."""

    index: int
    kind: EdgeKind
    source: str
    target: str
    conditional: bool = False  # has a `when`, or is a case of a switch
    otherwise: bool = False
    case: str | None = (
        None  # of a switch: the values that take it, for people; cases of one source exclude each other
    )
    position: int = 0  # of a join's source in its tuple
    scope: int | None = None  # of a map: the scope that it opens; of a collect: the scope that it closes


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanScope:
    """A scope: index 0 is the root, each map opens another. `edge` is the map edge, None for the root."""

    index: int
    parent: int | None
    edge: int | None
    depth: int  # 0 for the root; the length of the item paths inside


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked workflow as data."""

    workflow: str
    start: str
    ends: tuple[str, ...]  # alternatives; of those reached the first gives the result
    nodes: tuple[PlanNode, ...]  # in topological order
    edges: tuple[PlanEdge, ...]
    scopes: tuple[PlanScope, ...]
    on_failure: OnFailure = "finish"

    @cached_property
    def node(self) -> Mapping[str, PlanNode]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[PlanEdge, ...]]:
        """A node's outgoing edges, in order."""
        edges: dict[str, list[PlanEdge]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            edges[edge.source].append(edge)
        return {name: tuple(found) for name, found in edges.items()}

    @cached_property
    def incoming(self) -> Mapping[str, tuple[PlanEdge, ...]]:
        """A node's incoming edges, in order; a join's by position."""
        edges: dict[str, list[PlanEdge]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            edges[edge.target].append(edge)
        return {
            name: tuple(sorted(found, key=lambda edge: (edge.position, edge.index)))
            for name, found in edges.items()
        }

    @cached_property
    def collects(self) -> Mapping[int, tuple[PlanEdge, ...]]:
        """The collect edges that close each scope."""
        edges: dict[int, list[PlanEdge]] = {scope.index: [] for scope in self.scopes}
        for edge in self.edges:
            if edge.kind is EdgeKind.COLLECT and edge.scope is not None:
                edges[edge.scope].append(edge)
        return {index: tuple(found) for index, found in edges.items()}

    def mapped(self, scope: int) -> str:
        """The name of the node whose output a scope's items are of, as its user says it: not that of an `each`."""
        entry = self.scopes[scope].edge
        if entry is None:
            return ""
        source = self.edges[entry].source
        return self.incoming[source][0].source if self.node[source].kind == "each" else source

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """The nodes that lie upstream of each node."""
        found: dict[str, frozenset[str]] = {}
        for node in self.nodes:  # in topological order
            sources = {edge.source for edge in self.incoming[node.name]}
            found[node.name] = frozenset(sources.union(*(found[source] for source in sources)))
        return found

    def to_plain(self) -> dict[str, Any]:
        """The plan as dicts, lists, texts, numbers, booleans and None; `from_plain` reads it back."""
        plain: dict[str, Any] = {
            "workflow": self.workflow,
            "start": self.start,
            "ends": list(self.ends),
            "on_failure": self.on_failure,
        }
        plain["nodes"] = [asdict(node) for node in self.nodes]
        plain["edges"] = [{**asdict(edge), "kind": edge.kind.value} for edge in self.edges]
        plain["scopes"] = [asdict(scope) for scope in self.scopes]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Plan:
        """The plan that `to_plain` gave. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        read: dict[str, Any] = dict(plain)
        edges: list[dict[str, Any]] = [{**edge, "kind": EdgeKind(edge["kind"])} for edge in read["edges"]]
        read["ends"] = tuple(read["ends"])
        read["nodes"] = tuple(PlanNode(**node) for node in read["nodes"])
        read["edges"] = tuple(PlanEdge(**edge) for edge in edges)
        read["scopes"] = tuple(PlanScope(**scope) for scope in read["scopes"])
        return cls(**read)


def differences(old: Plan, new: Plan) -> list[str]:
    """What changed from one plan to another: a line for each change, for people to read, sorted."""
    lines = [f"node {name} is gone" for name in old.node.keys() - new.node.keys()]
    lines += [f"node {name} is new" for name in new.node.keys() - old.node.keys()]
    for name in old.node.keys() & new.node.keys():
        before, after = old.node[name], new.node[name]
        lines += [
            f"node {name}: {what} was {getattr(before, what)}, is {getattr(after, what)}"
            for what in ("kind", "input", "output", "scope", "discarded")
            if getattr(before, what) != getattr(after, what)
        ]
    was = {_edge_text(edge) for edge in old.edges}
    now = {_edge_text(edge) for edge in new.edges}
    lines += [f"edge {text} is gone" for text in was - now]
    lines += [f"edge {text} is new" for text in now - was]
    lines += [
        f"{what} was {getattr(old, what)}, is {getattr(new, what)}"
        for what in ("workflow", "start", "on_failure")
        if getattr(old, what) != getattr(new, what)
    ]
    if old.ends != new.ends:
        lines.append(f"end was {' or '.join(old.ends)}, is {' or '.join(new.ends)}")
    return sorted(lines) or ["the order in which nodes or edges are declared"]


def _edge_text(edge: PlanEdge) -> str:
    marks = [edge.kind.value]
    if edge.case is not None:
        marks.append(f"case {edge.case}")
    elif edge.conditional:
        marks.append("when")
    if edge.otherwise:
        marks.append("otherwise")
    if edge.kind is EdgeKind.JOIN:
        marks.append(f"position {edge.position}")
    return f"{edge.source} -> {edge.target} ({', '.join(marks)})"
