"""`perdure graph`: the workflow of a run with the states of its nodes, from the stored plan alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..checkpoints import ActivationState, RunRecord, unpack
from ..checkpoints import reader as rows
from ..engine.plan import EdgeKind, Plan, PlanEdge, PlanNode
from . import mermaid, states
from .database import Reading
from .exits import Exit
from .facts import read_plan
from .output import Form, write_entry
from .settings import Settings
from .table import columns_of, paint, shorten

S = ActivationState


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A plan and how far one run has come in it."""

    run: RunRecord
    plan: Plan
    states: Mapping[str, Sequence[ActivationState]]
    """The states of each node's activations."""
    taken: Mapping[int, tuple[int, int]]
    """Of each conditional edge: how often it was taken, and how often it was decided."""
    items: Mapping[int, int]
    """How many items each map was entered with, over all its instances; not there: not entered yet."""


def show_graph(settings: Settings, name: str, *, as_mermaid: bool) -> Exit:
    """Draw the graph of the run with this id, prefix or `@latest`."""
    with Reading(settings.db) as reading, reading.snapshot():
        graph = _read(reading, name)
    if as_mermaid:
        drawing = mermaid.draw(
            graph.plan, {node.name: _state_words(graph, node) for node in graph.plan.nodes}
        )
        sys.stdout.writelines(f"{line}\n" for line in drawing)
    else:
        write_entry(settings, _form(graph), _Drawing(settings, graph).lines())
    return Exit.OK


def _read(reading: Reading, name: str) -> Graph:
    run = reading.read(rows.find, name)
    plan = read_plan(reading, run)
    found: dict[str, list[ActivationState]] = {node.name: [] for node in plan.nodes}
    taken = {edge.index: (0, 0) for edge in plan.edges if edge.conditional or edge.otherwise}
    for record in reading.read(rows.activations, run.key, open_only=False):
        found[record.key.node].append(record.state)
        if record.state is S.SUCCEEDED and record.taken is not None:
            edges = unpack(record.taken)
            for edge in plan.outgoing[record.key.node]:
                if edge.index in taken:
                    times, decided = taken[edge.index]
                    taken[edge.index] = (times + (edge.index in edges), decided + 1)
    items: dict[int, int] = {}
    for scope in reading.read(rows.scopes, run.key, open_only=False):
        items[scope.scope] = items.get(scope.scope, 0) + scope.size
    return Graph(run=run, plan=plan, states=found, taken=taken, items=items)


def edge_words(edge: PlanEdge) -> str:
    """What is special about an edge: `map, at most 8 at once`; nothing for a plain one."""
    marks: list[str] = []
    match edge.kind:
        case EdgeKind.MAP:
            marks.append("map" if edge.limit is None else f"map, at most {edge.limit} at once")
        case EdgeKind.COLLECT:
            marks.append("collect")
        case EdgeKind.JOIN:
            marks.append(f"join, position {edge.position + 1}")
        case EdgeKind.PLAIN:
            pass
    if edge.conditional:
        marks.append("when")
    if edge.otherwise:
        marks.append("otherwise")
    return ", ".join(marks)


def _state_words(graph: Graph, node: PlanNode) -> str:
    return states.words(graph.states[node.name]).text


def _form(graph: Graph) -> Form:
    plan = graph.plan
    return {
        "id": graph.run.id,
        "workflow": plan.workflow,
        "status": graph.run.status.value,
        "start": plan.start,
        "end": plan.end,
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "scope": node.scope,
                "input": node.input,
                "output": node.output,
                "states": {state.value: count for state, count in states.counted(graph.states[node.name])},
            }
            for node in plan.nodes
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "kind": edge.kind.value,
                "conditional": edge.conditional,
                "otherwise": edge.otherwise,
                "position": edge.position if edge.kind is EdgeKind.JOIN else None,
                "limit": edge.limit,
                "taken": graph.taken[edge.index][0] if edge.index in graph.taken else None,
                "decided": graph.taken[edge.index][1] if edge.index in graph.taken else None,
            }
            for edge in plan.edges
        ],
        "scopes": [
            {
                "index": scope.index,
                "parent": scope.parent,
                "source": None if scope.edge is None else plan.edges[scope.edge].source,
                "items": graph.items.get(scope.index),
            }
            for scope in plan.scopes
        ],
    }


