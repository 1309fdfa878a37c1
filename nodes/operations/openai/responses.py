"""`ResponsesOperation`: background runs of the OpenAI Responses API as a long-running operation.

The adapter between the protocol of operations and the `openai` package. How a response is read is in `_reading.py`,
what a failed request means in `_faults.py`, how requests are sent in `_api.py`, how streams are followed in
`_stream.py`. How often to poll and when to give up is decided by the engine, not here.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...errors import OperationError, OperationExpiredError, SubmissionUnknownError
from ...polling import Polling
from .._names import RESPONSES
from ..capabilities import StreamPiece
from ..outcomes import Expired, Outcome, Running
from ..tokens import ContinuationToken, Json
from ._api import ResponsesApi
from ._faults import Fault
from ._reading import Body, ending_of
from ._stream import Cursor, OpenStream, Reopen, StreamReader, follow, is_error, response_id

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PROVIDER: Final = RESPONSES
"""The name that tokens of background responses carry."""

_YOUNG = 30.0  # seconds: a handle younger than this may not be known everywhere yet
_LONGEST_RETRY_AFTER = 120.0  # seconds: what a server may ask for at most


class ResponsesOperation:
    """Submits, polls, streams and cancels responses. A token's handle is `{"id": "resp_..."}`, with `"ended": true`
    where the response had ended when it became known.

    Without a `client` the default client of the running event loop is used. Of `polling` only `timeout` counts here,
    and its spacing where a stream has to go on by polls.
    """

    def __init__(
        self,
        client: AsyncOpenAI | None = None,
        *,
        polling: Polling | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._polling = polling or Polling()
        self._api = ResponsesApi(client, timeout=self._polling.timeout)
        self._clock = clock
        self._chance = chance

    @property
    def provider(self) -> str:
        """`openai.responses`."""
        return PROVIDER

    def adopt(self, handle: str) -> ContinuationToken:
        """A token for a response whose id is known from elsewhere (a log, the provider's web page)."""
        return ContinuationToken(provider=PROVIDER, handle={"id": handle}, created_at=self._clock())

    def poll_after(self, token: ContinuationToken) -> float:
        """Seconds to wait before the first poll of a fresh token: none if its run had ended at once."""
        return 0.0 if token.handle.get("ended") else self._polling.first

    def wait(self, running: Running) -> float:
        """Seconds until the next poll, for whoever polls without an engine. Never before `retry_after`."""
        interval = self._polling.interval(self._clock() - running.token.created_at, self._chance())
        return max(interval, running.retry_after or 0.0)

    async def prepare(self) -> None:
        """Make the client. Raises `ProviderUnavailableError` when there is no key to make one with."""
        fault = await self._api.prepare()
        if fault is not None:
            raise fault.unavailable()

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """Create the response that `request` describes (the parameters of `responses.create`, plain JSON).

        With `background` false in the request this returns only when the response is done, so that a crash
        meanwhile leaves its fate unknown. Raises as `Operation.submit`.
        """
        return (await self._create(request, key))[0]

    async def begin(self, request: Mapping[str, Json], key: str) -> tuple[ContinuationToken, Outcome]:
        """As `submit`, with what the provider said at once."""
        token, answer = await self._create(request, key)
        return token, ending_of(answer) or _running(token, answer)

    async def _create(self, request: Mapping[str, Json], key: str) -> tuple[ContinuationToken, Body]:
        answer = await self._api.create(request, key)
        if isinstance(answer, Fault):
            raise answer.submission_error()
        token = self.adopt(answer["id"])
        if ending_of(answer) is not None:  # a foreground run: there is nothing to wait for
            token = replace(token, handle={**token.handle, "ended": True})
        return token, answer

    async def poll(self, token: ContinuationToken) -> Outcome:
        """Ask once. 404 is `Expired`, but `Running` while the token is younger than 30 seconds."""
        answer = await self._api.retrieve(_handle(token))
        if isinstance(answer, Fault):
            return self._unanswered(token, answer)
        return ending_of(answer) or _running(token, answer)

    async def cancel(self, token: ContinuationToken) -> Outcome:
        """Ask the provider to cancel. A response that has ended is not changed by it: that is returned."""
        answer = await self._api.cancel(_handle(token))
        if isinstance(answer, Fault):
            if answer.status in (400, 409):  # it can't be cancelled (any more): how is it?
                return await self.poll(token)
            return self._unanswered(token, answer)
        return ending_of(answer) or _running(token, answer)

    def stream(self, token: ContinuationToken) -> AsyncGenerator[StreamPiece, None]:
        """Go on right after the token's cursor; see `_stream.follow`. Raises as `poll`."""
        return follow(token, reopen=self._reopen(token), poll=self.poll, wait=self.wait)

    async def begin_stream(self, request: Mapping[str, Json], key: str) -> AsyncGenerator[StreamPiece, None]:
        """As `submit`, then stream: the first piece holds the token and no text.

        Only a background run can be resumed: another one that breaks off before its end raises
        `OperationFailedError`.
        """
        background = bool(request.get("background"))
        opened = await self._api.create_stream(request, key)
        if isinstance(opened, Fault):
            raise opened.submission_error()
        token = await self._created(opened)
        reopen = self._reopen(token) if background else None
        following = follow(token, reopen=reopen, poll=self.poll, wait=self.wait, opened=opened)
        async with aclosing(following) as pieces:
            async for piece in pieces:
                yield piece

    async def _created(self, opened: OpenStream) -> ContinuationToken:
        """Read until the new response's id is known. Raises `SubmissionUnknownError` when it never is."""
        reader = StreamReader(Cursor())
        handle: str | None = None
        try:
            while handle is None:
                event = await opened.next()
                if event is None or isinstance(event, Fault) or is_error(event):
                    reason = event.message if isinstance(event, Fault) else ""
                    raise SubmissionUnknownError(
                        f"The stream ended before the response's id was known; it may be running. {reason}",
                        code="stream_interrupted",
                    )
                reader.read(event)
                handle = response_id(event)
        except BaseException:
            await opened.close()
            raise
        return self.adopt(handle).at(reader.cursor.to_json())

    def _reopen(self, token: ContinuationToken) -> Reopen:
        handle = _handle(token)

        async def reopen(after: int | None) -> OpenStream | Fault:
            return await self._api.resume(handle, after)

        return reopen

    def _unanswered(self, token: ContinuationToken, fault: Fault) -> Outcome:
        """What a poll or cancel without a usable answer comes to."""
        if fault.unknown_handle:
            if self._clock() - token.created_at < _YOUNG:
                return Running(token=token, problem=fault.message)
            return Expired(
                error=OperationExpiredError(
                    f"The provider no longer knows response {_handle(token)}: it was deleted, was kept for too "
                    f"short a time, or belongs to another project. {fault.message}",
                    code="expired",
                )
            )
        if not fault.passing:
            raise fault.unavailable()
        wait = None if fault.retry_after is None else min(fault.retry_after, _LONGEST_RETRY_AFTER)
        return Running(token=token, retry_after=wait, problem=fault.message)


def _running(token: ContinuationToken, answer: Body) -> Running:
    return Running(token=token, status=str(answer.get("status")))


def _handle(token: ContinuationToken) -> str:
    """The response's id. Raises `OperationError` for a token of another provider."""
    handle = token.handle.get("id")
    if token.provider != PROVIDER or not isinstance(handle, str) or not handle:
        raise OperationError(
            f"This token is of {token.provider!r}; an agent can go on with tokens of {PROVIDER!r} that hold a "
            "response's id. Pass the token that the same agent gave.",
            code="wrong_token",
        )
    return handle
