"""`Resubmit`: intend another submission of the same request, under the same key."""

from __future__ import annotations

from ....nodes.operation_node import OperationNode
from ...core import events
from ...core.addresses import submission_key
from ...core.book import Change
from ...core.commands import Resubmit
from .._shared import OwnedRun


async def perform(owned: OwnedRun, command: Resubmit) -> Change | None:
    """Get ready to send it again; the driver gives it a place before the intent is committed."""
    operation = command.operation
    node = owned.node(operation.address.node)
    assert isinstance(node, OperationNode)
    await node.operation.prepare()
    work = await owned.work()
    if work is None:
        return None
    return Change(
        events.SubmissionIntended(owned.shared.clock(), operation),
        note={"key": submission_key(work.nonce, operation)},
    )
