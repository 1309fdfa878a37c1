"""Faults: what a script can make go wrong with a request. They are carried out in `_fault_injection`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid")
"""A misspelt field in a script is an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpError:
    """The request is answered with this error status. `accepted`: after it took effect."""

    status: int
    accepted: bool = False
    retry_after: float | None = None
    """Seconds, sent as `retry-after`."""
    retry_after_ms: float | None = None
    should_retry: bool | None = None
    """Sent as `x-should-retry`."""
    code: str | None = None
    message: str | None = None
    kind: Literal["http_error"] = "http_error"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLost:
    """The connection is reset in place of a reply. `accepted`: after the request took effect."""

    accepted: bool = True
    kind: Literal["connection_lost"] = "connection_lost"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReply:
    """The reply takes `seconds`. `accepted`: the request takes effect before them, else after them."""

    seconds: float
    accepted: bool = True
    kind: Literal["slow_reply"] = "slow_reply"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenReply:
    """A reply that can't be parsed: `bad_json` with status 200, an `html` page with 502, `half` a body then a reset."""

    form: Literal["bad_json", "html", "half"]
    accepted: bool = True
    kind: Literal["broken_reply"] = "broken_reply"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class NotFound:
    """404, as the API replies when it does not know the id (yet, or any more)."""

    kind: Literal["not_found"] = "not_found"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """A retrieve that is answered as if the response were still in progress."""

    kind: Literal["stale"] = "stale"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowExpired:
    """A stream that is refused as if the response were too old to be streamed."""

    kind: Literal["window_expired"] = "window_expired"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamCut:
    """A stream that breaks after `after` events of this connection. `after=1`: right after `created`.

    `how`: `reset` between two frames, `mid_frame` a reset inside one, `half_frame` a clean end inside one,
    `eof` a clean end, `idle` silence for `seconds` and then a clean end, `bad_json` a frame that is not JSON,
    `nested_error` and `flat_error` the two shapes of error events; the last three then end cleanly.
    """

    how: Literal["reset", "mid_frame", "half_frame", "eof", "idle", "bad_json", "nested_error", "flat_error"]
    after: int = 1
    seconds: float = 3600.0
    kind: Literal["stream_cut"] = "stream_cut"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


Fault: TypeAlias = Annotated[
    HttpError | ConnectionLost | SlowReply | BrokenReply | NotFound | Stale | WindowExpired | StreamCut,
    Field(discriminator="kind"),
]
