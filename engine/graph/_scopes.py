"""Which scope each node lies in. Every map edge opens a scope, a collect closes the innermost one.

Scopes nest or are disjoint: that follows from how a node gets its scope from its sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.plan import EdgeKind, PlanEdge, PlanScope, ScopeKind, encloses
from ._draft import Draft
from .each import EachNode


@dataclass(frozen=True, kw_only=True, slots=True)
class Scopes:
    """The scopes of a workflow and of its nodes and edges. Nodes that have no scope are missing; `problems` says why."""

    scopes: tuple[PlanScope, ...]
    of: dict[str, int]  # node: index in scopes
    edges: tuple[PlanEdge, ...]  # with their scopes
    problems: tuple[str, ...]


def assign_scopes(draft: Draft, order: Sequence[str]) -> Scopes:
    """Give each node its scope. `order` is topological and holds only nodes that the start reaches."""
    walk = _Walk(draft)
    for name in order:
        walk.place(name)
    for end in draft.ends:
        if walk.of.get(end, 0) != 0:
            walk.problems.append(_inside(draft, walk, end))
    return Scopes(
        scopes=tuple(walk.scopes), of=walk.of, edges=tuple(walk.edges), problems=tuple(walk.problems)
    )


def _inside(draft: Draft, walk: _Walk, end: str) -> str:
    before = draft.incoming(end)[0]
    if before.kind is not EdgeKind.MAP:
        fix = f"Close the map before it, with `collect({before.source}, ...)`."
    elif isinstance(draft.nodes[before.source], EachNode):  # without the map the types would not fit
        fix = (
            f"End at a node that takes the list of what {end} gives, and wire it with `collect({end}, ...)`."
        )
    else:
        fix = f"Use `edge({before.source}, {end})`, or end at a node that takes the list, with `collect({end}, ...)`."
    return f"the end {end} lies inside {walk.describe(walk.of[end])}, so it would run once per item. {fix}"


class _Walk:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.scopes = [PlanScope(index=0, parent=None, edge=None, depth=0, kind=ScopeKind.ROOT)]
        self.of: dict[str, int] = {}
        self.edges = list(draft.edges)
        self.problems: list[str] = []

    def place(self, name: str) -> None:
        incoming = [edge for edge in self.draft.incoming(name) if edge.source in self.of]
        if name == self.draft.start:
            self.of[name] = 0
        elif incoming and len(incoming) == len(self.draft.incoming(name)):
            match incoming[0].kind:
                case EdgeKind.MAP:
                    self.of[name] = self._open(incoming[0])
                case EdgeKind.JOIN:
                    self._join(name, incoming)
                case EdgeKind.PLAIN | EdgeKind.COLLECT:
                    self._meet(name, incoming)

    def _open(self, edge: PlanEdge) -> int:
        parent = self.scopes[self.of[edge.source]]
        scope = PlanScope(
            index=len(self.scopes),
            parent=parent.index,
            edge=edge.index,
            depth=parent.depth + 1,
            kind=ScopeKind.MAP,
        )
        self.scopes.append(scope)
        self.edges[edge.index] = replace(edge, scope=scope.index)
        return scope.index

    def _close(self, edge: PlanEdge) -> int | None:
        scope = self.scopes[self.of[edge.source]]
        if scope.kind is not ScopeKind.MAP:
            self.problems.append(
                f"{self.draft.describe(edge)}: {edge.source} lies in no map, so there is nothing to collect. "
                f"Use `edge({edge.source}, {edge.target})`, or open the map with `map` before {edge.source}."
            )
            return None
        self.edges[edge.index] = replace(edge, scope=scope.index)
        return scope.parent

    def _meet(self, name: str, incoming: Sequence[PlanEdge]) -> None:
        """Alternatives: all must come from one scope."""
        places = [
            self._close(edge) if edge.kind is EdgeKind.COLLECT else self.of[edge.source] for edge in incoming
        ]
        found = [place for place in places if place is not None]
        if len(found) < len(places):
            return
        if len(set(found)) == 1:
            self.of[name] = found[0]
            return
        shallow = min(found, key=lambda place: self.scopes[place].depth)
        odd = next(index for index, place in enumerate(found) if place != shallow)
        other = next(index for index, place in enumerate(found) if place == shallow)
        if self._encloses(shallow, found[odd]):
            fix = f"Close the map with `collect({incoming[odd].source}, {name})`, or join the two inside it."
        else:
            fix = "These are different maps. Collect each of them first and `join` the lists."
        self.problems.append(
            f"{name} gets {self.draft.describe(incoming[odd])} from inside {self.describe(found[odd])} and "
            f"{self.draft.describe(incoming[other])} from {self.describe(shallow)}. {fix}"
        )

    def _join(self, name: str, incoming: Sequence[PlanEdge]) -> None:
        """A join happens in the deepest scope of its sources; all others must enclose it."""
        deepest = max((self.of[edge.source] for edge in incoming), key=lambda place: self.scopes[place].depth)
        strangers = [edge for edge in incoming if not self._encloses(self.of[edge.source], deepest)]
        for edge in strangers:
            self.problems.append(
                f"{self.draft.describe(edge)}: {edge.source} lies in {self.describe(self.of[edge.source])} and another source "
                f"of this join in {self.describe(deepest)}, so their items don't belong together. Collect each map first "
                "and join the lists."
            )
        if not strangers:
            self.of[name] = deepest

    def _encloses(self, outer: int, inner: int) -> bool:
        return encloses(self.scopes, outer, inner)

    def describe(self, scope: int) -> str:
        index = self.scopes[scope].edge
        return "no map" if index is None else f"the map {self._arrow(self.draft.edges[index])}"

    def _arrow(self, edge: PlanEdge) -> str:
        source = self.draft.nodes[edge.source]
        return f"{source.source if isinstance(source, EachNode) else edge.source} -> {edge.target}"
