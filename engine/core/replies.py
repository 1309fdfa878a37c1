"""What a provider's reply about an operation means. Pure: the reply comes without payloads, as a `Reply`.

A driver asks (`Poll`, `Fetch`, `CancelRemote`, `Find`), says here what came, and gets an event to commit, the command to
decode a result, or `Again`: nothing to commit, ask again later. None: the operation does not wait for this reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from ...checkpoints.records import State
from ._distinct import distinct
from .addresses import OperationAddress
from .commands import Decode
from .events import (
    AttemptFailed,
    Cancelled,
    CoreEvent,
    Ending,
    GivenUp,
    HandleFound,
    NothingFound,
    TokenAdvanced,
)
from .handles import submission_number
from .policy import Policy, backoff, given_up, poll_interval
from .state import Operation

Kind: TypeAlias = Literal[
    "running", "succeeded", "failed", "incomplete", "expired", "cancelled", "asks", "calls"
]
"""What became of the operation, in the provider's reply."""

_AWAITED = (State.WAITING, State.CANCELLING)
_ENDINGS: dict[Kind, Ending] = {
    "failed": "failed",
    "incomplete": "incomplete",
    "expired": "expired",
    "cancelled": "cancelled",
    "asks": "failed",  # nobody can answer it
    "calls": "failed",  # nobody can make them
}


@distinct
class Reply(NamedTuple):
    """A provider's reply about an operation."""

    kind: Kind
    retryable: bool = False
    """Of one that failed: a new operation may succeed."""
    retry_after: float | None = None
    """Of one that runs: the seconds that the provider wants to be left alone."""
    queued: bool = False
    conclusive: bool = True
    """Whether the reply said anything about the operation at all."""
    moved: bool = False
    """Whether it has another token now."""


@distinct
class Again(NamedTuple):
    """Nothing is to be committed: ask again after so many seconds."""

    after: float


ReplyMeaning: TypeAlias = CoreEvent | Decode | Again | None
"""What is to be done about it; None: nothing, the operation does not wait for that reply."""


def after_poll(
    policy: Policy, address: OperationAddress, operation: Operation, reply: Reply, at: float, jitter: float
) -> ReplyMeaning:
    """What the reply to a poll, or to the fetching of a result, means."""
    if operation.state not in _AWAITED or operation.has_outcome:
        return None
    if reply.kind != "running":
        return after_end(address, reply, at, jitter)
    age = _age(operation, at)
    if reply.conclusive and operation.state is State.WAITING:
        reason = given_up(policy, age, queued=reply.queued)
        if reason is not None:
            return GivenUp(at, address, reason)
    wait = poll_interval(policy, age, jitter) if reply.retry_after is None else reply.retry_after
    if (
        reply.moved or operation.detail == "fetching"
    ):  # it was not there yet: that it is fetched is taken back
        return TokenAdvanced(at, address, wait)
    return Again(wait)


def after_cancel(
    policy: Policy,
    address: OperationAddress,
    operation: Operation,
    reply: Reply,
    at: float,
    jitter: float,
    *,
    since: float,
    decodable: bool,
) -> ReplyMeaning:
    """What the reply to a cancel means, which is sent since that moment. Whatever is not `running` acknowledges it.

    An operation that had succeeded before has, if its result can be decoded here.
    """
    if operation.state is not State.CANCELLING:
        return None
    if reply.kind == "running":
        wait = poll_interval(policy, at - since, jitter) if reply.retry_after is None else reply.retry_after
        return Again(wait)
    given_up_ = operation.detail in ("deadline", "queue") and reply.kind == "expired"
    if reply.kind in ("cancelled", "asks") or given_up_ or not decodable:
        return cancelled(address, at, jitter)
    return after_end(address, reply, at, jitter)


def cancelled(address: OperationAddress, at: float, jitter: float) -> Cancelled:
    """The operation is cancelled, or can't be."""
    return Cancelled(at, address.address, jitter, address)


def after_look(
    address: OperationAddress,
    operation: Operation,
    found: Sequence[str] | None,
    retry_after: float | None,
    at: float,
    jitter: float,
) -> Sequence[HandleFound] | NothingFound | Again | None:
    """What a look-up means: these handles were `found`, none was, or it was inconclusive (None).

    The first that was found is adopted. Each of the others counts as a submission of its own, to be cancelled.
    """
    if operation.state is not State.SUBMIT_UNKNOWN:
        return None
    if found is None:
        return Again(backoff(operation.unknown, jitter) if retry_after is None else retry_after)
    if not found:
        return NothingFound(at, address, jitter)
    handles = dict(operation.handles)
    events: list[HandleFound] = []
    for handle in found:
        number = submission_number(handle, None, handles, operation.submission)
        handles[number] = handle
        events.append(HandleFound(at, address, number, "found", handle))
    return events


def after_end(address: OperationAddress, reply: Reply, at: float, jitter: float) -> Decode | AttemptFailed:
    """What the end of an operation means, whoever tells of it."""
    if reply.kind == "succeeded":
        return Decode(address)
    assert reply.kind != "running"
    retryable = reply.kind == "failed" and reply.retryable
    return AttemptFailed(at, address.address, jitter, _ENDINGS[reply.kind], retryable, None, address)


def _age(operation: Operation, at: float) -> float:
    return at - (at if operation.accepted_at is None else operation.accepted_at)
