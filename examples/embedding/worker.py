"""An executor process: it drives every run that is queued or was left, until SIGTERM.

python -m examples.embedding.worker
"""

from __future__ import annotations

import asyncio
import logging

from perdure import Executor
from perdure.errors import StoreError

from examples.embedding.briefings import briefing

log = logging.getLogger(__name__)


async def main() -> None:
    """Look for work every second. SIGTERM leaves the `async with`, which waits for submissions under way."""
    async with Executor("perdure.db", workflows=[briefing]) as executor:
        while True:
            try:
                await executor.resume_all()
            except StoreError as error:
                log.warning("no runs were taken up: %s", error)
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
