"""Scripts: which submissions get which answer, and which requests get which fault.

A script is a list of rules, kept in the simulator's database, so that it survives a restart. For every request
the rules are tried in order; the first that matches, and whose `nth`/`times` window is open, takes the request.
Answers and faults are looked up separately: a rule with only a fault leaves the answer to a later rule. Faults
are carried out in `_fault_injection`, answers become plans in `_plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, TypeAdapter

from ._faults import STRICT, Fault, NotFound, Stale, StreamCut, WindowExpired

Route: TypeAlias = Literal["create", "retrieve", "stream", "cancel", "delete", "input_items"]
"""What a client asks for. `stream` is the event stream of a create or of a retrieve."""

Ending: TypeAlias = Literal["completed", "failed", "incomplete", "cancelled"]
Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]

Quirk: TypeAlias = Literal["keepalives", "unknown_events", "comments", "duplicates", "gaps", "unnumbered"]
"""Unusual but legal features of an event stream: `keepalive` events with numbers of their own, events of an
unknown type, SSE comments, frames sent twice, numbers left out, events without a number."""

OnCancel: TypeAlias = Literal["cancelled", "late", "completes"]
"""What a cancel does. `cancelled`: takes effect at once; `late`: the reply still has the old status, and the cancel
takes effect one second later; `completes`: reported as cancelled, yet completed when the duration is over."""


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
    """How a response turns out. Fields that are left out are derived from the submission."""

    duration: float | None = None
    """Seconds from the submission to the end; the simulator's default when None."""
    queued: float | None = None
    """Seconds in `queued`; a tenth of the duration when None."""
    text: str | None = None
    pieces: tuple[str, ...] | None = None
    """The text, in the pieces in which it is streamed."""
    annotations: tuple[dict[str, object], ...] = ()
    """Of the text, as the API spells them: `{"type": "url_citation", "start_index": 0, ...}`."""
    json: object = None
    """An answer that is sent as this JSON document."""
    refusal: str | None = None
    function_calls: tuple[Call, ...] = ()
    """With calls and no text of any kind, the calls are the whole output."""
    commentary: str | None = None
    """The text of a first message with `phase: commentary`; the answer then has `phase: final_answer`."""
    reasoning: bool = False
    """Whether an empty reasoning item comes first, as reasoning models send it."""
    status: Ending = "completed"
    """How it ends. `cancelled`: by the provider, without a request to cancel."""
    code: str = "server_error"
    """`error.code` when failed."""
    message: str = "The model could not finish the response (scripted)."
    """`error.message` when failed."""
    reason: str = "max_output_tokens"
    """`incomplete_details.reason` when incomplete; the text is then the partial output."""
    quirks: tuple[Quirk, ...] = ()
    on_cancel: OnCancel = "cancelled"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Conditions on a request; all that are given must hold. On routes with an id they are about its submission."""

    model: str | None = None
    contains: str | None = None
    """A substring of the input's text."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Pairs that the metadata must contain."""
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

    A rule for `create` can have both: the submissions that get the fault also get the answer. Raises
    `ValueError` for a rule that could never apply.
    """

    match: Match = field(default_factory=Match)
    on: Route | None = None
    """The route of the fault. None: `stream` for stream faults, `retrieve` for `NotFound` and `Stale`, else
    `create`."""
    answer: Answer | None = None
    fault: Fault | None = None
    nth: int = 1
    """The first request that is taken, counted from 1 over those that match and that no earlier rule took."""
    times: int | None = None
    """How many are taken from there; None: one for a fault, all for an answer alone. 0: no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __post_init__(self) -> None:
        if self.answer is None and self.fault is None:
            raise ValueError("A rule needs an answer or a fault.")
        if self.answer is not None and self.route != "create":
            raise ValueError(
                f"A fault on '{self.route}' can't have an answer: give the answer a rule of its own."
            )
        if isinstance(self.fault, StreamCut | WindowExpired) and self.route != "stream":
            raise ValueError(f"{self.fault.kind} can only happen on 'stream', not on '{self.route}'.")
        if isinstance(self.fault, Stale) and self.route != "retrieve":
            raise ValueError(f"stale can only happen on 'retrieve', not on '{self.route}'.")
        if isinstance(self.fault, NotFound) and self.route == "create":
            raise ValueError(
                "not_found can't happen on 'create', which has no id: use it on 'retrieve' or another route."
            )

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
        """Whether the `number`-th matching request (from 1) is taken."""
        limit = self.times if self.times is not None else (1 if self.fault is not None else 0)
        return number >= self.nth and (limit == 0 or number < self.nth + limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A request that rules are matched against."""

    route: Route
    model: str
    text: str
    metadata: Mapping[str, str]
    response_id: str | None = None
    status: Status | None = None
    age: float | None = None
    """Seconds since the response was created."""


def matches(match: Match, candidate: Candidate) -> bool:
    """Whether all conditions hold for the request."""
    return (
        (match.model is None or match.model == candidate.model)
        and (match.contains is None or match.contains in candidate.text)
        and all(candidate.metadata.get(key) == value for key, value in match.metadata.items())
        and (match.response_id is None or match.response_id == candidate.response_id)
        and (match.status is None or match.status == candidate.status)
        and (match.older_than is None or (candidate.age is not None and candidate.age > match.older_than))
        and (match.younger_than is None or (candidate.age is not None and candidate.age < match.younger_than))
    )


def read_rules(data: object) -> list[Rule]:
    """Read rules from JSON: a list of them or a single one. Raises `ValueError` (pydantic's) that names the field."""
    return _rules().validate_python(data if isinstance(data, list) else [data])


def write_rules(rules: Sequence[Rule]) -> list[dict[str, object]]:
    """The JSON that `read_rules` reads."""
    return [asdict(rule) for rule in rules]


@cache
def _rules() -> TypeAdapter[list[Rule]]:
    return TypeAdapter(list[Rule])
