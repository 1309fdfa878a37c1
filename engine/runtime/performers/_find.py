"""`Find`: ask the provider whether it has an operation whose submission is of unknown fate."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from ....checkpoints.codec import pack, unpack
from ....checkpoints.records import RequestRef
from ....nodes.operations.capabilities import Findable, Found, Unavailable, has_capability
from ....nodes.operations.tokens import ContinuationToken
from ...core import events
from ...core.addresses import submission_key
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
    adapter = owned.adapter(operation)
    assert has_capability(adapter, Findable), f"{operation} was to be looked for, and its adapter can't"
    key = work.state.operation_key(operation)
    request = await work.values.stored(RequestRef(key))
    assert request is not None, f"run {owned.run_id}: {operation} was submitted without an intent"
    async with Place(owned.shared.polls):
        answer = await adapter.find(unpack(request.data), submission_key(work.nonce, operation))
    tokens = answer.tokens if isinstance(answer, Found) else ()
    handles: list[str] | None = [token.handle_text for token in tokens]
    retry_after: float | None = None
    if isinstance(answer, Unavailable):
        log.warning("run %s: looking for %s was inconclusive: %s", owned.run_id, operation, answer.problem)
        handles, retry_after = None, answer.retry_after
    meaning = after_look(
        operation, found, handles, retry_after, owned.shared.clock(), owned.shared.random.random()
    )
    match meaning:
        case Again(after):
            owned.wake(after, key, replace=False)  # a person may have decided meanwhile
            return None
        case events.NothingFound():
            return Change(meaning)
        case None:
            return None
        case _:
            await commit(*_found(meaning, tokens))
            return None


def _found(handles: Sequence[events.HandleFound], tokens: tuple[ContinuationToken, ...]) -> Iterator[Change]:
    """The events with their tokens. That of the first is the operation's; the others are of submissions alone."""
    for number, (event, token) in enumerate(zip(handles, tokens, strict=True)):
        data = token.to_dict()
        packed = pack(data)
        if number == 0:
            yield Change(event, operation={"token": packed}, note={"token": data})
        else:
            yield Change(event, submission={"token": packed}, note={"token": data})
