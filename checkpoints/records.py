"""What a store holds: runs, activations, operations, submissions, scopes, events, plans, signals, claims.

Plain frozen data without behaviour, from the standard library alone: the pure core imports this module and nothing
else of this package. All of it is named tuples, because a frozen dataclass takes six times as long to make; make them
with keywords.

Times are seconds since the Unix epoch (float). Payloads are msgpack of plain data (`codec`), as `bytes` or as a
`Value`, which a store keeps inline when small and in a content-addressed blob when large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

INLINE_LIMIT = 1024
"""Values of at most this many bytes are stored in their row, larger ones once in `blobs`."""


class RunStatus(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    FAILING = "failing"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    __hash__ = str.__hash__  # Enum's own is a Python function, and states are looked up at every step

    @property
    def finished(self) -> bool:
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class State(StrEnum):
    """The states of an activation (one execution of a node at one place in the scopes) and of an operation."""

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
    LOST = "lost"

    __hash__ = str.__hash__  # as above

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset((State.SUCCEEDED, State.FAILED, State.SKIPPED, State.CANCELLED, State.LOST))
"""The states in which nothing more happens."""

Source: TypeAlias = Literal["reply", "found", "webhook", "person", "former_owner"]
"""From where a submission's handle is known: the provider's reply, a look-up, a webhook, a person, or the process that
drove the run before and got the reply too late."""

Fate: TypeAlias = Literal["sent", "accepted", "refused", "unknown", "stray", "stray_cancelled"]
"""What became of a submission. `stray`: accepted, but another submission of the operation is the one that counts, so
this one is to be cancelled; `stray_cancelled`: the provider has acknowledged that."""

ClaimEnd: TypeAlias = Literal["finished", "released", "lost"]
"""How an executor stopped driving a run: the run ended, it was given back, or it was taken by another executor."""


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


class OperationKey(NamedTuple):
    """Where an operation is stored: its activation, the attempt, the chain, its number in the chain.

    `chain` is empty for the node's own operations. Operations of one chain follow one another.
    """

    scope: int
    node: str
    item: int
    attempt: int = 1
    chain: str = ""
    number: int = 0

    @property
    def activation(self) -> ActivationKey:
        return ActivationKey(self.scope, self.node, self.item)


class SubmissionKey(NamedTuple):
    """Where a submission is stored: its operation and its number, which counts from 1."""

    operation: OperationKey
    submission: int


class RequestRef(NamedTuple):
    """Names the encoded request of an operation; see `View.value`."""

    operation: OperationKey


class OutcomeRef(NamedTuple):
    """Names what the provider gave as an operation's result, before our decoding of it; see `View.value`."""

    operation: OperationKey


ValueRef: TypeAlias = Literal["input"] | ActivationKey | RequestRef | OutcomeRef
"""Names one stored value of a run: its input, an activation's output, an operation's request or outcome."""


class ActivationColumns(TypedDict, total=False):
    """The columns of an activation that a transition sets; those it leaves out stay as they were.

    `state` is always given. None clears a column. While an activation has an open operation its state stays
    `running` here: the state that people see is derived from its operations.
    """

    state: State
    attempt: int  # 1 for the first
    failures: int  # attempts that failed since the start or the last manual retry
    wake_at: float | None  # when the next attempt begins
    result: Value | None  # the encoded output
    taken: tuple[int, ...] | None  # the indices of the conditional edges taken; None: not decided yet
    items: int | None  # length of the output list, where the node is the source of a map
    error: bytes | None  # msgpack {"type", "message", ...} of the last attempt that failed


Detail: TypeAlias = Literal["absent", "held", "resubmit", "fetching", "fetched", "run", "deadline", "queue"]
"""What an operation's state alone does not say. Of `submit_unknown`: the provider does not have it (`absent`), a person
is to decide (`held`) or has decided (`resubmit`). Of `waiting`: its result is being consumed (`fetching`) or was and is
not decoded yet (`fetched`). Of
`cancelling`: because the run ends (`run`), or because it took too long (`deadline`, `queue`)."""


class OperationColumns(TypedDict, total=False):
    """The columns of an operation that a transition sets; those it leaves out stay as they were.

    `state` is always given. None clears a column.
    """

    state: State
    submission: int  # how many submissions were intended
    unknown: int  # how often a submission's fate was unknown
    refused: int  # how often it was certainly not accepted
    trying_since: float | None  # when it was first submitted, for `submit_timeout` and keys that expire
    sent_at: float | None  # when it was last submitted
    accepted_at: float | None  # when its handle became known
    wake_at: float | None  # when to poll, to look for it, or to submit again; None: nothing is due
    detail: Detail | None  # what the state alone does not say
    request: Value | None  # the encoded request
    token: bytes | None  # the encoded continuation token
    outcome: Value | None  # what the provider gave as its result
    error: bytes | None  # msgpack {"type", "message", ...}


