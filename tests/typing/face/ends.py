"""Workflows with alternative ends of different types: their results are unions.

Never run: `test_face.py` shows it to the type checkers.
"""

from typing import assert_type

from perdure import Agent, Prompt, Workflow, node, run_sync
from perdure.engine.graph import as_workflow
from research import planner
from triage import Ticket, page, route, send

sorter = Agent("sorter", model="gpt-5-mini", output=bool)


@node
def number(text: str) -> int:
    return len(text)


@node
def text(value: int) -> str:
    return str(value)


@node
def share(value: int) -> float:
    return value / 2


@node
def nothing(value: int) -> None:
    print(value)


@node
def data(value: int) -> bytes:
    return bytes(value)


one = Workflow("one", start=number, end=(text,))
assert_type(one, Workflow[str, str])
same = Workflow("same", start=route, end=(send, page))
assert_type(same, Workflow[Ticket, str])
either = Workflow("either", start=number, end=(number, text), on_failure="cancel")
assert_type(either, Workflow[str, int | str])
three = Workflow("three", start=number, end=(text, nothing, data))
assert_type(three, Workflow[str, str | None | bytes])
four = Workflow("four", start=sorter, end=(sorter, text, nothing, data))
assert_type(four, Workflow[Prompt, bool | str | None | bytes])
assert_type(run_sync(either, "x"), int | str)
assert_type(either.named("other"), Workflow[str, int | str])
assert_type(as_workflow(either), Workflow[str, int | str])
wider: Workflow[str, int | str | None] = Workflow("wider", start=number, end=(number, text))
nested = Workflow("nested", start=planner, end=(either, share))
assert_type(nested, Workflow[Prompt, int | str | float])
