"""Rules: which request they take, and which are refused."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager

import pytest
from openai import (
    APIConnectionError,
    AsyncOpenAI,
)
from openai.types.responses import Response
from perdure.simulator import (
    Answer,
    ConnectionLost,
    Match,
    NotFound,
    Rule,
    Simulator,
    SimulatorError,
    Stale,
    StreamCut,
)


@asynccontextmanager
async def plain(simulator: Simulator) -> AsyncGenerator[AsyncOpenAI]:
    async with simulator.client(max_retries=0) as client:
        yield client


def submit(client: AsyncOpenAI, text: str = "Go.") -> Coroutine[None, None, Response]:
    return client.responses.create(model="o3", input=text, background=True)


def test_rules_match_by_model_metadata_text_and_number(simulator: Simulator) -> None:
    simulator.script(
        Rule(match=Match(model="gpt-5"), answer=Answer(duration=0, text="by model")),
        Rule(match=Match(metadata={"node": "b"}), answer=Answer(duration=0, text="by metadata")),
        Rule(match=Match(contains="otter"), answer=Answer(duration=0, text="second otter"), nth=2, times=1),
        Rule(match=Match(contains="otter"), answer=Answer(duration=0, text="otters")),
        Rule(answer=Answer(duration=0, text="else")),
    )

    async def main() -> None:
        async with plain(simulator) as client:

            async def ask(model: str, text: str, **metadata: str) -> str:
                response = await client.responses.create(model=model, input=text, metadata=metadata)
                return response.output_text

            assert await ask("gpt-5", "otters") == "by model"
            assert await ask("o3", "otters", node="b", run="r") == "by metadata"
            assert [await ask("o3", "otters", node="a") for _ in range(3)] == [
                "otters",
                "second otter",
                "otters",
            ]
            assert await ask("o3", "seals") == "else"
            simulator.clear_script()
            simulator.script(Rule(answer=Answer(duration=0)))
            assert "seals" in await ask("o3", "seals")

    asyncio.run(main())


def test_rules_that_could_do_nothing_are_refused(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="needs an answer or a fault"):
        Rule()
    with pytest.raises(ValueError, match="can only happen on 'stream'"):
        Rule(on="create", fault=StreamCut(how="eof"))
    with pytest.raises(ValueError, match="can only happen on 'retrieve'"):
        Rule(on="create", fault=Stale())
    with pytest.raises(ValueError, match="no id"):
        Rule(on="create", fault=NotFound())
    with pytest.raises(ValueError, match="a rule of its own"):
        Rule(answer=Answer(), fault=StreamCut(how="eof"))
    with pytest.raises(SimulatorError, match="status"):
        simulator.script(Rule(answer=Answer(status="lost")))  # type: ignore[arg-type]  # the point


def test_a_fault_and_an_answer_in_one_rule_meet_the_same_submission(simulator: Simulator) -> None:
    simulator.script(
        Rule(fault=ConnectionLost(), answer=Answer(duration=60)), Rule(answer=Answer(duration=0))
    )

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises(APIConnectionError):
                await submit(client)
            await submit(client)

    asyncio.run(main())
    account = simulator.ledger()
    assert [response.running for response in account.accepted()] == [True, False]
    assert account.running[0].ends_at > time.time() + 50
