"""A provider's outcome, told to the core without its payloads, and what the core makes of it with them again."""

from __future__ import annotations

from typing import assert_never

from ...checkpoints.codec import pack
from ...nodes.errors import OperationError
from ...nodes.operations.outcomes import (
    Asks,
    Calls,
    Cancelled,
    Expired,
    Failed,
    Incomplete,
    Outcome,
    Running,
    Succeeded,
)
from ...nodes.operations.tokens import ContinuationToken
from ..core import events
from ..core.book import Change
from ..core.commands import Decode
from ..core.replies import Again, Reply, ReplyMeaning
from ._changes import decoded, failed, is_final
from ._shared import OwnedRun, Work


def reply_of(outcome: Outcome, token: ContinuationToken | None = None) -> Reply:
    """The outcome as the core sees it. `token` is the one that was asked with."""
    match outcome:
        case Running():
            return Reply(
                "running",
                retry_after=outcome.retry_after,
                queued=outcome.status == "queued",
                conclusive=outcome.problem is None,
                moved=outcome.token != token,
            )
        case Succeeded():
            return Reply("succeeded")
        case Failed():
            return Reply("failed", retryable=outcome.retryable)
        case Incomplete():
            return Reply("incomplete")
        case Expired():
            return Reply("expired")
        case Cancelled():
            return Reply("cancelled")
        case Asks():
            return Reply("asks")
        case Calls():
            return Reply("calls")
        case _:
            assert_never(outcome)


async def change_of(
    owned: OwnedRun, work: Work, meaning: ReplyMeaning, outcome: Outcome, *, stored: bool = False
) -> Change | None:
    """What the core says that the outcome means, with the payloads that belong to it.

    `stored`: what the provider gave is kept already.
    """
    usage = _usage_of(outcome)
    match meaning:
        case None | Again():
            return None
        case Decode(operation):
            assert isinstance(outcome, Succeeded), f"{operation} has no result: {outcome!r}"
            return await decoded(owned, work, operation, outcome.value, usage=usage, stored=stored)
        case events.TokenAdvanced():
            assert isinstance(outcome, Running)
            data = outcome.token.to_dict()
            return Change(meaning, operation={"token": pack(data)}, note={"token": data})
        case events.AttemptFailed():
            error = _error_of(outcome)
            if meaning.retryable and is_final(owned, meaning.address, error):
                meaning = meaning._replace(retryable=False)
            return failed(meaning, error, usage=usage)
        case _:
            return Change(meaning, submission=None if usage is None else {"usage": usage})


def _usage_of(outcome: Outcome) -> bytes | None:
    if isinstance(outcome, Running | Asks) or not outcome.usage:
        return None
    return pack(dict(outcome.usage))


def _error_of(outcome: Outcome) -> OperationError:
    match outcome:
        case Failed() | Incomplete() | Expired() | Cancelled():
            return outcome.error
        case Asks(question=question):
            return OperationError(
                f"The provider waits for an input, which this node can't give: {question}", code="needs_input"
            )
        case Calls(calls=calls):
            names = ", ".join(call.name for call in calls)
            return OperationError(
                f"The provider asks for calls that this node can't make: {names}", code="needs_calls"
            )
        case Running() | Succeeded():
            raise AssertionError(f"{outcome!r} is no failure")
        case _:
            assert_never(outcome)
