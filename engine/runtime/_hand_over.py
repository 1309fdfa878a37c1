"""A handle that its driver can't commit: it is left to whoever drives the run, or follows it where it has ended.

It is a signal from then on, which needs no fence. Until it is stored it is kept here, and told, so that a person has it
too.
"""

from __future__ import annotations

import asyncio
import logging

from ...checkpoints.codec import pack
from ...nodes.operations.tokens import ContinuationToken
from ..core import events
from ..core.book import Change
from ..core.policy import backoff
from ..errors import HandleNotCommittedError
from ._shared import OwnedRun

log = logging.getLogger("perdure")

LONGEST_WAIT = 30.0
"""Seconds, at most, between two tries to leave a handle."""


async def leave_handle(owned: OwnedRun, reply: Change, submission: int, error: Exception) -> Exception:
    """Leave the handle that came with this reply to others. The error to tell to those who wait.

    Where it can't be left that is tried again for as long as the executor is entered.
    """
    assert isinstance(reply.event, events.Submitted)
    assert reply.note is not None
    operation = reply.event.operation
    token = ContinuationToken.from_dict(reply.note["token"])
    try:
        await _leave(owned, reply.event, submission, token)
    except Exception as late:  # noqa: BLE001  # the boundary: then a person must keep the handle too
        told = HandleNotCommittedError(
            f"Run {owned.run_id}: the handle of {operation} could not be committed: {late} The provider knows it "
            f"as {dict(token.handle)}. When the database can be written again: perdure answer {owned.run_id} "
            f"'{operation}' {token.handle.get('id', '')}"
        )
        told.__cause__ = error
        log.error("%s", told)  # those who wait may have got another error of this run already
        _try_again(owned, reply.event, submission, token, 1)
        return told
    await owned.shared.see_off(owned.run)
    return error


async def _leave(owned: OwnedRun, event: events.Submitted, submission: int, token: ContinuationToken) -> None:
    operation = event.operation
    store = owned.shared.store
    run = await store.read(lambda view: view.run(owned.run_id))
    data = {"token": token.to_dict(), "operation": list(operation[1:]), "submission": submission}
    await store.signal(run.key, "handle", operation.address.node, operation.address.path, pack(data))
    log.warning("run %s: the late handle of %s is left to whoever drives the run", run.id, operation)


def _try_again(
    owned: OwnedRun, event: events.Submitted, submission: int, token: ContinuationToken, tries: int
) -> None:
    """Leave it later. Nothing waits for that, so it holds nothing up."""

    async def leave() -> None:
        try:
            await _leave(owned, event, submission, token)
        except Exception as error:  # noqa: BLE001  # the boundary: it has been told
            log.info(
                "run %s: the late handle of %s can't be left yet: %s", owned.run_id, event.operation, error
            )
            _try_again(owned, event, submission, token, tries + 1)

    def begin() -> None:
        if not owned.shared.stopping:
            owned.shared.create_task(leave())

    wait = backoff(tries, owned.shared.random.random(), LONGEST_WAIT)
    asyncio.get_running_loop().call_later(wait, begin)
