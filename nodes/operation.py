"""The long-running-operation protocol: what lives at a provider, and how we talk about it.

The engine drives every such operation through these four calls and knows nothing else of the provider. A
handle is a dict, because some operations have two ids; a cursor is opaque, because only the adapter knows
what it counts; `stream` and `cancel` are optional, because not all providers have them. "Done" is never
spelled `None`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, runtime_checkable

from .errors import OperationError

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""What JSON can say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuationToken:
    """What we hold of an operation that lives at a provider. Plain data, safe to store anywhere.

    Holds no key and no prompt. Whoever has a token and the provider's credentials can go on from here, in
    this process or another.
    """

    provider: str
    """Which adapter understands the handle, e.g. `openai.responses`."""
    handle: Mapping[str, Json]
    """The provider's own id or ids."""
    cursor: Json = None
    """How far the stream was read; only the adapter looks inside."""
    created_at: float
    """When the handle became known, seconds since the epoch."""

    def at(self, cursor: Json) -> ContinuationToken:
        """This token with its cursor moved."""
        return replace(self, cursor=cursor)

    def to_dict(self) -> dict[str, Json]:
        """Plain JSON for a storage of your own; `from_dict` reads it back."""
        return {
            "provider": self.provider,
            "handle": dict(self.handle),
            "cursor": self.cursor,
            "created_at": self.created_at,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> ContinuationToken:
        """Read what `to_dict` wrote. Raises `OperationError` when it is something else."""
        provider, handle, created_at = data.get("provider"), data.get("handle"), data.get("created_at")
        if (
            not isinstance(provider, str)
            or not isinstance(handle, dict)
            or not isinstance(created_at, int | float)
        ):
            raise OperationError(
                "This is no continuation token: it needs 'provider' (text), 'handle' (object) and 'created_at' "
                "(number). Pass what ContinuationToken.to_dict() returned.",
                code="invalid_token",
            )
        return cls(
            provider=provider,
            handle=handle,  # pyright: ignore[reportUnknownArgumentType]  # JSON, as to_dict wrote it
            cursor=data.get("cursor"),  # pyright: ignore[reportArgumentType]  # the same
            created_at=float(created_at),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """Not there yet. Ask again after `retry_after` seconds, with `token`, which may have changed."""

    token: ContinuationToken
    retry_after: float
    status: str | None = None
    """The provider's own word for it (`queued`, `in_progress`), where it gave one."""
    problem: str | None = None
    """Why this poll told nothing (a 503, no connection), where it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NeedsInput:
    """The operation pauses until it is given something (A2A `input_required`, an MCP approval)."""

    token: ContinuationToken
    question: str
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True, slots=True)
class Succeeded:
    """The operation completed. `value` is plain data that the node's `finish` turns into its output."""

    value: Json
    usage: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True, slots=True)
class Incomplete:
    """The operation ended early; `error.code` is the reason, `error.partial` what there was."""

    error: OperationError
    usage: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The operation failed at the provider. `retryable`: a new submission may succeed."""

    error: OperationError
    retryable: bool = False
    usage: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """The operation was cancelled at the provider."""

    error: OperationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """The provider does not know the handle any more."""

    error: OperationError


Poll: TypeAlias = Running | NeedsInput | Succeeded | Incomplete | Failed | Cancelled | Expired
"""What a provider can say of an operation."""


@runtime_checkable
class Operation(Protocol):
    """One kind of operation at one provider, e.g. background runs of the OpenAI Responses API."""

    @property
    def provider(self) -> str:
        """The name that tokens of this adapter carry."""
        ...

    async def prepare(self) -> None:
        """Get ready to submit, called before the intent is committed: load what is needed, make clients.

        What takes long here does not take it between the intent and the token. Raises
        `ProviderUnavailableError` when nothing can be sent from this process (no key).
        """
        ...

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """Start the operation; return as soon as the handle is known.

        `request` is exactly what was committed with the intent: the same request and key must send the same
        bytes. Never retries by itself. Raises `SubmissionRejectedError` when the provider certainly did not
        accept; any other exception means that it may have.
        """
        ...

    def poll_after(self, token: ContinuationToken) -> float:
        """Seconds to wait before a fresh token is asked after for the first time."""
        ...

    def adopt(self, handle: str) -> ContinuationToken:
        """A token for a handle that a person knows from elsewhere (a log, the provider's web page)."""
        ...

    async def poll(self, token: ContinuationToken) -> Poll:
        """Ask once. A poll that tells nothing (429, 5xx, no connection) is `Running` with a `problem`.

        Raises `ProviderUnavailableError` when asking again can't help (401, 403).
        """
        ...


@runtime_checkable
class Cancellable(Protocol):
    """An operation that can be cancelled."""

    async def cancel(self, token: ContinuationToken) -> Poll:
        """Ask the provider to cancel, and return what it answered. Idempotent.

        `Running` means not acknowledged yet: the engine asks again after `retry_after`. Raises as `poll`.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamPiece:
    """A piece of text with the token that stands right after it; `end` is set on the last piece only."""

    token: ContinuationToken
    text: str
    end: Poll | None = None


@runtime_checkable
class Streamable(Protocol):
    """An operation whose output can be read while it is made."""

    def stream(self, token: ContinuationToken) -> AsyncGenerator[StreamPiece, None]:
        """Go on right after `token.cursor`. Ends with a piece whose `end` is terminal.

        Raises as `poll`; a stream that breaks off ends in polling inside the adapter, and the last piece
        then holds exactly the rest of the text.
        """
        ...
