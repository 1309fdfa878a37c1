"""Plans: how a response will turn out, and its status at a given time.

A plan is made once, when the submission is accepted, and stored. From then on everything is computed from the
plan and the clock: no task generates anything, so a response makes progress with no client connected, while
the simulator is down, and after it was killed. Its JSON lives in `_wire`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._items import FunctionCall, Item, Message, Reasoning
from ._output import output_items
from ._request import Submission
from ._script import Answer, Ending, OnCancel, Quirk, Status

CANCEL_LAG = 1.0
"""Seconds after which a `late` cancel takes effect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything about one response that is fixed when it is accepted. Only a cancel ends it differently."""

    response_id: str
    created_at: float
    """Seconds since the epoch."""
    queued: float
    """Seconds in `queued`."""
    duration: float
    """Seconds from `created_at` to the end."""
    items: tuple[Item, ...]
    ending: Ending
    code: str | None
    """The error's code when failed, the reason when incomplete."""
    message: str | None
    """The error's message when failed."""
    input_tokens: int
    output_tokens: int
    quirks: tuple[Quirk, ...] = ()
    on_cancel: OnCancel = "cancelled"

    @property
    def ends_at(self) -> float:
        return self.created_at + self.duration


def status_at(plan: Plan, cancelled_at: float | None, now: float) -> Status:
    """The status at `now`, given when a cancel was accepted."""
    if (
        cancelled_at is not None
        and now >= cancelled_at
        and plan.on_cancel == "completes"
        and now < plan.ends_at
    ):
        return "cancelled"
    end = stops_at(plan, cancelled_at)
    if now >= end:
        return "cancelled" if end < plan.ends_at else plan.ending
    return "queued" if now < plan.created_at + plan.queued else "in_progress"


def stops_at(plan: Plan, cancelled_at: float | None) -> float:
    """When generation stops, seconds since the epoch: at the end, or when a cancel takes effect."""
    if cancelled_at is None or plan.on_cancel == "completes":
        return plan.ends_at
    return min(plan.ends_at, cancelled_at + (CANCEL_LAG if plan.on_cancel == "late" else 0.0))


def make_plan(
    submission: Submission,
    answer: Answer,
    *,
    response_id: str,
    created_at: float,
    default_duration: float,
    history: Sequence[str] = (),
) -> Plan:
    """Decide what becomes of a submission. The same request, answer and history give the same output."""
    duration = answer.duration if answer.duration is not None else default_duration
    queued = answer.queued if answer.queued is not None else duration / 10
    items = output_items(submission, answer, history, response_id)
    ending, code, message = _ending(answer)
    limit = submission.max_output_tokens
    if limit is not None and ending == "completed" and _tokens(items) > limit:
        items, ending, code = _cut(items, limit), "incomplete", "max_output_tokens"
    if ending in ("failed", "cancelled"):
        items = _cut(items, _tokens(items) // 2)
    prompt = "\n".join([*history, submission.instructions, submission.text])
    return Plan(
        response_id=response_id,
        created_at=created_at,
        queued=min(queued, duration),
        duration=duration,
        items=items,
        ending=ending,
        code=code,
        message=message,
        input_tokens=max(1, -(-len(prompt) // 4)),
        output_tokens=_tokens(items),
        quirks=answer.quirks,
        on_cancel=answer.on_cancel,
    )


def _ending(answer: Answer) -> tuple[Ending, str | None, str | None]:
    match answer.status:
        case "failed":
            return "failed", answer.code, answer.message
        case "incomplete":
            return "incomplete", answer.reason, None
        case "completed" | "cancelled":
            return answer.status, None, None


def _item_tokens(item: Item) -> int:
    match item:
        case Message():
            return len(item.pieces)
        case FunctionCall():
            return -(-len(item.arguments) // 4)
        case Reasoning():
            return 0


def _tokens(items: Sequence[Item]) -> int:
    return sum(_item_tokens(item) for item in items)


def _cut(items: Sequence[Item], limit: int) -> tuple[Item, ...]:
    """The items up to `limit` tokens; calls that don't fit in full are dropped."""
    kept: list[Item] = []
    for item in items:
        remaining = limit - _tokens(kept)
        match item:
            case Message():
                pieces = item.pieces[: max(remaining, 0)]
                kept.append(Message(pieces=pieces, refusal=item.refusal, phase=item.phase))
            case FunctionCall():
                if _item_tokens(item) <= remaining:
                    kept.append(item)
            case Reasoning():
                kept.append(item)
    return tuple(kept)
