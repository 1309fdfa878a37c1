"""`Subject`: what the checks must be told about an adapter; `ManualClock`: a time that passes only when waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from ..context import Context
from ..operations.protocol import Operation
from ..operations.tokens import ContinuationToken, Json

Tool: TypeAlias = Callable[[Json], Json]
"""A tool of ours: its arguments in, its result out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """An adapter and the provider that it is checked on. A fixture makes one for each test.

    Fields that belong to a capability are needed where the adapter has it.
    """

    process: Callable[[], AbstractAsyncContextManager[Operation]]
    """Makes the adapter as a process that has just started does. Leaving the context is the process's end.

    `lambda: nullcontext(MyOperation())` where nothing has to be closed.
    """
    request: Mapping[str, Json]
    """Succeeds, after a moment during which it is `Running`."""
    troubled: Mapping[str, Json] | None = None
    """Succeeds as well, after submissions that were refused, lost, late, or whatever else can be arranged."""
    accepted: Callable[[str], int] | None = None
    """How many operations the provider has accepted under a key. None for operations that are local."""
    now: Callable[[], float] = time.time
    """The clock that the adapter sees, seconds since the epoch."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits so many seconds of that clock."""
    spacing: float = 0.05
    """Seconds between polls where the provider does not say."""
    long_request: Mapping[str, Json] | None = None
    """Cancellable: it runs until it is cancelled."""
    text: Callable[[Json], str] | None = None
    """Streamable: the text in the value of `Succeeded`, which the pieces must add up to."""
    fetched: Callable[[ContinuationToken], int] | None = None
    """Once: how often the provider was asked to hand out this result."""
    conversation: Mapping[str, Json] | None = None
    """Conversational: a request that asks for calls of `tools` or for answers, then succeeds."""
    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    """Conversational: what its calls call. They have no effects."""
    answer: Json = None
    """Conversational: the answer to each of its questions."""
    context: Context | None = None
    """PerContext: what to ask for an adapter with."""
    signals: Callable[[], Sequence[Mapping[str, Json]]] | None = None
    """Receiving: the signals that the provider has sent by now."""


class ManualClock:
    """A time that begins at `start` and passes only when somebody waits for it. Pass it as `clock` and `sleep`."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.now = start
        """Seconds since the epoch; may be set."""

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self.now += seconds
        await asyncio.sleep(0)
