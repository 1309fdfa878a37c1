"""An executor process: it starts a run for each order, and drives all runs until SIGTERM.

python -m examples.embedding.worker
"""

from __future__ import annotations

import asyncio
import logging

from perdure import Executor
from perdure.errors import StoreError

from examples.embedding import orders
from examples.embedding.briefings import briefing

log = logging.getLogger(__name__)


async def take_orders(executor: Executor) -> None:
    """Start a run for each new order. If we die before it is noted, the next worker starts the same run: no other."""
    for order in await asyncio.to_thread(orders.to_start):
        await executor.start(briefing, order.topic, run_id=order.id)
        await asyncio.to_thread(orders.started, order)


async def main() -> None:
    """Look for work every second. SIGTERM leaves the `async with`, which waits for submissions under way."""
    async with Executor("perdure.db", workflows=[briefing]) as executor:
        while True:
            try:
                await executor.resume_all()  # what a worker left that is gone
                await take_orders(executor)
            except StoreError as error:
                log.warning("no work was taken: %s", error)
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
