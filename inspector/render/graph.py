"""`perdure graph`: the workflow of a run with the states of its nodes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ...engine.core.plan import EdgeKind, PlanEdge, PlanNode
from ...engine.graph.mermaid import draw
from ..read.graph import RunGraph
from ..settings import Settings
from . import states
from .output import Entry
from .terminal import clean, columns_of, paint, shorten


def graph_lines(settings: Settings, graph: RunGraph) -> Iterator[str]:
    """The graph as text that fits the width."""
    return _Drawing(settings, graph).lines()


def mermaid_lines(graph: RunGraph) -> Iterator[str]:
    """The graph as a Mermaid flowchart."""
    words = {node.name: _state_words(graph, node) for node in graph.plan.nodes}
    for line in draw(graph.plan, states=words, concurrency=graph.concurrency):
        indent = len(line) - len(line.lstrip(" "))
        yield line[:indent] + clean(line[indent:])


def _edge_words(edge: PlanEdge, concurrency: int | None) -> str:
    """What is special about an edge: `map, at most 8 at once`; nothing for a plain one."""
    marks: list[str] = []
    match edge.kind:
        case EdgeKind.MAP:
            marks.append("map" if concurrency is None else f"map, at most {concurrency} at once")
        case EdgeKind.COLLECT:
            marks.append("collect")
        case EdgeKind.JOIN:
            marks.append(f"join, position {edge.position + 1}")
        case EdgeKind.PLAIN:
            pass
    if edge.case is not None:
        marks.append(f"case {clean(edge.case)}")
    elif edge.conditional:
        marks.append("when")
    if edge.otherwise:
        marks.append("otherwise")
    return ", ".join(marks)


def _state_words(graph: RunGraph, node: PlanNode) -> str:
    return states.words(graph.states[node.name]).text


def graph_entry(graph: RunGraph) -> Entry:
    """The graph in JSON."""
    plan = graph.plan
    return {
        "id": graph.run.id,
        "workflow": plan.workflow,
        "status": graph.run.status.value,
        "start": plan.start,
        "ends": list(plan.ends),
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
                "case": edge.case,
                "position": edge.position if edge.kind is EdgeKind.JOIN else None,
                "concurrency": graph.concurrency.get(edge.target) if edge.kind is EdgeKind.MAP else None,
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

    def __init__(self, settings: Settings, graph: RunGraph) -> None:
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
        workflow = clean(run.workflow)
        head = shorten(clean(run.id), self._width - len(status.text) - len(workflow) - 6)
        yield f"{paint(workflow, 'bold', self._colour)}  {head}  {paint(*status, self._colour)}"
        yield ""
        yield from self._scope(0, "")

    def _scope(self, index: int, bar: str) -> Iterator[str]:
        """The nodes of a scope, with those of each inner scope in the place of its first node."""
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
        source = self._plan.mapped(scope)
        items = self._graph.items.get(scope)
        count = "not entered yet" if items is None else f"{items:,} item{'' if items == 1 else 's'}"
        source = shorten(clean(source), width - columns_of(f"for each item of : {count}"), "middle")
        return paint(f"for each item of {source}: {count}", "dim", self._colour)

    def _title(self, node: PlanNode) -> str:
        marks = [
            word
            for word, true in (
                ("start", node.name == self._plan.start),
                ("end", node.name in self._plan.ends),
                ("may end here", node.discarded),
            )
            if true
        ]
        name = clean(node.name)
        return f"{name} ({', '.join(marks)})" if marks else name

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
        words = _edge_words(edge, self._graph.concurrency.get(edge.target))
        times, decided = self._graph.taken.get(edge.index, (0, 0))
        if decided == 1:
            words += ": taken" if times else ": not taken"
        elif decided:
            words += f": taken {times:,} of {decided:,} times"
        width = self._width - len(bar)
        target = shorten(clean(edge.target), max(12, width - columns_of(words) - 2))
        words = shorten(words, width - columns_of(target) - 2)
        return f"{bar}{target}  {paint(words, 'dim', self._colour)}".rstrip() if words else f"{bar}{target}"
