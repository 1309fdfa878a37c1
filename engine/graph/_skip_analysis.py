"""The skip analysis: which nodes may be skipped and which always run, exactly, by one boolean function per node.

The function says for which outcomes of the conditions the node runs, in one instance of its scope. The functions
are kept as ordered binary decision diagrams, in which equal functions have the same number: a node behind `when` and
`otherwise` branches that meet again runs exactly when the node before them does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..core.plan import EdgeKind, PlanEdge, PlanScope

NEVER = 0
ALWAYS = 1

_BUDGET = 20_000  # tests in all diagrams; graphs written by people need a few hundred


class TooManyConditionsError(Exception):
    """The diagrams of this graph would exceed the budget: its skips can't be analysed."""


class SkipAnalysis:
    """The functions of all nodes and edges. Raises `TooManyConditionsError`."""

    def __init__(
        self,
        *,
        start: str,
        order: Sequence[str],
        edges: Sequence[PlanEdge],
        scopes: Sequence[PlanScope],
        discarded: Iterable[str],
    ) -> None:
        """`order` is topological; the closer together it keeps each branch, the smaller the diagrams."""
        self._tests: list[tuple[int, int, int]] = [(-1, 0, 0), (-1, 1, 1)]  # (variable, if false, if true)
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._done: dict[tuple[bool, int, int], int] = {}
        self._owners: list[str] = []  # which node's conditions a variable stands for
        self._edges = edges
        self._discarded = frozenset(discarded)
        self.runs: dict[str, int] = {}
        """Node name: when it runs."""
        self.taken: dict[int, int] = {}
        """Edge index: when it delivers."""
        outgoing: dict[str, list[PlanEdge]] = defaultdict(list)
        incoming: dict[str, list[PlanEdge]] = defaultdict(list)
        for edge in edges:
            outgoing[edge.source].append(edge)
            incoming[edge.target].append(edge)
        for name in order:
            runs = ALWAYS if name == start else NEVER
            for edge in incoming[name]:
                runs = self.either(runs, self.taken[edge.index])
            self.runs[name] = runs
            fires = self._decisions(name, outgoing[name])
            for edge in outgoing[name]:
                if edge.kind is EdgeKind.COLLECT:  # delivers whenever the map was entered, if only []
                    opened_by = scopes[edge.scope or 0].edge
                    self.taken[edge.index] = self.runs[edges[opened_by or 0].source]
                else:
                    self.taken[edge.index] = self.both(runs, fires.get(edge.index, ALWAYS))

    def either(self, one: int, other: int) -> int:
        """When at least one of two functions holds."""
        return self._combine(True, one, other)

    def both(self, one: int, other: int) -> int:
        """When both hold."""
        return self._combine(False, one, other)

    def deciders(self, function: int) -> list[str]:
        """The nodes whose conditions this function depends on."""
        names: list[str] = []
        seen, todo = {NEVER, ALWAYS}, [function]
        while todo:
            number = todo.pop()
            if number not in seen:
                seen.add(number)
                variable, low, high = self._tests[number]
                names.append(self._owners[variable])
                todo += [low, high]
        return sorted(set(names))

    def _decisions(self, name: str, edges: Sequence[PlanEdge]) -> dict[int, int]:
        """When each conditional or otherwise edge of a node fires, given that the node ran.

        Cases of a switch exclude each other. Where nothing but conditional edges leaves a node that is not discarded, a run in which none fires has
        failed: then one of them is sure to fire in every run that matters.
        """
        conditional = [edge for edge in edges if edge.conditional]
        one_must = len(conditional) == len(edges) and name not in self._discarded
        fires: dict[int, int] = {}
        none = no_case = ALWAYS
        for edge in conditional:
            variable = len(self._owners)
            self._owners.append(name)
            fires[edge.index] = self._number(variable, NEVER, ALWAYS)
            if edge.case is not None:
                fires[edge.index] = self.both(no_case, fires[edge.index])
                no_case = self.both(no_case, self._number(variable, ALWAYS, NEVER))
            if one_must and edge is conditional[-1]:
                fires[edge.index] = self.either(fires[edge.index], none)
            none = self.both(none, self._number(variable, ALWAYS, NEVER))
        fires.update({edge.index: none for edge in edges if edge.otherwise})
        return fires

    def _number(self, variable: int, low: int, high: int) -> int:
        if low == high:
            return low
        test = (variable, low, high)
        if test not in self._numbers:
            if len(self._tests) > _BUDGET:
                raise TooManyConditionsError
            self._numbers[test] = len(self._tests)
            self._tests.append(test)
        return self._numbers[test]

    def _combine(self, either: bool, one: int, other: int) -> int:
        """The disjunction (`either`) or conjunction of two functions; without recursion, since graphs can be deep."""
        todo = [(one, other)]
        while todo:
            left, right = todo[-1]
            key = (either, left, right)
            if key in self._done:
                todo.pop()
                continue
            known = _trivial(either, left, right)
            if known is not None:
                self._done[key] = known
                continue
            # Variables are numbered in topological order, and the latest is tested first: a condition added to
            # a long chain is then one step.
            variable = max(self._tests[left][0], self._tests[right][0])
            parts = [
                (self._branch(left, variable, side), self._branch(right, variable, side)) for side in (1, 2)
            ]
            missing = [part for part in parts if (either, *part) not in self._done]
            if missing:
                todo += missing
            else:
                low, high = (self._done[(either, *part)] for part in parts)
                self._done[key] = self._number(variable, low, high)
        return self._done[(either, one, other)]

    def _branch(self, function: int, variable: int, side: int) -> int:
        test = self._tests[function]
        return test[side] if test[0] == variable else function


def _trivial(either: bool, left: int, right: int) -> int | None:
    absorbing, neutral = (ALWAYS, NEVER) if either else (NEVER, ALWAYS)
    if absorbing in (left, right):
        return absorbing
    if left in (neutral, right):
        return right
    return left if right == neutral else None
