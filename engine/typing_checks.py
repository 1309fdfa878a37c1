"""Checks of what flows along the edges: whether it fits where it goes, and whether it can be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..checkpoints import TypeNotStorableError
from ..checkpoints.type_names import type_name
from ..nodes import NodeDefinitionError
from .draft import AnyNode, Draft
from .plan import EdgeKind, PlanEdge
from .typefit import fits, item_type, tuple_items


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTypes:
    """What all nodes take and give. Nodes whose types can't be read are missing; `problems` says why."""

    of: dict[str, tuple[object, object]]  # name: (input, output)
    texts: dict[str, tuple[str, str]]  # the same, as the plan holds it
    problems: tuple[str, ...]


def read_types(draft: Draft) -> NodeTypes:
    """Read the types of all nodes, those that were not defined yet at decoration included."""
    of: dict[str, tuple[object, object]] = {}
    texts: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for name, node in draft.nodes.items():
        if node.kind == "workflow":
            continue  # refused for being there at all
        try:
            of[name] = (node.input, node.output)
        except NodeDefinitionError as error:
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
            problems.append(f"what {name} returns is stored, and {error}.")
        texts[name] = (takes, gives)
    return NodeTypes(of=of, texts=texts, problems=tuple(problems))


def _input_text(node: AnyNode, *, start: bool) -> str:
    try:
        return node.input_codec.schema
    except TypeNotStorableError:
        if start:
            raise
        return type_name(node.input)  # never stored: the value is its producer's output


def type_problems(draft: Draft, types: NodeTypes) -> Iterator[str]:
    """Values that certainly don't fit where their edge leads."""
    for edge in draft.edges:
        if edge.source in types.of and edge.target in types.of:
            yield from _along(draft, types, edge)
    for name in types.of:
        joined = [edge for edge in draft.incoming(name) if edge.kind is EdgeKind.JOIN]
        yield from _tuple(types, name, joined)


def _along(draft: Draft, types: NodeTypes, edge: PlanEdge) -> Iterator[str]:
    given, wanted = types.of[edge.source][1], types.of[edge.target][0]
    say = draft.say(edge)
    match edge.kind:
        case EdgeKind.PLAIN:
            if not fits(given, wanted):
                mend = _plain_mend(given, wanted, edge)
                yield f"{say}: {edge.source} returns {type_name(given)}, {edge.target} takes {type_name(wanted)}. {mend}"
        case EdgeKind.MAP:
            if not fits(given, list):
                yield (
                    f"{say}: {edge.source} returns {type_name(given)}, and only a list can be mapped. "
                    "Return a list, or use `edge`."
                )
            elif not fits(item_type(given), wanted):
                yield (
                    f"{say}: the items of {edge.source} are {type_name(item_type(given))}, {edge.target} takes "
                    f"{type_name(wanted)}. {_annotate(edge.target, item_type(given))}"
                )
        case EdgeKind.COLLECT:
            if not fits(list[given], wanted):  # pyright: ignore[reportInvalidTypeForm]  # made at run time
                yield (
                    f"{say}: {edge.target} gets a list of what {edge.source} returns, list[{type_name(given)}], but takes "
                    f"{type_name(wanted)}. {_annotate(edge.target, list[given])}"  # pyright: ignore[reportInvalidTypeForm]
                )
        case EdgeKind.JOIN:
            positions = tuple_items(wanted, edge.position + 1)
            if positions is not None and edge.position < len(positions):
                position = positions[edge.position]
                if not fits(given, position):
                    yield (
                        f"{say}: {edge.source} returns {type_name(given)}, {edge.target} takes {type_name(position)} at position "
                        f"{edge.position}. Change the annotation, or the order of the sources."
                    )


def _plain_mend(given: object, wanted: object, edge: PlanEdge) -> str:
    if fits(given, list) and fits(item_type(given), wanted):
        return f"Use `map({edge.source}, {edge.target})` to run it once per item."
    if fits(list[given], wanted):  # pyright: ignore[reportInvalidTypeForm]  # made at run time
        return f"Use `collect({edge.source}, {edge.target})` if {edge.source} lies in a map."
    return _annotate(edge.target, given)


def _annotate(target: str, tp: object) -> str:
    return f"Let {target} take {type_name(tp)}, or put a node between them."


def _tuple(types: NodeTypes, name: str, edges: Sequence[PlanEdge]) -> Iterator[str]:
    """Whether a join's target takes a tuple of that length at all."""
    if not edges or len({edge.position for edge in edges}) < len(edges):
        return  # several joins are one problem, told as such
    wanted = types.of[name][0]
    positions = tuple_items(wanted, len(edges))
    sources = ", ".join(edge.source for edge in edges)
    if positions is None:
        if not fits(tuple, wanted):
            yield f"join ({sources}) -> {name}: {name} gets a tuple, but takes {type_name(wanted)}. Let it take a tuple."
    elif len(positions) != len(edges):
        yield (
            f"join ({sources}) -> {name}: {len(edges)} sources, but {name} takes {len(positions)}, {type_name(wanted)}. "
            "Give as many sources as the tuple has positions."
        )


def join_positions(types: NodeTypes, name: str, length: int) -> Sequence[object] | None:
    """What a join's target takes at each position; None where its annotation does not say."""
    return tuple_items(types.of[name][0], length) if name in types.of else None
