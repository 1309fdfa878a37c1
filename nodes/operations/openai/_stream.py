"""Streams of responses, read so that every piece of text is delivered exactly once.

`Cursor` is what a token's cursor holds, `StreamReader` advances it event by event and is pure, `follow` keeps a
connection open, opens it again, and falls back to polling. The terminal response is the truth: whatever the
stream left out is taken from there.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from ...errors import OperationError, OperationFailedError, OperationIncompleteError
from ..capabilities import StreamPiece
from ..outcomes import Incomplete, Outcome, Running, Succeeded
from ..tokens import ContinuationToken, Json
from ._faults import Fault, FaultKind
from ._reading import Body, counts, ending_of

CONNECTIONS: Final = 5
"""How often a broken stream is opened again before polls take over."""

_FIRST_EVENTS = 3  # created, queued, in progress
_READ_ON = 2.0  # seconds
_TERMINAL = ("response.completed", "response.failed", "response.incomplete")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """How far a response was read. Stored in tokens as JSON."""

    sequence: int | None = None
    """`sequence_number` of the last event that had one: the server resumes right after it."""
    delivered: int = 0
    """Characters of the answer that were delivered."""
    checksum: int = 0
    """CRC-32 of those, to see that they are the beginning of the terminal response's text."""
    ahead: int = 0
    """How many of them came after `sequence`, in events without a number.

    Whether a server sends those again is not known, so such a stream is opened from its beginning.
    """
    skipped: tuple[int, ...] = ()
    """Output items whose text is no part of the answer."""

    def to_json(self) -> Json:
        return {
            "sequence_number": self.sequence,
            "delivered": self.delivered,
            "checksum": self.checksum,
            "ahead": self.ahead,
            "skipped": list(self.skipped),
        }

    @classmethod
    def from_json(cls, data: Json) -> Cursor:
        """Read what `to_json` wrote; None is the beginning. Raises `OperationError` for anything else."""
        match data:
            case None:
                return cls()
            case {
                "sequence_number": int() | None as sequence,
                "delivered": int() as delivered,
                "checksum": int() as checksum,
                "ahead": int() as ahead,
                "skipped": list() as skipped,
            }:
                items = tuple(item for item in skipped if isinstance(item, int))
                return cls(
                    sequence=sequence, delivered=delivered, checksum=checksum, ahead=ahead, skipped=items
                )
            case _:
                raise OperationError(
                    "The token's cursor was not written by this library: pass a token as it was given, or "
                    "without its cursor to read from the beginning.",
                    code="invalid_token",
                )

    def deliver(self, text: str) -> Cursor:
        """The cursor after this text."""
        data = text.encode("utf-8", "surrogatepass")
        return replace(self, delivered=self.delivered + len(text), checksum=zlib.crc32(data, self.checksum))

    def rest(self, text: str) -> str:
        """What of the complete answer was not delivered yet.

        Nothing if what was delivered is not its beginning (the provider streamed something else than it
        answered in the end): no text that follows would make the pieces right.
        """
        begun = text[: self.delivered].encode("utf-8", "surrogatepass")
        return text[self.delivered :] if zlib.crc32(begun) == self.checksum else ""


class StreamReader:
    """Advances a cursor by the events of a stream. Drops what was delivered before."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.events = 0
        """Events read so far."""
        self._again = 0  # characters that were delivered and will come again

    def rewind(self) -> int | None:
        """The sequence number after which to open the stream again; None: from its beginning."""
        if self.cursor.ahead == 0 and self.cursor.sequence is not None:
            self._again = 0
            return self.cursor.sequence
        self._again = self.cursor.delivered
        self.cursor = replace(self.cursor, sequence=None, ahead=self._again)
        return None

    def read(self, event: object) -> tuple[str, Body | None]:
        """The new text of an event, and the terminal response if it brings that.

        Switches on `type` only: `openai` gives events of unknown types some other event's class.
        """
        self.events += 1
        number = _get(event, "sequence_number")
        sequence = self.cursor.sequence
        if isinstance(number, int) and sequence is not None and number <= sequence:
            return "", None
        text, body = "", None
        match _get(event, "type"):
            case "response.output_text.delta" if _get(event, "output_index") not in self.cursor.skipped:
                delta = _get(event, "delta")
                text = delta if isinstance(delta, str) else ""
            case "response.output_item.added":
                self._note_item(event)
            case kind if kind in _TERMINAL:
                body = _plain(_get(event, "response"))
            case _:
                pass
        new = text[self._again :]
        self._again -= len(text) - len(new)
        cursor = self.cursor.deliver(new) if new else self.cursor
        if isinstance(number, int):
            self.cursor = replace(cursor, sequence=number, ahead=self._again)
        elif new:
            self.cursor = replace(cursor, ahead=cursor.ahead + len(new))
        return new, body

    def last(self, token: ContinuationToken, end: Outcome) -> StreamPiece:
        """The last piece: whatever of the terminal text was not delivered."""
        match end:
            case Succeeded(value={"text": str() as answer}):
                pass
            case Incomplete(error=OperationIncompleteError(partial=answer)):
                pass
            case _:
                answer = ""
        rest = self.cursor.rest(answer)
        cursor = self.cursor.deliver(rest)
        self.cursor = replace(cursor, ahead=cursor.ahead + len(rest))
        return StreamPiece(token=token.at(self.cursor.to_json()), text=rest, end=end)

    def _note_item(self, event: object) -> None:
        item, index = _get(event, "item"), _get(event, "output_index")
        about = {"type": _get(item, "type"), "phase": _get(item, "phase")}
        if isinstance(index, int) and not counts(about) and index not in self.cursor.skipped:
            self.cursor = replace(self.cursor, skipped=(*self.cursor.skipped, index))


class OpenStream:
    """An open connection of `openai`. Its exceptions come back as a `Fault`, its end as None."""

    def __init__(self, stream: Any, explain: Callable[[Exception], Fault | None]) -> None:
        self._stream = stream
        self._explain = explain

    async def next(self) -> object | Fault | None:
        """The next event; None when the connection ended cleanly, which says nothing about the response."""
        try:
            return await anext(self._stream)
        except StopAsyncIteration:
            return None
        except ValueError as error:  # what openai raises for broken JSON and broken UTF-8
            return Fault(
                kind=FaultKind.UNREADABLE, message=f"An event can't be read ({type(error).__name__})."
            )
        except Exception as error:
            fault = self._explain(error)
            if fault is None:
                raise
            return fault

    async def read_on(self, events: int) -> None:
        """Read a few more events, for two seconds at most.

        A response whose first stream breaks at `response.created` was seen to stay queued for minutes.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_READ_ON):
                for _ in range(events):
                    event = await self.next()
                    if event is None or isinstance(event, Fault):
                        return

    async def close(self) -> None:
        """Close the connection. The response goes on at the provider if it is a background run."""
        await self._stream.close()


