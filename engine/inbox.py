"""The inbox: what other processes left for the runs that are driven here."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from ..checkpoints import Message, StoreError
from .recovery import deal_with

if TYPE_CHECKING:
    from .runtime import Runtime

log = logging.getLogger("perdure")

INTERVAL = 1.0
"""Seconds between two looks."""
STALL = 0.5
"""Seconds by which a look may be late. Later than that, the process was stopped or swapped out, and its lease may have
run out meanwhile."""


class Inbox:
    """Looks for messages while anything is driven, and has each acted on once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            if self._runtime.owned:
                try:
                    if time.monotonic() > due + STALL:
                        # What waits for a person moves by no commit that could be refused.
                        await self._runtime.check_ownership(self._runtime.owned)
                    for message in await self._runtime.store.messages():
                        await self._act(message)
                except StoreError as error:
                    log.warning("the inbox could not be read: %s", error)

    async def _act(self, message: Message) -> None:
        driver = await self._runtime.driver(message.run)
        if driver is not None:
            await driver.guard(deal_with(self._runtime, driver, message))
