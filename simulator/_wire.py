"""The API's JSON: response bodies, items, the event log of a response and its SSE frames.

All of it is computed from a plan and a status; nothing here reads a clock or a database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from ._items import FunctionCall, Item, Message, Reasoning
from ._plan import Plan
from ._request import Submission
from ._script import Status

Body: TypeAlias = dict[str, object]

_ECHOED: dict[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "text": {"format": {"type": "text"}},
    "truncation": "disabled",
    "previous_response_id": None,
}
"""Fields that the API returns as they were sent, with the API's defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedEvent:
    """One event of a response's log."""

    at: float
    """When it happens, seconds since the epoch."""
    position: int
    """What `starting_after` is compared with: its number, or that of the event before where it has none."""
    data: Body
    frame: bytes


def error_body(
    message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None
) -> Body:
    """The envelope of every error reply."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def response_body(submission: Submission, plan: Plan, status: Status) -> Body:
    """The response object with this status. Output and usage are present only when completed or incomplete."""
    has_output = status in ("completed", "incomplete")
    body: Body = {
        "id": plan.response_id,
        "object": "response",
        "created_at": int(plan.created_at),
        "status": status,
        "background": submission.background,
        "completed_at": int(plan.ends_at) if status == "completed" else None,
        "error": {"code": plan.code, "message": plan.message} if status == "failed" else None,
        "incomplete_details": {"reason": plan.code} if status == "incomplete" else None,
        "model": submission.model,
        "output": _output(plan) if has_output else [],
        "metadata": submission.metadata,
        "store": submission.store,
        "usage": _usage(plan) if has_output else None,
    }
    for name, default in _ECHOED.items():
        sent = submission.body.get(name)
        body[name] = default if sent is None else sent
    return body


def item_body(plan: Plan, index: int, status: str) -> Body:
    """One output item, in full."""
    item = plan.items[index]
    base: Body = {"id": _item_id(plan, index, item)}
    match item:
        case Message():
            body: Body = {
                **base,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [_part(item, item.text)],
            }
            return body if item.phase is None else {**body, "phase": item.phase}
        case FunctionCall():
            return {
                **base,
                "type": "function_call",
                "call_id": item.call_id,
                "name": item.name,
                "arguments": item.arguments,
                "status": status,
            }
        case Reasoning():
            return {**base, "type": "reasoning", "summary": []}


def input_item_bodies(submission: Submission, response_id: str) -> list[Body]:
    """The input as the API lists it: messages with parts, every item with an id."""
    suffix = response_id.removeprefix("resp_")[:32]
    bodies: list[Body] = []
    for index, item in enumerate(submission.items):
        kind = item.get("type") or "message"
        content: object = item.get("content")
        if kind == "message" and isinstance(content, str):
            by_model = item.get("role") == "assistant"
            part: Body = {"type": "output_text" if by_model else "input_text", "text": content}
            parts: list[Body] = [part | {"annotations": list[Body]()} if by_model else part]
            content = parts
        body: Body = {
            "id": f"{'msg' if kind == 'message' else 'item'}_in{index}_{suffix}",
            **item,
            "type": kind,
        }
        if kind == "message":
            body |= {"content": content, "status": "completed"}
        elif kind in ("function_call", "function_call_output"):
            body |= {"status": "completed"}
        bodies.append(body)
    return bodies


def event_log(submission: Submission, plan: Plan) -> list[LoggedEvent]:
    """All events of the response if it is never cancelled; a cancel only cuts off the tail."""
    bodies = list(_bodies(submission, plan))
    first = 3 if submission.background else 2
    inner = len(bodies) - first
    start = plan.created_at + plan.queued
    step = (plan.ends_at - start) / inner if inner > 0 else 0.0
    head = [plan.created_at, plan.created_at, start] if submission.background else [plan.created_at, start]
    times = head + [start + step * (index + 1) for index in range(inner)]
    if inner > 0:
        times[-1] = plan.ends_at
    return _number(plan, list(zip(times, bodies, strict=True)))


def frame(data: Mapping[str, object]) -> bytes:
    """One SSE frame."""
    return f"event: {data['type']}\ndata: {_dump(data)}\n\n".encode()


def _dump(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _number(plan: Plan, timed: list[tuple[float, Body]]) -> list[LoggedEvent]:
    """Number the events, with the plan's quirks applied."""
    log: list[LoggedEvent] = []
    number = -1

    def add(at: float, body: Body, *, numbered: bool = True) -> None:
        nonlocal number
        if numbered:
            number += 2 if "gaps" in plan.quirks and len(log) % 3 == 2 else 1
            body = {"type": body["type"], "sequence_number": number, **body}
        data = frame(body)
        if "comments" in plan.quirks:
            data = b": ping\n\n" + data
        if "duplicates" in plan.quirks and len(log) % 3 == 1:
            data += data
        log.append(LoggedEvent(at=at, position=number, data=body, frame=data))

    for index, (at, body) in enumerate(timed):
        numbered = not ("unnumbered" in plan.quirks and body["type"] == "response.in_progress")
        add(at, body, numbered=numbered)
        last = index == len(timed) - 1
        if "keepalives" in plan.quirks and index % 4 == 3 and not last:
            add(at, {"type": "keepalive"})
        if "unknown_events" in plan.quirks and index % 5 == 3 and not last:
            add(at, {"type": "response.simulated.noted", "note": "a type that no client knows"})
    return log


