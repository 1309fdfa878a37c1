"""What people pass by mistake is refused where it is passed, with the fix."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import perdure
import pytest
from perdure import Agent, Executor, Retry, SyncClient, Workflow, node, testing
from perdure.errors import (
    ExecutorStoppedError,
    NodeDefinitionError,
    OutputUnavailableError,
    WorkflowInvalidError,
)


@node
async def shout(text: str) -> str:
    return text.upper()


@node
async def split(text: str) -> list[str]:
    return text.split()


class Pool:
    """A resource."""


def untyped(value: object) -> Any:
    """What type checkers would refuse, passed all the same."""
    return value


@pytest.mark.parametrize(
    ("client", "what"),
    [(openai.OpenAI(api_key="sk-test"), "OpenAI"), ("sk-secret", "str")],
    ids=["sync", "key"],
)
def test_a_client_that_cant_be_awaited_is_refused_before_anything_is_sent(client: object, what: str) -> None:
    with pytest.raises(
        NodeDefinitionError, match=rf"^Agent 'a': client= takes an AsyncOpenAI, .* a {what}\.$"
    ):
        Agent("a", model="m", client=untyped(client))


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ({"type": "web_search"}, "a list of tools"),
        ("web_search", "a list of tools"),
        (["web_search"], "a dict with its type"),
        ([{"name": "web_search"}], "a dict with its type"),
    ],
)
def test_tools_are_a_list_of_dicts_with_a_type(tools: object, told: str) -> None:
    with pytest.raises(NodeDefinitionError, match=told):
        Agent("a", model="m", tools=untyped(tools))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Retry(times=untyped(1.5)),
        lambda: Retry(times=untyped(float("nan"))),
        lambda: Retry(times=untyped("3")),
        lambda: Retry(times=True),
    ],
)
def test_attempts_are_a_whole_number(make: Callable[[], object]) -> None:
    with pytest.raises(NodeDefinitionError, match="use 0 or more"):
        make()


@pytest.mark.parametrize("concurrency", [0, 1.5, True, "3"])
def test_concurrency_is_a_whole_number(concurrency: object) -> None:
    workflow = Workflow[str, str]("w", start=split, end=shout)
    with pytest.raises(WorkflowInvalidError, match="use 1 or more"):
        workflow.map(split, shout, concurrency=untyped(concurrency))


def test_what_a_failure_does_to_the_rest_is_one_of_two() -> None:
    with pytest.raises(WorkflowInvalidError, match=r"it is one of .*, not 'retry'"):
        Workflow("w", start=shout, end=shout, on_failure=untyped("retry"))


def test_a_refused_edge_leaves_nothing_behind() -> None:
    workflow = Workflow[str, str]("w", start=shout, end=shout)
    with pytest.raises(WorkflowInvalidError, match="len is not a node"):
        workflow.edge(shout.named("other"), untyped(len))
    assert workflow.check()


def test_two_resources_of_one_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two of them are of the type Pool"):
        Executor(tmp_path / "perdure.db", resources=[Pool(), Pool()])


def test_a_client_is_opened_once(tmp_path: Path) -> None:
    with opened(tmp_path) as client, pytest.raises(ExecutorStoppedError, match="is open already"):
        client.open()


def opened(tmp_path: Path) -> SyncClient:
    """A client of a database that is there."""
    perdure.run_sync(shout, "x", run_id="r", db=tmp_path / "perdure.db")
    return SyncClient(tmp_path / "perdure.db")


def test_events_that_outlive_their_client_end_quietly(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        events = client.get("r").events()
        assert next(events)
    events.close()


def test_any_node_is_tested_as_a_workflow_of_one() -> None:
    assert testing.run_sync(shout, "x").output == "X"
    writer = Agent("writer", model="m")
    assert testing.run_sync(writer, "x", agents={writer: "y"}).output == "y"


def test_an_output_in_a_map_is_asked_for_with_its_path(tmp_path: Path) -> None:
    @node
    async def joined(parts: list[str]) -> str:
        return " ".join(parts)

    workflow = Workflow[str, str]("w", start=split, end=joined)
    workflow.map(split, shout)
    workflow.collect(shout, joined)

    async def main() -> None:
        async with Executor(tmp_path / "perdure.db") as executor:
            run = await executor.start(workflow, "a b")
            await run.result()
            with pytest.raises(OutputUnavailableError, match=r"shout has 2 of them, .*path=\(0,\)"):
                await run.output(shout)

    asyncio.run(main())


def test_errors_are_there_with_the_package() -> None:
    code = "import perdure; perdure.errors.RunFailedError; perdure.testing.run"
    subprocess.run([sys.executable, "-c", code], check=True)
