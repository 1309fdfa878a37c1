"""Checks of the values along the edges: whether the target takes them, and whether they can be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import GenericAlias

from ...checkpoints.errors import TypeNotStorableError
from ...checkpoints.type_names import type_name
from ...nodes.errors import NodeDefinitionError
from ..core.plan import EdgeKind, PlanEdge
from ._assignability import assignable, item_type, tuple_items
from ._draft import AnyNode, Draft
from .each import EachNode


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTypes:
    """The types of all nodes. Nodes whose types can't be read are missing; `problems` says why."""

    of: dict[str, tuple[object, object]]  # name: (input, output)
    texts: dict[str, tuple[str, str]]  # the same by name, as the plan holds them
    problems: tuple[str, ...]


def read_types(draft: Draft) -> NodeTypes:
    """Read the types of all nodes, including those that were not defined yet when the node was."""
    of: dict[str, tuple[object, object]] = {}
    texts: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for name, node in draft.nodes.items():
        try:
            of[name] = (node.input, node.output)
        except NodeDefinitionError as error:
            if str(error) not in problems:  # an `each` has the types of its neighbours
                problems.append(str(error))
            continue
        takes = gives = ""
        try:
            takes = _input_text(node, start=name == draft.start)
        except TypeNotStorableError as error:
            problems.append(f"the input of the start {name} is stored with the run, and {error}.")
        try:
            gives = node.output_codec.schema
        except TypeNotStorableError as error:
            problems.append(f"{_stored(node)} stored, and {error}.")
        texts[name] = (takes, gives)
    return NodeTypes(of=of, texts=texts, problems=tuple(problems))


def _stored(node: AnyNode) -> str:
    if isinstance(node, EachNode):
        return f"the list that `each` makes for the map {node.source} -> {node.target} is"
    return f"what {node.name} returns is"


def _input_text(node: AnyNode, *, start: bool) -> str:
    try:
        return node.input_codec.schema
    except TypeNotStorableError:
        if start:
            raise
        return type_name(node.input)  # never stored: the value is its producer's output


def type_problems(draft: Draft, types: NodeTypes) -> Iterator[str]:
    """Edges whose target certainly does not take what the source gives."""
    for edge in draft.edges:
        if edge.source in types.of and edge.target in types.of:
            yield from _along(draft, types, edge)
    for name in types.of:
        joined = [edge for edge in draft.incoming(name) if edge.kind is EdgeKind.JOIN]
        yield from _tuple(types, name, joined)


def _along(draft: Draft, types: NodeTypes, edge: PlanEdge) -> Iterator[str]:
    given, wanted = types.of[edge.source][1], types.of[edge.target][0]
    label = draft.describe(edge)
    match edge.kind:
        case EdgeKind.PLAIN:
            if not assignable(given, wanted):
                fix = _plain_fix(given, wanted, edge)
                yield f"{label}: {edge.source} returns {type_name(given)}, {edge.target} takes {type_name(wanted)}. {fix}"
        case EdgeKind.MAP:
            if not assignable(given, list):
                yield (
                    f"{label}: {edge.source} returns {type_name(given)}, and only a list can be mapped. "
                    "Return a list, or use `edge`."
                )
            elif not assignable(item_type(given), wanted):
                yield (
                    f"{label}: the items of {edge.source} are {type_name(item_type(given))}, {edge.target} takes "
                    f"{type_name(wanted)}. {_annotate(edge.target, item_type(given))}"
                )
        case EdgeKind.COLLECT:
            collected = GenericAlias(list, given)
            if not assignable(collected, wanted):
                yield (
                    f"{label}: {edge.target} gets a list of what {edge.source} returns, list[{type_name(given)}], but takes "
                    f"{type_name(wanted)}. {_annotate(edge.target, collected)}"
                )
        case EdgeKind.JOIN:
            positions = tuple_items(wanted, edge.position + 1)
            if positions is not None and edge.position < len(positions):
                position = positions[edge.position]
                if not assignable(given, position):
                    yield (
                        f"{label}: {edge.source} returns {type_name(given)}, {edge.target} takes {type_name(position)} at position "
                        f"{edge.position}. Change the annotation, or the order of the sources."
                    )


def _plain_fix(given: object, wanted: object, edge: PlanEdge) -> str:
    if assignable(given, list) and assignable(item_type(given), wanted):
        return f"Use `map({edge.source}, {edge.target})` to run it once per item."
    if assignable(GenericAlias(list, given), wanted):
        return f"Use `collect({edge.source}, {edge.target})` if {edge.source} lies in a map."
    return _annotate(edge.target, given)


def _annotate(target: str, tp: object) -> str:
    return f"Let {target} take {type_name(tp)}, or put a node between them."


def _tuple(types: NodeTypes, name: str, edges: Sequence[PlanEdge]) -> Iterator[str]:
    """Whether a join's target takes a tuple of that length."""
    if not edges or len({edge.position for edge in edges}) < len(edges):
        return  # more than one join: reported in _wiring.py
    wanted = types.of[name][0]
    positions = tuple_items(wanted, len(edges))
    sources = ", ".join(edge.source for edge in edges)
    if positions is None:
        if not assignable(tuple, wanted):
            yield f"join ({sources}) -> {name}: {name} gets a tuple, but takes {type_name(wanted)}. Let it take a tuple."
    elif len(positions) != len(edges):
        yield (
            f"join ({sources}) -> {name}: {len(edges)} sources, but {name} takes {len(positions)}, {type_name(wanted)}. "
            "Give as many sources as the tuple has positions."
        )


def join_positions(types: NodeTypes, name: str, length: int) -> Sequence[object] | None:
    """The types that a join's target takes by position; None where its annotation does not say."""
    return tuple_items(types.of[name][0], length) if name in types.of else None
