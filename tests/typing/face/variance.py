"""What takes more than it is given, and functions without an input.

Never run: `test_face.py` shows it to the type checkers.
"""

from typing import assert_type

from perdure import Context, Node, Prompt, Workflow, node
from research import planner


@node
def opt(x: str | None) -> str:
    return x or ""


@node
def anything(x: object) -> str:
    return str(x)


@node
def gather(xs: list[str | None]) -> str:
    return ""


@node
def names() -> str:
    return ""  # no input: see the note


@node
async def look(ctx: Context) -> str:
    return ctx.run_id


@node
def peek(ctx: Context) -> int:
    return ctx.attempt


@node(retries=3)
async def stare(ctx: Context) -> str:
    return ctx.run_id


@node(name="glance")
def squint(ctx: Context) -> int:
    return ctx.attempt


@node
async def later(x: object, ctx: Context) -> str:
    return str(x)


m = Workflow("m", start=planner, end=gather)
m.map(planner, opt, each=lambda p: p.questions)
m.map(planner, anything, each=lambda p: p.questions)
m.collect(opt, gather)
assert_type(m, Workflow[Prompt, str])
nightly = Workflow("nightly", start=names, end=names)
assert_type(nightly, Workflow[object, str])
m.edge(gather, names)

watch = Workflow("watch", start=look, end=squint)
assert_type(watch, Workflow[object, int])
watch.edge(look, peek)
watch.edge(peek, stare)
watch.edge(stare, squint)
watch.edge(look, later)
takes_all: Node[object, str] = look
assert_type(anything("x"), str)  # still a function of any value


async def unit(ctx: Context) -> None:
    assert_type(await look(ctx), str)
    assert_type(await stare(ctx), str)
    assert_type(peek(ctx), int)
    assert_type(squint(ctx), int)
