"""Scripts: which submissions get which answer, and which requests meet which accident.

A script is a list of rules, kept in the simulator's database, so that it outlives a restart. For every
request the rules are asked in order; the first whose match fits, and whose `nth`/`times` window is open,
takes the request. Answers and faults are looked up separately: a rule with a fault alone leaves the answer to
the next rule. How a fault is acted out lives in `accidents`, how an answer is written in `generation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter

from .faults import STRICT, Fault, NotFound, Stale, StreamCut, WindowExpired

Route: TypeAlias = Literal["create", "retrieve", "stream", "cancel", "delete", "input_items"]
"""What a client asks for. `stream` is the event stream of a create or of a retrieve."""

Ending: TypeAlias = Literal["completed", "failed", "incomplete", "cancelled"]
Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]

Quirk: TypeAlias = Literal["keepalives", "unknown_events", "comments", "duplicates", "gaps", "unnumbered"]
"""Legal oddities of an event log: `keepalive` events with numbers of their own, events of an unknown type, SSE
comments, frames sent twice, numbers left out, events without a number."""

OnCancel: TypeAlias = Literal["cancelled", "late", "completes"]
"""What a cancel leads to: `cancelled` at once; `late`: the reply still says the old status, cancelled one
second after; `completes`: reported cancelled, yet completed when the duration is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A function call that the answer asks for."""

    name: str
    arguments: str = "{}"
    """JSON."""
    call_id: str | None = None
    """Made from the response's id when left out."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


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

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


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

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a script: an answer for submissions, or a fault for the requests to one route.

    A rule for `create` can have both: the submissions that meet the fault then get the answer. Raises
    `ValueError` for a rule that could do nothing.
    """

    match: Match = field(default_factory=Match)
    on: Route | None = None
    """The route of the fault. None: `stream` for stream faults, `retrieve` for `NotFound` and `Stale`, else
    `create`."""
    answer: Answer | None = None
    fault: Fault | None = None
    nth: int = 1
    """The first request that is taken, counted from 1 over those that fit and that no earlier rule took."""
    times: int | None = None
    """How many are taken from there; None: one for a fault, all for an answer alone. 0: no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __post_init__(self) -> None:
        if self.answer is None and self.fault is None:
            raise ValueError("A rule needs an answer or a fault.")
        if self.answer is not None and self.route != "create":
            raise ValueError(
                f"A fault on '{self.route}' brings no answer: give the answer a rule of its own."
            )
        if isinstance(self.fault, StreamCut | WindowExpired) and self.route != "stream":
            raise ValueError(f"{self.fault.kind} can only happen on 'stream', not on '{self.route}'.")
        if isinstance(self.fault, Stale) and self.route != "retrieve":
            raise ValueError(f"stale can only happen on 'retrieve', not on '{self.route}'.")
        if isinstance(self.fault, NotFound) and self.route == "create":
            raise ValueError("A create has no id that could be unknown.")

    @property
    def route(self) -> Route:
        """The route that the rule is for."""
        if self.on is not None:
            return self.on
        match self.fault:
            case StreamCut() | WindowExpired():
                return "stream"
            case NotFound() | Stale():
                return "retrieve"
            case _:
                return "create"

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
    return _rules().validate_python(data if isinstance(data, list) else [data])


def write_rules(rules: Sequence[Rule]) -> list[dict[str, object]]:
    """The JSON that `read_rules` reads."""
    return [asdict(rule) for rule in rules]


@cache
def _rules() -> TypeAdapter[list[Rule]]:
    return TypeAdapter(list[Rule])
