"""`AgentUpdate`: what a run of an agent gives piece by piece, and how an outcome becomes its response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, assert_never, cast

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
from .responses import AgentResponse, completed_response, read_usage

Out = TypeVar("Out", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentUpdate(Generic[Out]):
    """A piece of an answer."""

    text: str
    """The text that follows on the piece before; empty in the first update, which brings the token."""
    continuation_token: ContinuationToken | None = None
    """Stands right after this piece. Set while the run goes on, if it is a background run: no other can be
    resumed."""
    response: AgentResponse[Out] | None = None
    """The whole response, on the last update only."""


def response_of(
    token: ContinuationToken,
    outcome: Outcome,
    *,
    model: str,
    wait: Callable[[Running], float],
    read: Callable[[Json], T],
) -> AgentResponse[T]:
    """An outcome as a response; `wait` says after how many seconds to ask again about one that is running, `read` makes
    the output.

    Raises the error of a run that did not end well.
    """
    handle = str(token.handle.get("id"))
    match outcome:
        case Running():
            return AgentResponse(
                output=cast("T", None),
                text="",
                citations=(),
                items=(),
                id=handle,
                model=model,
                usage=read_usage(None),
                continuation_token=outcome.token.to_dict(),
                status=outcome.status or "in_progress",
                retry_after=wait(outcome),
            )
        case Succeeded(value=dict() as value) if isinstance(value.get("text"), str):
            return completed_response(value, read(value))
        case Failed() | Incomplete() | Cancelled() | Expired():
            raise outcome.error
        case Succeeded() | Calls() | Asks():
            raise OperationError(
                f"Response {handle} ended in a way that a run of an agent can't: {outcome!r}."
            )
        case _:
            assert_never(outcome)