Reopen: TypeAlias = Callable[[int | None], Awaitable[OpenStream | Fault]]
"""Opens the stream of a response after a sequence number, or from the beginning."""


async def follow(
    token: ContinuationToken,
    *,
    reopen: Reopen | None,
    poll: Callable[[ContinuationToken], Awaitable[Outcome]],
    wait: Callable[[Running], float],
    opened: OpenStream | None = None,
) -> AsyncGenerator[StreamPiece, None]:
    """Deliver the text after the token's cursor, piece by piece, until the response has ended.

    After a break the response is asked for (it may have ended, e.g. by a cancel, which no event tells) and the
    stream opened again, `CONNECTIONS` times; then, or when the provider no longer streams this response (some
    minutes after its creation, or at all if it was not created as a stream), polls wait for its end and the
    last piece holds the rest; `wait` says for how many seconds to wait after each of them. `opened` is the connection of a response that was just created: its first piece
    holds only the token. Without `reopen` (no background run) a break is an error unless the response ended.
    """
    reader = StreamReader(Cursor.from_json(token.cursor))
    current, fresh = opened, opened is not None
    connections = CONNECTIONS if reopen is None else 0
    try:
        if fresh:
            yield StreamPiece(token=token, text="")
        while True:
            pause = 0.0
            if current is None and reopen is not None and connections < CONNECTIONS:
                connections += 1
                answer = await reopen(reader.rewind())
                if isinstance(answer, OpenStream):
                    current = answer
                elif answer.status in (400, 404):  # not streamed (any more); the poll tells if that is all
                    connections = CONNECTIONS
                elif not answer.passing:
                    raise answer.unavailable()
                else:
                    pause = answer.retry_after or 0.0
            while current is not None:
                event = await current.next()
                if event is None or isinstance(event, Fault) or is_error(event):
                    await current.close()
                    current = None
                    break
                text, body = reader.read(event)
                ending = None if body is None else ending_of(body)
                if ending is not None:
                    yield reader.last(token, ending)
                    return
                if text:
                    yield StreamPiece(token=token.at(reader.cursor.to_json()), text=text)
            state = await poll(token)
            if not isinstance(state, Running):
                yield reader.last(token, state)
                return
            if reopen is None:
                raise OperationFailedError(
                    "The stream broke off before the response had ended, and only background runs can be "
                    "resumed: say background=True.",
                    code="stream_interrupted",
                )
            again = max(pause, 0.1 * 2**connections)
            await asyncio.sleep(wait(state) if connections >= CONNECTIONS else again)
    except GeneratorExit:
        if fresh and current is not None and reader.events < _FIRST_EVENTS - 1:
            await current.read_on(_FIRST_EVENTS - 1 - reader.events)
        raise
    finally:
        if current is not None:
            await current.close()


def is_error(event: object) -> bool:
    """Whether the event reports an error of the stream. It is no part of the response's log, whatever its number."""
    return _get(event, "type") == "error"


def response_id(event: object) -> str | None:
    """The id of the response that an event brings, None when it brings none."""
    found = _get(_get(event, "response"), "id")
    return found if isinstance(found, str) else None


def _get(thing: object, name: str) -> Any:
    """A field of an event, which is a model or (inside models of the wrong class) a plain dict."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _plain(response: Any) -> Body | None:
    """A response inside an event as JSON."""
    if response is None or isinstance(response, dict):
        return response  # pyright: ignore[reportUnknownVariableType]
    return response.to_dict()
