"""`Plan`: the shape of a workflow as plain data. It is what the core sees and what the database keeps.

A plan holds names, edges and scopes; no functions, no policies, and of types only their names. It is stored once per
signature and is enough to read, draw and cancel a run without the user's code. Its stored form is in
`engine/graph/plan_form.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from .addresses import Address

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


class ScopeKind(StrEnum):
    """What a scope is: it says whether paths have a number for it, and what follows when all in it is decided."""

    ROOT = "root"  # the run
    MAP = "map"  # numbered by its items
    LOOP = "loop"  # numbered by its iterations
    WORKFLOW = "workflow"  # inlined: not numbered, its name is in front of the names of its nodes

    __hash__ = str.__hash__  # Enum's own is a Python function


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanScope:
    """A scope: index 0 is the root, which no other encloses. `edge` is a map's edge, None for the root."""

    index: int
    parent: int | None
    edge: int | None
    depth: int  # how many scopes enclose it; paths may be shorter, see `Plan.nested`
    kind: ScopeKind = ScopeKind.MAP  # of the one without a parent always ROOT

    def __post_init__(self) -> None:
        if self.parent is None:
            object.__setattr__(self, "kind", ScopeKind.ROOT)


class NodePlace(NamedTuple):
    """Where a node lies, and what the paths of its activations tell."""

    scope: int  # index in Plan.scopes
    entry: int  # how long the path of what entered the scope is, which says which instance it is
    length: int  # how long the node's own paths are: in a numbered scope one longer, by the item


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked workflow as data."""

    workflow: str
    start: str
    ends: tuple[str, ...]  # alternatives; of those reached the first gives the result
    nodes: tuple[PlanNode, ...]  # in topological order
    edges: tuple[PlanEdge, ...]
    scopes: tuple[PlanScope, ...]  # each after the one that encloses it
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

    @cached_property
    def numbered(self) -> frozenset[int]:
        """The scopes for which a path has a number: maps and loops."""
        return frozenset(
            scope.index for scope in self.scopes if scope.kind in (ScopeKind.MAP, ScopeKind.LOOP)
        )

    @cached_property
    def nested(self) -> Mapping[str, NodePlace]:
        """Where each node lies that does not lie directly in the root scope; of those that do, paths are empty.

        A path has a number for each enclosing scope that is numbered, outermost first.
        """
        lengths: list[tuple[int, int]] = []
        for scope in self.scopes:
            entry = 0 if scope.parent is None else lengths[scope.parent][1]
            lengths.append((entry, entry + (scope.index in self.numbered)))
        return {
            node.name: NodePlace(node.scope, *lengths[node.scope]) for node in self.nodes if node.scope != 0
        }

    def path_in(self, node: str, path: tuple[int, ...]) -> tuple[int, ...]:
        """The path of that activation of `node` which the activation at `path` sees.

        The node lies in the same scope or in one that encloses it.
        """
        known = self.nested.get(node)
        return () if known is None else path[: known.length]

    def place(self, address: Address) -> tuple[str, int]:
        """Where an activation is kept in its scope's instance: its node and item, which is 0 where there are no items."""
        node, path = address
        return node, path[-1] if path and node in self._items else 0

    @cached_property
    def _items(self) -> frozenset[str]:
        """The nodes of which an activation is one item of its scope's instance."""
        return frozenset(node.name for node in self.nodes if node.scope in self.numbered)

    @cached_property
    def reaching_in(self) -> frozenset[int]:
        """The edges of joins whose source lies in a scope that encloses the target's."""
        return frozenset(
            edge.index
            for edge in self.edges
            if edge.kind is EdgeKind.JOIN and self.node[edge.source].scope != self.node[edge.target].scope
        )

    def sees(self, node: str, other: str) -> bool:
        """Whether `other` lies in the scope of `node`, or in one that encloses it."""
        return encloses(self.scopes, self.node[other].scope, self.node[node].scope)

    @cached_property
    def map_edges(self) -> Mapping[int, PlanEdge]:
        """The edge that opens each map's scope."""
        return {
            scope.index: self.edges[scope.edge]
            for scope in self.scopes
            if scope.kind is ScopeKind.MAP and scope.edge is not None
        }

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
        plain["scopes"] = [_plain_scope(scope) for scope in self.scopes]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Plan:
        """The plan that `to_plain` gave. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        read: dict[str, Any] = dict(plain)
        edges: list[dict[str, Any]] = [{**edge, "kind": EdgeKind(edge["kind"])} for edge in read["edges"]]
        read["ends"] = tuple(read["ends"])
        read["nodes"] = tuple(PlanNode(**node) for node in read["nodes"])
        read["edges"] = tuple(PlanEdge(**edge) for edge in edges)
        scopes: list[dict[str, Any]] = [
            {**scope, "kind": ScopeKind(scope.get("kind", ScopeKind.MAP))} for scope in read["scopes"]
        ]
        read["scopes"] = tuple(PlanScope(**scope) for scope in scopes)
        return cls(**read)


def encloses(scopes: Sequence[PlanScope], outer: int, inner: int) -> bool:
    """Whether the scope `inner` is `outer` or lies inside of it."""
    found: int | None = inner
    while found is not None and found != outer:
        found = scopes[found].parent
    return found is not None


def _plain_scope(scope: PlanScope) -> dict[str, Any]:
    """The kind is left out where the parent says it: a scope that lies in another one is a map's unless it is named."""
    plain = asdict(scope)
    kind = plain.pop("kind")
    return plain if kind in (ScopeKind.ROOT, ScopeKind.MAP) else {**plain, "kind": kind.value}


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
