"""From cron: look once after what is due.

Never run: `test_face.py` shows it to the type checkers.
"""

from perdure import Executor
from service import letters


async def tick() -> int:
    async with Executor("perdure.db", workflows=[letters], take_over=True) as executor:
        return await executor.poll_once()
