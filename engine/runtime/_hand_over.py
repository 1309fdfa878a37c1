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
from ..signal_data import handle_data
from ._shared import OwnedRun

log = logging.getLogger("perdure")

LONGEST_WAIT = 30.0
"""Seconds, at most, between two tries to leave a handle."""


async def leave_handle(owned: OwnedRun, reply: Change, submission: int, error: Exception) -> Exception:
    """Leave the handle that came with this reply to others. The error to tell to those who wait.

    Where it can't be left that is tried again for as long as the executor is entered, and once more when it stops.
    """
    assert isinstance(reply.event, events.Submitted)
    assert reply.note is not None
    operation = reply.event.operation
    token = ContinuationToken.from_dict(reply.note["token"])
    late = _LateHandle(owned, reply.event, submission, token)
    try:
        await late.store()
    except Exception as refused:  # noqa: BLE001  # the boundary: then a person must keep the handle too
        told = HandleNotCommittedError(
            f"Run {owned.run_id}: the handle of {operation} could not be committed: {refused} The provider knows it "
            f"as {dict(token.handle)}. When the database can be written again: perdure answer {owned.run_id} "
            f"'{operation}' {token.handle_text}"
        )
        told.__cause__ = error
        log.error("%s", told)  # those who wait may have got another error of this run already
        late.keep()
        return told
    await owned.shared.see_off(owned.run)
    return error


class _LateHandle:
    """A handle that is on its way to the store. Nothing waits for that, so it holds nothing up."""

    def __init__(
        self, owned: OwnedRun, event: events.Submitted, submission: int, token: ContinuationToken
    ) -> None:
        self._owned = owned
        self._operation = event.operation
        self._data = pack(handle_data(event.operation, submission, token.to_dict()))
        self._tries = 0

    async def store(self) -> None:
        """Leave it as a signal. Raises what the store raises."""
        store, address = self._owned.shared.store, self._operation.address
        run = await store.read(lambda view: view.run(self._owned.run_id))
        await store.signal(run.key, "handle", address.node, address.path, self._data)
        log.warning(
            "run %s: the late handle of %s is left to whoever drives the run", run.id, self._operation
        )

    def keep(self) -> None:
        """Have it tried again until it is stored."""
        self._owned.shared.late_handles.add(self.try_to_store)
        self._wait()

    async def try_to_store(self) -> None:
        """Store it, or say why it is still kept."""
        kept = self._owned.shared.late_handles
        try:
            await self.store()
        except Exception as error:  # noqa: BLE001  # the boundary: it has been told
            log.info(
                "run %s: the late handle of %s can't be left yet: %s",
                self._owned.run_id,
                self._operation,
                error,
            )
        else:
            kept.discard(self.try_to_store)

    def _wait(self) -> None:
        self._tries += 1
        wait = backoff(self._tries, self._owned.shared.random.random(), LONGEST_WAIT)
        asyncio.get_running_loop().call_later(wait, self._begin)

    def _begin(self) -> None:
        if not self._owned.shared.stopping:
            self._owned.shared.create_task(self._try_again())

    async def _try_again(self) -> None:
        await self.try_to_store()
        if self.try_to_store in self._owned.shared.late_handles:
            self._wait()
