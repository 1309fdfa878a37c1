"""What a store holds: runs, activations, scopes, events, plans, messages. Plain frozen data, no behaviour.

What is made for every step of a run is a named tuple: a frozen dataclass takes six times as long to make.

Times are seconds since the Unix epoch (float). Payloads are msgpack of plain data (`codec.py`), as `bytes`
or as a `Value`, which a store keeps inline when small and in a content-addressed blob when large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypedDict

INLINE_LIMIT = 1024
"""Values of at most this many bytes are stored in their row, larger ones once in `blobs`."""


class RunStatus(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class ActivationState(StrEnum):
    """The states of an activation, i.e. of one execution of a node at one place in the scopes."""

    READY = "ready"
    RUNNING = "running"
    SUBMITTING = "submitting"
    SUBMIT_UNKNOWN = "submit_unknown"
    WAITING = "waiting"
    BACKOFF = "backoff"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (
            ActivationState.SUCCEEDED,
            ActivationState.FAILED,
            ActivationState.SKIPPED,
            ActivationState.CANCELLED,
        )


class Value:
    """Encoded bytes of one value, with their SHA-256 computed once, when first needed.

    Hand the same `Value` on when a node hands on the same bytes: its digest is then not computed again.
    """

    __slots__ = ("_digest", "data")

    def __init__(self, data: bytes, digest: bytes | None = None) -> None:
        self.data = data
        self._digest = digest

    @property
    def inline(self) -> bool:
        return len(self.data) <= INLINE_LIMIT

    @property
    def digest(self) -> bytes:
        if self._digest is None:
            self._digest = hashlib.sha256(self.data).digest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Value({len(self.data)} bytes)"


class ActivationKey(NamedTuple):
    """Where an activation is stored: the scope instance (0 is the root), the node, the item in that scope.

    In the root scope `item` is 0. The item path that people see (`check[1, 4]`) is the path of the scope
    instance's parent followed by `item`.
    """

    scope: int
    node: str
    item: int


class ActivationColumns(TypedDict, total=False):
    """The columns of an activation that a transition sets; those it leaves out stay as they were.

    `state` is always given. None clears a column.
    """

    state: ActivationState
    attempt: int  # 1 for the first
    submission: int  # how many submissions were intended; names the key of the one under way
    unknown: int  # how often a submission's fate was unknown
    wake_at: float | None  # when to poll or to try again
    result: Value | None  # the encoded output
    taken: bytes | None  # msgpack of the indices of the edges taken; None: not decided yet
    items: int | None  # length of the output list, where the node is the source of a map
    request: Value | None  # the encoded request of the submission under way
    token: bytes | None  # the encoded continuation token
    error: bytes | None  # msgpack {"type", "message", ...}
    usage: bytes | None  # msgpack {"input_tokens", "output_tokens", ...} and what else the provider counted


class ActivationChange(NamedTuple):
    """An insert or update of one activation row."""

    key: ActivationKey
    columns: ActivationColumns


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationRecord:
    """One activation as it is stored. `path` is filled in by the store from the scope's parent path."""

    run: int
    key: ActivationKey
    path: tuple[int, ...]
    state: ActivationState
    attempt: int
    submission: int
    unknown: int
    wake_at: float | None
    started_at: float
    updated_at: float
    taken: bytes | None
    items: int | None
    token: bytes | None
    error: bytes | None
    usage: bytes | None
    has_result: bool
    has_request: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeRecord:
    """One instance of a scope (a map that was entered). Closed ones are not loaded at recovery."""

    number: int  # unique in the run, from 1 (0 is the root, which has no record)
    scope: int  # index of the scope in the plan
    parent: int  # number of the enclosing instance
    path: tuple[int, ...]  # of the activation that opened it
    size: int  # items
    open: bool


class EventRecord(NamedTuple):
    """One entry of the checkpoint log. `position` counts from 1 in each run."""

    position: int
    at: float
    type: str
    node: str | None
    path: tuple[int, ...]
    data: bytes  # msgpack dict


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRecord:
    """The shape of a workflow, stored once per signature as plain data."""

    signature: str
    workflow: str
    plan: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRun:
    """What a run is created from."""

    id: str
    workflow: str
    signature: str
    input: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run as it is stored. `key` is its number in this database, `position` its count of events."""

    key: int
    id: str
    workflow: str
    signature: str
    status: RunStatus
    outcome: RunStatus | None  # what the run is on its way to, once that is decided
    created_at: float
    updated_at: float
    finished_at: float | None
    input_digest: bytes  # SHA-256 of the encoded input
    owner: str | None  # executor id
    fence: int
    position: int
    error: bytes | None  # msgpack {"type", "message", "node", ...}


class Transition(NamedTuple):
    """One step of one run: written whole or not at all, and only if `fence` and `position` still hold."""

    run: int
    fence: int
    position: int  # the run's count of events before this transition
    at: float
    status: RunStatus
    outcome: RunStatus | None = None
    error: bytes | None = None
    events: Sequence[EventRecord] = ()
    activations: Sequence[ActivationChange] = ()
    scopes: Sequence[ScopeRecord] = ()
    messages: Sequence[int] = ()  # ids of inbox messages that this transition has dealt with


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """Something for a run's owner from outside: an answer, a cancel, a handle that came late."""

    id: int
    run: int
    at: float
    type: str  # "cancel", "answer", "late_token"
    node: str | None
    path: tuple[int, ...]
    data: bytes  # msgpack dict
