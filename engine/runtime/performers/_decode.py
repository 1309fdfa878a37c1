"""`Decode`: make an output of what an operation gave, which is stored: nothing is asked or paid again."""

from __future__ import annotations

from ....checkpoints.codec import unpack
from ....checkpoints.records import Outcome
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Once, has_capability
from ....nodes.operations.outcomes import Succeeded
from ...core.book import Change
from ...core.commands import Decode
from .._shared import OwnedRun
from ._results import conclude


async def perform(owned: OwnedRun, command: Decode) -> Change | None:
    """Read the stored outcome and go on as if it had just come."""
    work = await owned.work()
    operation = command.operation
    if work is None or work.state.operation(operation) is None:
        return None
    stored = await work.values.stored(Outcome(work.state.operation_key(operation)))
    assert stored is not None, f"run {owned.run_id}: {operation} has no stored outcome"
    plain = unpack(stored.data)
    node = owned.node(operation.address.node)
    assert isinstance(node, OperationNode)
    adapter = node.operation
    outcome = adapter.read(plain) if has_capability(adapter, Once) else Succeeded(value=plain)
    return await conclude(owned, work, operation, outcome, stored=True)
