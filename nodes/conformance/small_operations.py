"""The kit's own operations, one for each capability, on a `Ledger`. Made from a folder, so that any process can.

They prove that the protocol can carry what the capability promises, and serve as small examples of adapters. What a
request can hold is told in `ledger.py`; what is in the request beyond that, in the class.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from ..errors import (
    OperationCancelledError,
    OperationError,
    OperationExpiredError,
    OperationFailedError,
)
from ..operations.capabilities import (
    Absent,
    Fetched,
    Finding,
    Finished,
    Found,
    Received,
    StreamPiece,
    Unavailable,
)
from ..operations.outcomes import (
    Asks,
    Call,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Outcome,
    Running,
    Succeeded,
)
from ..operations.protocol import Operation
from ..operations.timers import TimerOperation
from ..operations.tokens import ContinuationToken, Json
from .ledger import Entry, Ledger


class PlainOperation:
    """Can do only what every operation can. The answer's value is `{"text": "Answer: ..."}`."""

    name: ClassVar[str] = "conformance.plain"

    def __init__(
        self,
        folder: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.ledger = Ledger(folder, clock=clock)
        """The provider."""
        self._clock = clock
        self._sleep = sleep

    @property
    def provider(self) -> str:
        return self.name

    async def prepare(self) -> None:
        """Nothing to prepare."""

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        return self._token(self.ledger.submit(self.name, key, request))

    async def poll(self, token: ContinuationToken) -> Outcome:
        return self._outcome(token, self.ledger.entry(self._handle(token)))

    def _outcome(self, token: ContinuationToken, entry: Entry | None) -> Outcome:
        """What the ledger says of an operation."""
        now = self._clock()
        if entry is None:
            return Expired(error=OperationExpiredError("The ledger knows no such operation.", code="expired"))
        if entry.cancelled(now):
            return _cancelled(entry)
        if not entry.ended(now):
            cancelling = entry.cancelled_at is not None
            return Running(token=token, status="cancelling" if cancelling else "in_progress")
        return self._ended(token, entry)

    def _ended(self, token: ContinuationToken, entry: Entry) -> Outcome:
        code = entry.request.get("fails")
        if code is not None:
            retryable = bool(entry.request.get("retryable"))
            error = OperationFailedError(f"It failed: {code}.", code=str(code), retryable=retryable)
            return Failed(error=error, retryable=retryable, usage=_usage(entry))
        return Succeeded(value={"text": _answer(entry)}, usage=_usage(entry))

    def _token(self, entry: Entry) -> ContinuationToken:
        return ContinuationToken(
            provider=self.name, handle={"id": entry.handle}, created_at=entry.accepted_at
        )

    def _handle(self, token: ContinuationToken) -> str:
        handle = token.handle.get("id")
        if token.provider != self.name or not isinstance(handle, str):
            raise OperationError(
                f"This token is of {token.provider!r}, not {self.name!r}.", code="wrong_token"
            )
        return handle


class IdempotentOperation(PlainOperation):
    """Answers a submission under a key that it knows with the handle that it gave, for a while."""

    name = "conformance.idempotent"

    def __init__(self, folder: str | Path, *, idempotent_for: float = 60.0, **times: Any) -> None:
        super().__init__(folder, **times)
        self._idempotent_for = idempotent_for

    @property
    def idempotent_for(self) -> float:
        return self._idempotent_for

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        return self._token(self.ledger.submit(self.name, key, request, honours_for=self._idempotent_for))


class CancellableOperation(PlainOperation):
    """Can be cancelled; the acknowledgement takes as long as the request's `cancels_in` says."""

    name = "conformance.cancellable"

    async def cancel(self, token: ContinuationToken) -> Outcome:
        handle = self._handle(token)
        self.ledger.cancel(handle)
        return self._outcome(token, self.ledger.entry(handle))


class FindableOperation(CancellableOperation):
    """Is listed by its key, `settles_within` seconds after it was accepted. Can be cancelled, for those found twice."""

    name = "conformance.findable"

    def __init__(
        self, folder: str | Path, *, settles_within: float = 5.0, submit_takes: float = 2.0, **times: Any
    ) -> None:
        super().__init__(folder, **times)
        self._settles_within = settles_within
        self._submit_takes = submit_takes

    @property
    def settles_within(self) -> float:
        return self._settles_within

    @property
    def submit_takes(self) -> float:
        return self._submit_takes

    async def find(self, request: Mapping[str, Json], key: str) -> Finding:
        entries = self.ledger.listed(self.name, key, delay=self._settles_within)
        if entries is None:
            return Unavailable(problem="The listing is out of order.")
        return Found(tokens=tuple(map(self._token, entries))) if entries else Absent()


class StreamableOperation(PlainOperation):
    """Its text can be read word by word while it is made; a cursor counts characters."""

    name = "conformance.streamable"

    async def stream(self, token: ContinuationToken) -> AsyncGenerator[StreamPiece, None]:
        entry = self.ledger.entry(self._handle(token))
        position = token.cursor if isinstance(token.cursor, int) else 0
        words = [] if entry is None or "fails" in entry.request else _answer(entry).split(" ")
        begins, text = 0, ""
        for number, word in enumerate(words):
            assert entry is not None
            piece = word if number == 0 else f" {word}"
            due = entry.accepted_at + float(entry.request.get("takes", 0)) * number / len(words)
            text += piece
            if begins + len(piece) > position:
                await self._sleep(max(0.0, due - self._clock()))
                yield StreamPiece(token=token.at(len(text)), text=text[position:])
                position = len(text)
            begins += len(piece)
        while isinstance(end := await self.poll(token.at(position)), Running):
            await self._sleep(0.01 if entry is None else float(entry.request.get("takes", 0)) / 10 or 0.01)
        yield StreamPiece(token=token.at(position), text="", end=end)


class ConversationalOperation(CancellableOperation):
    """Asks for calls and answers before it succeeds.

    The request's `turns` say for what, in order: `{"calls": [["tool", arguments], ...]}` or `{"asks": "Question?"}`.
    The answer's value has what came of them under `history`.
    """

    name = "conformance.conversational"

    def _ended(self, token: ContinuationToken, entry: Entry) -> Outcome:
        turns: list[Mapping[str, Any]] = entry.request.get("turns", [])
        history: list[Json] = entry.request.get("history", [])
        if len(history) >= len(turns):
            return Succeeded(
                value={"text": _answer(entry), "history": history},
                usage=_usage(entry),
            )
        turn = turns[len(history)]
        if "asks" in turn and entry.cancelled_at is not None:
            return _cancelled(entry)
        if "asks" in turn:
            return Asks(token=token, question=str(turn["asks"]), schema={"type": "string"})
        calls = tuple(
            Call(id=f"call_{len(history)}_{number}", name=name, arguments=arguments)
            for number, (name, arguments) in enumerate(turn["calls"])
        )
        return Calls(calls=calls, usage=_usage(entry))

    def proceed(self, operations: Sequence[Finished]) -> Mapping[str, Json]:
        history: list[Json] = []
        for operation in operations:
            match operation.outcome:
                case Asks():
                    history.append(operation.answer)
                case Calls(calls=calls):
                    results = {result.id: result for result in operation.results}
                    if len(results) != len(calls):
                        raise OperationError("Every call needs a result.", code="missing_results")
                    history.append(
                        [results[call.id].error or results[call.id].value for call in calls],
                    )
        return {**operations[0].request, "history": history}


class ReceivingOperation(PlainOperation):
    """Signals its end: `{"type": "conformance.ended", "id": handle}`, with `text` if the request's `tells` is true."""

    name = "conformance.receiving"

    def signals(self) -> list[dict[str, Json]]:
        """What the provider would send by now, once for each operation that has ended."""
        return [self._signal(entry) for entry in self.ledger.of(self.name) if entry.ended(self._clock())]

    def _signal(self, entry: Entry) -> dict[str, Json]:
        signal: dict[str, Json] = {"type": "conformance.ended", "id": entry.handle}
        if entry.request.get("tells"):
            signal.update(text=_answer(entry), usage=_usage(entry))
        return signal

    def receive(self, signal: Mapping[str, Json]) -> Received:
        match signal:
            case {
                "type": "conformance.ended",
                "id": str() as handle,
                "text": str() as text,
                "usage": dict() as usage,
            }:
                return Received(handle={"id": handle}, outcome=Succeeded(value={"text": text}, usage=usage))
            case {"type": "conformance.ended", "id": str() as handle}:
                return Received(handle={"id": handle})
            case _:
                raise OperationError("This is no signal of the ledger.", code="wrong_signal")


class OnceOperation(PlainOperation):
    """Hands its result out once; whoever comes later is told that it is gone."""

    name = "conformance.once"

    async def fetch(self, token: ContinuationToken) -> Running | Fetched:
        handle = self._handle(token)
        entry = self.ledger.entry(handle)
        if entry is None:
            return Fetched(raw={"status": "gone"})
        if not entry.ended(self._clock()):
            return Running(token=token, status="in_progress")
        if not self.ledger.take(handle):
            return Fetched(raw={"status": "gone"})
        return Fetched(raw={"status": "done", "text": _answer(entry), "usage": _usage(entry)})

    def read(self, raw: Json) -> Outcome:
        match raw:
            case {"status": "done", "text": str() as text, "usage": dict() as usage}:
                return Succeeded(value={"text": text}, usage=usage)
            case {"status": "gone"}:
                error = OperationExpiredError("Its result was handed out before.", code="gone")
                return Expired(error=error)
            case _:
                raise OperationError("This is no result of the ledger.", code="unreadable_answer")

    async def poll(self, token: ContinuationToken) -> Outcome:
        answer = await self.fetch(token)
        return answer if isinstance(answer, Running) else self.read(answer.raw)


def _local(folder: str | Path, *, clock: Callable[[], float] = time.time, **_: Any) -> Operation:
    return TimerOperation(clock=clock)


SMALL_OPERATIONS: Final[Mapping[str, Callable[..., Operation]]] = MappingProxyType(
    {
        "plain": PlainOperation,
        "cancellable": CancellableOperation,
        "conversational": ConversationalOperation,
        "findable": FindableOperation,
        "idempotent": IdempotentOperation,
        "local": _local,
        "once": OnceOperation,
        "receiving": ReceivingOperation,
        "streamable": StreamableOperation,
    }
)
"""One operation for each capability, made from a folder (and `clock=`, `sleep=`)."""


def _answer(entry: Entry) -> str:
    return f"Answer: {entry.request.get('text', '')}"


def _cancelled(entry: Entry) -> Cancelled:
    error = OperationCancelledError("It was cancelled.", code="cancelled")
    return Cancelled(error=error, usage=_usage(entry))


def _usage(entry: Entry) -> dict[str, Json]:
    return {"words": len(str(entry.request.get("text", "")).split())}
