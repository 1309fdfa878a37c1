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
from ._clients import is_client
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
            client = _require_client(self._choose(context))
        except Exception as error:
            raise _unavailable(context, error) from error
        adapter = self._adapters.get(client)
        if adapter is None:
            adapter = ResponsesOperation(
                client, polling=self._polling, clock=self._clock, chance=self._chance
            )
            self._adapters[client] = adapter  # holds a copy of the client, so that this is no circle
        return adapter


def _require_client(given: object) -> AsyncOpenAI:
    """What the function gave. Raises `TypeError` for what is no client: without one nobody's key is used in its place."""
    if isinstance(given, Coroutine):
        given.close()  # it never runs
        raise TypeError("it is an async function; make it a plain one")
    if not is_client(given):
        what = "None" if given is None else type(given).__name__  # not the thing itself, which may hold a key
        raise TypeError(f"it gave {what} and not an AsyncOpenAI")
    return cast("AsyncOpenAI", given)


def _unavailable(context: Context, error: Exception) -> ProviderUnavailableError:
    """There is no client. Named by its run, and by its labels, which a client is mostly chosen by."""
    where = f"Run {context.run_id}: {context.node}" if context.run_id else f"Agent {context.node!r}"
    labels = ", ".join(f"{name}={value}" for name, value in context.labels.items()) or "no labels"
    alone = "" if context.run_id else ", because it is run alone"
    return ProviderUnavailableError(
        redact(
            f"{where} has no client: {type(error).__name__}: {error} (from the function client=). The context has "
            f"{labels}{alone}. Nothing was sent. Have the function give a client for that."
        ),
        code="no_client",
    )
