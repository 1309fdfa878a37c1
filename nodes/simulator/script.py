"""Scripts: which submissions get which answer, and which requests meet which accident.

A script is a list of rules, kept in the simulator's database, so that it outlives a restart. For every
request the rules are asked in order; the first whose match fits, and whose `nth`/`times` window is open,
takes the request. Answers and faults are looked up separately: a rule with a fault alone leaves the answer to
the next rule. How a fault is acted out lives in `accidents`, how an answer is written in `generation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

Route: TypeAlias = Literal["create", "retrieve", "stream", "cancel", "delete", "input_items"]
"""What a client asks for. `stream` is the event stream of a create or of a retrieve."""
ROUTES: tuple[Route, ...] = ("create", "retrieve", "stream", "cancel", "delete", "input_items")

Ending: TypeAlias = Literal["completed", "failed", "incomplete", "cancelled"]
Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]

Quirk: TypeAlias = Literal["keepalives", "unknown_events", "comments", "duplicates", "gaps", "unnumbered"]
"""Legal oddities of an event log: `keepalive` events with numbers of their own, events of an unknown type, SSE
comments, frames sent twice, numbers left out, events without a number."""

OnCancel: TypeAlias = Literal["cancelled", "late", "completes"]
"""What a cancel leads to: `cancelled` at once; `late`: the reply still says the old status, cancelled one
second after; `completes`: reported cancelled, yet completed when the duration is over."""

_FORBID: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A function call that the answer asks for."""

    name: str
    arguments: str = "{}"
    """JSON."""
    call_id: str | None = None
    """Made from the response's id when left out."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a response turns out to be. Fields that are left out are derived from the submission."""

    duration: float | None = None
    """Seconds from the submission to the end; the simulator's default when None."""
    queued: float | None = None
    """Seconds in `queued`; a tenth of the duration when None."""
    text: str | None = None
    pieces: tuple[str, ...] | None = None
    """The text, in the pieces in which it is streamed."""
    json: object = None
    """An answer that is sent as this JSON document."""
    refusal: str | None = None
    function_calls: tuple[Call, ...] = ()
    """With calls and no text of any kind, the calls are the whole output."""
    commentary: str | None = None
    """A message with `phase: commentary` in front; the answer then has `phase: final_answer`."""
    reasoning: bool = False
    """An empty reasoning item in front, as reasoning models send it."""
    status: Ending = "completed"
    """How it ends. `cancelled` is the provider's doing."""
    code: str = "server_error"
    """`error.code` when failed."""
    message: str = "The model could not finish the response (scripted)."
    """`error.message` when failed."""
    reason: str = "max_output_tokens"
    """`incomplete_details.reason` when incomplete; the text is then what there was of it."""
    quirks: tuple[Quirk, ...] = ()
    on_cancel: OnCancel = "cancelled"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpError:
    """The request is answered with this error status. `accepted`: after its effect took place."""

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

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLost:
    """The connection is reset in place of a reply. `accepted`: after the effect took place."""

    accepted: bool = True
    kind: Literal["connection_lost"] = "connection_lost"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReply:
    """The reply takes `seconds`. `accepted`: the effect takes place before them, else after them."""

    seconds: float
    accepted: bool = True
    kind: Literal["slow_reply"] = "slow_reply"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenReply:
    """A reply that can't be read: `bad_json` with status 200, an `html` page with 502, `half` a body then a reset."""

    form: Literal["bad_json", "html", "half"]
    accepted: bool = True
    kind: Literal["broken_reply"] = "broken_reply"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class NotFound:
    """404, as the API says it when it does not know the id (yet, or any more)."""

    kind: Literal["not_found"] = "not_found"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """A retrieve that is answered as if the response were still in progress."""

    kind: Literal["stale"] = "stale"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowExpired:
    """A stream that is refused as if the response were too old to be streamed."""

    kind: Literal["window_expired"] = "window_expired"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamCut:
    """A stream that breaks off after `after` events of this connection. `after=1`: right after `created`.

    `how`: `reset` between two frames, `mid_frame` a reset inside one, `half_frame` a clean end inside one,
    `eof` a clean end, `idle` silence for `seconds` and then a clean end, `bad_json` a frame that is no JSON,
    `nested_error` and `flat_error` the two shapes of error events; the last three then end cleanly.
    """

    how: Literal["reset", "mid_frame", "half_frame", "eof", "idle", "bad_json", "nested_error", "flat_error"]
    after: int = 1
    seconds: float = 3600.0
    kind: Literal["stream_cut"] = "stream_cut"

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


Fault: TypeAlias = (
    HttpError | ConnectionLost | SlowReply | BrokenReply | NotFound | Stale | WindowExpired | StreamCut
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """What a request must have. All that is given must hold; on routes with an id, of its submission."""

    model: str | None = None
    contains: str | None = None
    """A part of the input's text."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Pairs that the metadata must hold."""
    response_id: str | None = None
    status: Status | None = None
    """The response's true status at the time of the request (not on `create`)."""
    older_than: float | None = None
    """Seconds since the response was created (not on `create`)."""
    younger_than: float | None = None

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a script. An answer is for `create`; a fault is for the route `on`."""

    match: Match = field(default_factory=Match)
    on: Route = "create"
    answer: Answer | None = None
    fault: Annotated[Fault, "discriminated by kind"] | None = None
    nth: int = 1
    """The first request that is taken, counted from 1 over those that fit and that no earlier rule took."""
    times: int | None = None
    """How many are taken from there; None: one for a fault, all for an answer alone. 0: no limit."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _FORBID

    def takes(self, number: int) -> bool:
        """Whether the `number`-th fitting request (from 1) is taken."""
        limit = self.times if self.times is not None else (1 if self.fault is not None else 0)
        return number >= self.nth and (limit == 0 or number < self.nth + limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request as rules see it."""

    route: Route
    model: str
    text: str
    metadata: Mapping[str, str]
    response_id: str | None = None
    status: Status | None = None
    age: float | None = None
    """Seconds since the response was created."""


def fits(match: Match, asked: Asked) -> bool:
    """Whether the request has all that the match names."""
    return (
        (match.model is None or match.model == asked.model)
        and (match.contains is None or match.contains in asked.text)
        and all(asked.metadata.get(key) == value for key, value in match.metadata.items())
        and (match.response_id is None or match.response_id == asked.response_id)
        and (match.status is None or match.status == asked.status)
        and (match.older_than is None or (asked.age is not None and asked.age > match.older_than))
        and (match.younger_than is None or (asked.age is not None and asked.age < match.younger_than))
    )


def read_rules(data: object) -> list[Rule]:
    """Read rules from JSON: a list of them or one. Raises `ValueError` (pydantic's) that names the field."""
    from pydantic import TypeAdapter

    return TypeAdapter(list[Rule]).validate_python(data if isinstance(data, list) else [data])


def write_rules(rules: Sequence[Rule]) -> list[dict[str, object]]:
    """The JSON that `read_rules` reads."""
    return [asdict(rule) for rule in rules]
