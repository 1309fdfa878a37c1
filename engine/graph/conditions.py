"""Which edges an output takes, by the user's `when` functions. They are evaluated once, when the source has succeeded."""

from __future__ import annotations

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

    Without conditional edges nothing is decoded and `workflow` may be None. Raises `ConditionError` when a `when`
    raised or the value can't be decoded, `NoEdgeTakenError` when no edge is taken and the node is not discarded.
    """
    edges = plan.outgoing[address.node]
    if not any(edge.conditional for edge in edges):
        return ()
    assert workflow is not None, f"run {run_id} is driven without its workflow"
    taken = _true_conditions(plan, workflow, run_id, address, value)
    if not taken:
        taken = tuple(edge.index for edge in edges if edge.otherwise)
    may_end = plan.node[address.node].discarded
    if not taken and not may_end and all(edge.conditional for edge in edges):
        raise NoEdgeTakenError(
            f"{address} succeeded, but none of the conditions of its edges to "
            f"{', '.join(edge.target for edge in edges)} is true. Add edge({address.node}, …, otherwise=True), or "
            f"discard({address.node}) if ending there is meant; then retry run {run_id}."
        )
    return taken


def _true_conditions(
    plan: Plan, workflow: Workflow[Any, Any], run_id: str, address: Address, value: Value
) -> tuple[int, ...]:
    """The indices of the edges whose `when` is true of the output, which is decoded once for all of them."""
    taken: list[int] = []
    decoded: list[Any] = []
    for edge in plan.outgoing[address.node]:
        when = workflow.when(edge.index)
        if when is None:
            continue
        try:
            if not decoded:
                decoded.append(workflow.node(address.node).output_codec.decode(value.data))
            if when(decoded[0]):
                taken.append(edge.index)
        except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
            raise
        except BaseException as error:
            raise ConditionError(
                f"the condition of the edge from {address} to {edge.target} raised {type(error).__name__}: "
                f"{said(error)}. The result of {address} is kept; fix the condition, then retry run {run_id}."
            ) from error
    return tuple(taken)
