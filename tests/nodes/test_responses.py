"""Whole responses, and agents that are nodes as they stand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from perdure.checkpoints.sqlite import SQLiteStore
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.engine.client import Client
from perdure.nodes import Agent, AgentResponse, Citation, Context, Polling, Retry, node
from perdure.nodes.errors import NotBuiltError, ResourceMissingError
from perdure.simulator import Answer, Rule, Simulator
from pydantic import BaseModel

NOTE: dict[str, object] = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 3,
    "url": "https://sea.example",
    "title": "Sea",
}
FAST = Polling(first=0.05, cap=0.1)


def test_an_agent_is_a_node_and_gives_whole_responses(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script(Rule(answer=Answer(text="Sea levels rise.", annotations=(NOTE,), duration=0.1)))

    async def main() -> AgentResponse[str]:
        async with simulator.client() as client:
            agent = Agent("answer", model="m", output=AgentResponse[str], client=client, polling=FAST)

            @node
            def ask(question: str) -> list[dict[str, str]]:
                return [{"role": "user", "content": question}]

            workflow = Workflow("w", start=ask, end=agent)
            workflow.edge(ask, agent)
            async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
                run = await executor.start(workflow, "How is the sea?")
                return await run.result()

    response = asyncio.run(main())
    assert response.output == response.text == "Sea levels rise."
    assert response.citations == (Citation(start=0, end=3, url="https://sea.example", title="Sea"),)
    assert response.items[-1]["type"] == "message"
    assert response.usage.input_tokens
    assert response.model == "m"
    (request,) = simulator.ledger().submissions()
    assert request.body["input"] == [{"role": "user", "content": "How is the sea?"}]


class Plan(BaseModel):
    questions: list[str]


def test_a_whole_response_holds_the_value_that_the_model_was_asked_to_write(
    simulator: Simulator, tmp_path: Path
) -> None:
    text = '{"questions": ["How deep?", "How cold?"]}'
    simulator.script(Rule(answer=Answer(text=text, duration=0.1)))

    @node
    def ask(topic: str) -> str:
        return f"Plan: {topic}"

    @node
    def count(plan: AgentResponse[Plan]) -> int:
        return len(plan.output.questions)

    async def main() -> tuple[AgentResponse[Plan], int]:
        async with simulator.client() as client:
            planner = Agent("planner", model="m", output=AgentResponse[Plan], client=client, polling=FAST)
            workflow = Workflow("w", start=ask, end=count)
            workflow.edge(ask, planner)
            workflow.edge(planner, count)
            async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
                run = await executor.start(workflow, "sea", run_id="r")
                found = await run.result()
            async with Client(SQLiteStore(tmp_path / "runs.db")) as reader:  # from the database alone
                return await (await reader.get("r", workflow)).output(planner), found

    response, found = asyncio.run(main())
    assert (response.output, response.text, found) == (Plan(questions=["How deep?", "How cold?"]), text, 2)
    assert response.usage.output_tokens
    assert (response.status, response.continuation_token) == ("completed", None)
    (request,) = simulator.ledger().submissions()
    assert request.body["text"]["format"]["name"] == "Plan"
    assert request.body["text"]["format"]["schema"]["required"] == ["questions"]


def test_a_whole_response_that_is_not_of_its_type_fails_the_node(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.script(Rule(answer=Answer(text='{"questions": "many"}', duration=0.1)))

    async def main() -> None:
        async with simulator.client() as client:
            planner = Agent(
                "planner", model="m", output=AgentResponse[Plan], client=client, polling=FAST, retries=0
            )
            async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
                run = await executor.start(planner, "sea")
                with pytest.raises(
                    RunFailedError, match=r"planner.*OutputInvalidError: .*no Plan: questions"
                ):
                    await run.result()

    asyncio.run(main())


def test_a_context_has_the_labels_that_the_run_was_started_with(tmp_path: Path) -> None:
    @node
    def ask(text: str, ctx: Context) -> dict[str, str]:
        return dict(ctx.labels)

    @node
    async def again(before: dict[str, str], ctx: Context) -> list[dict[str, str]]:
        if not (tmp_path / "there").exists():
            (tmp_path / "there").touch()
            raise ValueError("in another process")
        return [before, dict(ctx.labels)]

    workflow = Workflow("w", start=ask, end=again)
    workflow.edge(ask, again)
    labels = {"who": "me", "for": "sea"}

    async def main() -> None:
        async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            run = await executor.start(workflow, "x", run_id="r", labels=labels)
            with pytest.raises(RunFailedError):
                await run.result()
            assert await (await executor.start(ask, "x")).result() == {}
        async with Executor(SQLiteStore(tmp_path / "runs.db"), workflows=[workflow]) as executor:
            assert await (await executor.retry("r")).result() == [labels, labels]

    asyncio.run(main())


def test_a_function_without_parameters_starts_a_workflow(tmp_path: Path) -> None:
    @node
    def seven() -> int:
        return 7

    @node
    def again() -> int:
        return 8

    workflow = Workflow("w", start=seven, end=again)
    workflow.edge(seven, again)

    async def main() -> list[int]:
        async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            return [await (await executor.start(workflow, value)).result() for value in (None, {"a": [1]})]

    assert asyncio.run(main()) == [8, 8]


def test_a_retry_has_its_own_waits_and_stops_at_what_is_final(tmp_path: Path) -> None:
    calls: list[str] = []

    @node(retries=Retry(times=3, first=0.01, cap=0.01, unless=(KeyError,)))
    def tried(text: str) -> str:
        calls.append(text)
        raise KeyError(text) if len(calls) == 2 else ValueError(text)

    async def main() -> None:
        async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            run = await executor.start(Workflow("w", start=tried, end=tried), "x")
            with pytest.raises(Exception, match="KeyError"):
                await run.result()

    asyncio.run(main())
    assert len(calls) == 2


def test_a_context_gives_the_input_and_says_which_resources_there_are(tmp_path: Path) -> None:
    @node
    def first(text: str) -> int:
        return len(text)

    @node
    async def second(n: int, ctx: Context) -> str:
        with pytest.raises(ResourceMissingError, match=r"Executor\(resources="):
            ctx.resource(Path)
        with pytest.raises(NotBuiltError, match="ask"):
            await ctx.ask(first, "x")
        return f"{ctx.input(workflow)} {n}"

    workflow = Workflow("w", start=first, end=second)
    workflow.edge(first, second)

    async def main() -> str:
        async with Executor(SQLiteStore(tmp_path / "runs.db")) as executor:
            return await (await executor.start(workflow, "sea")).result()

    assert asyncio.run(main()) == "sea 3"
