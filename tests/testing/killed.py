"""Workflows that are killed everywhere: one that bears it, and some that do not."""

from __future__ import annotations

import os
from pathlib import Path

from perdure.engine import Workflow
from perdure.nodes import Agent, Context, node

agent = Agent("thinker", model="o3")


@node
def split(text: str) -> list[str]:
    return text.split()


@agent.node
def research(word: str) -> str:
    return f"What is {word}?"


@node
async def tell(findings: list[str]) -> str:
    return "; ".join(findings)


sound = Workflow("sound", start=split, end=tell)
sound.map(split, research)
sound.collect(research, tell)


@node
async def stamped(text: str) -> str:
    return f"{text} {os.getpid()}"


@node
def same(text: str) -> str:
    return text


stamping = Workflow("stamping", start=same, end=stamped)
stamping.edge(same, stamped)


@node
def once(folder: str, ctx: Context) -> str:
    """Works only where it was not begun before in this run."""
    Path(folder, ctx.run_id).touch(exist_ok=False)
    return folder


fragile = Workflow("fragile", start=once, end=same)
fragile.edge(once, same)


def answer(prompt: str) -> str:
    return prompt.upper()


def wrong_answer(prompt: str) -> int:
    return 5
