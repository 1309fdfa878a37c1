"""How maps with `each`, switches and several ends are shown, of runs that took each way through them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from perdure.checkpoints.sqlite import SQLiteStore
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import node

from .console import Console


@node
def read(text: str) -> str:
    return text


@node
def take(text: str) -> str:
    return text


@node
def measure(word: str) -> int:
    return len(word)


@node
def add(numbers: list[int]) -> int:
    return sum(numbers)


@node
def refuse(text: str) -> str:
    return f"no: {text}"


def kind(text: str) -> str:
    return text.partition(":")[0]


def words(text: str) -> list[str]:
    return text.partition(":")[2].split()


sums = Workflow("sums", start=read, end=(add, refuse))
sums.switch(read, kind, {"list": take, "rude": refuse, "odd": refuse})
sums.map(take, measure, each=words)
sums.collect(measure, add)

RUNS = {"listed": "list: a bb ccc", "refused": "odd: x", "lost": "else: x", "empty": "list:"}


async def _make(db: Path) -> None:
    async with Executor(SQLiteStore(db)) as executor:
        for run_id, text in RUNS.items():
            run = await executor.start(sums, text, run_id=run_id)
            try:
                await run.result()
            except RunFailedError:
                assert run_id == "lost"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console on a database with these runs, without the program that made them."""
    folder = tmp_path_factory.mktemp("constructs")
    db = folder / "perdure.db"
    asyncio.run(_make(db))
    return Console(folder, PERDURE_DB=str(db))


def rows(shown: Console, run_id: str) -> list[tuple[str, str]]:
    """Activation and state, as `show` has them in its table."""
    text = shown.run("show", run_id).out
    return re.findall(r"^(\S+) +(succeeded|skipped|failed) +\d+ (?:s|min) *$", text, re.MULTILINE)


def test_show_has_the_list_of_a_map_with_each_as_a_row_before_its_items(shown: Console) -> None:
    assert rows(shown, "listed") == [
        ("read", "succeeded"),
        ("refuse", "skipped"),
        ("take", "succeeded"),
        ("measure.items", "succeeded"),
        ("measure[0]", "succeeded"),
        ("measure[1]", "succeeded"),
        ("measure[2]", "succeeded"),
        ("add", "succeeded"),
    ]
    made = [
        one for one in shown.run("show", "listed", "-o", "json").json["activations"] if one["kind"] == "each"
    ]
    assert [(one["activation"], one["path"]) for one in made] == [("measure.items", [])]


def test_show_of_an_empty_list_has_no_item_and_goes_on(shown: Console) -> None:
    assert ("measure.items", "succeeded") in rows(shown, "empty")
    assert ("add", "succeeded") in rows(shown, "empty")
    assert "measure[" not in shown.run("show", "empty").out
    assert "for each item of take: 0 items" in shown.run("graph", "empty").out


def test_show_of_a_run_with_several_ends_gives_the_result_of_the_one_that_was_reached(shown: Console) -> None:
    assert [shown.run("show", name, "-o", "json").json["result"] for name in RUNS] == [
        6,
        "no: odd: x",
        None,
        0,
    ]
    assert shown.run("show", "listed").out.rstrip().endswith("result\n  6")
    assert shown.run("show", "refused").out.rstrip().endswith("result\n  no: odd: x")
    assert rows(shown, "refused") == [
        ("read", "succeeded"),
        ("refuse", "succeeded"),
        ("take", "skipped"),
        ("measure.items", "skipped"),
        ("add", "skipped"),
    ]


def test_show_tells_that_a_switch_has_no_case_and_which_it_has(shown: Console) -> None:
    text = " ".join(shown.run("show", "lost").out.split())
    assert "its switch has no case for 'else', only for 'list', 'rude', 'odd'. Add the case" in text
    assert "perdure retry lost" in text
    assert rows(shown, "lost") == [("read", "succeeded")]


def test_the_graph_names_each_case_and_marks_all_ends(shown: Console) -> None:
    assert shown.run("graph", "refused").lines == [
        "sums  refused  succeeded",
        "",
        "read (start)       succeeded",
        "  ├─▶ take  case 'list': not taken",
        "  └─▶ refuse  case 'rude', 'odd': taken",
        "refuse (end)       succeeded",
        "take               skipped",
        "  └─▶ measure.items",
        "measure.items      skipped",
        "  └─▶ measure  map",
        "╭ for each item of take: not entered yet",
        "│ measure          not reached",
        "│   └─▶ add  collect",
        "╰",
        "add (end)          skipped",
    ]
    assert shown.run("graph", "refused", "-o", "json").json["ends"] == ["add", "refuse"]
    assert "for each item of take: 3 items" in shown.run("graph", "listed").out
