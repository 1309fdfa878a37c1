"""The output of a response: scripted, or a text or JSON document derived from the prompt.

There is no model and no randomness: the same prompt, instructions and history give the same output.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Literal

from ._items import FunctionCall, Item, Message, Reasoning
from ._request import Submission, is_object, item_texts
from ._schema import document
from ._script import Answer, Call

_STOP_WORDS = re.compile(
    "about|after|again|also|because|been|before|being|between|both|could|does|each|from|have|here|into|just|like|"
    "made|make|more|most|much|only|other|over|same|should|some|such|than|that|their|them|then|there|these|they|"
    "this|those|through|under|very|were|what|when|where|which|while|will|with|would|your"
)


def output_items(
    submission: Submission, answer: Answer, history: Sequence[str], response_id: str
) -> tuple[Item, ...]:
    """All output items, in full. `history` holds the prompts of the turns before."""
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
        pieces = split_pieces(_answer_text(submission, history))
    return (*front, Message(pieces=pieces, phase=phase, annotations=answer.annotations), *made)


def _forced_calls(submission: Submission) -> tuple[Call, ...]:
    """The call that `tool_choice` demands, with arguments made from the function's schema."""
    choice = submission.tool_choice
    functions = [tool for tool in submission.tools if tool.get("type") == "function"]
    if is_object(choice):
        functions = [tool for tool in functions if tool.get("name") == choice.get("name")]
    elif choice != "required":
        return ()
    for tool in functions[:1]:
        parameters = tool.get("parameters")
        schema = parameters if is_object(parameters) else {"type": "object"}
        arguments = json.dumps(document(schema, excerpt(submission.text)), ensure_ascii=False)
        return (Call(name=str(tool.get("name")), arguments=arguments),)
    return ()


def excerpt(text: str, length: int = 60) -> str:
    """The first line that is not blank, cut at a word boundary to at most `length` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if len(line) <= length:
        return line
    return line[: length - 2].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def _answer_text(submission: Submission, history: Sequence[str]) -> str:
    question = submission.text if submission.text.strip() else submission.instructions
    if submission.schema is not None:
        topic = excerpt(question)
        if topic != question.strip():  # so that a change after the excerpt shows too
            topic = f"{topic.rstrip(' :…')} ({_fingerprint(submission, history)})"
        return json.dumps(document(submission.schema, topic), ensure_ascii=False)
    said: list[str] = []
    if history:
        said.append(f"Earlier you asked: {_quoted(history[-1])}")
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
    frequent = _frequent_words(words)
    if frequent:
        said.append(
            f"In its {len(words)} words it turns mostly on {_listed(frequent)}."
            if len(words) > 1
            else f"It is about {frequent[0]}."
        )
    if submission.instructions.strip() and question is not submission.instructions:
        said.append(f"As instructed (“{excerpt(submission.instructions, 60)}”), the answer is kept short.")
    said.append(f"This is a simulated answer, number {_fingerprint(submission, history)}.")
    return " ".join(said)


def _quoted(text: str) -> str:
    quote = excerpt(text, 120)
    return f"“{quote}”" if quote.endswith((".", "?", "!", "…")) else f"“{quote}”."


def _frequent_words(words: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for word in words:
        if len(word) > 3 and not _STOP_WORDS.fullmatch(word):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: -counts[word])[:3]


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _fingerprint(submission: Submission, history: Sequence[str]) -> str:
    """Changes when anything in the request changes, so that a wrong input can't give the right answer."""
    parts = [submission.model, submission.instructions, submission.text, *history]
    return _digest("\x1f".join(parts), 8)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def split_pieces(text: str) -> tuple[str, ...]:
    """The pieces in which a text is streamed: words with the space before them."""
    return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text)) or ((text,) if text else ())
