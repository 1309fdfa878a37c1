"""Wirings that a type checker must take, and what it must infer. Never run: `test_wirings.py` shows it to pyright.

The comment after each `reveal_type` is the type that pyright has to reveal.
"""

from __future__ import annotations

from typing import NamedTuple, reveal_type

from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.engine.graph import as_workflow
from perdure.nodes import Agent, Context, Node, node


class Review(NamedTuple):
    text: str
    approved: bool


class Animal: ...


class Dog(Animal): ...


researcher = Agent("researcher", model="o3", instructions="You are a research assistant. Be concise.")
editor = Agent("editor", model="gpt-5", instructions="You edit drafts.")


@node
async def plan(topic: str) -> list[str]:
    return [f"{topic}: history", f"{topic}: today"]


@researcher.node
def research(question: str) -> str:
    return f"Investigate: {question}"


@editor.node(output=Review)
def review(findings: list[str]) -> str:
    return "Judge these findings:\n" + "\n".join(findings)


@editor.node(background=False)
def rewrite(review: Review, ctx: Context) -> str:
    return f"{ctx.run_id}: write it again: {review.text}"


@node(retries=3, timeout=30)
async def publish(text: str, ctx: Context) -> str:
    reveal_type(ctx.output(review))  # Review
    reveal_type(ctx.output(research, default=None))  # str | None
    return ctx.output(review).text + text


@node
def length(text: str, ctx: Context) -> int:
    return len(text) + ctx.attempt


@node
def half(number: int) -> float:
    return number / 2


@node
def maybe(text: str) -> str | None:
    return text or None


@node
def pair(given: tuple[str, int]) -> str:
    return str(given)


@node
def texts(given: tuple[str | None, ...]) -> str:
    return str(given)


@node
def octet(given: tuple[str, int, str, int, str, int, str, int]) -> str:
    return str(given)


@node
def breed(name: str) -> Dog:
    return Dog()


@node
def feed(animal: Animal) -> str:
    return str(animal)


@node
def anything(value: object) -> None:
    print(value)


reveal_type(plan)  # FunctionNode[str, (str), list[str], Coroutine[Any, Any, list[str]]]
reveal_type(research)  # PromptNode[str, (str), str]
reveal_type(review)  # PromptNode[list[str], (list[str]), Review]
reveal_type(rewrite)  # PromptNode[Review, (Review, Context), str]
reveal_type(publish)  # FunctionNode[str, (str, Context), str, Coroutine[Any, Any, str]]
reveal_type(length)  # FunctionNode[str, (str, Context), int, int]
reveal_type(maybe)  # FunctionNode[str, (str), str | None, str | None]
reveal_type(length.named("other"))  # FunctionNode[str, (str, Context), int, int]

briefing = Workflow("briefing", start=plan, end=publish)
reveal_type(briefing)  # Workflow[str, str]
briefing.map(plan, research, concurrency=8)
briefing.collect(research, review)
briefing.edge(review, rewrite, when=lambda review: not review.approved)
briefing.edge(rewrite, publish)
briefing.discard(review)
reveal_type(briefing.check())  # Workflow[str, str]

choice = Workflow("choice", start=length, end=(publish, maybe))
reveal_type(choice)  # Workflow[str, str | None]
choice.switch(publish, lambda text: text[:1], {"a": research, "b": length})
choice.map(review, research, each=lambda review: review.text.split(), concurrency=2)
choice.map(publish, feed, each=lambda text: [Dog()])
choice.loop(
    length, research, when=lambda number: number < 3, feed=lambda number: str(number), max_iterations=3
)
choice.first((maybe, research), anything)
reveal_type(choice.as_child_run())  # Node[str, str | None]
reveal_type(as_workflow(length))  # Workflow[str, int]
reveal_type(briefing.named("other"))  # Workflow[str, str]

shapes = Workflow("shapes", start=breed, end=anything, on_failure="finish")
reveal_type(shapes)  # Workflow[str, None]
shapes.edge(breed, feed)
shapes.edge(feed, length, when=str.isalpha)
shapes.edge(feed, maybe, otherwise=True)
shapes.edge(length, half)
shapes.join((feed, length), pair)
shapes.join((feed, maybe, pair), texts)
shapes.join((feed, length, feed, length, feed, length, feed, length), octet)
shapes.join((feed, length), anything)
shapes.edge(length, anything)

wider: Node[Dog, object] = feed
child: Node[str, str] = briefing


async def main() -> None:
    async with Executor(SQLiteStore("perdure.db"), workflows=[briefing, shapes]) as executor:
        run = await executor.start(briefing, "sea otters", run_id="otters-1")
        reveal_type(run)  # Run[str]
        reveal_type(await run.result())  # str
        reveal_type(await (await executor.start(shapes, "Rex")).result())  # None
