"""`Draft`: a workflow as it was wired, before it is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from ...nodes.node import Node
from ..core.plan import EdgeKind, OnFailure, PlanEdge
from .each import EachNode
from .switch import Switch

AnyNode: TypeAlias = Node[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What `Workflow` hands to the checks. Its edges name their nodes and have no scopes yet."""

    name: str
    start: str
    ends: Sequence[str]
    nodes: Mapping[str, AnyNode]  # in the order of declaration
    edges: Sequence[PlanEdge]
    places: Sequence[str]  # of each edge: "pipeline.py:31"
    discarded: Mapping[str, str]  # name: place, as above
    switches: Mapping[str, Switch]  # by source
    clashes: Sequence[str]  # problems found while wiring: two nodes with one name
    on_failure: OnFailure

    def incoming(self, name: str) -> Sequence[PlanEdge]:
        """The edges into a node, in the order of declaration."""
        return self._incoming.get(name, ())

    def outgoing(self, name: str) -> Sequence[PlanEdge]:
        """The edges out of a node, in the order of declaration."""
        return self._outgoing.get(name, ())

    @cached_property
    def _incoming(self) -> Mapping[str, Sequence[PlanEdge]]:
        found: dict[str, list[PlanEdge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found

    @cached_property
    def _outgoing(self) -> Mapping[str, Sequence[PlanEdge]]:
        found: dict[str, list[PlanEdge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    def describe(self, edge: PlanEdge) -> str:
        """An edge for a message: `map plan -> research (pipeline.py:31)`."""
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        if isinstance(target, EachNode):  # both halves of the map are one line of the user's
            return f"map {edge.source} -> {target.target} ({self.places[edge.index]})"
        if isinstance(source, EachNode):
            return f"map {source.source} -> {edge.target} ({self.places[edge.index]})"
        if edge.case is not None:
            return f"switch {edge.source} -> {edge.target} ({self.places[edge.index]})"
        kind = "edge" if edge.kind is EdgeKind.PLAIN else edge.kind.value
        return f"{kind} {edge.source} -> {edge.target} ({self.places[edge.index]})"
