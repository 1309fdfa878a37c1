"""What a reader of a run is told while it goes on: text as it is written, and states as they change.

`Run.updates` gives these. Each has a cursor, after which a reader that was interrupted goes on.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ..nodes.failure import Failure
from .words import ActivationState, RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class _Update:
    """What all updates have."""

    cursor: str
    """Opaque and ordered: an SSE id, and what `after=` takes."""
    at: datetime
    activation: str
    """Whose it is, e.g. `research[3]`."""

    def to_json(self) -> str:
        """All fields as a JSON object, for a browser."""
        return json.dumps(dataclasses.asdict(self), default=str, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextAdded(_Update):
    """The text that follows on what came before."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextRestarted(_Update):
    """What was read of this activation is void: its text starts again, with a new attempt."""

    attempt: int
    type: Literal["text_restarted"] = "text_restarted"


@dataclass(frozen=True, kw_only=True, slots=True)
class StateChanged(_Update):
    """The activation is in another state."""

    state: ActivationState
    failure: Failure | None = None
    type: Literal["state"] = "state"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChanged(_Update):
    """The run has another status."""

    status: RunStatus
    type: Literal["run"] = "run"


Update: TypeAlias = TextAdded | TextRestarted | StateChanged | RunChanged
