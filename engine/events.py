"""The events of a run: the closed list of what `scheduler.advance` is given, and their journal form.

The journal holds exactly these events, so folding it gives the state back. An event says what happened and
nothing about what follows from it; payloads (outputs, tokens, errors) are rows that the same transaction
writes, and reach an event only as `data` for people who read the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias


class Address(NamedTuple):
    """Which activation: a node's name and its item path, outermost map first; `()` in the root scope."""

    node: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.node}[{', '.join(map(str, self.path))}]" if self.path else self.node


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run exists; its start node runs."""


@dataclass(frozen=True, slots=True)
class SubmissionIntended:
    """A submission is about to be made; its request and key are committed with this event."""

    address: Address


@dataclass(frozen=True, slots=True)
class SubmissionUnknown:
    """The provider may have accepted the submission, and its handle is not known."""

    address: Address


@dataclass(frozen=True, slots=True)
class Submitted:
    """The handle is known; the token is committed with this event."""

    address: Address


@dataclass(frozen=True, slots=True)
class TokenAdvanced:
    """The provider moved the token (a new handle or cursor) while the operation goes on."""

    address: Address


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The output is committed with this event.

    `taken` holds the indices of those conditional and `otherwise` edges that fire; unconditional ones always
    do. None: evaluating them failed, so the edges are undecided and the run fails. `items` is the length of
    the output where it is mapped.
    """

    address: Address
    taken: tuple[int, ...] | None = ()
    items: int | None = None


@dataclass(frozen=True, slots=True)
class EdgesDecided:
    """The edges of an activation that had succeeded with undecided edges are decided now."""

    address: Address
    taken: tuple[int, ...] = ()
    items: int | None = None


@dataclass(frozen=True, slots=True)
class EdgesFailed:
    """Evaluating the undecided edges of a succeeded activation failed once more."""

    address: Address


@dataclass(frozen=True, slots=True)
class BackedOff:
    """An attempt failed and another one will follow at the time that is committed with this event."""

    address: Address


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The backoff is over; the next attempt starts."""

    address: Address


@dataclass(frozen=True, slots=True)
class Failed:
    """The activation failed for good; its error is committed with this event."""

    address: Address


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The cancellation of the activation is complete, at the provider too."""

    address: Address


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end."""


@dataclass(frozen=True, slots=True)
class RunRetried:
    """A failed run goes on from where it failed."""


Event: TypeAlias = (
    RunStarted
    | SubmissionIntended
    | SubmissionUnknown
    | Submitted
    | TokenAdvanced
    | Succeeded
    | EdgesDecided
    | EdgesFailed
    | BackedOff
    | AttemptStarted
    | Failed
    | Cancelled
    | CancelRequested
    | RunRetried
)

NAMES: dict[type[Any], str] = {
    RunStarted: "run_started",
    SubmissionIntended: "submission_intended",
    SubmissionUnknown: "submission_unknown",
    Submitted: "submitted",
    TokenAdvanced: "token_advanced",
    Succeeded: "succeeded",
    EdgesDecided: "edges_decided",
    EdgesFailed: "edges_failed",
    BackedOff: "backed_off",
    AttemptStarted: "attempt_started",
    Failed: "failed",
    Cancelled: "cancelled",
    CancelRequested: "cancel_requested",
    RunRetried: "run_retried",
}
"""The journal's word for each event."""

_TYPES = {name: kind for kind, name in NAMES.items()}
_WITH_EDGES = frozenset((Succeeded, EdgesDecided))


def to_data(event: Event) -> dict[str, Any]:
    """What the journal keeps of an event besides its type, node and path. Default values are left out."""
    if isinstance(event, Succeeded | EdgesDecided) and (event.taken != () or event.items is not None):
        return {"taken": None if event.taken is None else list(event.taken), "items": event.items}
    return {}


def from_journal(name: str, node: str | None, path: tuple[int, ...], data: Mapping[str, Any]) -> Event:
    """The event that was journaled so."""
    kind = _TYPES[name]
    if node is None:
        return kind()
    if kind in _WITH_EDGES and "taken" in data:
        taken = None if data["taken"] is None else tuple(data["taken"])
        return kind(Address(node, path), taken, data["items"])  # pyright: ignore[reportArgumentType]  # as written
    return kind(Address(node, path))
