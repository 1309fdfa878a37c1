"""The events of a run: the closed list of what `machine.advance` is given.

An event is what a driver observed, with the moment `at` (seconds since the epoch) and, where something may be spread
in time because of it, a `jitter` in [0, 1) that the driver drew. It says nothing about what follows: that is decided by
`advance`. Payloads (outputs, tokens, errors) are rows that the same transaction writes, and never reach the core.

The journal holds exactly these events, so folding it gives the state back; `journal.py` has its form.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from ...checkpoints.records import Source
from ._distinct import distinct
from .addresses import Address, OperationAddress
from .policy import NO_POLICIES, Policies

Ending: TypeAlias = Literal["failed", "incomplete", "expired", "cancelled", "undecodable", "lost"]
"""How an attempt went wrong. `undecodable`: the operation succeeded, its result is kept, our decoding of it failed.
`lost`: its result could be had once, and whoever consumed it may not have kept it."""
OperationEnding: TypeAlias = Literal["succeeded"] | Ending
"""How an operation ended whose activation goes on."""


@distinct
class RunStarted(NamedTuple):
    """The run exists; its start node runs. `policies` are those of its nodes that are not the default."""

    at: float
    policies: Policies = NO_POLICIES


@distinct
class PoliciesChanged(NamedTuple):
    """The code that drives the run now has other policies."""

    at: float
    policies: Policies


@distinct
class RunRetried(NamedTuple):
    """A failed run goes on from where it failed; by these policies, where they are others than before."""

    at: float
    policies: Policies | None = None


@distinct
class CancelRequested(NamedTuple):
    """Somebody wants the run to end."""

    at: float


# -- activations -------------------------------------------------------------------------------------------


@distinct
class Succeeded(NamedTuple):
    """The output is committed with this event; where an operation of its own chain gave it, that has succeeded too.

    What is open of other chains is cancelled.

    `taken` holds the indices of those conditional and `otherwise` edges that fire; unconditional ones always do. None:
    evaluating them failed, so the edges are undecided and the run fails. `items` is the length of the output where it
    is mapped.
    """

    at: float
    address: Address
    taken: tuple[int, ...] | None = ()
    items: int | None = None
    operation: OperationAddress | None = None


@distinct
class EdgesDecided(NamedTuple):
    """The edges of an activation that had succeeded with undecided edges are decided now."""

    at: float
    address: Address
    taken: tuple[int, ...] = ()
    items: int | None = None


@distinct
class EdgesFailed(NamedTuple):
    """Evaluating the undecided edges of a succeeded activation failed once more."""

    at: float
    address: Address


@distinct
class AttemptFailed(NamedTuple):
    """An attempt of an activation failed, by itself or because the operation of its own chain ended so.

    What is open of other chains goes on, and another attempt begins when it has ended.
    """

    at: float
    address: Address
    jitter: float = 0.0
    ending: Ending = "failed"
    retryable: bool = True
    retry_after: float | None = None
    operation: OperationAddress | None = None


@distinct
class BackoffEnded(NamedTuple):
    """The wait before an activation's next attempt is over."""

    at: float
    address: Address


@distinct
class Cancelled(NamedTuple):
    """What the activation did is cancelled, at the provider too where its own chain has an operation."""

    at: float
    address: Address
    jitter: float = 0.0
    operation: OperationAddress | None = None


# -- operations --------------------------------------------------------------------------------------------


@distinct
class SubmissionIntended(NamedTuple):
    """A submission has a place and is about to be sent; its request and key are committed with this event."""

    at: float
    operation: OperationAddress


@distinct
class SubmissionRefused(NamedTuple):
    """The provider certainly did not accept. `passing`: the same request may be accepted later."""

    at: float
    operation: OperationAddress
    jitter: float = 0.0
    passing: bool = False
    retry_after: float | None = None


@distinct
class SubmissionUnknown(NamedTuple):
    """The provider may have accepted the submission, and its handle is not known."""

    at: float
    operation: OperationAddress
    jitter: float = 0.0
    retry_after: float | None = None


@distinct
class NothingFound(NamedTuple):
    """The provider was asked for the operation and has none, as far as it can tell now."""

    at: float
    operation: OperationAddress
    jitter: float = 0.0


@distinct
class Submitted(NamedTuple):
    """The reply gave the handle; the token is committed with this event. `poll_after` is when to ask first, seconds."""

    at: float
    operation: OperationAddress
    poll_after: float = 0.0
    handle: str = ""


@distinct
class Opened(NamedTuple):
    """An operation that never leaves the process has its token, without a submission."""

    at: float
    operation: OperationAddress
    poll_after: float = 0.0


@distinct
class HandleFound(NamedTuple):
    """A handle came by another way than the reply. What it means is said by `handles.meaning`.

    Of an operation that the state does not hold any more only its rows know: `scope` is the number of the scope instance
    in which they are, `known` whether one of its submissions has this very handle.
    """

    at: float
    operation: OperationAddress
    submission: int
    source: Source
    handle: str = ""
    scope: int | None = None
    known: bool = False


@distinct
class StrayCancelled(NamedTuple):
    """The provider has acknowledged the cancel of a submission that does not count."""

    at: float
    operation: OperationAddress
    submission: int


@distinct
class FateDecided(NamedTuple):
    """A person has decided a submission of unknown fate."""

    at: float
    operation: OperationAddress
    reply: Literal["resubmit", "fail"]


@distinct
class TokenAdvanced(NamedTuple):
    """The operation goes on, with a token that the provider has moved, or with a result that was not there yet to consume."""

    at: float
    operation: OperationAddress
    poll_after: float = 0.0


@distinct
class FetchStarted(NamedTuple):
    """A poll that consumes the result is about to be sent."""

    at: float
    operation: OperationAddress


@distinct
class Fetched(NamedTuple):
    """The result was consumed; what came is committed with this event, not decoded yet."""

    at: float
    operation: OperationAddress


@distinct
class OperationEnded(NamedTuple):
    """The operation has ended, and its activation goes on: it is of another chain than the activation's own, or a turn
    of that which has succeeded and is followed by another one.

    What it gave is committed with this event where it succeeded or is `undecodable`. A cancel that is acknowledged is
    `cancelled`.
    """

    at: float
    operation: OperationAddress
    ending: OperationEnding


@distinct
class GivenUp(NamedTuple):
    """The operation took too long: it is to be cancelled."""

    at: float
    operation: OperationAddress
    reason: Literal["deadline", "queue"]


ActivationEvent: TypeAlias = Succeeded | EdgesDecided | EdgesFailed | AttemptFailed | BackoffEnded | Cancelled
OperationEvent: TypeAlias = (
    SubmissionIntended
    | SubmissionRefused
    | SubmissionUnknown
    | NothingFound
    | Submitted
    | Opened
    | HandleFound
    | StrayCancelled
    | FateDecided
    | TokenAdvanced
    | FetchStarted
    | Fetched
    | OperationEnded
    | GivenUp
)
RunEvent: TypeAlias = RunStarted | PoliciesChanged | RunRetried | CancelRequested
CoreEvent: TypeAlias = RunEvent | ActivationEvent | OperationEvent
"""What `machine.advance` is given, and the journal keeps; people read it there as `engine.event.Event`."""
