"""What takes more than it is given, and functions without parameters.

Never run: `test_face.py` shows it to the type checkers.
"""

from typing import assert_type

from perdure import Prompt, Workflow, node
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


m = Workflow("m", start=planner, end=gather)
m.map(planner, opt, each=lambda p: p.questions)
m.map(planner, anything, each=lambda p: p.questions)
m.collect(opt, gather)
assert_type(m, Workflow[Prompt, str])
nightly = Workflow("nightly", start=names, end=names)
assert_type(nightly, Workflow[object, str])
m.edge(gather, names)
