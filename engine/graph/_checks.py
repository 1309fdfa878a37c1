"""`check`: from a workflow as it was wired to its plan, or to all that is wrong with it.

The checks by subject: `_wiring.py` (shape), `_types.py` (values along the edges), `_cases.py` (switches), `_scopes.py`
(maps), `_skip_analysis.py` (what may be skipped). Scopes need an order, and the skip analysis needs scopes: where the
earlier checks fail, the later ones are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ...checkpoints.type_names import type_name
from ..core.plan import EdgeKind, Plan, PlanNode
from ..errors import WorkflowInvalidError
from ._assignability import assignable
from ._cases import case_problems
from ._draft import Draft
from ._scopes import Scopes, assign_scopes
from ._skip_analysis import SkipAnalysis, TooManyConditionsError
from ._topology import Topology
from ._types import NodeTypes, join_positions, read_types, type_problems
from ._wiring import wiring_problems


def check(draft: Draft) -> Plan:
    """The plan of a workflow. Raises `WorkflowInvalidError` with every problem that was found."""
    if draft.clashes:  # an edge may then mean either node, so nothing more can be said
        raise WorkflowInvalidError(draft.name, tuple(draft.clashes))
    topology = Topology(list(draft.nodes), draft.edges)
    shape = list(wiring_problems(draft, topology))
    types = read_types(draft)
    problems = [*shape, *types.problems, *type_problems(draft, types), *case_problems(draft)]
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
        ends=tuple(draft.ends),
        nodes=tuple(
            PlanNode(
                name=name,
                kind=draft.nodes[name].kind,
                scope=scopes.of[name],
                input=types.texts[name][0],
                output=types.texts[name][1],
                discarded=name in draft.discarded,
            )
            for name in order
        ),
        edges=scopes.edges,
        scopes=scopes.scopes,
        on_failure=draft.on_failure,
    )


def _skip_problems(draft: Draft, topology: Topology, scopes: Scopes, types: NodeTypes) -> Iterator[str]:
    """What follows from the conditions: values that always come together, and values that may be missing."""
    try:
        analysis = SkipAnalysis(
            start=draft.start,
            order=topology.depth_first(draft.start),
            edges=scopes.edges,
            scopes=scopes.scopes,
            discarded=draft.discarded,
        )
    except TooManyConditionsError:
        return  # a missing value, or one too many, is then an error of the run
    for name in draft.nodes:
        incoming = draft.incoming(name)
        if len(incoming) > 1 and incoming[0].kind is not EdgeKind.JOIN:
            yield from _meetings(draft, analysis, name)
        elif incoming and incoming[0].kind is EdgeKind.JOIN:
            yield from _missing_positions(draft, analysis, types, name)
    yield from _ends_together(draft, analysis)


def _meetings(draft: Draft, analysis: SkipAnalysis, name: str) -> Iterator[str]:
    """Two edges into a node that are always taken together, so that neither can be its input."""
    edges = draft.incoming(name)
    for place, edge in enumerate(edges):
        for other in edges[:place]:
            if analysis.taken[edge.index] == analysis.taken[other.index]:
                yield (
                    f"{name} gets a value from {draft.describe(other)} and one from {draft.describe(edge)}, always both. "
                    f"Use `join(({other.source}, {edge.source}), {name})`, or conditions that let one of them through."
                )


def _ends_together(draft: Draft, analysis: SkipAnalysis) -> Iterator[str]:
    """Two ends that are always reached together, so that the second never gives the result."""
    for one, other in combinations(draft.ends, 2):
        if analysis.runs[one] == analysis.runs[other]:
            yield (
                f"the ends {one} and {other} are alternatives, but always both reached, and a run has one result. Use "
                f"`join(({one}, {other}), ...)` and end there, end at {one} alone and `discard({other})`, or set "
                "conditions that let one of them through."
            )


def _missing_positions(draft: Draft, analysis: SkipAnalysis, types: NodeTypes, name: str) -> Iterator[str]:
    runs = analysis.runs[name]
    edges = draft.incoming(name)
    positions = join_positions(types, name, len(edges))
    for edge in edges:
        taken = analysis.taken[edge.index]
        if positions is None or edge.position >= len(positions) or taken == runs:
            continue
        wanted = positions[edge.position]
        if not assignable(type(None), wanted):
            yield (
                f"{draft.describe(edge)}: {edge.source} can be skipped, by the conditions after "
                f"{_names(analysis.deciders(taken))}, and {name} then gets None at position {edge.position}. Annotate "
                f"that position `{type_name(wanted)} | None`."
            )


def _names(names: list[str]) -> str:
    return ", ".join(names)
