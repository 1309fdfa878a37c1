"""Many rows, each as an activation or all of them as one batch of the provider.

Never run: `test_face.py` shows it to the type checkers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, assert_type

from perdure import Agent, Context, Failure, Node, Workflow, node, run_sync


@dataclass
class Row:
    id: str
    text: str


@dataclass
class Label:
    label: Literal["spam", "ham"]
    why: str


classifier = Agent("classifier", model="gpt-5-mini", output=Label)


@node
def load(path: str) -> list[Row]:
    return [Row("1", path)]


# A: one activation per item, in the provider's discounted window
@classifier.node(completion_window="8h", retries=2)
def classify(row: Row) -> str:
    return row.text


@node
def count(labels: list[Label]) -> dict[str, int]:
    return Counter[str](label.label for label in labels)


a = Workflow("window", start=load, end=count)
a.map(load, classify)
a.allow_failure(classify)
a.collect(classify, count)


# B: one provider batch
@classifier.batch()
def classify_all(row: Row) -> str:
    return row.text


@node
def count_all(labels: list[Label | Failure], ctx: Context) -> dict[str, int]:
    rows = ctx.output(load)
    bad = [row.id for row, x in zip(rows, labels, strict=True) if isinstance(x, Failure)]
    return {"bad": len(bad)}


b = Workflow("batch", start=load, end=count_all)
b.edge(load, classify_all)
b.edge(classify_all, count_all)
assert_type(classify_all, Node[list[Row], list[Label | Failure]])
assert_type(run_sync(b, "rows.csv"), dict[str, int])
