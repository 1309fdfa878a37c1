"""The workflows that are killed. Built anew in each process, around the client and the effects file of that process.

`briefing` has all that a run can be caught in: plain functions in threads and async ones, a map over agents with
functions around them, a join of three, an edge that is not taken, a function that fails and is tried again, and
a structured answer at the end. `errand` fails beside an agent that takes long.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Literal

from perdure.engine import Workflow
from perdure.nodes import Context, node

from .desk import Desk
from .small import SMALL_WORKFLOWS

NONE = 0
"""Retries of agents: neither a crash nor a submission of unknown fate uses one up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What the reviewer answers with."""

    text: str
    score: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """What was gathered of the findings."""

    lines: list[str]
    words: int


def briefing(desk: Desk) -> Workflow[str, str]:
    """plan → (sharpen → research → note) per question → gather → polish; outline beside; all joined in review."""
    researcher, editor = desk.agent("researcher"), desk.agent("editor")

    @node
    def plan(topic: str, ctx: Context) -> list[str]:
        desk.note(ctx)
        time.sleep(desk.option("plan_seconds"))
        return [f"{topic}: question {number}" for number in range(4)]

    @node
    async def sharpen(question: str, ctx: Context) -> str:
        desk.note(ctx)
        return f"{question}, in short"

    @researcher.node(name="research", retries=NONE)
    def research(question: str) -> str:
        return f"Investigate: {question}"

    @node
    def note(finding: str, ctx: Context) -> str:
        desk.note(ctx)
        return f"- {finding}"

    @node
    async def gather(notes: list[str], ctx: Context) -> Digest:
        desk.note(ctx)
        await asyncio.sleep(desk.option("gather_seconds"))
        return Digest(lines=notes, words=sum(len(line.split()) for line in notes))

    @node(retries=3)
    async def polish(digest: Digest, ctx: Context) -> str:
        desk.note(ctx)
        if ctx.attempt == 1:
            raise RuntimeError("The first attempt always fails.")
        return "\n".join(digest.lines)

    @node
    async def apologize(digest: Digest, ctx: Context) -> str:
        desk.note(ctx)
        return f"Nothing was found in {digest.words} words."

    @editor.node(name="outline", retries=NONE)
    def outline(questions: list[str]) -> str:
        return "Outline: " + "; ".join(questions)

    @editor.node(output=Review, name="review", retries=NONE)
    def review(parts: tuple[str | None, str | None, str]) -> str:
        return "Judge: " + " / ".join(part or "nothing" for part in parts)

    @node
    async def publish(judged: Review, ctx: Context) -> str:
        desk.note(ctx)
        return json.dumps([judged.text, judged.score, ctx.output(gather).words, ctx.output(outline)])

    workflow = Workflow("briefing", start=plan, end=publish)
    workflow.map(plan, sharpen, concurrency=3)
    workflow.edge(sharpen, research)
    workflow.edge(research, note)
    workflow.collect(note, gather)
    workflow.edge(gather, polish, when=lambda digest: digest.words > 0)
    workflow.edge(gather, apologize, otherwise=True)
    workflow.edge(plan, outline)
    workflow.join((polish, apologize, outline), review)
    workflow.edge(review, publish)
    return workflow


SUBMISSIONS = {
    "research[0]": 1,
    "research[1]": 1,
    "research[2]": 1,
    "research[3]": 1,
    "outline": 1,
    "review": 1,
}
"""What an undisturbed briefing submits."""


def errand(desk: Desk) -> Workflow[str, str]:
    """Two long agents beside a function that fails as long as the scenario says so; then all are joined."""
    helper = desk.agent("helper")

    @node
    async def begin(topic: str, ctx: Context) -> str:
        desk.note(ctx)
        return topic

    @helper.node(name="dig")
    def dig(topic: str) -> str:
        return f"Dig: {topic}"

    @helper.node(name="search")
    def search(topic: str) -> str:
        return f"Search: {topic}"

    @node
    async def check(topic: str, ctx: Context) -> str:
        desk.note(ctx)
        # Both agents are at work by then. The store counts what it commits; there is no event to wait for.
        while desk.seen["submitted"] < 2 and not desk.seen["claim"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if desk.option("check_fails"):
            raise RuntimeError(f"{topic} can't be checked.")
        return f"{topic} is checked"

    @node
    async def report(parts: tuple[str, str, str], ctx: Context) -> str:
        desk.note(ctx)
        return " / ".join(parts)

    on_failure: Literal["finish", "cancel"] = "finish" if desk.option("finish") else "cancel"
    workflow = Workflow("errand", start=begin, end=report, on_failure=on_failure)
    workflow.edge(begin, dig)
    workflow.edge(begin, search)
    workflow.edge(begin, check)
    workflow.join((dig, search, check), report)
    return workflow


def question(desk: Desk) -> Workflow[str, str]:
    """One agent between two functions: where exactly one submission is looked at."""
    oracle = desk.agent("oracle")

    @node
    def ask(topic: str, ctx: Context) -> str:
        desk.note(ctx)
        time.sleep(desk.option("ask_seconds"))
        return topic

    @oracle.node(name="answer", on_unknown_submit=desk.on_unknown_submit)
    def answer(topic: str) -> str:
        return f"Answer: {topic}"

    @node(retries=2)
    async def tell(text: str, ctx: Context) -> str:
        desk.note(ctx)
        await asyncio.sleep(desk.option("tell_seconds"))
        if ctx.attempt <= desk.option("tell_fails"):
            raise RuntimeError("Not yet.")
        return f"told: {text}"

    workflow = Workflow("question", start=ask, end=tell)
    workflow.edge(ask, answer)
    workflow.edge(answer, tell)
    return workflow


def faulty(desk: Desk) -> Workflow[str, str]:
    """Whatever can go wrong with the code of a workflow, by the scenario's options."""
    oracle = desk.agent("oracle")

    @node
    async def first(topic: str, ctx: Context) -> list[str]:
        desk.note(ctx)
        if desk.option("bad_node"):
            raise RuntimeError(f"first can't {topic}")
        return [topic, object()] if desk.option("bad_value") else [topic]  # type: ignore[list-item]  # the point

    def wanted(topics: list[str]) -> bool:
        if desk.option("bad_when"):
            raise ValueError(f"nobody knows of {len(topics)} topics")
        return True

    @oracle.node(name="answer")
    def answer(topics: list[str]) -> str:
        if desk.option("bad_prompt"):
            raise KeyError(topics[0])
        return f"Answer: {topics}"

    @node
    async def shrug(topics: list[str], ctx: Context) -> str:
        desk.note(ctx)
        return f"nobody wants {len(topics)} topics"

    @node
    async def last(text: str, ctx: Context) -> str:
        desk.note(ctx)
        return text

    workflow = Workflow("faulty", start=first, end=last)
    workflow.edge(first, answer, when=wanted)
    workflow.edge(first, shrug, otherwise=True)
    workflow.edge(shrug, last)
    workflow.edge(answer, last)
    return workflow


WORKFLOWS = {
    "briefing": briefing,
    "errand": errand,
    "question": question,
    "faulty": faulty,
    **SMALL_WORKFLOWS,
}
