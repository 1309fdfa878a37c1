"""`AgentThread`: a conversation that runs of an agent carry on."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import OperationError


class AgentThread:
    """Remembers the last completed response, so that the next run goes on from there.

    The conversation itself lives at the provider. The thread advances only when a run has completed: a run
    that failed, was cancelled or still goes on is no part of it.
    """

    __slots__ = ("_previous",)

    def __init__(self) -> None:
        self._previous: str | None = None

    @property
    def previous_response_id(self) -> str | None:
        """The id of the last completed response; None at the beginning."""
        return self._previous

    def advance(self, response_id: str, *, after: str | None) -> None:
        """Go on from this response, which was a reply to `after`.

        A response that came after something else than the thread's last one (it was polled once more, or two
        runs were started side by side) leaves the thread where it is.
        """
        if after == self._previous:
            self._previous = response_id

    def to_dict(self) -> dict[str, str | None]:
        """Plain JSON for a storage of your own; `from_dict` reads it back."""
        return {"previous_response_id": self._previous}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> AgentThread:
        """Read what `to_dict` wrote. Raises `OperationError` when it is something else."""
        previous = data.get("previous_response_id", 0)
        if previous is not None and not isinstance(previous, str):
            raise OperationError(
                "This is no thread: it needs 'previous_response_id' (text or null). Pass what "
                "AgentThread.to_dict() returned.",
                code="invalid_thread",
            )
        thread = cls()
        thread._previous = previous
        return thread

    def __repr__(self) -> str:
        return f"AgentThread(previous_response_id={self._previous!r})"
