"""`default_client`: the OpenAI client that is used where none was handed in, one per event loop.

Nothing else in the library makes clients. `openai` is imported here, when it is first needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class _Slot:
    """A loop's client, and what keeps it."""

    def __init__(self) -> None:
        self.making = asyncio.Lock()
        self.client: AsyncOpenAI | None = None
        self.keeper: AsyncGenerator[None, None] | None = None


_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, _Slot] = WeakKeyDictionary()


async def default_client() -> AsyncOpenAI:
    """The running loop's client, made on first use from `OPENAI_API_KEY`, `OPENAI_BASE_URL` and so on.

    It never retries by itself and is closed when the loop ends. Raises `openai.OpenAIError` without a key.
    """
    slot = _slots.setdefault(asyncio.get_running_loop(), _Slot())
    async with slot.making:
        if slot.client is None:
            slot.client = await asyncio.to_thread(_make)
            slot.keeper = _keep(slot.client)
            await anext(slot.keeper)
        return slot.client


def _make() -> AsyncOpenAI:
    """In a thread, because the imports and the certificates take most of a second."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(max_retries=0)
    _ = client.responses  # imports what it is made of
    return client


async def _keep(client: AsyncOpenAI) -> AsyncGenerator[None, None]:
    """Closes a client when its loop ends.

    A loop closes its async generators before it ends (`loop.shutdown_asyncgens`, which `asyncio.run` calls
    after the last task), and there is no other hook that runs while connections can still be closed.
    """
    try:
        yield
    finally:
        _slots.pop(asyncio.get_running_loop(), None)  # a slot refers to its loop, so it would keep it alive
        await client.close()


def is_client(given: object) -> bool:
    """Whether this is a client that can be awaited: an `AsyncOpenAI`, or what has its methods. `OpenAI` can't be."""
    return hasattr(given, "with_options") and "SyncAPIClient" not in (
        base.__name__ for base in type(given).__mro__
    )
