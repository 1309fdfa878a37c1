"""`Resubmit`: submit an operation again, with the same request under the same key."""

from __future__ import annotations

from ....nodes.operation_node import OperationNode
from ...core import events
from ...core.addresses import submission_key
from ...core.book import Change
from ...core.commands import Resubmit
from .._shared import Commit, OwnedRun
from ._submission import submit


async def perform(owned: OwnedRun, command: Resubmit, commit: Commit) -> Change | None:
    """Intend it once more, and send it."""
    operation = command.operation
    node = owned.node(operation.address.node)
    assert isinstance(node, OperationNode)
    await node.operation.prepare()
    work = await owned.work()
    if work is None:
        return None
    intent = Change(
        events.SubmissionIntended(owned.shared.clock(), operation),
        note={"key": submission_key(work.nonce, operation)},
    )
    return await submit(owned, work, intent, commit)
