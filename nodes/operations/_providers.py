"""`operation_for`: the adapter that understands a token, without the user's code."""

from __future__ import annotations

from . import _names
from .protocol import Operation


def operation_for(provider: str) -> Operation | None:
    """The adapter for tokens of this provider, with its default client; None when there is none.

    Nothing is sent and no client is made before the adapter is used.
    """
    match provider:
        case _names.RESPONSES:
            from .openai import ResponsesOperation

            return ResponsesOperation()
        case _names.TIMER:
            from .timers import TimerOperation

            return TimerOperation()
        case _:
            return None
