"""`ResponsesPerContext`: background responses whose client a function of the context chooses, e.g. by tenant."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from ...context import Context
from ...errors import ProviderUnavailableError
from ...polling import Polling
from ...redaction import redact
from ._api import ResponsesApi
from ._faults import Fault, FaultKind
from .responses import ResponsesOperation

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_NO_CONTEXT = Fault(
    kind=FaultKind.LOCAL,
    code="no_context",
    message="Nothing was sent: the client is chosen by the context of a run. Ask what `in_context(context)` gives.",
)


class ResponsesPerContext(ResponsesOperation):
    """Gives the adapter for a context. By itself it does what is pure, and sends nothing."""

    def __init__(
        self,
        choose: Callable[[Context], AsyncOpenAI],
        *,
        polling: Polling | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(polling=polling, clock=clock, chance=chance)
        self._api = ResponsesApi(_NO_CONTEXT, timeout=self._polling.timeout)
        self._choose = choose
        self._adapters: WeakKeyDictionary[AsyncOpenAI, ResponsesOperation] = WeakKeyDictionary()

    def in_context(self, context: Context) -> ResponsesOperation:
        """The adapter with the client for this context: always the same one for a client, so that it shares connections.

        Raises `ProviderUnavailableError` when the function raises, or gives no client.
        """
        try:
            given: object = self._choose(context)
        except Exception as error:
            raise _unavailable(context, f"raised {type(error).__name__}: {error}") from error
        if not hasattr(given, "with_options"):
            if isinstance(given, Coroutine):  # of an async function: it never runs, without a warning
                given.close()
            raise _unavailable(context, f"gave {type(given).__name__} and not an AsyncOpenAI")
        client = cast("AsyncOpenAI", given)
        adapter = self._adapters.get(client)
        if adapter is None:
            adapter = ResponsesOperation(
                client, polling=self._polling, clock=self._clock, chance=self._chance
            )
            self._adapters[client] = adapter  # holds a copy of the client, so that this is no circle
        return adapter


def _unavailable(context: Context, what: str) -> ProviderUnavailableError:
    """There is no client. Named by its run, and by its labels, which a client is mostly chosen by."""
    where = f"Run {context.run_id}: {context.node}" if context.run_id else f"Agent {context.node!r}"
    labels = ", ".join(f"{name}={value}" for name, value in context.labels.items()) or "no labels"
    alone = "" if context.run_id else ", because it is run alone"
    return ProviderUnavailableError(
        redact(
            f"{where} has no client: the function that chooses it (client=) {what}. The context has {labels}{alone}. "
            "Nothing was sent. Make it give a client for that."
        ),
        code="no_client",
    )
