"""Which conditional edges an output takes. Conditions are the user's code and are evaluated once, when their source ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...checkpoints.records import Value
from ..core.addresses import Address
from ..core.plan import Plan
from ..errors import ConditionError, NoEdgeTakenError
from ..failures import said
from .workflow import Workflow


def taken_edges(
    plan: Plan, workflow: Workflow[Any, Any] | None, run_id: str, address: Address, value: Value
) -> tuple[int, ...]:
    """The indices of the conditional and `otherwise` edges that the output of this activation takes.

    Raises `ConditionError` when a `when` raised or the value does not decode, `NoEdgeTakenError` when none is
    taken and that is not meant.
    """
    edges = plan.outgoing[address.node]
    taken: tuple[int, ...] = ()
    if any(edge.conditional for edge in edges):
        taken = _true(plan, workflow, run_id, address, value)
        if not taken:
            taken = tuple(edge.index for edge in edges if edge.otherwise)
    certain = not edges or not all(edge.conditional or edge.otherwise for edge in edges)
    if not taken and not certain and not plan.node[address.node].discarded:
        raise NoEdgeTakenError(
            f"{address} succeeded, but none of the conditions of its edges to "
            f"{', '.join(edge.target for edge in edges)} is true. Add edge({address.node}, …, otherwise=True), or "
            f"discard({address.node}) if ending there is meant; then retry run {run_id}."
        )
    return taken


def _true(
    plan: Plan, workflow: Workflow[Any, Any] | None, run_id: str, address: Address, value: Value
) -> tuple[int, ...]:
    """The edges whose condition is true."""
    assert workflow is not None, f"run {run_id} is driven without its workflow"
    taken: list[int] = []
    decoded: list[Any] = []
    for edge in plan.outgoing[address.node]:
        when: Callable[[Any], bool] | None = workflow.when(edge.index)
        if when is None:
            continue
        try:
            if not decoded:
                decoded.append(workflow.node(address.node).output_codec.decode(value.data))
            if when(decoded[0]):
                taken.append(edge.index)
        except (Exception, SystemExit) as error:
            raise ConditionError(
                f"the condition of the edge from {address} to {edge.target} raised {type(error).__name__}: "
                f"{said(error)}. The result of {address} is kept; fix the condition, then retry run {run_id}."
            ) from error
    return tuple(taken)
