"""Which stored values an activation is made from, and which it may ask for. Pure: names of values, never values."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ...checkpoints.records import ActivationKey, State
from ._distinct import distinct
from ._flow import fires
from .addresses import Address
from .plan import EdgeKind, PlanEdge
from .state import RunState


@distinct
class RunInput(NamedTuple):
    """The input of the run."""


@distinct
class Whole(NamedTuple):
    """The output of one activation of the node `source`."""

    source: str
    key: ActivationKey


@distinct
class Item(NamedTuple):
    """One item of an output that is a list."""

    source: str
    key: ActivationKey
    place: int


@distinct
class Collected(NamedTuple):
    """The outputs of all activations of a node in one scope instance that succeeded, in item order."""

    source: str
    scope: int


@distinct
class Joined(NamedTuple):
    """One output per position; None where the source was skipped."""

    positions: tuple[Whole | None, ...]


@distinct
class Ambiguous(NamedTuple):
    """Alternatives that were taken together, so nobody can say which value is the input."""

    sources: tuple[str, ...]


Given: TypeAlias = RunInput | Whole | Item | Collected | Joined | Ambiguous
"""How the input of an activation is made."""


@distinct
class Hidden(NamedTuple):
    """An output that an activation may not ask for, and the reason as it follows «asks for the output of X»."""

    reason: str


@distinct
class Absent(NamedTuple):
    """An output that is not there: the source was skipped."""

    address: Address


def delivered(state: RunState, address: Address) -> tuple[PlanEdge, ...]:
    """The incoming edges that delivered something to the activation at that address, in order."""
    found: list[PlanEdge] = []
    plan = state.plan
    for edge in plan.incoming[address.node]:
        if edge.kind is EdgeKind.COLLECT:
            assert edge.scope is not None
            taken = state.entered(edge.scope, address.path) is not None
        else:
            source = state.find(Address(edge.source, plan.path_in(edge.source, address.path)))
            taken = source is not None and fires(edge, source)
        if taken:
            found.append(edge)
    return tuple(found)


def given(state: RunState, address: Address) -> Given:
    """How the input of the activation at that address is made."""
    plan = state.plan
    if address.node == plan.start:
        return RunInput()
    edges = plan.incoming[address.node]
    if edges[0].kind is EdgeKind.JOIN:
        return _joined(state, address, delivered(state, address))
    taken = (
        edges if len(edges) == 1 else delivered(state, address)
    )  # a single one has, or this would not have started
    if len(taken) > 1:  # alternatives, taken together
        return Ambiguous(tuple(edge.source for edge in taken))
    edge = next(iter(taken))
    match edge.kind:
        case EdgeKind.COLLECT:
            assert edge.scope is not None
            number = state.entered(edge.scope, address.path)
            assert number is not None, f"{address} collects a map that was not entered"
            return Collected(edge.source, number)
        case EdgeKind.MAP:
            return Item(edge.source, _seen(state, edge.source, address), plan.place(address)[1])
        case _:
            return Whole(edge.source, _seen(state, edge.source, address))


def _seen(state: RunState, node: str, address: Address) -> ActivationKey:
    """The row of that activation of the node which the one at this address sees."""
    return state.key(Address(node, state.plan.path_in(node, address.path)))


def _joined(state: RunState, address: Address, edges: tuple[PlanEdge, ...]) -> Joined:
    by_position = {edge.position: edge for edge in edges}
    positions: list[Whole | None] = []
    for position in range(len(state.plan.incoming[address.node])):
        edge = by_position.get(position)
        positions.append(None if edge is None else Whole(edge.source, _seen(state, edge.source, address)))
    return Joined(tuple(positions))


def visible(state: RunState, address: Address, name: str) -> Whole | Absent | Hidden:
    """The output of the node `name` that the activation at that address may ask for with `ctx.output`.

    Ancestors in the same or an enclosing scope are visible; the plan alone decides which these are.
    """
    plan = state.plan
    if name not in plan.ancestors[address.node]:
        return Hidden(
            f"which is not upstream of it in workflow {plan.workflow}: add an edge (or a join) from {name}, or don't "
            "ask for it."
        )
    if not plan.sees(address.node, name):
        return Hidden(f"which lies inside a map that {address.node} is not in: collect it.")
    source = Address(name, plan.path_in(name, address.path))
    activation = state.find(source)
    if activation is None or activation.state is not State.SUCCEEDED:
        return Absent(source)
    return Whole(name, state.key(source))


def deciding_edges(state: RunState) -> str:
    """Why the ends were skipped: the conditional edges on its ways that were not taken."""
    plan = state.plan
    lines: list[str] = []
    seen: set[str] = set()
    rest = list(reversed(plan.ends))
    while rest:
        for edge in plan.incoming[rest.pop()]:
            source = state.find(Address(edge.source))
            if source is None or edge.source in seen:
                continue
            if source.state is State.SUCCEEDED:
                line = f"the edge from {edge.source} to {edge.target} was not taken"
                if line not in lines:
                    lines.append(line)
            else:
                seen.add(edge.source)
                rest.append(edge.source)
    return "; ".join(lines) or "no edge on its way was taken"
