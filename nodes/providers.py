"""`operation_for`: the adapter that understands a token, without the user's code."""

from __future__ import annotations

from .operation import Operation
from .responses import PROVIDER, ResponsesOperation


def operation_for(provider: str) -> Operation | None:
    """The adapter for tokens of this provider, with its default client; None when there is none.

    Nothing is sent and no client is made before the adapter is used.
    """
    return ResponsesOperation() if provider == PROVIDER else None
