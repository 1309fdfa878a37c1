"""A plan as a Mermaid flowchart (https://mermaid.js.org), for Markdown pages, notebooks and terminals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.plan import EdgeKind, Plan, PlanEdge, PlanNode

_NONE: Mapping[str, Any] = {}


def draw(
    plan: Plan, *, states: Mapping[str, str] = _NONE, concurrency: Mapping[str, int] = _NONE
) -> Iterator[str]:
    """The lines of the chart. Texts of the plan are in it as they are, control characters too.

    `states` are words for nodes that were reached; `concurrency` is that of targets of maps.
    """
    numbers = {node.name: f"n{index}" for index, node in enumerate(plan.nodes)}
    yield "flowchart TD"
    yield from _scope(plan, 0, numbers, states, "  ")
    for edge in plan.edges:
        label = _label(edge, concurrency)
        arrow = "-.->" if edge.conditional or edge.otherwise else "-->"
        yield f"  {numbers[edge.source]} {arrow}{f'|{label}|' if label else ''} {numbers[edge.target]}"


def _scope(
    plan: Plan, index: int, numbers: Mapping[str, str], states: Mapping[str, str], indent: str
) -> Iterator[str]:
    for node in plan.nodes:
        if node.scope == index:
            yield f"{indent}{numbers[node.name]}{_shape(plan, node, states.get(node.name, ''))}"
    for scope in plan.scopes:
        if scope.parent == index:
            yield f'{indent}subgraph s{scope.index} ["for each item of {plan.mapped(scope.index)}"]'
            yield from _scope(plan, scope.index, numbers, states, f"{indent}  ")
            yield f"{indent}end"


def _shape(plan: Plan, node: PlanNode, words: str) -> str:
    """Start and end are round. Names of nodes hold no character that Mermaid would read."""
    name = "each" if node.kind == "each" else node.name
    text = f"{name}<br/>{words}" if words else name
    return f'(["{text}"])' if node.name in (plan.start, *plan.ends) else f'["{text}"]'


def _label(edge: PlanEdge, concurrency: Mapping[str, int]) -> str:
    words = [] if edge.kind is EdgeKind.PLAIN else [edge.kind.value]
    if edge.kind is EdgeKind.MAP and edge.target in concurrency:
        words.append(f"concurrency {concurrency[edge.target]}")
    if edge.kind is EdgeKind.JOIN:
        words.append(str(edge.position + 1))
    if edge.case is not None:
        return f'"{_escaped(edge.case)}"'
    if edge.conditional:
        words.append("when")
    if edge.otherwise:
        words.append("otherwise")
    return " ".join(words)


def _escaped(text: str) -> str:
    """A text of the user's for the inside of Mermaid's quotes."""
    return text.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;").replace(">", "&gt;")
