"""`default_client`: the OpenAI client that is used where none was handed in, one per event loop.

Nothing else in the library makes clients. `openai` is imported here, when it is first needed.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_clients: WeakKeyDictionary[
    asyncio.AbstractEventLoop, tuple[AsyncOpenAI, AsyncGenerator[AsyncOpenAI, None]]
] = WeakKeyDictionary()


async def default_client() -> AsyncOpenAI:
    """The running loop's client, made on first use from `OPENAI_API_KEY`, `OPENAI_BASE_URL` and so on.

    It never retries by itself and is closed when the loop ends. Raises `openai.OpenAIError` without a key.
    """
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        if "openai" not in sys.modules:  # takes half a second: other tasks go on meanwhile
            await asyncio.to_thread(importlib.import_module, "openai")
        keeper = _keep()
        client = await anext(keeper)
        _clients[loop] = (client, keeper)
    return _clients[loop][0]


async def _keep() -> AsyncGenerator[AsyncOpenAI, None]:
    """Holds a client for as long as its loop lives.

    A loop closes its async generators before it ends (`loop.shutdown_asyncgens`, which `asyncio.run` calls
    after the last task), and there is no other hook that runs while connections can still be closed.
    """
    from openai import AsyncOpenAI

    client = AsyncOpenAI(max_retries=0)
    try:
        yield client
    finally:
        _clients.pop(asyncio.get_running_loop(), None)
        await client.close()
