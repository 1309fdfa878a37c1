"""A handle that its driver can't commit: it is left to the run's next owner, or cancelled, or at least told."""

from __future__ import annotations

import logging

from ...checkpoints.codec import pack
from ...nodes.operations.tokens import ContinuationToken
from ..core import events
from ..core.book import Change
from ..errors import HandleNotCommittedError
from ._shared import OwnedRun
from .performers._cancel import until_acknowledged

log = logging.getLogger("perdure")


async def leave_handle(owned: OwnedRun, reply: Change, submission: int, error: Exception) -> Exception:
    """Leave the handle that came with this reply to the next owner. The error to tell to those who wait."""
    assert isinstance(reply.event, events.Submitted)
    assert reply.note is not None
    operation = reply.event.operation
    token = ContinuationToken.from_dict(reply.note["token"])
    try:
        await _leave(owned, reply.event, submission, token)
    except Exception as late:  # noqa: BLE001  # the boundary: then a person must keep the handle
        told = HandleNotCommittedError(
            f"Run {owned.run_id}: the handle of {operation} could not be committed: {late} The provider knows it "
            f"as {dict(token.handle)}. When the database can be written again: perdure answer {owned.run_id} "
            f"'{operation}' {token.handle.get('id', '')}"
        )
        told.__cause__ = error
        log.error("%s", told)  # those who wait may have got another error of this run already
        return told
    return error


async def _leave(owned: OwnedRun, event: events.Submitted, submission: int, token: ContinuationToken) -> None:
    operation = event.operation
    store = owned.shared.store
    run = await store.read(lambda view: view.run(owned.run_id))
    if run.status.finished:
        log.warning("run %s has ended without %s; cancelling it at the provider", run.id, operation)
        await until_acknowledged(owned, operation, token)
        return
    data = {"token": token.to_dict(), "operation": list(operation[1:]), "submission": submission}
    await store.signal(run.key, "handle", operation.address.node, operation.address.path, pack(data))
    log.warning("run %s: the late handle of %s is left to the run's next owner", run.id, operation)
