"""What a response of the Responses API says: its text, and how it ended. Pure; knows only plain JSON.

The terminal response is the truth: whatever a stream said before, the text is what is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from ...errors import (
    OperationCancelledError,
    OperationFailedError,
    OperationIncompleteError,
    OutputRefusedError,
)
from ...redaction import redact
from ..outcomes import Cancelled, Failed, Incomplete, Succeeded
from ..tokens import Json

Body: TypeAlias = Mapping[str, Any]
"""A response as JSON."""

Ending: TypeAlias = Succeeded | Failed | Incomplete | Cancelled
"""How a response can have ended."""

PASSING_FAILURES: Final = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})
"""Codes of failed responses for which a new submission may succeed."""


def counts(item: Mapping[str, Any]) -> bool:
    """Whether an output item is part of the answer: a message, unless its phase says that it is commentary."""
    return item.get("type") == "message" and item.get("phase") in (None, "final_answer")


def text_of(body: Body) -> str:
    """The answer: all text of the messages that count, in order."""
    return "".join(
        part["text"]
        for part in _parts(body)
        if part.get("type") == "output_text" and isinstance(part.get("text"), str)
    )


def ending_of(body: Body) -> Ending | None:
    """How the response ended; None while it is queued or in progress.

    A response without any text did not succeed, even if it is `completed`: the next node would go on with
    nothing. That holds for an answer that is the empty text as well.
    """
    usage: dict[str, Json] = body.get("usage") or {}
    match body.get("status"):
        case "completed":
            return _completed(body, usage)
        case "failed":
            return _failed(body, usage)
        case "incomplete":
            details: Mapping[str, Any] = body.get("incomplete_details") or {}
            reason = str(details.get("reason") or "unknown")
            return Incomplete(
                error=OperationIncompleteError(
                    f"{_name(body)} is incomplete: {reason}.{_incomplete_fix(reason)}",
                    code=reason,
                    partial=text_of(body),
                ),
                usage=usage,
            )
        case "cancelled":
            return Cancelled(
                error=OperationCancelledError(
                    f"{_name(body)} was cancelled at the provider.", code="cancelled"
                ),
                usage=usage,
            )
        case _:
            return None


def _completed(body: Body, usage: Mapping[str, Json]) -> Succeeded | Failed:
    refusals = [str(part.get("refusal")) for part in _parts(body) if part.get("type") == "refusal"]
    if refusals:
        refused = OutputRefusedError(
            f"The model refused to answer ({_name(body)}): {' '.join(refusals)}", code="refusal"
        )
        return Failed(error=refused, usage=usage)
    text = text_of(body)
    if text:
        value: dict[str, Json] = {
            "id": body.get("id"),
            "text": text,
            "model": body.get("model"),
            "items": [dict(item) for item in _items(body)],
            "usage": dict(usage),
            "previous_response_id": body.get("previous_response_id"),
        }
        return Succeeded(value=value, usage=usage)
    kinds = sorted({str(item.get("type")) for item in _items(body)})
    error = OperationFailedError(
        f"{_name(body)} completed without any text; its output holds {', '.join(kinds) or 'nothing'}. Calls of "
        "functions are not run by this library: give the agent tools that run at the provider, or none.",
        code="empty_output",
    )
    return Failed(error=error, usage=usage)


def _failed(body: Body, usage: Mapping[str, Json]) -> Failed:
    said: Mapping[str, Any] = body.get("error") or {}
    code = str(said.get("code") or "unknown")
    retryable = code in PASSING_FAILURES
    return Failed(
        error=OperationFailedError(
            redact(f"{_name(body)} failed: {said.get('message') or 'no reason given'} ({code})"),
            code=code,
            retryable=retryable,
        ),
        retryable=retryable,
        usage=usage,
    )


def _incomplete_fix(reason: str) -> str:
    return " Raise the agent's max_output_tokens." if reason == "max_output_tokens" else ""


def _name(body: Body) -> str:
    return f"Response {body.get('id')}"


def _items(body: Body) -> Iterator[Mapping[str, Any]]:
    output: object = body.get("output")
    return (item for item in output if isinstance(item, Mapping)) if isinstance(output, list) else iter(())  # pyright: ignore[reportUnknownVariableType]


def _parts(body: Body) -> Iterator[Mapping[str, Any]]:
    """The content parts of the messages that count."""
    for item in _items(body):
        content: object = item.get("content")
        if counts(item) and isinstance(content, list):
            yield from (part for part in content if isinstance(part, Mapping))  # pyright: ignore[reportUnknownVariableType]
