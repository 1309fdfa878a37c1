"""Which edges an output takes, by the user's `when` functions. They are evaluated once, when the source has succeeded."""

from __future__ import annotations

from typing import Any

from ...checkpoints.records import Value
from ..core.addresses import Address
from ..core.plan import Plan
from ..errors import ConditionError, NoEdgeTakenError
from ..failures import said
from .switch import shown
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
    taken, key = _true_conditions(plan, workflow, run_id, address, value)
    if not taken:
        taken = tuple(edge.index for edge in edges if edge.otherwise)
    may_end = plan.node[address.node].discarded
    if not taken and not may_end and all(edge.conditional for edge in edges):
        raise NoEdgeTakenError(_nothing_fits(plan, workflow, run_id, address, key))
    return taken


def _nothing_fits(
    plan: Plan, workflow: Workflow[Any, Any], run_id: str, address: Address, key: object
) -> str:
    node = address.node
    fix = f"Add {{}}edge({node}, …, otherwise=True), or discard({node}) if ending there is meant; then retry run {run_id}."
    switch = workflow.switch_of(node)
    if switch is None:
        targets = ", ".join(edge.target for edge in plan.outgoing[node])
        return (
            f"{address} succeeded, but none of the conditions of its edges to {targets} is true. "
            + fix.format("")
        )
    return (
        f"{address} succeeded, but its switch has no case for {shown(key)}, only for "
        f"{', '.join(map(shown, switch.cases))}. " + fix.format("the case, ")
    )


def _true_conditions(
    plan: Plan, workflow: Workflow[Any, Any], run_id: str, address: Address, value: Value
) -> tuple[tuple[int, ...], object]:
    """The edges whose `when` is true of the output or whose case its key is, and that key (None without a switch).

    The output is decoded once for all of them.
    """
    taken: list[int] = []
    decoded: list[Any] = []

    def output() -> Any:
        if not decoded:
            decoded.append(workflow.node(address.node).output_codec.decode(value.data))
        return decoded[0]

    switch = workflow.switch_of(address.node)
    key: Any = None
    chosen: int | None = None
    if switch is not None:
        try:
            key = switch.key(output())
            chosen = switch.cases.get(key)
        except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
            raise
        except BaseException as error:
            raise _condition_error(
                f"the key of the switch after {address}", address, run_id, error
            ) from error
    for edge in plan.outgoing[address.node]:
        when = workflow.when(edge.index)
        if when is None:
            if edge.index == chosen:
                taken.append(edge.index)
            continue
        try:
            if when(output()):
                taken.append(edge.index)
        except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
            raise
        except BaseException as error:
            what = f"the condition of the edge from {address} to {edge.target}"
            raise _condition_error(what, address, run_id, error) from error
    return tuple(taken), key


def _condition_error(what: str, address: Address, run_id: str, error: BaseException) -> ConditionError:
    return ConditionError(
        f"{what} raised {type(error).__name__}: {said(error)}. The result of {address} is kept; fix the condition, "
        f"then retry run {run_id}."
    )
