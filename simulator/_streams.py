"""The event stream of a response: the log so far, then live, up to its end, a cancel or a scripted cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Scope

from ._fault_injection import reset
from ._faults import StreamCut
from ._ledger import Ledger
from ._plan import stops_at
from ._wire import LoggedEvent, frame

_TICK = 0.1
"""Seconds within which a stream notices a cancel."""


async def frames(
    ledger: Ledger, response_id: str, scope: Scope, *, after: int, cut: StreamCut | None
) -> AsyncGenerator[bytes, None]:
    """The SSE frames of the events after position `after`, each at its time."""
    record = ledger.record(response_id)
    if record is None:
        return
    events = [event for event in ledger.events(record) if event.position > after]
    for sent, event in enumerate(events):
        if cut is not None and sent == cut.after:
            async for part in _cut(cut, event, scope):
                yield part
            return
        if not await _arrives(ledger, response_id, event.at):
            return
        yield event.frame


async def _arrives(ledger: Ledger, response_id: str, at: float) -> bool:
    """Wait for an event's time. False when the response is cancelled or deleted before it."""
    while (record := ledger.record(response_id)) is not None and record.deleted_at is None:
        now, stop = ledger.clock(), stops_at(record.plan, record.cancelled_at)
        if at > stop and now >= stop:
            return False
        if now >= at:
            return True
        await asyncio.sleep(min(_TICK, (at if at <= stop else stop) - now))
    return False


async def _cut(cut: StreamCut, event: LoggedEvent, scope: Scope) -> AsyncGenerator[bytes, None]:
    """Break the stream before `event`."""
    half = event.frame[: len(event.frame) // 2]
    match cut.how:
        case "reset":
            await reset(scope)
        case "mid_frame":
            yield half
            await reset(scope)
        case "half_frame":
            yield half
        case "eof":
            return
        case "idle":
            await asyncio.sleep(cut.seconds)
        case "bad_json":
            yield f'event: {event.data["type"]}\ndata: {{"type": "resp\n\n'.encode()
        case "nested_error":
            error = {"type": "server_error", "code": "server_error", "message": "Stream failed (scripted)."}
            yield frame(
                {"type": "error", "error": error | {"param": None}, "sequence_number": event.position}
            )
        case "flat_error":
            message = {"code": "server_error", "message": "Stream failed (scripted).", "param": None}
            yield frame({"type": "error", **message, "sequence_number": event.position})


def read_cursor(text: str | None) -> int | None:
    """The value of `starting_after`: -1 when it is missing, None when it is not a number."""
    if text is None:
        return -1
    return int(text) if text.isascii() and text.isdigit() else None
