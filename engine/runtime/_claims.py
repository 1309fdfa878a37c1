"""`Claims`: how an executor takes runs, the same way for every verb. A second claim would make the first one stale."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from ...checkpoints.records import RunRecord
from ...checkpoints.store import Claim
from ..errors import ExecutorStoppedError
from ._exclusive import Exclusive
from ._policies import stored_policies
from ._reading import unreadable
from ._recovery import recover
from ._runtime import Runtime


class Claims:
    """Takes runs, each by one claim at a time, and none that is driven here already."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._runs = Exclusive[str]()  # those that are being started or taken, by their ids
        self._all: asyncio.Future[None] | None = None

    def starting(self, run_id: str) -> AbstractContextManager[None]:
        """The run is being inserted meanwhile: whoever wants to take it waits."""
        return self._runs.held(run_id)

    async def take(self, record: RunRecord, *, failed: bool = False) -> Claim | None:
        """Claim the run and drive it on, a failed one too if `failed` is set. None: it is driven here already.

        A claim that was not granted is returned as well. Raises what keeps a run that was granted from being driven; it
        is given back then.
        """
        await self.require_readable(record)
        await self._settled(record)
        if record.key in self._runtime.owned:
            return None
        with self._runs.held(record.id):  # nothing is awaited between the look and this
            claim = await self._runtime.shared.store.claim(record.id, failed=failed)
            if claim.granted:
                async with self._runtime.given_back(claim.run):
                    await recover(self._runtime, [claim.run])
                self.require_driven(record)
        return claim

    async def take_all(self) -> list[Claim]:
        """Claim all unfinished runs of known workflows that nobody alive drives, and drive them on."""
        runtime = self._runtime
        while self._all is not None:
            await asyncio.wait([self._all])
        self._require_running()
        end = self._all = asyncio.get_running_loop().create_future()
        try:
            claims = await runtime.shared.store.claim_all(
                list(runtime.workflows), exclude=runtime.owned.keys()
            )
            granted = [claim.run for claim in claims if claim.granted]
            async with runtime.given_back(*granted):
                await recover(runtime, granted)
        finally:
            self._all = None
            end.set_result(None)
        return claims

    def require_driven(self, record: RunRecord) -> None:
        """Raises what stopped the driving of a run that was granted; nothing when it is driven here, or has ended."""
        if record.key not in self._runtime.owned:
            error = self._runtime.shared.waiters.error(record.key)
            if error is not None:
                raise error

    async def _settled(self, record: RunRecord) -> None:
        """Return when the run is neither being started or taken here, nor still being given back."""
        while True:
            under_way = self._runs.under_way(record.id) or self._all or self._runtime.leaving(record.key)
            if under_way is None:
                return self._require_running()
            await asyncio.wait([under_way])

    async def require_readable(self, record: RunRecord) -> None:
        """Raises why the run's plan or policies can't be read. Such a run is not claimed: nothing could be done for it."""
        await self._runtime.plan(record.signature)
        try:
            stored_policies(record)
        except Exception as error:
            raise unreadable(record.id, error) from error

    def _require_running(self) -> None:
        if self._runtime.shared.stopping:
            raise ExecutorStoppedError(
                "The executor stops, so it takes no run any more. What was left in the database is acted on by whoever "
                "takes the run next."
            )
