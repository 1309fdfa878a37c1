"""Wirings that a type checker must refuse. Never run: `test_wirings.py` shows this file to pyright.

Each line that ends in a `wrong:` comment is one wrong wiring and must be an error; no other line may be one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from perdure.engine import Executor, Run, Workflow
from perdure.nodes import Agent, Context, Node, node

# fmt: off


class Animal: ...
class Dog(Animal): ...


@dataclass
class Review:
    text: str


@dataclass
class Verdict:
    approved: bool


@node
async def plan(topic: str) -> list[str]: return [topic]
@node
def research(question: str) -> str: return question
@node
def review(findings: list[str]) -> Review: return Review("\n".join(findings))
@node
def judge(review: Review) -> Verdict: return Verdict(bool(review.text))
@node(retries=3, timeout=30)
async def publish(verdict: Verdict, ctx: Context) -> str: return ctx.output(review).text
@node
def length(text: str) -> int: return len(text)
@node
def double(number: int) -> int: return number * 2
@node
def half(number: int) -> float: return number / 2
@node
def show(number: float) -> str: return str(number)
@node
def maybe(text: str) -> str | None: return text or None
@node
def walk(dog: Dog) -> str: return str(dog)
@node
def adopt(name: str) -> Animal: return Animal()
@node
def breed(name: str) -> Dog: return Dog()
@node
def feed(animal: Animal) -> str: return str(animal)
@node
def totals(numbers: list[int]) -> int: return sum(numbers)
@node
def letters(text: str) -> tuple[str, ...]: return tuple(text)
@node
def index(text: str) -> dict[str, int]: return {text: 1}
@node
def numbered(text: str) -> list[int]: return [1]
@node
def perhaps_many(text: str) -> list[str] | None: return None
@node
def nested(text: str) -> list[list[str]]: return [[text]]
@node
def pair(given: tuple[str, int]) -> str: return str(given)
@node
def texts(given: tuple[str, ...]) -> str: return str(given)
@node
def triple(given: tuple[str, int, float]) -> str: return str(given)
@node
def quartet(given: tuple[str, int, float, str]) -> str: return str(given)
@node
def octet(given: tuple[int, int, int, int, int, int, int, str]) -> str: return str(given)


agent = Agent("agent", model="o3", instructions="Answer.")


@agent.node
def ask(question: str) -> str: return question
@agent.node(output=Review)
def ask_review(findings: list[str]) -> str: return str(findings)


w = Workflow("w", start=plan, end=publish)


# -- a workflow's ends ------------------------------------------------------------------------------------


one: Workflow[int, str] = Workflow("w", start=plan, end=publish)  # wrong: the run's input is a text
two: Workflow[str, int] = Workflow("w", start=plan, end=publish)  # wrong: the run's result is a text
Workflow("w", start=plan.fn, end=publish)  # wrong: a function is no node
Workflow("w", start="plan", end="publish")  # wrong: names are no nodes
Workflow("w", start=plan)  # wrong: no end
Workflow("w", end=publish)  # wrong: no start
Workflow(start=plan, end=publish)  # wrong: no name
Workflow("w", plan, publish)  # wrong: by name only
Workflow("w", start=plan, end=publish, on_failure="ignore")  # wrong: no such policy
wide: Node[Animal, str] = walk  # wrong: it does not take every animal
narrow: Node[str, Dog] = adopt  # wrong: it does not give dogs only


# -- edge ---------------------------------------------------------------------------------------------------


w.edge(plan, research)  # wrong: a list where a text is due; map is meant
w.edge(research, review)  # wrong: a text where a list is due; collect is meant
w.edge(research, double)  # wrong: text into number
w.edge(length, research)  # wrong: number into text
w.edge(review, publish)  # wrong: Review into Verdict
w.edge(judge, judge)  # wrong: Verdict into Review
w.edge(publish, judge)  # wrong: text into Review
w.edge(maybe, research)  # wrong: None is possible
w.edge(half, double)  # wrong: float into int
w.edge(adopt, walk)  # wrong: any animal into dog
w.edge(numbered, review)  # wrong: list of numbers into list of texts
w.edge(perhaps_many, review)  # wrong: None is possible
w.edge(letters, review)  # wrong: a tuple is no list
w.edge(index, review)  # wrong: a dict is no list
w.edge(nested, review)  # wrong: a list of lists
w.edge(ask_review, publish)  # wrong: the agent's Review into Verdict
w.edge(ask, ask_review)  # wrong: a text into a list
w.edge(plan, ask)  # wrong: a list into a text
w.edge(research, len)  # wrong: a function is no node
w.edge("research", "review")  # wrong: names are no nodes
w.edge(research)  # wrong: no target
w.edge(research, ask, length)  # wrong: two targets
w.edge(source=research, target=length)  # wrong: by position only
w.edge(research, length, when=True)  # wrong: a condition is a function
w.edge(research, length, when=lambda text: text.approved)  # wrong: the condition gets the source's text
w.edge(research, length, when=lambda: True)  # wrong: the condition takes the output
w.edge(research, length, when=lambda text: len(text))  # wrong: the condition says yes or no
w.edge(review, judge, when=lambda it: it.score > 3)  # wrong: no such field
w.edge(research, length, otherwise=False)  # wrong: otherwise is True or left out
w.edge(research, length, when=bool, otherwise=True)  # wrong: one of the two
w.edge(research, length, unless=bool)  # wrong: no such option


async def waits(text: str) -> bool: return bool(text)


w.edge(research, length, when=waits)  # wrong: a condition is no coroutine


# -- map ----------------------------------------------------------------------------------------------------


w.map(research, ask)  # wrong: a text is no list, although it can be iterated
w.map(index, research)  # wrong: a dict is no list, although it can be iterated
w.map(letters, research)  # wrong: a tuple is no list
w.map(perhaps_many, research)  # wrong: None is possible
w.map(plan, double)  # wrong: texts into a number
w.map(numbered, research)  # wrong: numbers into a text
w.map(plan, review)  # wrong: a text into a list
w.map(nested, research)  # wrong: lists into a text
w.map(length, double)  # wrong: a number is no list
w.map(plan, ask_review)  # wrong: a text into a list
w.map(plan, research, concurrency="8")  # wrong: concurrency is a number
w.map(plan, research, 8)  # wrong: concurrency is given by name
w.map(plan, research, when=bool)  # wrong: no condition on a map
w.map(plan, (research, ask))  # wrong: one target


# -- collect ------------------------------------------------------------------------------------------------


w.collect(length, review)  # wrong: numbers into a list of texts
w.collect(research, judge)  # wrong: a list into Review
w.collect(research, length)  # wrong: a list into a text
w.collect(plan, review)  # wrong: lists into a list of texts
w.collect(maybe, review)  # wrong: None is possible
w.collect(research, totals)  # wrong: texts into a list of numbers
w.collect((research, ask), review)  # wrong: one source
w.collect(research, review, concurrency=3)  # wrong: concurrency belongs to a map


# -- join ---------------------------------------------------------------------------------------------------


w.join((length, research), pair)  # wrong: the order of the positions
w.join((research, research), pair)  # wrong: a text for a number
w.join((research, length, half), pair)  # wrong: three sources for two positions
w.join((research, length), triple)  # wrong: two sources for three positions
w.join((research, length), texts)  # wrong: a number among the texts
w.join((maybe, length), pair)  # wrong: None is possible
w.join([research, length], pair)  # wrong: a list loses the positions
w.join((research, length), research)  # wrong: no tuple is taken
w.join((research, length), review)  # wrong: a list is no tuple
w.join((research, length, research), triple)  # wrong: a text for a float
w.join((research, length, half, length), quartet)  # wrong: a number for a text at the last position
w.join((length, length, length, length, length, length, length, length), octet)  # wrong: the eighth of eight
w.join(research, length, pair)  # wrong: the sources are one tuple
w.join((research, "length"), pair)  # wrong: names are no nodes


# -- each, switch, several ends, and what is not built yet --------------------------------------------------


w.map(publish, research, each=lambda text: text.splits())  # wrong: no such method
w.map(publish, double, each=lambda text: text.split())  # wrong: texts into a number
w.map(publish, research, each=lambda text: text)  # wrong: a text is no list, although it can be iterated
w.map(letters, research, each=lambda found: found)  # wrong: a tuple is no list
w.switch(publish, lambda text: text.kind, {"a": research})  # wrong: no such attribute
w.switch(publish, lambda text: text, {"a": double})  # wrong: a text into a number
w.switch(publish, lambda text: [text], {"a": research})  # wrong: a list can't be a key
w.switch(publish, {"a": research})  # wrong: no key
Workflow("w", start=plan, end=(publish, plan.fn))  # wrong: a function is no node
three: Workflow[str, str] = Workflow("w", start=plan, end=(publish, length))  # wrong: the result may be a number
w.first((publish, length), publish)  # wrong: a number into a text
w.catch(publish, research)  # wrong: a failure into a text
w.allow_failure("publish")  # wrong: names are no nodes
w.loop(length, publish, when=bool, max_iterations=3)  # wrong: a number into a text
w.loop(length, publish, when=bool, feed=lambda number: number, max_iterations=3)  # wrong: as above
w.collect(research, review, quorum="most")  # wrong: a quorum is a number


# -- discard ------------------------------------------------------------------------------------------------


w.discard("research")  # wrong: names are no nodes
w.discard(research, length)  # wrong: one at a time
w.discard((research, length))  # wrong: one at a time


# -- @node --------------------------------------------------------------------------------------------------


def two_values(text: str, number: int) -> str: return text * number
def context_first(ctx: Context, text: str) -> str: return text
def by_name(text: str, *, ctx: Context) -> str: return text
def sentence(text: str) -> str: return text


node(two_values)  # wrong: the second is no Context
node(context_first)  # wrong: the Context comes second
node(by_name)  # wrong: the Context comes by position
node("sentence")  # wrong: a function is due
node(sentence, retries=3)  # wrong: options alone, then the function
node(retries="3")  # wrong: a number
node(timeout="30s")  # wrong: seconds
node(output=Review)(sentence)  # wrong: a function gives what it returns
number_node: Node[str, int] = node(sentence)  # wrong: it gives a text
text_node: Node[int, str] = node(sentence)  # wrong: it takes a text


# -- Agent.node -----------------------------------------------------------------------------------------------


def a_number(text: str) -> int: return len(text)
async def a_coroutine(text: str) -> str: return text
def a_list(text: str) -> list[str]: return [text]
def pieces(text: str) -> Iterator[str]: yield text
async def later_pieces(text: str) -> AsyncIterator[str]: yield text


agent.node(a_number)  # wrong: the function gives the prompt, a text
agent.node(a_coroutine)  # wrong: the prompt is made at once
agent.node(a_list)  # wrong: one prompt
agent.node(pieces)  # wrong: no generator
agent.node(later_pieces)  # wrong: no async generator
agent.agent.node(output=Review)(a_number)  # wrong: the function gives the prompt, whatever the output
agent.node(two_values)  # wrong: the second is no Context
agent.node(on_unknown_submit="pray")  # wrong: no such policy
agent.node(background="yes")  # wrong: yes or no
as_text: Node[list[str], str] = ask_review  # wrong: it gives a Review
from_number: Node[int, str] = ask  # wrong: it takes a text


# -- Context.output -------------------------------------------------------------------------------------------


@node
async def reads(text: str, ctx: Context) -> str:
    number: int = ctx.output(research)  # wrong: research gives a text
    verdict: Verdict = ctx.output(review)  # wrong: review gives a Review
    answer: Verdict = ctx.output(ask_review)  # wrong: the agent gives a Review
    filled: str = ctx.output(research, default=None)  # wrong: the default may come
    print(ctx.output(review).approved)  # wrong: no such field
    ctx.output("research")  # wrong: names are no nodes
    ctx.output(sentence)  # wrong: a function is no node
    ctx.output(research, None)  # wrong: the default has a name
    await ctx.output(research)  # wrong: it is there at once
    return f"{text} {number} {verdict} {answer} {filled}"


# -- Executor -------------------------------------------------------------------------------------------------


briefing = Workflow("briefing", start=plan, end=publish)


async def runs(executor: Executor) -> None:
    await executor.start(briefing, 3)  # wrong: a number for a text
    await executor.start(briefing, ["sea otters"])  # wrong: a list for a text
    await executor.start(briefing, None)  # wrong: None for a text
    await executor.start(briefing)  # wrong: no input
    await executor.start("briefing", "sea otters")  # wrong: names are no workflows
    await executor.start(briefing, "sea otters", run_id=7)  # wrong: an id is a text
    wrong_run: Run[int] = await executor.start(briefing, "sea otters")  # wrong: the result is a text
    run = await executor.start(briefing, "sea otters")
    number: int = await run.result()  # wrong: the result is a text
    text: str = run.result()  # wrong: it has to be awaited
    print(wrong_run, number, text)
