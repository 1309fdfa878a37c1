"""A cron job: today's briefing, one look at a time.

    python -m examples.embedding.tick 2026-11-25

Each call starts what is to be started, asks the provider once after all that is due, and exits.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date

from perdure import Executor

from examples.embedding.briefings import briefing


async def tick(day: str) -> None:
    """One look. The run's id is made from the day: another call of the same day means the same run."""
    async with Executor("perdure.db", workflows=[briefing]) as executor:
        run = await executor.start(briefing, f"The news of {day}", run_id=f"news-{day}")
        waiting = await executor.poll_once()
        if await run.status() == "succeeded":
            print(await run.result())
        else:
            print(f"{run.id}: {await run.status()}; {waiting} to be asked after again", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(tick(sys.argv[1] if len(sys.argv) > 1 else date.today().isoformat()))
