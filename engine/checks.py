"""`check`: from a workflow as it was wired to its plan, or to all that is wrong with it.

The checks by subject: `wiring.py` (shape), `scopes.py` (maps), `typing_checks.py` (values along the edges),
`certainty.py` (what may be skipped). The later ones need what the earlier ones say, so they wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..checkpoints.type_names import type_name
from .certainty import ALWAYS, Certainty, TooManyConditionsError
from .draft import Draft
from .errors import WorkflowInvalidError
from .plan import EdgeKind, Plan, PlanNode
from .scopes import Scopes, assign_scopes
from .topology import Topology
from .typefit import fits
from .typing_checks import NodeTypes, join_positions, read_types, type_problems
from .wiring import wiring_problems


def check(draft: Draft) -> Plan:
    """The plan of a workflow. Raises `WorkflowInvalidError` with every problem that could be found."""
    if draft.clashes:  # edges then mean one node or the other, so nothing else can be said
        raise WorkflowInvalidError(draft.name, tuple(draft.clashes))
    topology = Topology(list(draft.nodes), draft.edges)
    shape = list(wiring_problems(draft, topology))
    types = read_types(draft)
    problems = [*shape, *types.problems, *type_problems(draft, types)]
    if topology.cycles():  # without an order no node has a scope
        raise WorkflowInvalidError(draft.name, tuple(problems))
    reached = topology.reachable(draft.start)
    order = topology.order()
    scopes = assign_scopes(draft, [name for name in order if name in reached])
    problems += scopes.problems
    if not shape and not scopes.problems:
        problems += _skip_problems(draft, topology, scopes, types)
    if problems:
        raise WorkflowInvalidError(draft.name, tuple(problems))
    return Plan(
        workflow=draft.name,
        start=draft.start,
        end=draft.end,
        nodes=tuple(
            PlanNode(
                name=name,
                kind=draft.nodes[name].kind,
                scope=scopes.of[name],
                input=types.texts[name][0],
                output=types.texts[name][1],
                dropped=name in draft.dropped,
            )
            for name in order
        ),
        edges=scopes.edges,
        scopes=scopes.scopes,
        on_failure=draft.on_failure,
    )


def _skip_problems(draft: Draft, topology: Topology, scopes: Scopes, types: NodeTypes) -> Iterator[str]:
    """What comes of conditions: values that are sure to meet, and values that may be missing."""
    try:
        certainty = Certainty(
            start=draft.start,
            order=topology.depth_first(draft.start),
            edges=scopes.edges,
            scopes=scopes.scopes,
            dropped=draft.dropped,
        )
    except TooManyConditionsError:
        return  # a value that is missing or one too many is then an error of the run
    for name in draft.nodes:
        incoming = draft.incoming(name)
        if len(incoming) > 1 and incoming[0].kind is not EdgeKind.JOIN:
            yield from _meetings(draft, certainty, name)
        elif incoming and incoming[0].kind is EdgeKind.JOIN:
            yield from _missing_positions(draft, certainty, types, name)
    end = certainty.runs[draft.end]
    output = types.of[draft.end][1] if draft.end in types.of else Any
    if end != ALWAYS and not fits(type(None), output):
        yield (
            f"the end {draft.end} can be skipped, by the conditions after {_names(certainty.deciders(end))}, so the "
            f"run's result may be None, but {draft.end} returns {type_name(output)}. Lead every path to it (with "
            f"`otherwise`), or annotate `{type_name(output)} | None`."
        )


def _meetings(draft: Draft, certainty: Certainty, name: str) -> Iterator[str]:
    """Two edges into a node that are always taken together, so that neither can be its input."""
    edges = draft.incoming(name)
    for place, edge in enumerate(edges):
        for other in edges[:place]:
            if certainty.taken[edge.index] == certainty.taken[other.index]:
                yield (
                    f"{name} gets a value from {draft.say(other)} and one from {draft.say(edge)}, always both. "
                    f"Use `join(({other.source}, {edge.source}), {name})`, or conditions that let one of them through."
                )


def _missing_positions(draft: Draft, certainty: Certainty, types: NodeTypes, name: str) -> Iterator[str]:
    runs = certainty.runs[name]
    edges = draft.incoming(name)
    positions = join_positions(types, name, len(edges))
    for edge in edges:
        taken = certainty.taken[edge.index]
        if positions is None or edge.position >= len(positions) or taken == runs:
            continue
        wanted = positions[edge.position]
        if not fits(type(None), wanted):
            yield (
                f"{draft.say(edge)}: {edge.source} can be skipped, by the conditions after "
                f"{_names(certainty.deciders(taken))}, and {name} then gets None at position {edge.position}. Annotate "
                f"that position `{type_name(wanted)} | None`."
            )


def _names(names: list[str]) -> str:
    return ", ".join(names)
