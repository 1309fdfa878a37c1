"""`poll_once`: rounds of a program that is started from time to time, with agents at a provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from perdure.checkpoints import RunStatus
from perdure.engine import Executor, Workflow
from perdure.engine.client import Client
from perdure.nodes import Agent, Polling, node
from perdure.simulator import Answer, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .bench import Stores, perform, until

BOUND = 30.0
"""Seconds after which a round that waits for the provider, instead of returning, fails the test."""

researcher = Agent("researcher", model="o3", polling=Polling(first=0.05, cap=0.1))


@node
def plan(topic: str) -> str:
    return f"Investigate: {topic}"


@node
def shout(text: str) -> str:
    return text.upper()


def study() -> Workflow[str, str]:
    workflow = Workflow("study", start=plan, end=shout)
    workflow.edge(plan, researcher)
    workflow.edge(researcher, shout)
    return workflow


@pytest.fixture(autouse=True)
def provider(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default client asks the simulator. Seals take an hour, all others a moment."""
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)
    simulator.script(
        Rule(match=Match(contains="seals"), answer=Answer(duration=3600)),
        Rule(match=Match(contains="otters"), answer=Answer(text="They float.", duration=0.5)),
    )


def submitted(simulator: Simulator, run_id: str) -> int:
    return len(simulator.ledger().accepted(run=run_id))


def polls(simulator: Simulator, run_id: str) -> int:
    account = simulator.ledger()
    (response,) = account.accepted(run=run_id)
    return sum(request.response_id == response.id for request in account.calls("retrieve"))


async def begin(files: Stores, simulator: Simulator, workflow: Workflow[Any, Any], **topics: str) -> None:
    """Start these runs, and leave them when the provider has them."""
    async with Executor(files()) as executor:
        for run_id, topic in topics.items():
            await executor.start(workflow, topic, run_id=run_id)
        await until(lambda: all(submitted(simulator, run_id) for run_id in topics))


def test_rounds_go_on_with_what_the_provider_has_finished_and_wait_for_nothing(
    files: Stores, simulator: Simulator
) -> None:
    workflow = study()

    async def round_of_a_program() -> int:
        async with Executor(files(), workflows=[workflow]) as executor, asyncio.timeout(BOUND):
            return await executor.poll_once()

    async def only_the_long_one_goes_on() -> bool:
        return await round_of_a_program() == 1

    async def test() -> None:
        await begin(files, simulator, workflow, short="otters", long="seals")
        await until(only_the_long_one_goes_on)
        async with Client(files()) as client:
            assert await (await client.get("short", workflow)).result() == "THEY FLOAT."
            (info,) = await client.runs(status="waiting")
            assert (info.id, info.driven_by) == ("long", None)
        assert await round_of_a_program() == 1
        assert (submitted(simulator, "short"), submitted(simulator, "long")) == (1, 1)

    perform(test())


def test_without_take_over_a_round_leaves_alone_what_others_have_begun(
    files: Stores, simulator: Simulator
) -> None:
    workflow = study()

    async def test() -> None:
        await begin(files, simulator, workflow, theirs="otters")
        before = polls(simulator, "theirs")
        async with Executor(files(), workflows=[workflow], take_over=False) as executor:
            assert await executor.poll_once() == 0
            assert not executor.drives("theirs")
            await executor.start(workflow, "seals", run_id="mine")
            assert await executor.poll_once() == 1
            assert (executor.drives("mine"), executor.drives("theirs")) == (True, False)
            (theirs,) = [info for info in await executor.runs() if info.id == "theirs"]
            assert theirs.status == RunStatus.WAITING
        assert (submitted(simulator, "mine"), submitted(simulator, "theirs")) == (1, 1)
        assert polls(simulator, "theirs") == before
        async with Executor(files(), workflows=[workflow]) as executor:  # asked for by name, it is driven
            assert await (await executor.resume("theirs", workflow)).result() == "THEY FLOAT."
        assert submitted(simulator, "theirs") == 1

    perform(test())
