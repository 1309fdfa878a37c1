"""A cron job: today's briefing, one look at a time.

    python -m examples.embedding.tick 2026-11-25

Each call starts what is to be started, asks the provider once after all that is due, and exits.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path

from perdure import Context, Executor, Workflow, node

from examples.embedding.briefings import researcher, write


@node
def publish(text: str, ctx: Context) -> str:
    """Put the briefing where it is read. A crash right after this can have it done again: it does the same again."""
    file = Path(f"{ctx.run_id}.txt")
    file.write_text(text, encoding="utf-8")
    return str(file)


news = Workflow("news", start=researcher, end=publish)
news.edge(researcher, write)
news.edge(write, publish)


async def tick(day: str, *, done: bool) -> None:
    """One look. The run's id is made from the day: another call on the same day means the same run."""
    async with Executor("perdure.db", workflows=[news]) as executor:
        if not done:
            await executor.start(news, f"What happened on {day}?", run_id=f"news-{day}")
        waiting = await executor.poll_once()
        print(f"{waiting} to be asked after again")


if __name__ == "__main__":
    today = sys.argv[1] if len(sys.argv) > 1 else date.today().isoformat()
    asyncio.run(tick(today, done=Path(f"news-{today}.txt").exists()))
