"""What must be true of a run, worked out anew from the plan and from what has succeeded so far.

No counters, no order, no state: each question is answered by asking the same of the sources. It shares no
code with the core and is slow on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from perdure.engine.core.addresses import Address
from perdure.engine.core.plan import EdgeKind, Plan, PlanEdge


@dataclass(frozen=True)
class Fact:
    """An activation succeeded, and its edges are decided: these fire, and its output has that many items."""

    taken: tuple[int, ...]
    items: int | None


class Verdict(Enum):
    """What an activation must be."""

    NOT_YET = "some input is undecided: it does not exist"
    SKIPPED = "no input will come"
    DUE = "its inputs are there, and it has not succeeded"
    SUCCEEDED = "it succeeded"


Input: TypeAlias = tuple[object, ...]
"""What an activation gets, by address: of a map (source, item), of a join a source or None per position, else
one entry per edge that delivered: the source, or for a collect the tuple of the items' addresses."""


class Oracle:
    def __init__(self, plan: Plan, facts: Mapping[Address, Fact]) -> None:
        self.plan = plan
        self.facts = facts
        self._verdicts: dict[Address, Verdict] = {}
        self._into: dict[str, list[PlanEdge]] = {
            node.name: sorted(
                (edge for edge in plan.edges if edge.target == node.name),
                key=lambda edge: (edge.position, edge.index),
            )
            for node in plan.nodes
        }
        maps = [edge for edge in plan.edges if edge.kind is EdgeKind.MAP]
        self._maps = {node.name: [edge for edge in maps if edge.source == node.name] for node in plan.nodes}
        self._mapped = {edge.scope: edge.source for edge in maps}

    def verdict(self, address: Address) -> Verdict:
        if address not in self._verdicts:
            self._verdicts[address] = self._judge(address)
        return self._verdicts[address]

    def decided(self, address: Address) -> bool:
        return self.verdict(address) in (Verdict.SKIPPED, Verdict.SUCCEEDED)

    def addresses(self, scope: int = 0, path: tuple[int, ...] = ()) -> Iterator[Address]:
        """Every activation that there can be as far as is known, in this scope at this path and inside."""
        for node in self.plan.nodes:
            if node.scope != scope:
                continue
            address = Address(node.name, path)
            yield address
            for edge in self._opened(address):
                assert edge.scope is not None
                for item in range(self.facts[address].items or 0):
                    yield from self.addresses(edge.scope, (*path, item))

    def instances(self) -> dict[tuple[int, tuple[int, ...]], bool]:
        """Every map that was entered, as (scope, path of its source): whether something in it is undecided."""
        found = {
            (edge.scope or 0, address.path): False
            for address in self.addresses()
            for edge in self._opened(address)
        }
        for address in self.addresses():
            if not self.decided(address):
                scope = self.plan.scopes[self.plan.node[address.node].scope]
                while scope.parent is not None:
                    found[scope.index, address.path[: scope.depth - 1]] = True
                    scope = self.plan.scopes[scope.parent]
        return found

    def input(self, address: Address) -> Input:
        """What the activation gets; it must be due or have succeeded."""
        edges = self._into[address.node]
        if edges and edges[0].kind is EdgeKind.MAP:
            return (Address(edges[0].source, address.path[:-1]), address.path[-1])
        if edges and edges[0].kind is EdgeKind.JOIN:
            return tuple(
                self._source(edge, address) if self._delivers(edge, address) else None for edge in edges
            )
        return tuple(
            tuple(item for item in self._items(edge, address) if item in self.facts)
            if edge.kind is EdgeKind.COLLECT
            else self._source(edge, address)
            for edge in edges
            if self._delivers(edge, address)
        )

    # -- one question at a time --------------------------------------------------------------------------

    def _opened(self, address: Address) -> list[PlanEdge]:
        """The map edges that this activation has sent items along."""
        return self._maps[address.node] if address in self.facts else []

    def _judge(self, address: Address) -> Verdict:
        if address.node != self.plan.start:
            delivered = [self._delivers(edge, address) for edge in self._into[address.node]]
            if None in delivered:
                return Verdict.NOT_YET
            if not any(delivered):
                return Verdict.SKIPPED
        return Verdict.SUCCEEDED if address in self.facts else Verdict.DUE

    def _source(self, edge: PlanEdge, target: Address) -> Address:
        """Where the edge comes from; of a collect, the activation that was mapped."""
        source = self._mapped[edge.scope] if edge.kind is EdgeKind.COLLECT else edge.source
        depth = self.plan.scopes[self.plan.node[source].scope].depth
        return Address(source, target.path[:depth])

    def _items(self, edge: PlanEdge, target: Address) -> list[Address]:
        count = self.facts[self._source(edge, target)].items or 0
        return [Address(edge.source, (*target.path, item)) for item in range(count)]

    def _delivers(self, edge: PlanEdge, target: Address) -> bool | None:
        """Whether the edge delivers to that activation; None while that is undecided."""
        source = self._source(edge, target)
        match self.verdict(source):
            case Verdict.SKIPPED:
                return False
            case Verdict.SUCCEEDED if edge.kind is EdgeKind.COLLECT:
                return True if all(self.decided(item) for item in self._items(edge, target)) else None
            case Verdict.SUCCEEDED:
                return not (edge.conditional or edge.otherwise) or edge.index in self.facts[source].taken
            case _:
                return None
