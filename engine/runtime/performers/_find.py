"""`Find`: ask the provider whether it has an operation whose submission is of unknown fate."""

from __future__ import annotations

import logging

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import Request
from ....nodes.operations.capabilities import Findable, Found, Unavailable, has_capability
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import OperationAddress, submission_key
from ...core.book import Change
from ...core.commands import Find
from ...core.replies import Again, after_look
from .._places import Place
from .._shared import Commit, OwnedRun

log = logging.getLogger("perdure")


async def perform(owned: OwnedRun, command: Find, commit: Commit) -> Change | None:
    """Look for it once. Of several that are found the first is adopted; the others are for the core to cancel."""
    work = await owned.work()
    operation = command.operation
    found = None if work is None else work.state.operation(operation)
    if work is None or found is None:
        return None
    adapter = owned.adapter(operation.address.node)
    assert has_capability(adapter, Findable), f"{operation} was to be looked for, and its adapter can't"
    key = work.state.operation_key(operation)
    request = await work.values.stored(Request(key))
    assert request is not None, f"run {owned.run_id}: {operation} was submitted without an intent"
    async with Place(owned.shared.polls):
        answer = await adapter.find(unpack(request.data), submission_key(work.nonce, operation))
    tokens = answer.tokens if isinstance(answer, Found) else ()
    retry_after = answer.retry_after if isinstance(answer, Unavailable) else None
    if isinstance(answer, Unavailable):
        log.warning("run %s: looking for %s was inconclusive: %s", owned.run_id, operation, answer.problem)
    known = None if isinstance(answer, Unavailable) else bool(tokens)
    meaning = after_look(
        operation, found, known, retry_after, owned.shared.clock(), owned.shared.random.random()
    )
    match meaning:
        case Again(after):
            owned.wake(after, key, replace=False)  # a person may have decided meanwhile
            return None
        case events.HandleFound(at=at):
            await commit(*_found(at, operation, found.submission, tokens))
            return None
        case events.NothingFound():
            return Change(meaning)
        case _:
            return None


def _found(
    at: float, operation: OperationAddress, newest: int, tokens: tuple[ContinuationToken, ...]
) -> list[Change]:
    """The first is adopted. Each of the others counts as a submission of its own, which the core has cancelled."""
    numbers = [*range(newest, 0, -1), *range(newest + 1, newest + 1 + len(tokens))]
    changes: list[Change] = []
    for token, number in zip(tokens, numbers, strict=False):
        data = token.to_dict()
        packed = pack(data)
        changes.append(
            Change(
                events.HandleFound(at, operation, number, "found", token.handle_text),
                operation=None if changes else {"token": packed},
                submission={"token": packed} if changes else None,
                note={"token": data},
            )
        )
    return changes