def _bodies(submission: Submission, plan: Plan) -> Iterator[Body]:
    """The events without their numbers, in order."""

    def pending(kind: str, status: Status) -> Body:
        return {"type": f"response.{kind}", "response": response_body(submission, plan, status)}

    first: Status = "queued" if submission.background else "in_progress"
    yield pending("created", first)
    if submission.background:
        yield pending("queued", "queued")
    yield pending("in_progress", "in_progress")
    interrupted = plan.ending in ("failed", "cancelled")
    for index, item in enumerate(plan.items):
        complete = not (interrupted and index == len(plan.items) - 1)
        yield from _item_events(plan, index, item, complete=complete)
    if plan.ending != "cancelled":
        yield {
            "type": f"response.{plan.ending}",
            "response": response_body(submission, plan, plan.ending),
        }


def _item_events(plan: Plan, index: int, item: Item, *, complete: bool) -> Iterator[Body]:
    """One item's events; an item that was interrupted has no `done`."""
    item_id = _item_id(plan, index, item)
    here: Body = {"item_id": item_id, "output_index": index}
    empty = item_body(plan, index, "in_progress")
    match item:
        case Message():
            kind = "refusal" if item.refusal else "output_text"
            extra: Body = {} if item.refusal else {"logprobs": []}
            place: Body = {**here, "content_index": 0}
            yield {
                "type": "response.output_item.added",
                "output_index": index,
                "item": empty | {"content": []},
            }
            yield {"type": "response.content_part.added", **place, "part": _part(item, "")}
            for piece in item.pieces:
                yield {"type": f"response.{kind}.delta", **place, "delta": piece, **extra}
            if complete:
                words: Body = {"refusal" if item.refusal else "text": item.text}
                yield {"type": f"response.{kind}.done", **place, **words, **extra}
                yield {"type": "response.content_part.done", **place, "part": _part(item, item.text)}
        case FunctionCall():
            yield {
                "type": "response.output_item.added",
                "output_index": index,
                "item": empty | {"arguments": ""},
            }
            for start in range(0, len(item.arguments), 12):
                delta = item.arguments[start : start + 12]
                yield {"type": "response.function_call_arguments.delta", **here, "delta": delta}
            if complete:
                said: Body = {"arguments": item.arguments, "name": item.name}
                yield {"type": "response.function_call_arguments.done", **here, **said}
        case Reasoning():
            yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        case _:
            assert_never(item)
    if complete:
        yield {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item_body(plan, index, _item_status(plan, index)),
        }


def _output(plan: Plan) -> list[Body]:
    return [item_body(plan, index, _item_status(plan, index)) for index in range(len(plan.items))]


def _item_status(plan: Plan, index: int) -> str:
    return "incomplete" if plan.ending == "incomplete" and index == len(plan.items) - 1 else "completed"


def _item_id(plan: Plan, index: int, item: Item) -> str:
    prefix = {"message": "msg", "function_call": "fc", "reasoning": "rs"}[item.kind]
    return f"{prefix}_{index}{plan.response_id.removeprefix('resp_')[:40]}"


def _part(item: Message, text: str) -> Body:
    if item.refusal:
        return {"type": "refusal", "refusal": text}
    annotations = [*item.annotations] if text else []
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def _usage(plan: Plan) -> Body:
    return {
        "input_tokens": plan.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": plan.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": plan.input_tokens + plan.output_tokens,
    }
