"""`Topology`: questions about paths, answered by networkx. No other module imports networkx."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.plan import PlanEdge


class Topology:
    """A workflow's nodes and edges as a directed multigraph of names."""

    def __init__(self, names: Sequence[str], edges: Iterable[PlanEdge]) -> None:
        # Imported here, because importing it takes longer than all the rest of a start-up. It has no type stubs.
        self._nx: Any = importlib.import_module("networkx")
        self._rank = {name: rank for rank, name in enumerate(names)}
        self._graph: Any = self._nx.MultiDiGraph()
        self._graph.add_nodes_from(names)
        for edge in edges:
            self._graph.add_edge(edge.source, edge.target, key=edge.index)

    def cycles(self) -> list[list[str]]:
        """One cycle of each strongly connected component, as the names along it, in the order of declaration."""
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
        """The names reachable from `start`, in a topological order that keeps branches together."""
        return list(reversed(list(self._nx.dfs_postorder_nodes(self._graph, start))))

    def reachable(self, start: str) -> set[str]:
        """`start` and every name that a path leads to from there."""
        return {start, *self._nx.descendants(self._graph, start)}
