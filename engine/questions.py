"""`Question`: what a run asks a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question that waits for its answer, or a submission on hold that waits for a decision."""

    id: str
    """Names this question alone: an answer that carries it answers no later one."""
    run: str
    node: str
    path: tuple[int, ...]
    text: str
    schema: Mapping[str, object]
    """JSON schema of the reply."""
    asked_at: datetime
    expires_at: datetime | None
