"""`Decode`: make an output of what an operation gave, which is stored: nothing is asked or paid again."""

from __future__ import annotations

from ....checkpoints.codec import unpack
from ....checkpoints.records import OutcomeRef
from ....nodes.operations.capabilities import Once, has_capability
from ....nodes.operations.outcomes import Succeeded
from ...core.book import Change
from ...core.commands import Decode
from ...core.replies import after_end
from .._replies import change_of, reply_of
from .._shared import Commit, OwnedRun


async def perform(owned: OwnedRun, command: Decode, _: Commit) -> Change | None:
    """Read the stored outcome and go on as if it had just come."""
    work = await owned.work()
    operation = command.operation
    if work is None or work.state.operation(operation) is None:
        return None
    stored = await work.values.stored(OutcomeRef(work.state.operation_key(operation)))
    assert stored is not None, f"run {owned.run_id}: {operation} has no stored outcome"
    plain = unpack(stored.data)
    adapter = owned.declared(operation.address.node)
    outcome = adapter.read(plain) if has_capability(adapter, Once) else Succeeded(value=plain)
    meaning = after_end(operation, reply_of(outcome), owned.shared.clock(), owned.shared.random.random())
    return await change_of(owned, work, meaning, outcome, stored=True)
