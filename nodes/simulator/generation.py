"""Answers: what a response will turn out to be, and what it looks like at a moment.

A plan is made once, when the submission is accepted, and stored. From then on everything is computed from the
plan and the clock: no task generates anything, so generation goes on with no client connected, while the
simulator is down, and after it was killed. The JSON of it lives in `wire`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .request import Submission, input_text, item_texts
from .schema import document
from .script import Answer, Call, Ending, OnCancel, Quirk, Status

CANCEL_LAG = 1.0
"""Seconds after which a `late` cancel takes effect."""
_STOP_WORDS = re.compile(
    "about|after|again|also|because|been|before|being|between|both|could|does|each|from|have|here|into|just|like|"
    "made|make|more|most|much|only|other|over|same|should|some|such|than|that|their|them|then|there|these|they|"
    "this|those|through|under|very|were|what|when|where|which|while|will|with|would|your"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """An assistant's message; a refusal when `refusal` is set."""

    pieces: tuple[str, ...]
    refusal: bool = False
    phase: Literal["commentary", "final_answer"] | None = None
    kind: Literal["message"] = "message"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionCall:
    """A call of one of the client's functions."""

    name: str
    arguments: str
    call_id: str
    kind: Literal["function_call"] = "function_call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoning:
    """The empty item that reasoning models send in front."""

    kind: Literal["reasoning"] = "reasoning"


Item: TypeAlias = Message | FunctionCall | Reasoning


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that will ever be seen of one response, but for a cancel."""

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
    """Of the failure, or the reason when incomplete."""
    message: str | None
    """Of the failure."""
    input_tokens: int
    output_tokens: int
    quirks: tuple[Quirk, ...] = ()
    on_cancel: OnCancel = "cancelled"

    @property
    def ends_at(self) -> float:
        return self.created_at + self.duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """An earlier turn of the conversation: what was asked, what came out."""

    text: str
    items: tuple[Item, ...]


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


def compose(
    submission: Submission,
    answer: Answer,
    *,
    response_id: str,
    created_at: float,
    default_duration: float,
    history: Sequence[Turn] = (),
) -> Plan:
    """Decide what becomes of a submission. The same request, answer and history give the same output."""
    duration = answer.duration if answer.duration is not None else default_duration
    queued = answer.queued if answer.queued is not None else duration / 10
    items = _items(submission, answer, history, response_id)
    ending, code, message = _ending(answer)
    limit = submission.max_output_tokens
    if limit is not None and ending == "completed" and _tokens(items) > limit:
        items, ending, code = _cut(items, limit), "incomplete", "max_output_tokens"
    if ending in ("failed", "cancelled"):
        items = _cut(items, _tokens(items) // 2)
    asked = "\n".join([*(turn.text for turn in history), submission.instructions, submission.text])
    return Plan(
        response_id=response_id,
        created_at=created_at,
        queued=min(queued, duration),
        duration=duration,
        items=items,
        ending=ending,
        code=code,
        message=message,
        input_tokens=max(1, -(-len(asked) // 4)),
        output_tokens=_tokens(items),
        quirks=answer.quirks,
        on_cancel=answer.on_cancel,
    )


def split_pieces(text: str) -> tuple[str, ...]:
    """The pieces in which a text is streamed: words with the space in front of them."""
    return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text)) or ((text,) if text else ())


def _ending(answer: Answer) -> tuple[Ending, str | None, str | None]:
    match answer.status:
        case "failed":
            return "failed", answer.code, answer.message
        case "incomplete":
            return "incomplete", answer.reason, None
        case "completed" | "cancelled":
            return answer.status, None, None


def _items(
    submission: Submission, answer: Answer, history: Sequence[Turn], response_id: str
) -> tuple[Item, ...]:
    front: list[Item] = [Reasoning()] if answer.reasoning else []
    phase: Literal["final_answer"] | None = None
    if answer.commentary is not None:
        front.append(Message(pieces=split_pieces(answer.commentary), phase="commentary"))
        phase = "final_answer"
    calls = answer.function_calls or _forced_calls(submission)
    made = tuple(
        FunctionCall(
            name=call.name,
            arguments=call.arguments,
            call_id=call.call_id or "call_" + _digest(f"{response_id} {index}", 24),
        )
        for index, call in enumerate(calls)
    )
    if answer.refusal is not None:
        return (*front, Message(pieces=split_pieces(answer.refusal), refusal=True, phase=phase), *made)
    if answer.pieces is not None:
        pieces = answer.pieces
    elif answer.text is not None:
        pieces = split_pieces(answer.text)
    elif answer.json is not None:
        pieces = split_pieces(json.dumps(answer.json, ensure_ascii=False))
    elif made:
        return (*front, *made)
    else:
        pieces = split_pieces(_write(submission, history))
    return (*front, Message(pieces=pieces, phase=phase), *made)


def _forced_calls(submission: Submission) -> tuple[Call, ...]:
    """The call that `tool_choice` demands, with arguments made from the function's schema."""
    choice = submission.tool_choice
    functions = [tool for tool in submission.tools if tool.get("type") == "function"]
    if isinstance(choice, dict):
        named: object = choice.get("name")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # JSON
        functions = [tool for tool in functions if tool.get("name") == named]
    elif choice != "required":
        return ()
    for tool in functions[:1]:
        parameters = tool.get("parameters")
        schema: dict[str, object] = parameters if isinstance(parameters, dict) else {"type": "object"}  # pyright: ignore[reportUnknownVariableType]  # JSON
        arguments = json.dumps(document(schema, excerpt(submission.text)), ensure_ascii=False)
        return (Call(name=str(tool.get("name")), arguments=arguments),)
    return ()


