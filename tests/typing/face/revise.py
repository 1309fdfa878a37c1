"""Draft and grade until it is good enough, as a graph and as a plain loop.

Never run: `test_face.py` shows it to the type checkers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_type

from perdure import Agent, Context, Workflow, node, run, run_sync


@dataclass
class Grade:
    score: int
    feedback: str


@dataclass
class Draft:
    text: str
    grade: Grade | None = None


author = Agent("author", model="gpt-5")
judge = Agent("judge", model="o3", output=Grade)


# as a graph: the state has to be threaded by hand
@author.node(name="draft", continues="self")
def draft(brief: str, ctx: Context) -> str:
    grade = ctx.previous(check, default=None)
    assert_type(grade, Grade | None)
    return brief if grade is None else f"Improve: {grade.feedback}"


@judge.node
def check(text: str) -> str:
    return f"Grade:\n{text}"


@node
def done(grade: Grade, ctx: Context) -> str:
    return ctx.output(draft)


revision = Workflow("revise", start=draft, end=done)
revision.edge(draft, check)
revision.loop(
    check, draft, when=lambda grade: grade.score < 8, feed=lambda grade: grade.feedback, max_iterations=4
)
revision.edge(check, done)
assert_type(revision, Workflow[str, str])


# as a plain loop
@node
async def revise(brief: str, ctx: Context) -> Draft:
    prompt = brief
    text = ""
    for i in range(4):
        text = await ctx.ask(author, prompt, key=f"draft-{i}")
        grade = await ctx.ask(judge, f"Grade:\n{text}", key=f"grade-{i}")
        if grade.score >= 8:
            return Draft(text, grade)
        prompt = f"Improve: {grade.feedback}"
    a, b = await asyncio.gather(ctx.ask(author, "a", key="a"), ctx.ask(judge, "b", key="b"))
    assert_type(a, str)
    assert_type(b, Grade)
    return Draft(text)


plain = Workflow("revise_plainly", start=revise, end=revise)


async def main() -> None:
    assert_type(await run(plain, "otters"), Draft)


assert_type(run_sync(plain, "otters", run_id="x"), Draft)
