"""`ResponsesApi`: the requests that we send to the Responses API, one method for each. Errors are values here.

Everything that knows how `openai` wants to be called is in this file; what answers mean is told elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..tokens import Json
from ._clients import default_client
from ._faults import Fault, read_fault, unreadable
from ._reading import Body
from ._stream import OpenStream

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_CONNECT: Final = 5.0  # seconds
_PARAMETERS: Final = frozenset(
    [
        "background",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "truncation",
    ]  # a list of words
)


class ResponsesApi:
    """One client's Responses API, the default client's, or nobody's. The client's own retries are off.

    For a submission because a lost reply must not start a second run, for the rest because whoever polls
    decides when.
    """

    def __init__(self, client: AsyncOpenAI | Fault | None, *, timeout: float) -> None:
        """`timeout`: seconds that a request may take, and a stream may be silent.

        With a `Fault` in place of a client nothing is sent, and that is what comes of every request.
        """
        self._client = client if client is None or isinstance(client, Fault) else _single_try(client)
        self._timeout = timeout

    async def prepare(self) -> Fault | None:
        """Make the client, and say what is wrong if it can't be made."""
        client = await self._ready_client()
        return client if isinstance(client, Fault) else None

    async def create(self, request: Mapping[str, Json], key: str) -> Body | Fault:
        """Submit. A foreground run takes as long as the client itself allows."""

        async def send(client: AsyncOpenAI) -> Any:
            raw: Any = client.responses.with_raw_response
            return await raw.create(**_arguments(request), **self._submission(request, key))

        return await self._ask(send)

    async def create_stream(self, request: Mapping[str, Json], key: str) -> OpenStream | Fault:
        """Submit, and read the answer as it comes."""

        async def send(client: AsyncOpenAI) -> Any:
            responses: Any = client.responses
            return await responses.create(
                stream=True, **_arguments(request), **self._submission(request, key)
            )

        return await self._open(send)

    async def retrieve(self, handle: str) -> Body | Fault:
        """The response as it is now."""

        async def send(client: AsyncOpenAI) -> Any:
            raw: Any = client.responses.with_raw_response
            return await raw.retrieve(handle, **self._limits())

        return await self._ask(send)

    async def resume(self, handle: str, after: int | None) -> OpenStream | Fault:
        """The response's events after that sequence number, or from the beginning."""
        position: dict[str, Any] = {} if after is None else {"starting_after": after}

        async def send(client: AsyncOpenAI) -> Any:
            responses: Any = client.responses
            return await responses.retrieve(handle, stream=True, **position, **self._limits())

        return await self._open(send)

    async def cancel(self, handle: str) -> Body | Fault:
        """Ask for an end. The response as it is then."""

        async def send(client: AsyncOpenAI) -> Any:
            raw: Any = client.responses.with_raw_response
            return await raw.cancel(handle, **self._limits())

        return await self._ask(send)

    def _submission(self, request: Mapping[str, Json], key: str) -> dict[str, Any]:
        limits = self._limits() if request.get("background") else {}
        return {"extra_headers": {"Idempotency-Key": key}, **limits}

    def _limits(self) -> dict[str, Any]:
        from openai import Timeout

        return {"timeout": Timeout(self._timeout, connect=_CONNECT)}

    async def _ready_client(self) -> AsyncOpenAI | Fault:
        """The client, without retries of its own, or why there is none."""
        if self._client is not None:
            return self._client
        try:
            return await default_client()
        except Exception as error:
            fault = read_fault(error, None)
            if fault is None:
                raise
            return fault

    async def _ask(self, send: Callable[[AsyncOpenAI], Awaitable[Any]]) -> Body | Fault:
        """Send one request whose answer is a response."""
        client = await self._ready_client()
        if isinstance(client, Fault):
            return client
        try:
            answer = await send(client)
        except Exception as error:
            fault = read_fault(error, client)
            if fault is None:
                raise
            return fault
        return _body(answer.http_response.content, client)

    async def _open(self, send: Callable[[AsyncOpenAI], Awaitable[Any]]) -> OpenStream | Fault:
        """Send one request whose answer is a stream."""
        client = await self._ready_client()
        if isinstance(client, Fault):
            return client
        try:
            stream = await send(client)
        except Exception as error:
            fault = read_fault(error, client)
            if fault is None:
                raise
            return fault
        return OpenStream(stream, lambda error: read_fault(error, client))


def _single_try(client: AsyncOpenAI) -> AsyncOpenAI:
    """The client without retries of its own, on the same connections."""
    return client.with_options(max_retries=0)


def _arguments(request: Mapping[str, Json]) -> dict[str, Any]:
    """The request as arguments of `create`; what that may not know yet goes into the body as it is."""
    known = {name: value for name, value in request.items() if name in _PARAMETERS}
    others = {name: value for name, value in request.items() if name not in _PARAMETERS}
    return {**known, "extra_body": others} if others else known


def _body(content: bytes, client: AsyncOpenAI) -> Body | Fault:
    """A response as plain JSON, exactly as the provider sent it."""
    try:
        body: Any = json.loads(content)
    except ValueError:
        return unreadable(f"{len(content)} bytes that are no JSON", client)
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
        return unreadable("JSON without a response's id", client)
    return body  # pyright: ignore[reportUnknownVariableType]
