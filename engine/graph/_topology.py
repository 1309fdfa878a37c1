"""`Topology`: what networkx knows about a workflow's graph. The one place that imports it, when first built."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.plan import PlanEdge


class Topology:
    """A directed multigraph of node names, with questions about its paths."""

    def __init__(self, names: Sequence[str], edges: Iterable[PlanEdge]) -> None:
        # Imported here, because it takes longer than all the rest of a start-up; it has no type stubs.
        self._nx: Any = importlib.import_module("networkx")
        self._rank = {name: rank for rank, name in enumerate(names)}
        self._graph: Any = self._nx.MultiDiGraph()
        self._graph.add_nodes_from(names)
        for edge in edges:
            self._graph.add_edge(edge.source, edge.target, key=edge.index)

    def cycles(self) -> list[list[str]]:
        """One cycle of each part of the graph that has any, as the names that it passes."""
        found: list[list[str]] = []
        for component in self._nx.strongly_connected_components(self._graph):
            part = self._graph.subgraph(component)
            if len(component) > 1 or part.number_of_edges():
                first = min(component, key=self._rank.__getitem__)
                found.append([str(edge[0]) for edge in self._nx.find_cycle(part, first)])
        return sorted(found, key=lambda cycle: self._rank[cycle[0]])

    def order(self) -> list[str]:
        """The names in topological order, ties in the order of declaration. Only without cycles."""
        return list(self._nx.lexicographical_topological_sort(self._graph, key=self._rank.__getitem__))

    def depth_first(self, start: str) -> list[str]:
        """The names reachable from `start` in a topological order that keeps branches together."""
        return list(reversed(list(self._nx.dfs_postorder_nodes(self._graph, start))))

    def reachable(self, start: str) -> set[str]:
        """`start` and all that a path leads to from there."""
        return {start, *self._nx.descendants(self._graph, start)}
