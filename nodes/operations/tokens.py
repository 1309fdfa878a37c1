"""`ContinuationToken`: what we hold of an operation, and `Json`, the plain data that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from ..errors import OperationError

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""What JSON can say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuationToken:
    """What we hold of a long-running operation. Plain data, safe to store anywhere.

    Holds no key and no prompt. Whoever has a token and the provider's credentials can go on from here, in this
    process or another.
    """

    provider: str
    """Which adapter understands the handle, e.g. `openai.responses`."""
    handle: Mapping[str, Json]
    """The provider's own id or ids."""
    cursor: Json = None
    """How far the stream was read; only the adapter looks inside."""
    created_at: float
    """When the handle became known, seconds since the epoch."""

    @property
    def handle_text(self) -> str:
        """The provider's id or ids in one line, for people and look-ups."""
        return " ".join(str(value) for value in self.handle.values() if isinstance(value, str | int))

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
            handle=cast("dict[str, Json]", handle),  # as to_dict wrote it
            cursor=cast("Json", data.get("cursor")),  # the same
            created_at=float(created_at),
        )
