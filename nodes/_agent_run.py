"""`AgentResponse` and `AgentUpdate`: what a run of an agent gives, as a whole or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from .errors import OperationError
from .operations.outcomes import (
    Asks,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Outcome,
    Running,
    Succeeded,
)
from .operations.tokens import ContinuationToken, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentResponse:
    """A run of an agent that completed, or goes on at the provider."""

    id: str
    """The provider's id of the response."""
    status: str
    """`queued` or `in_progress` (or another word of the provider's) while it goes on, `completed` at the end."""
    text: str = ""
    """The answer; empty while the run goes on."""
    continuation_token: ContinuationToken | None = None
    """What to ask again with; None once the run has ended."""
    usage: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Tokens, as the provider counts them."""
    retry_after: float | None = None
    """Seconds after which it makes sense to ask again; None once the run has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentUpdate:
    """A piece of an answer."""

    text: str
    """The text that follows on the piece before; empty in the first update, which brings the token."""
    continuation_token: ContinuationToken | None = None
    """Stands right after this piece. Set while the run goes on, if it is a background run: no other can be
    resumed."""
    response: AgentResponse | None = None
    """The whole response, on the last update only."""


def response_of(
    token: ContinuationToken, outcome: Outcome, *, wait: Callable[[Running], float]
) -> AgentResponse:
    """An outcome as a response; `wait` says after how many seconds to ask again about one that is running.

    Raises the error of a run that did not end well.
    """
    handle = str(token.handle.get("id"))
    match outcome:
        case Running():
            return AgentResponse(
                id=handle,
                status=outcome.status or "in_progress",
                continuation_token=outcome.token,
                retry_after=wait(outcome),
            )
        case Succeeded(value={"text": str() as text}, usage=usage):
            return AgentResponse(id=handle, status="completed", text=text, usage=usage)
        case Failed() | Incomplete() | Cancelled() | Expired():
            raise outcome.error
        case Succeeded() | Calls() | Asks():
            raise OperationError(
                f"Response {handle} ended in a way that a run of an agent can't: {outcome!r}."
            )
        case _:
            assert_never(outcome)
