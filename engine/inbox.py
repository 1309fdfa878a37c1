"""The inbox: what other processes left for the runs that are driven here."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..checkpoints import Message, StoreError
from .recovery import deal_with

if TYPE_CHECKING:
    from .runtime import Runtime

log = logging.getLogger("perdure")

INTERVAL = 1.0
"""Seconds between two looks."""


class Inbox:
    """Looks for messages while anything is driven, and has each acted on once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if self._runtime.owned:
                try:
                    messages = await self._runtime.store.messages()
                except StoreError as error:
                    log.warning("the inbox could not be read: %s", error)
                    continue
                for message in messages:
                    await self._act(message)

    async def _act(self, message: Message) -> None:
        driver = await self._runtime.driver(message.run)
        if driver is not None:
            await driver.guard(deal_with(self._runtime, driver, message))
