"""`EvaluateEdges`: evaluate once more the edges of an activation whose output is kept."""

from __future__ import annotations

from ....checkpoints.codec import pack
from ...core import events
from ...core.book import Change
from ...core.commands import EvaluateEdges
from ...errors import ConditionError, NoEdgeTakenError
from ...failures import describe
from .._changes import decide
from .._shared import Commit, OwnedRun


async def perform(owned: OwnedRun, command: EvaluateEdges, _: Commit) -> Change | None:
    """The edges that the stored output takes, or that they still can't be evaluated."""
    work = await owned.work()
    if work is None or work.state.find(command.address) is None:
        return None
    address = command.address
    value = await work.values.output(work.state.key(address))
    if work.state.outcome is not None:  # the run has ended otherwise; a retry asks again
        return None
    try:
        taken, items = decide(owned, work, address, value)
    except (ConditionError, NoEdgeTakenError) as error:
        failure = describe(error)
        return Change(
            events.EdgesFailed(owned.shared.clock(), address),
            {"error": pack(failure)},
            failure=failure,
            cause=error,
        )
    return Change(events.EdgesDecided(owned.shared.clock(), address, taken, items))
