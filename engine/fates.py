"""Submissions of unknown fate that a person decides: which activation is meant, and how the decision is stored.

It is left as a signal of kind `fate`; whoever drives the run acts on it (`runtime/_signals.py`).
"""

from __future__ import annotations

from typing import Any

from ..checkpoints.codec import pack
from ..checkpoints.records import RunRecord, State
from ..checkpoints.view import View
from ..nodes.operation_node import OperationNode
from ..nodes.operations.capabilities import Adoptable, has_capability
from .core.addresses import Address, parse_address
from .errors import AnswerError
from .graph import Workflow


def undecided_address(view: View, run: RunRecord, text: str) -> Address:
    """The activation that is meant. Raises `AnswerError` when no fate is unknown there.

    A node's bare name will do when only one of its activations waits. A submission that was under way when its
    process ended waits as well: whoever takes the run up finds its fate unknown.
    """
    wanted = parse_address(text)
    states = {State.SUBMIT_UNKNOWN}
    if view.holder(run) is None:
        states.add(State.SUBMITTING)
    _, operations = view.live([run.key])
    waiting = [Address(record.key.node, record.path) for record in operations if record.state in states]
    if wanted in waiting:
        assert wanted is not None
        return wanted
    of_node = [address for address in waiting if wanted is not None and address.node == wanted.node]
    if wanted is not None and not wanted.path and len(of_node) == 1:
        return of_node[0]
    names = ", ".join(map(str, of_node or waiting)) or "nothing"
    raise AnswerError(f"Run {run.id}: {text} waits for no answer. What does: {names}.", run_id=run.id)


def require_possible(workflow: Workflow[Any, Any], run_id: str, address: Address, reply: str) -> None:
    """Raises `AnswerError` for a handle where none can be adopted."""
    node = workflow.node(address.node)
    adapter = node.operation if isinstance(node, OperationNode) else None
    if reply not in ("resubmit", "fail") and not has_capability(adapter, Adoptable):
        raise AnswerError(
            f"Run {run_id}: {address} can't adopt {reply!r}: answer resubmit or fail.", run_id=run_id
        )


def fate_data(reply: str) -> bytes:
    """The data of the signal: `resubmit`, `fail`, or the provider's handle to adopt."""
    return pack({"reply": reply})
