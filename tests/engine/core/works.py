"""A provider with a script, and its adapter: the same object serves the executor and the driver without a loop.

Nothing in it ever waits, so a coroutine of it can be run by hand.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from perdure.nodes.errors import (
    OperationCancelledError,
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    SubmissionRejectedError,
    SubmissionUnknownError,
)
from perdure.nodes.operations.outcomes import Cancelled, Expired, Failed, Incomplete, Running, Succeeded
from perdure.nodes.operations.tokens import ContinuationToken, Json

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")


@dataclass
class Works:
    """The provider. `replies` says what becomes of each submission, `polls` of each poll; then all goes well."""

    replies: list[str] = field(default_factory=list[str])
    polls: list[str] = field(default_factory=list[str])
    cancels: list[str] = field(default_factory=list[str])
    accepted: list[Json] = field(default_factory=list[Json])
    asked: int = 0

    provider = "scripted"

    async def prepare(self) -> None:
        """Nothing to prepare."""

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        match self.replies.pop(0) if self.replies else "accepted":
            case "busy":
                raise SubmissionRejectedError("Too many.", code="429", retryable=True, retry_after=0.01)
            case "refused":
                raise SubmissionRejectedError("That is no request.", code="400")
            case "lost":
                self.accepted.append(request["text"])
                raise SubmissionUnknownError("The reply is lost.", code="500", retry_after=0.01)
            case _:
                self.accepted.append(request["text"])
                return self._token(len(self.accepted), 0)

    def poll_after(self, token: ContinuationToken) -> float:
        return 0.01

    def adopt(self, handle: str) -> ContinuationToken:
        return self._token(int(handle), 0)

    async def poll(self, token: ContinuationToken) -> Any:
        self.asked += 1
        number, moved = int(str(token.handle["job"])), int(str(token.cursor))
        match self.polls.pop(0) if self.polls else "succeeded":
            case "running":
                return Running(token=token, retry_after=0.01)
            case "moved":
                return Running(token=self._token(number, moved + 1), retry_after=0.01)
            case "failed":
                return Failed(error=OperationFailedError("It broke down.", code="broken"), retryable=True)
            case "hopeless":
                return Failed(error=OperationFailedError("It can't be done.", code="hopeless"))
            case "expired":
                return Expired(error=OperationExpiredError("It is gone.", code="404"))
            case "incomplete":
                return Incomplete(error=OperationIncompleteError("It ran over.", code="limit"))
            case _:
                return Succeeded(value={"text": f"done: {self.accepted[number - 1]}"})

    async def cancel(self, token: ContinuationToken) -> Any:
        match self.cancels.pop(0) if self.cancels else "cancelled":
            case "running":
                return Running(token=token, retry_after=0.01)
            case _:
                return Cancelled(error=OperationCancelledError("It was cancelled.", code="cancelled"))

    def _token(self, number: int, cursor: int) -> ContinuationToken:
        return ContinuationToken(
            provider=self.provider, handle={"job": str(number)}, cursor=cursor, created_at=0.0
        )