class _Drawing:
    """The text: nodes from the first to the last, each with its edges below; a map's nodes inside a bracket."""

    def __init__(self, settings: Settings, graph: Graph) -> None:
        self._graph = graph
        self._plan = graph.plan
        self._width = settings.width(sys.stdout)
        self._colour = settings.colour(sys.stdout)
        deepest = max(scope.depth for scope in self._plan.scopes)
        longest = max(columns_of(self._title(node)) for node in self._plan.nodes)
        self._column = min(longest + 2 * deepest + 4, self._width // 2)

    def lines(self) -> Iterator[str]:
        """All of it."""
        run = self._graph.run
        status = states.cell(run.status)
        head = shorten(run.id, self._width - len(status.text) - len(run.workflow) - 6)
        yield f"{paint(run.workflow, 'bold', self._colour)}  {head}  {paint(*status, self._colour)}"
        yield ""
        yield from self._scope(0, "")

    def _scope(self, index: int, bar: str) -> Iterator[str]:
        """The nodes of a scope, those of each scope inside where its first node stands."""
        drawn: set[int] = set()
        for node in self._plan.nodes:
            if node.scope == index:
                yield from self._node(node, bar)
                continue
            inner = self._child(index, node.scope)
            if inner is not None and inner not in drawn:
                drawn.add(inner)
                yield f"{bar}╭ {self._each(inner, self._width - len(bar) - 2)}"
                yield from self._scope(inner, f"{bar}│ ")
                yield f"{bar}╰"

    def _child(self, outer: int, scope: int) -> int | None:
        """The scope directly inside of `outer` that holds `scope`, None where `outer` does not hold it."""
        inside: int | None = scope
        while inside is not None:
            parent = self._plan.scopes[inside].parent
            if parent == outer:
                return inside
            inside = parent
        return None

    def _each(self, scope: int, width: int) -> str:
        entry = self._plan.scopes[scope].edge
        source = "" if entry is None else self._plan.edges[entry].source
        items = self._graph.items.get(scope)
        count = "not entered yet" if items is None else f"{items:,} item{'' if items == 1 else 's'}"
        source = shorten(source, width - columns_of(f"for each item of : {count}"), "middle")
        return paint(f"for each item of {source}: {count}", "dim", self._colour)

    def _title(self, node: PlanNode) -> str:
        marks = [
            word
            for word, true in (
                ("start", node.name == self._plan.start),
                ("end", node.name == self._plan.end),
                ("may end here", node.dropped),
            )
            if true
        ]
        return f"{node.name} ({', '.join(marks)})" if marks else node.name

    def _node(self, node: PlanNode, bar: str) -> Iterator[str]:
        words = states.words(self._graph.states[node.name])
        state = paint(words.text or "not reached", words.style or "dim", self._colour)
        title = shorten(
            self._title(node), self._width - len(bar) - columns_of(words.text or "not reached") - 2
        )
        padding = " " * max(2, self._column - len(bar) - columns_of(title))
        yield f"{bar}{paint(title, 'bold', self._colour)}{padding}{state}"
        edges = self._plan.outgoing[node.name]
        for edge in edges:
            yield self._edge(edge, f"{bar}  {'└' if edge is edges[-1] else '├'}─▶ ")

    def _edge(self, edge: PlanEdge, bar: str) -> str:
        words = edge_words(edge)
        times, decided = self._graph.taken.get(edge.index, (0, 0))
        if decided == 1:
            words += ": taken" if times else ": not taken"
        elif decided:
            words += f": taken {times:,} of {decided:,} times"
        room = self._width - len(bar)
        target = shorten(edge.target, max(12, room - columns_of(words) - 2))
        words = shorten(words, room - columns_of(target) - 2)
        return f"{bar}{target}  {paint(words, 'dim', self._colour)}".rstrip() if words else f"{bar}{target}"
