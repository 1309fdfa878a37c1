"""The workflows of these tests. The command line loads this very file, with `--app apps:ALL`."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from perdure.engine import Workflow
from perdure.nodes import Agent, Polling, node, timer

QUICK = Polling(first=0.1, cap=0.2)

researcher = Agent("researcher", model="o3", polling=QUICK)


@node
async def plan(topic: str) -> list[str]:
    return [f"{topic}: history", f"{topic}: today"]


@researcher.node
def research(question: str) -> str:
    return f"Investigate: {question}"


@node
async def edit(findings: list[str]) -> str:
    return f"{len(findings)} findings"


briefing = Workflow("briefing", start=plan, end=edit)
briefing.map(plan, research, concurrency=8)
briefing.collect(research, edit)


@node
async def ask(topic: str) -> str:
    return topic


@researcher.node(on_unknown_submit="hold")
def look(topic: str) -> str:
    return f"Look at {topic}"


@node
async def count(text: str) -> dict[str, int]:
    return {"characters": len(text)}


asking = Workflow("asking", start=ask, end=count)
asking.edge(ask, look)
asking.edge(look, count)


@node
async def topics(names: list[str]) -> list[str]:
    return names


@node
async def number(texts: list[str]) -> int:
    return len(texts)


choosing = Workflow("choosing", start=topics, end=number)
choosing.map(topics, look)
choosing.collect(look, number)


@node
def open_the_file(name: str) -> str:
    return Path(os.environ.get("PERDURE_TEST_FOLDER", "."), name).read_text(encoding="utf-8")


@node
async def shout(text: str) -> str:
    return text.upper()


reading = Workflow("reading", start=open_the_file, end=shout)
reading.edge(open_the_file, shout)


@node
async def split_the_document_into_sections_of_a_reasonable_length(number: int) -> list[int]:
    return list(range(number))


@node
async def check_each_section_for_claims_that_want_a_source(number: int) -> int:
    if number % 400 == 7:
        raise ValueError(f"section {number} is empty\n\x1b[31m" + "and that is too bad " * 20)
    return number


@node
async def is_long(numbers: list[int]) -> int:
    return len(numbers)


@node
async def keep(number: int) -> int | None:
    return number


@node
async def shorten(number: int) -> int | None:
    return number


@node
async def report(parts: tuple[int | None, int | None]) -> str:
    return str(parts)


sections = Workflow(
    "sections", start=split_the_document_into_sections_of_a_reasonable_length, end=report, on_failure="finish"
)
sections.map(
    split_the_document_into_sections_of_a_reasonable_length, check_each_section_for_claims_that_want_a_source
)
sections.collect(check_each_section_for_claims_that_want_a_source, is_long)
sections.edge(is_long, keep, when=lambda number: number < 5)
sections.edge(is_long, shorten, otherwise=True)
sections.join((keep, shorten), report)


@node(retries=1)
async def stumble(number: int) -> int:
    raise ValueError("not yet")


stumbling = Workflow("stumbling", start=stumble, end=keep)
stumbling.edge(stumble, keep)


@node
async def doze(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


dozing = Workflow("dozing", start=doze, end=shout)
dozing.edge(doze, shout)


@timer
def pause(text: str) -> timedelta:
    return timedelta(hours=1)


pausing = Workflow("pausing", start=pause, end=shout)
pausing.edge(pause, shout)

STEERING = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\r\x08"


@node
async def echo(text: str) -> str:
    return text + STEERING


@node
async def swear(text: str) -> str:
    raise ValueError(text)


swearing = Workflow("swearing", start=echo, end=swear)
swearing.edge(echo, swear)
echoing = Workflow("echoing", start=ask, end=echo)
echoing.edge(ask, echo)

ALL: list[Workflow[Any, Any]] = [
    briefing,
    asking,
    choosing,
    reading,
    sections,
    stumbling,
    dozing,
    pausing,
    swearing,
    echoing,
]
ONE = briefing
NOTHING: list[Workflow[str, str]] = []
NUMBER = 42
