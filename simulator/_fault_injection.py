"""Fault injection: what a scripted fault does to a request, before or after the request takes effect.

The script decides which request gets which fault; cuts of a stream are made in `_streams`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from http.client import responses as PHRASES  # noqa: N812  # a table, named in lower case there
from typing import TypeAlias, assert_never

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ._faults import (
    BrokenReply,
    ConnectionLost,
    Fault,
    HttpError,
    NotFound,
    SlowReply,
    Stale,
    StreamCut,
    WindowExpired,
)
from ._ledger import Exchange
from ._request import RefusedRequest, not_found
from ._wire import error_body

Effect: TypeAlias = Callable[[Fault | None], Awaitable[Response]]
"""Carries out a request and returns the reply. Its argument is the fault if that changes the reply itself (`Stale`,
`StreamCut`), else None."""

TOO_OLD = "This response can no longer be streamed because it is more than 5 minutes old"
"""The API's wording."""
ABORT = "perdure.abort"
"""The ASGI scope's key of a function that resets the connection. The server puts it there."""
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_MESSAGES = {
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to do that.", "invalid_request_error", None),
    409: ("The resource was changed by another request.", "invalid_request_error", "conflict"),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: (
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        "server_error",
    ),
    503: ("The engine is currently overloaded, please try again later.", "server_error", "server_overloaded"),
}


async def inject(fault: Fault | None, exchange: Exchange, effect: Effect) -> Response:
    """Apply the fault to the request, and carry the request out unless the fault prevents that."""
    if fault is None:
        return await effect(None)
    exchange.fault = fault.how if isinstance(fault, StreamCut) else fault.kind
    match fault:
        case SlowReply(accepted=False, seconds=seconds):
            await asyncio.sleep(seconds)
            return await effect(None)
        case SlowReply(seconds=seconds):
            reply = await effect(None)
            await asyncio.sleep(seconds)
            return reply
        case HttpError() | ConnectionLost() | BrokenReply():
            body = b"{}"
            if fault.accepted:
                reply = await effect(None)
                body = body if isinstance(reply, StreamingResponse) else bytes(reply.body)
            else:
                exchange.outcome = exchange.outcome or "fault"
            return _bad_reply(fault, body)
        case NotFound():
            raise not_found(exchange.response_id or "")
        case WindowExpired():
            raise RefusedRequest(400, TOO_OLD)
        case Stale() | StreamCut():
            return await effect(fault)
        case _:
            assert_never(fault)


def _bad_reply(fault: HttpError | ConnectionLost | BrokenReply, body: bytes) -> Response:
    match fault:
        case HttpError():
            return error_reply(fault)
        case ConnectionLost():
            return Reset()
        case BrokenReply():
            return broken_reply(fault, body)


def abort_transport(transport: asyncio.Transport) -> None:
    """Drop a connection with a TCP reset, so that the peer sees an error rather than an end of file."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def reset(scope: Scope) -> None:
    """Reset this request's connection, after giving what was already sent time to arrive."""
    abort: Callable[[], None] = scope[ABORT]
    await asyncio.sleep(0.03)
    abort()
    await asyncio.sleep(0.01)


class Reset(Response):
    """Resets the connection instead of replying; with `body`, after sending half of it."""

    def __init__(self, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(content=body or b"", media_type="application/json", headers=headers)
        self._interrupted = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._interrupted is not None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            half = self._interrupted[: len(self._interrupted) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        await reset(scope)


def error_reply(fault: HttpError) -> Response:
    """The reply for a scripted HTTP error, with the headers that control retries by clients."""
    phrase = PHRASES.get(fault.status, "Error")
    message, kind, code = _MESSAGES.get(
        fault.status, (f"{phrase} (scripted).", "invalid_request_error", None)
    )
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    if fault.retry_after_ms is not None:
        headers["retry-after-ms"] = f"{fault.retry_after_ms:g}"
    if fault.should_retry is not None:
        headers["x-should-retry"] = "true" if fault.should_retry else "false"
    body = error_body(fault.message or message, kind=kind, code=fault.code or code)
    return JSONResponse(body, status_code=fault.status, headers=headers)


def broken_reply(fault: BrokenReply, body: bytes) -> Response:
    """A reply that can't be parsed, made from the `body` that would have been sent."""
    match fault.form:
        case "bad_json":
            return Response(body[: max(1, len(body) // 2)], media_type="application/json")
        case "html":
            return HTMLResponse(_HTML, status_code=502)
        case "half":
            return Reset(body)