def excerpt(text: str, length: int = 60) -> str:
    """The first line that says something, cut at a word."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if len(line) <= length:
        return line
    return line[: length - 2].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def _write(submission: Submission, history: Sequence[Turn]) -> str:
    question = submission.text if submission.text.strip() else submission.instructions
    if submission.schema is not None:
        return json.dumps(document(submission.schema, excerpt(question)), ensure_ascii=False)
    said: list[str] = []
    if history:
        said.append(f"Earlier you asked: {_quoted(history[-1].text)}")
    outputs = [
        text
        for item in submission.items
        if item.get("type") == "function_call_output"
        for text in item_texts(item)
    ]
    if outputs:
        said.append("The tools said: " + " ".join(_quoted(output) for output in outputs))
    else:
        said.append(f"You asked: {_quoted(question)}" if question.strip() else "You asked nothing yet.")
    words = re.findall(r"\w+", question.lower())
    weighty = _weighty_words(words)
    if weighty:
        said.append(
            f"In its {len(words)} words it turns mostly on {_listed(weighty)}."
            if len(words) > 1
            else f"It is about {weighty[0]}."
        )
    if submission.instructions.strip() and question is not submission.instructions:
        said.append(f"As instructed (“{excerpt(submission.instructions, 60)}”), the answer is kept short.")
    said.append(f"This is a simulated answer, number {_fingerprint(submission, history)}.")
    return " ".join(said)


def _quoted(text: str) -> str:
    quote = excerpt(text, 120)
    return f"“{quote}”" if quote.endswith((".", "?", "!", "…")) else f"“{quote}”."


def _weighty_words(words: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for word in words:
        if len(word) > 3 and not _STOP_WORDS.fullmatch(word):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: -counts[word])[:3]


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _fingerprint(submission: Submission, history: Sequence[Turn]) -> str:
    """Moves when anything that was asked moves, so that a wrong input can't give the right answer."""
    parts = [submission.model, submission.instructions, submission.text, *(turn.text for turn in history)]
    return _digest("\x1f".join(parts), 8)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


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
    """The items up to `limit` tokens; calls that don't fit whole are dropped."""
    kept: list[Item] = []
    for item in items:
        room = limit - _tokens(kept)
        match item:
            case Message():
                pieces = item.pieces[: max(room, 0)]
                kept.append(Message(pieces=pieces, refusal=item.refusal, phase=item.phase))
            case FunctionCall():
                if _item_tokens(item) <= room:
                    kept.append(item)
            case Reasoning():
                kept.append(item)
    return tuple(kept)


def turn_of(items: tuple[dict[str, object], ...], plan: Plan) -> Turn:
    """A finished submission as history."""
    return Turn(text=input_text(items), items=plan.items)
