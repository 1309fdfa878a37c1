"""`Outcome`: what a provider can say of an operation. Each variant is a frozen class; "done" is never spelled `None`.

What the engine does with an outcome is decided in its core, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import OperationError
from .tokens import ContinuationToken, Json

Usage: TypeAlias = Mapping[str, Json]
"""What the provider counted for an operation (tokens, money), in its own words. Empty where it counted nothing."""


def _no_usage() -> Usage:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """The operation has not ended, or the poll was inconclusive."""

    token: ContinuationToken
    """What to ask with next; it may have changed, and is then committed."""
    retry_after: float | None = None
    """Seconds after which to ask again, where the provider said so; None: the engine decides."""
    expires_at: float | None = None
    """Until when the provider keeps the operation, seconds since the epoch, where it said so."""
    status: str | None = None
    """The provider's own word for it (`queued`, `in_progress`), where it gave one."""
    problem: str | None = None
    """Why the poll was inconclusive (a 503, no connection), where it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of a tool of ours that the operation asks for."""

    id: str
    """The provider's id of the call: its result is returned under this id."""
    name: str
    """The tool's name."""
    arguments: Json
    """What to call it with, not validated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """The operation has ended by asking for calls; `Conversational.proceed` makes the next one of their results."""

    calls: tuple[Call, ...]
    """At least one. Each is made once, in any order."""
    value: Json = None
    """What the adapter needs of this reply to proceed (e.g. its output items); committed with the calls."""
    usage: Usage = field(default_factory=_no_usage)

    def to_dict(self) -> dict[str, Json]:
        """Plain JSON; `from_dict` reads it back."""
        return {
            "calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in self.calls],
            "value": self.value,
            "usage": dict(self.usage),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Calls:
        """Read what `to_dict` wrote. Raises `OperationError` when it is something else."""
        match data:
            case {"calls": list() as items, "value": value, "usage": dict() as usage}:
                return cls(calls=tuple(_call(item) for item in items), value=value, usage=usage)
            case _:
                raise _not_stored("calls", "Calls")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asks:
    """The operation pauses until a question is answered (A2A `input_required`, an MCP approval).

    `Conversational.proceed` makes the next request of the answer. Until then the token stays valid; a cancel is
    acknowledged by `Cancelled`, or by this outcome again where the provider has nothing left to cancel.
    """

    token: ContinuationToken
    question: str
    """The question for a person, as the provider words it."""
    schema: Mapping[str, Json] | None = None
    """The JSON schema of the answer; None: any text."""
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the adapter needs of this reply to proceed, and what else there is to show."""

    def to_dict(self) -> dict[str, Json]:
        """Plain JSON; `from_dict` reads it back."""
        return {
            "token": self.token.to_dict(),
            "question": self.question,
            "schema": None if self.schema is None else dict(self.schema),
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Asks:
        """Read what `to_dict` wrote. Raises `OperationError` when it is something else."""
        match data:
            case {
                "token": dict() as token,
                "question": str() as question,
                "schema": dict() | None as schema,
                "data": dict() as extra,
            }:
                return cls(
                    token=ContinuationToken.from_dict(token), question=question, schema=schema, data=extra
                )
            case _:
                raise _not_stored("a question", "Asks")


@dataclass(frozen=True, kw_only=True, slots=True)
class Succeeded:
    """The operation completed. `value` is plain data that the node's `finish` turns into its output."""

    value: Json
    usage: Usage = field(default_factory=_no_usage)


@dataclass(frozen=True, kw_only=True, slots=True)
class Incomplete:
    """The operation ended early; `error.code` is the reason, `error.partial` what there was."""

    error: OperationError
    usage: Usage = field(default_factory=_no_usage)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The operation failed at the provider."""

    error: OperationError
    retryable: bool = False
    """Whether a new operation may succeed."""
    usage: Usage = field(default_factory=_no_usage)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """The operation was cancelled at the provider."""

    error: OperationError
    usage: Usage = field(default_factory=_no_usage)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """The provider no longer knows the handle."""

    error: OperationError
    usage: Usage = field(default_factory=_no_usage)


Outcome: TypeAlias = Running | Calls | Asks | Succeeded | Incomplete | Failed | Cancelled | Expired
"""What a provider can say of an operation."""


def _call(item: Json) -> Call:
    match item:
        case {"id": str() as id_, "name": str() as name, "arguments": arguments}:
            return Call(id=id_, name=name, arguments=arguments)
        case _:
            raise _not_stored("a call", "Calls")


def _not_stored(what: str, kind: str) -> OperationError:
    return OperationError(
        f"These are not the stored data of {what}. Pass what {kind}.to_dict() returned.",
        code="invalid_outcome",
    )
