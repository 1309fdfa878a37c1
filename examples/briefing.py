"""A briefing on a topic: plan, research each question in parallel, review, edit.

    python -m examples.briefing "sea otters" --run-id otters-1

Kill it whenever you like. The same command, or `perdure resume otters-1 --app examples.briefing:briefing`, goes on
from the last checkpoint: research that is under way at the provider is waited for, not paid for again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from perdure import Agent, Context, Executor, Workflow, node
from pydantic import BaseModel

from examples.provider import provider

researcher = Agent("researcher", model="o3", instructions="You are a research assistant. Be concise.")
reviewer = Agent("reviewer", model="gpt-5", instructions="You judge research notes. Be strict.")
editor = Agent("editor", model="gpt-5", instructions="You write short briefings in plain English.")


class Review(BaseModel):
    """What the reviewer thinks of the findings."""

    summary: str
    strengths: list[str]
    gaps: list[str]


@node
async def plan(topic: str) -> list[str]:
    """The questions to research."""
    return [f"{topic}: {aspect}" for aspect in ("history", "the state of things today", "what comes next")]


@researcher.node
def research(question: str) -> str:
    return f"Investigate: {question}"


@reviewer.node(output=Review)
def review(findings: list[str]) -> str:
    return "Judge these findings:\n\n" + "\n\n".join(findings)


@editor.node
def edit(verdict: Review, ctx: Context) -> str:
    questions = ", ".join(ctx.output(plan))
    return f"Write a briefing on {questions}.\nSummary: {verdict.summary}\nGaps to admit: {'; '.join(verdict.gaps)}"


briefing = Workflow("briefing", start=plan, end=edit)
briefing.map(plan, research, concurrency=8)
briefing.collect(research, review)
briefing.edge(review, edit)


async def main(topic: str, run_id: str | None, db: str) -> None:
    """Start the run, or take it up where it stands."""
    async with Executor(db) as executor:
        run = await executor.start(briefing, topic, run_id=run_id)
        print(f"run {run.id} in {db}", file=sys.stderr)
        async for event in run.events():
            print(f"  {event}", file=sys.stderr)
        print(await run.result())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a briefing on a topic.")
    parser.add_argument("topic", nargs="?", default="sea otters")
    parser.add_argument("--run-id", help="a known id means that run; default: a new one")
    parser.add_argument("--db", default="perdure.db")
    options = parser.parse_args()
    with provider():
        asyncio.run(main(options.topic, options.run_id, options.db))
