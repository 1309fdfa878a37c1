"""`Resubmit`: submit an operation again, with the same request under the same key."""

from __future__ import annotations

from ...core.commands import Resubmit
from .._places import Place
from .._shared import Commit, OwnedRun
from ._submission import submit


async def perform(owned: OwnedRun, command: Resubmit, commit: Commit) -> None:
    """Intend it once more, and send it."""
    operation = command.operation
    await owned.adapter(operation).prepare()
    work = await owned.work()
    if work is not None:
        async with Place(owned.shared.submissions) as place:
            await submit(owned, work, operation, place, commit)