class SubmissionColumns(TypedDict, total=False):
    """The columns of a submission that a transition sets; those it leaves out stay as they were.

    `fate` is always given. None clears a column.
    """

    fate: Fate
    handle: str | None  # the provider's id or ids in one line, for look-ups
    token: bytes | None  # the encoded token, where it is not the operation's own (a stray one)
    source: Source | None
    error: bytes | None  # msgpack {"type", "message", ...}
    usage: bytes | None  # msgpack {"input_tokens", "output_tokens", ...} and what else the provider counted


class ActivationRecord(NamedTuple):
    """One activation as it is stored. `path` is filled in by the store from the scope's parent path."""

    run: int
    key: ActivationKey
    path: tuple[int, ...]
    state: State
    attempt: int
    failures: int
    wake_at: float | None
    started_at: float
    updated_at: float
    taken: tuple[int, ...] | None
    items: int | None
    error: bytes | None
    has_result: bool


class OperationRecord(NamedTuple):
    """One operation as it is stored. `path` is that of its activation."""

    run: int
    key: OperationKey
    path: tuple[int, ...]
    state: State
    submission: int
    unknown: int
    refused: int
    trying_since: float | None
    sent_at: float | None
    accepted_at: float | None
    wake_at: float | None
    detail: Detail | None
    started_at: float
    updated_at: float
    token: bytes | None
    error: bytes | None
    has_outcome: bool


class SubmissionRecord(NamedTuple):
    """One sending of an operation's request."""

    run: int
    key: SubmissionKey
    path: tuple[int, ...]
    fate: Fate
    handle: str | None
    token: bytes | None
    source: Source | None
    sent_at: float
    updated_at: float
    error: bytes | None
    usage: bytes | None


class ScopeRecord(NamedTuple):
    """One instance of a scope (a map that was entered). Closed ones are not loaded at recovery."""

    number: int  # unique in the run, from 1 (0 is the root, which has no record)
    scope: int  # index of the scope in the plan
    parent: int  # number of the enclosing instance
    path: tuple[int, ...]  # of the activation that opened it
    size: int  # items
    open: bool


class EventRecord(NamedTuple):
    """One entry of the journal. `position` counts from 1 in each run."""

    position: int
    at: float
    type: str
    node: str | None
    path: tuple[int, ...]
    data: bytes  # msgpack dict


class PlanRecord(NamedTuple):
    """The shape of a workflow, stored once per signature as plain data."""

    signature: str
    workflow: str
    plan: bytes


NO_LABELS: Mapping[str, str] = MappingProxyType({})
"""Those of a run that has none."""


class NewRun(NamedTuple):
    """What a run is created from."""

    id: str
    workflow: str
    signature: str
    nonce: str  # random, part of the keys of all its submissions
    input: Value
    labels: Mapping[str, str] = NO_LABELS  # words of the user's by which runs are found
    code: str | None = None  # hash of the code of the workflow's functions, to say whether it has changed


class RunRecord(NamedTuple):
    """One run as it is stored. `key` is its number in this database, `position` its count of events."""

    key: int
    id: str
    workflow: str
    signature: str
    nonce: str
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
    policies: bytes | None  # msgpack of the nodes' policies; None: all of them are the default
    labels: Mapping[str, str]  # as in `NewRun`
    code: str | None  # as in `NewRun`


_NO_ROWS: Mapping[Any, Any] = MappingProxyType({})


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
    activations: Mapping[ActivationKey, ActivationColumns] = _NO_ROWS
    operations: Mapping[OperationKey, OperationColumns] = _NO_ROWS
    submissions: Mapping[SubmissionKey, SubmissionColumns] = _NO_ROWS
    """Rows that are inserted or updated, in this order."""
    scopes: Sequence[ScopeRecord] = ()
    signals: Sequence[int] = ()  # ids of the signals that this transition has dealt with; they are deleted
    policies: bytes | None = None  # the nodes' policies, where this transition sets them


class Signal(NamedTuple):
    """Something for a run from outside: a cancel, the fate of a submission, a handle that came late, a webhook.

    Kinds that this version does not know stay where they are and are shown.
    """

    id: int
    run: int
    at: float
    kind: str  # "cancel", "fate", "handle"
    node: str | None
    path: tuple[int, ...]
    data: bytes  # msgpack dict


class ClaimRecord(NamedTuple):
    """Who drove a run, from when to when, and how that ended. `ended_at` and `end` are None while it lasts."""

    run: int
    fence: int
    executor: str
    pid: int
    host: str
    claimed_at: float
    ended_at: float | None
    end: ClaimEnd | None


class Loaded(NamedTuple):
    """What it takes to go on with a run.

    `scopes` are the open instances, those whose parent is open or the root, and the newest (its number says
    which one is next); `activations` those of open scopes; `operations` those of these activations' current
    attempts, where the activation has not succeeded or the operation is open all the same (its cancel is not acknowledged),
    `handles` the submissions of these operations whose handle is known, and `strays` those that are still to be cancelled,
    of whichever operation.
    """

    run: RunRecord
    scopes: Sequence[ScopeRecord]
    activations: Sequence[ActivationRecord]
    operations: Sequence[OperationRecord]
    handles: Sequence[SubmissionRecord]
    strays: Sequence[SubmissionRecord]
