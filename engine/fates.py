"""Submissions of unknown fate that a person decides: which operation is meant, and what can be answered.

The decision is left as a signal of kind `fate`; whoever drives the run acts on it (`runtime/_signals.py`).
"""

from __future__ import annotations

from typing import Any

from ..checkpoints.records import RunRecord, State
from ..checkpoints.view import View
from ..nodes.operation_node import OperationNode
from ..nodes.operations.capabilities import Adoptable, has_capability
from .core.addresses import Address, OperationAddress, parse_operation
from .core.restore import operation_address
from .errors import AnswerError
from .graph import Workflow


def undecided_operation(view: View, run: RunRecord, text: str) -> OperationAddress:
    """The operation that is meant. Raises `AnswerError` when no fate is unknown there.

    Its activation's address (`research[3]`) will do when only one operation of that waits, and a node's bare name when
    only one of the node's. A submission that was under way when its process ended waits as well: whoever takes the run
    up finds its fate unknown.
    """
    states = {State.SUBMIT_UNKNOWN}
    if view.holder(run) is None:
        states.add(State.SUBMITTING)
    _, operations = view.live([run.key])
    waiting = [operation_address(record) for record in operations if record.state in states]
    meant = parse_operation(text)
    of_node = [one for one in waiting if meant is not None and one.address.node == meant.address.node]
    fitting = [one for one in of_node if one._replace(attempt=1) == meant]
    if not fitting and meant is not None and meant == OperationAddress(meant.address):
        fitting = [one for one in of_node if meant.address in (one.address, Address(one.address.node))]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(map(str, of_node or waiting)) or "nothing"
    raise AnswerError(f"Run {run.id}: {text} waits for no answer. What does: {names}.", run_id=run.id)


def require_possible(
    workflow: Workflow[Any, Any], run_id: str, operation: OperationAddress, reply: str
) -> None:
    """Raises `AnswerError` for a handle where none can be adopted."""
    node = workflow.node(operation.address.node)
    adapter = node.operation if isinstance(node, OperationNode) else None
    if reply not in ("resubmit", "fail") and not has_capability(adapter, Adoptable):
        raise AnswerError(
            f"Run {run_id}: {operation} can't adopt {reply!r}: answer resubmit or fail.", run_id=run_id
        )
