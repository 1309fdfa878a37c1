"""`ResponsesOperation`: background runs of the OpenAI Responses API as a long-running operation.

The adapter between the protocol of `operation.py` and the `openai` package. How a response is read is in
`response_reading.py`, what a failed request means in `response_faults.py`, how requests are sent in
`response_api.py`, streams in `response_stream.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .errors import (
    OperationError,
    OperationExpiredError,
    OperationFailedError,
    SubmissionUnknownError,
)
from .operation import ContinuationToken, Expired, Failed, Json, Poll, Running, StreamPiece
from .polling import Polling
from .response_api import ResponsesApi
from .response_faults import Fault
from .response_reading import Body, ending_of
from .response_stream import Cursor, OpenStream, Reopen, StreamReader, follow, is_error, response_id

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PROVIDER: Final = "openai.responses"
"""The name that tokens of background responses carry."""

_YOUNG = 30.0  # seconds: a handle younger than this may not be known everywhere yet


class ResponsesOperation:
    """Submits, polls, streams and cancels responses. A token's handle is `{"id": "resp_..."}`, with `"ended": true`
    where the response had ended when it became known.

    Without a `client` the default client of the running event loop is used.
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
        """Seconds to wait before a fresh token is asked after: none if its run had ended at once."""
        return 0.0 if token.handle.get("ended") else self._polling.interval(0.0, self._chance())

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

    async def begin(self, request: Mapping[str, Json], key: str) -> tuple[ContinuationToken, Poll]:
        """As `submit`, with what the provider said at once."""
        token, answer = await self._create(request, key)
        return token, ending_of(answer) or self._running(token, str(answer.get("status")))

    async def _create(self, request: Mapping[str, Json], key: str) -> tuple[ContinuationToken, Body]:
        answer = await self._api.create(request, key)
        if isinstance(answer, Fault):
            raise answer.submission_error()
        token = self.adopt(answer["id"])
        if ending_of(answer) is not None:  # a foreground run: there is nothing to wait for
            token = replace(token, handle={**token.handle, "ended": True})
        return token, answer

    async def poll(self, token: ContinuationToken) -> Poll:
        """Ask once. 404 is `Expired`, but `Running` while the token is younger than 30 seconds."""
        answer = await self._api.retrieve(_handle(token))
        if isinstance(answer, Fault):
            return self._unanswered(token, answer)
        return await self._judge(token, answer)

    async def cancel(self, token: ContinuationToken) -> Poll:
        """Ask the provider to cancel. A response that has ended is not changed by it: that is returned."""
        answer = await self._api.cancel(_handle(token))
        if isinstance(answer, Fault):
            if answer.status in (400, 409):  # it can't be cancelled (any more): how is it?
                return await self.poll(token)
            return self._unanswered(token, answer)
        return ending_of(answer) or self._running(token, str(answer.get("status")))

    def stream(self, token: ContinuationToken) -> AsyncGenerator[StreamPiece, None]:
        """Go on right after the token's cursor; see `response_stream.follow`. Raises as `poll`."""
        return follow(token, reopen=self._reopen(token), poll=self.poll)

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
        async with aclosing(follow(token, reopen=reopen, poll=self.poll, opened=opened)) as pieces:
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

    async def _judge(self, token: ContinuationToken, answer: Body) -> Poll:
        """What a response says, and whether it has been running for too long."""
        ending = ending_of(answer)
        if ending is not None:
            return ending
        age = self._clock() - token.created_at
        queued = answer.get("status") == "queued"
        if age > self._polling.deadline:
            return await self._give_up(
                token, f"still ran after {age:.0f} seconds, its deadline", "deadline_exceeded", again=False
            )
        if queued and age > self._polling.queue_limit:
            return await self._give_up(
                token, f"was still queued after {age:.0f} seconds", "stuck_in_queue", again=True
            )
        return self._running(token, str(answer.get("status")))

    async def _give_up(self, token: ContinuationToken, what: str, code: str, *, again: bool) -> Poll:
        """Cancel what takes too long. It has failed only once the provider says that it is cancelled."""
        answer = await self._api.cancel(_handle(token))
        if isinstance(answer, Fault):
            return self._running(token, None, problem=f"It {what}; the cancel failed: {answer.message}")
        ending = ending_of(answer)
        if ending is None:
            return self._running(
                token, str(answer.get("status")), problem=f"It {what}; it is being cancelled."
            )
        if answer.get("status") != "cancelled":
            return ending
        error = OperationFailedError(
            f"Response {_handle(token)} {what}, and was cancelled. Set Polling(deadline=..., queue_limit=...) "
            "to wait longer.",
            code=code,
            retryable=again,
        )
        return Failed(error=error, retryable=again)

    def _unanswered(self, token: ContinuationToken, fault: Fault) -> Poll:
        """What a poll or cancel without a usable answer comes to."""
        if fault.unknown_handle:
            if self._clock() - token.created_at < _YOUNG:
                return self._running(token, None, problem=fault.message)
            return Expired(
                error=OperationExpiredError(
                    f"The provider no longer knows response {_handle(token)}: it was deleted, was kept for too "
                    f"short a time, or belongs to another project. {fault.message}",
                    code="expired",
                )
            )
        if not fault.passing:
            raise fault.unavailable()
        running = self._running(token, None, problem=fault.message)
        return replace(running, retry_after=max(running.retry_after, min(fault.retry_after or 0.0, 120.0)))

    def _running(
        self, token: ContinuationToken, status: str | None, *, problem: str | None = None
    ) -> Running:
        wait = self._polling.interval(self._clock() - token.created_at, self._chance())
        return Running(token=token, retry_after=wait, status=status, problem=problem)


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
