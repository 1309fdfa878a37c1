"""Checks of what is wired to what: the shape of the graph, without scopes and types.

Each problem names the nodes that it is about, and the fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.plan import EdgeKind, PlanEdge
from ._draft import Draft
from ._topology import Topology
from .each import EachNode


def wiring_problems(draft: Draft, topology: Topology) -> Iterator[str]:
    """Everything that is wrong with the shape."""
    for name in draft.nodes:
        yield from _incoming(draft, name)
        yield from _outgoing(draft, name)
    yield from _duplicates(draft)
    for cycle in topology.cycles():
        yield (
            f"{' -> '.join(_shown_cycle(draft, cycle))} is a cycle, and a workflow's edges can't lead back. "
            "Remove one of these edges; to try a node again when it raises, give it `retries`."
        )
    yield from _unreachable(draft, topology)


def _incoming(draft: Draft, name: str) -> Iterator[str]:
    edges = draft.incoming(name)
    if name == draft.start:
        for edge in edges:
            yield f"{draft.describe(edge)}: the start {name} gets the run's input and can't have an incoming edge."
        return
    kinds = {edge.kind for edge in edges}
    if EdgeKind.MAP in kinds and len(edges) > 1:
        yield (
            f"{name} has a map and {len(edges) - 1} more incoming: {_all(draft, edges)}. A map must be its target's "
            f"only edge: let a node before it make the list, or give each list its own node with `{name}.named('...')`."
        )
    elif EdgeKind.JOIN in kinds:
        if len(kinds) > 1:
            yield (
                f"{name} has a join and other edges incoming: {_all(draft, edges)}. A join must have all the sources "
                "of its target: put them into its tuple."
            )
        elif sum(edge.position == 0 for edge in edges) > 1:
            yield f"{name} has more than one join incoming: {_all(draft, edges)}. Put all sources into one tuple."


def _outgoing(draft: Draft, name: str) -> Iterator[str]:
    edges = draft.outgoing(name)
    conditional = [edge for edge in edges if edge.conditional]
    otherwise = [edge for edge in edges if edge.otherwise]
    if name in draft.ends:
        for edge in edges:
            yield (
                f"{draft.describe(edge)}: the end {name} gives the run's result and can't have an outgoing edge. "
                "Make the last node the end."
            )
    elif not edges and name not in draft.discarded:
        yield f"{name} leads nowhere. Give it an edge, or `discard({name})` if its output is not needed."
    if otherwise and not conditional:
        yield f"{draft.describe(otherwise[0])} has `otherwise`, but no edge from {name} has a `when`. Leave it out."
    if len(otherwise) > 1:
        yield f"{name} has {len(otherwise)} edges with `otherwise`: {_all(draft, otherwise)}. Keep one."
    if name in draft.discarded:
        where = f"discard({name}) ({draft.discarded[name]})"
        if name in draft.ends:
            yield f"{where}: {name} is the end, whose output is the run's result. Remove the discard."
        elif otherwise or len(conditional) < len(edges):
            always = next(edge for edge in edges if not edge.conditional)
            yield f"{where}: {name} never ends the path, because of {draft.describe(always)}. Remove the discard."


def _duplicates(draft: Draft) -> Iterator[str]:
    """Edges beside another that always carries the same value to the same node."""
    groups: dict[tuple[str, str, EdgeKind], list[PlanEdge]] = {}
    for edge in draft.edges:
        if edge.kind in (EdgeKind.PLAIN, EdgeKind.COLLECT):  # further maps and joins: see _incoming
            groups.setdefault((edge.source, edge.target, edge.kind), []).append(edge)
    for edges in groups.values():
        always = next((edge for edge in edges if not (edge.conditional or edge.otherwise)), None)
        for edge in edges:
            if always is not None and edge is not always:
                yield f"{draft.describe(edge)}: {draft.describe(always)} always carries that value already. Remove one."


def _unreachable(draft: Draft, topology: Topology) -> Iterator[str]:
    reached = topology.reachable(draft.start)
    lost = [name for name in draft.nodes if name not in reached]
    for name in lost:
        sources = {edge.source for edge in draft.incoming(name)}
        if name in draft.ends:
            yield f"no path leads from the start {draft.start} to the end {name}. Add the edges between them."
        elif not sources:
            yield (
                f"{name} can't be reached from the start {draft.start}: nothing leads to it. "
                "Give it an edge from a node that runs, or remove it."
            )


def _shown_cycle(draft: Draft, cycle: Sequence[str]) -> Sequence[str]:
    """The names along it and the first again, without the nodes of maps that the user did not write."""
    written = [name for name in cycle if not isinstance(draft.nodes[name], EachNode)]
    return [*written, written[0]]


def _all(draft: Draft, edges: Sequence[PlanEdge]) -> str:
    return ", ".join(draft.describe(edge) for edge in edges)
