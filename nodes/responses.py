"""`AgentResponse`: a model's whole response, from `agent.run` and of nodes with `output=AgentResponse[T]` alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .operations.tokens import Json

Out = TypeVar("Out", covariant=True)
T = TypeVar("T")

_ENDED = "completed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """A place of the text that the model took from the web."""

    start: int
    """The first character of the cited place in the text, counted from 0."""
    end: int
    url: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    details: dict[str, Any]
    """All that the provider counted, as it said it."""


@dataclass(frozen=True, kw_only=True)
class AgentResponse(Generic[Out]):
    """A response that completed, or one that goes on at the provider and has no output yet."""

    output: Out
    """The text, or the value that the model was asked to write. While the run goes on: None."""
    text: str
    """The answer as text; empty while the run goes on."""
    citations: tuple[Citation, ...]
    items: tuple[dict[str, Any], ...]
    """The output items as the provider gave them."""
    id: str
    """The provider's id of the response."""
    model: str
    usage: Usage
    continuation_token: dict[str, Any] | None = None
    """What to ask again with, plain JSON; None once the run has ended."""
    status: str = _ENDED
    """`queued` or `in_progress` (or another word of the provider's) while it goes on, `completed` at the end."""
    retry_after: float | None = None
    """Seconds after which it makes sense to ask again; None once the run has ended."""


def completed_response(
    value: Mapping[str, Any], output: T, *, usage: Mapping[str, Json] | None = None
) -> AgentResponse[T]:
    """The response of which `Succeeded.value` is this. `usage` is what the outcome counted, where it is not in there."""
    given: list[dict[str, Any]] = value.get("items") or []
    items = tuple(given)
    return AgentResponse(
        output=output,
        text=value["text"],
        citations=tuple(citations_of(items)),
        items=items,
        id=str(value.get("id")),
        model=str(value.get("model") or ""),
        usage=read_usage(value.get("usage") if usage is None else usage),
    )


def read_usage(counted: Mapping[str, Any] | None) -> Usage:
    """What the provider counted."""
    counted = counted or {}

    def number(name: str) -> int:
        found = counted.get(name)
        return found if isinstance(found, int) else 0

    return Usage(
        input_tokens=number("input_tokens"),
        output_tokens=number("output_tokens"),
        total_tokens=number("total_tokens"),
        details=dict(counted),
    )


def citations_of(items: tuple[Mapping[str, Any], ...]) -> list[Citation]:
    """The web citations of the messages that are part of the answer. Their places count from the beginning of it."""
    found: list[Citation] = []
    offset = 0
    for item in items:
        if item.get("type") != "message" or item.get("phase") not in (None, "final_answer"):
            continue
        parts: list[dict[str, Any]] = item.get("content") or []
        for part in parts:
            if part.get("type") != "output_text":
                continue
            found += [
                Citation(
                    start=offset + int(note.get("start_index") or 0),
                    end=offset + int(note.get("end_index") or 0),
                    url=str(note.get("url") or ""),
                    title=str(note.get("title") or ""),
                )
                for note in part.get("annotations") or ()
                if note.get("type") == "url_citation"
            ]
            offset += len(part.get("text") or "")
    return found
