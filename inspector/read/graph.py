"""The graph of a run's workflow with how far the run has come in it, from the stored plan alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...checkpoints.codec import unpack
from ...checkpoints.records import RunRecord, State
from ...checkpoints.view import View
from ...engine.core.plan import Plan
from ...engine.core.policy import NO_POLICIES, Policies
from .activations import activations_of
from .run import read_plan


@dataclass(frozen=True, kw_only=True, slots=True)
class RunGraph:
    """A plan and how far one run has come in it."""

    run: RunRecord
    plan: Plan
    states: Mapping[str, Sequence[State]]
    """The states of each node's activations."""
    taken: Mapping[int, tuple[int, int]]
    """Of each conditional edge: how often it was taken, and how often it was decided."""
    items: Mapping[int, int]
    """How many items each map was entered with, over all its instances; not there: not entered yet."""
    concurrency: Mapping[str, int]
    """Of targets of maps: how many of their activations may be under way at once; not there: all."""


def read_graph(view: View, name: str) -> RunGraph:
    """The graph of the run with this id, prefix or `@latest`."""
    run = view.find(name)
    plan = read_plan(view, run)
    _, operations = view.live([run.key])
    found: dict[str, list[State]] = {node.name: [] for node in plan.nodes}
    taken = {edge.index: (0, 0) for edge in plan.edges if edge.conditional or edge.otherwise}
    for activation in activations_of(plan, view.activations(run.key), operations):
        record = activation.record
        found[record.key.node].append(activation.state)
        if record.state is State.SUCCEEDED and record.taken is not None:
            for edge in plan.outgoing[record.key.node]:
                if edge.index in taken:
                    times, decided = taken[edge.index]
                    taken[edge.index] = (times + (edge.index in record.taken), decided + 1)
    items: dict[int, int] = {}
    for scope in view.scopes(run.key):
        if scope.scope in plan.map_edges:
            items[scope.scope] = items.get(scope.scope, 0) + scope.size
    return RunGraph(
        run=run, plan=plan, states=found, taken=taken, items=items, concurrency=_concurrency(run, plan)
    )


def _concurrency(run: RunRecord, plan: Plan) -> dict[str, int]:
    """By the policies with which the run was driven last."""
    policies = Policies.from_plain(unpack(run.policies)) if run.policies else NO_POLICIES
    found = {node.name: policies.of(node.name).concurrency for node in plan.nodes}
    return {name: concurrency for name, concurrency in found.items() if concurrency is not None}
