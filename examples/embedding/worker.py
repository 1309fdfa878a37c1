"""An executor process: it starts a run for each order, and drives all runs until SIGTERM.

python -m examples.embedding.worker
"""

from __future__ import annotations

import asyncio
import logging

from perdure import Executor
from perdure.errors import PerdureError, StoreError

from examples.embedding import orders
from examples.embedding.briefings import briefing

log = logging.getLogger(__name__)


async def take_orders(executor: Executor) -> None:
    """Start a run for each new order. If we die before it is noted, the next worker starts the same run: no other."""
    for order in await asyncio.to_thread(orders.to_start):
        try:
            await executor.start(briefing, order.topic, run_id=order.id)
        except PerdureError as error:  # one bad order must not hold the others
            log.error("order %s is not started: %s", order.id, error)
        else:
            await asyncio.to_thread(orders.started, order)


async def main() -> None:
    """Look for work every second. SIGTERM leaves the `async with`, which waits for submissions under way."""
    async with Executor("perdure.db", workflows=[briefing]) as executor:
        while True:
            await take_orders(executor)
            try:
                await executor.resume_all()  # what a worker left that is gone
            except StoreError as error:
                log.warning("nothing was taken up: %s", error)
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
