"""An agent alone: runs that are polled with their token, threads, typed errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from perdure.nodes import (
    Agent,
    AgentResponse,
    AgentThread,
    ContinuationToken,
    OperationCancelledError,
    OperationError,
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    OutputRefusedError,
    Polling,
    SubmissionUnknownError,
)
from perdure.simulator import Answer, ConnectionLost, Rule, Simulator

FAST = Polling(first=0.05, cap=0.1)


@asynccontextmanager
async def an_agent(simulator: Simulator) -> AsyncGenerator[Agent[str], None]:
    async with simulator.client() as client:
        yield Agent("researcher", model="m", instructions="Be brief.", client=client, polling=FAST)


async def finished(
    agent: Agent[str], response: AgentResponse[str], thread: AgentThread | None = None
) -> AgentResponse[str]:
    """Poll with the token until there is none."""
    if response.continuation_token is None:
        return response
    assert response.retry_after is not None
    await asyncio.sleep(response.retry_after)
    return await finished(
        agent, await agent.run(thread=thread, continuation_token=response.continuation_token), thread
    )


def test_a_background_run_is_polled_with_its_token(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Forty-two.", duration=0.3)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            response = await agent.run("How many?", background=True)
            assert (response.status, response.text) == ("queued", "")
            response = await finished(agent, response)
        assert (response.status, response.text) == ("completed", "Forty-two.")
        assert response.retry_after is None
        assert response.usage.total_tokens

    asyncio.run(main())
    (request,) = simulator.ledger().submissions()
    assert request.body["background"] is request.body["store"] is True
    assert request.body["instructions"] == "Be brief."
    assert request.idempotency_key


def test_a_run_in_the_foreground_is_one_request(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Forty-two.", duration=0.1)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            response = await agent.run("How many?")
        assert (response.text, response.continuation_token) == ("Forty-two.", None)

    asyncio.run(main())
    assert len(simulator.ledger().requests) == 1


def test_a_token_travels_as_json_to_another_agent(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Forty-two.", duration=0.2)))

    async def start() -> str:
        async with an_agent(simulator) as agent:
            response = await agent.run("How many?", background=True)
        assert response.continuation_token is not None
        return json.dumps(response.continuation_token)

    async def go_on(sent: str) -> AgentResponse[str]:
        async with an_agent(simulator) as agent:
            return await finished(agent, await agent.run(continuation_token=json.loads(sent)))

    sent = asyncio.run(start())
    assert simulator.api_key not in sent
    assert asyncio.run(go_on(sent)).text == "Forty-two."


def test_a_thread_carries_the_conversation(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.1)))

    async def main() -> tuple[list[str | None], list[str]]:
        async with an_agent(simulator) as agent:
            thread = agent.get_new_thread()
            positions = [thread.previous_response_id]
            ids: list[str] = []
            for prompt in ("One", "Two", "Three"):
                response = await agent.run(prompt, thread=thread, background=True)
                assert thread.previous_response_id == positions[-1]
                response = await finished(agent, response, thread)
                positions.append(thread.previous_response_id)
                ids.append(response.id)
                thread = AgentThread.from_dict(json.loads(json.dumps(thread.to_dict())))
        return positions, ids

    positions, ids = asyncio.run(main())
    assert positions == [None, *ids]
    sent = [request.body.get("previous_response_id") for request in simulator.ledger().submissions()]
    assert sent == [None, *ids[:2]]


def test_a_thread_does_not_go_back_when_an_old_token_is_polled(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.05)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            thread = agent.get_new_thread()
            first = await agent.run("One", thread=thread, background=True)
            await finished(agent, first, thread)
            second = await agent.run("Two", thread=thread)
            assert thread.previous_response_id == second.id
            assert first.continuation_token is not None
            again = await agent.run(thread=thread, continuation_token=first.continuation_token)
            assert again.status == "completed"
            assert thread.previous_response_id == second.id

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (Answer(status="failed", code="server_error"), OperationFailedError, "server_error"),
        (Answer(status="incomplete", text="Half"), OperationIncompleteError, "max_output_tokens"),
        (Answer(status="cancelled"), OperationCancelledError, "cancelled"),
        (Answer(refusal="No."), OutputRefusedError, "refusal"),
        (Answer(text=""), OperationFailedError, "empty_output"),
    ],
    ids=str,
)
@pytest.mark.parametrize("background", [True, False])
def test_a_run_that_does_not_end_well_raises_and_leaves_the_thread(
    simulator: Simulator, answer: Answer, error: type[OperationError], code: str, *, background: bool
) -> None:
    from dataclasses import replace

    simulator.script(Rule(answer=replace(answer, duration=0.1)))

    async def main() -> None:
        thread = AgentThread()
        async with an_agent(simulator) as agent:
            with pytest.raises(error) as caught:
                await finished(agent, await agent.run("Go", thread=thread, background=background), thread)
        assert caught.value.code == code
        assert thread.previous_response_id is None

    asyncio.run(main())


def test_a_lost_reply_is_said_and_not_repeated(simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost(accepted=True)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            with pytest.raises(SubmissionUnknownError):
                await agent.run("Go", background=True)

    asyncio.run(main())
    assert len(simulator.ledger().submissions()) == len(simulator.ledger().accepted()) == 1


def test_a_token_that_is_gone_raises(simulator: Simulator) -> None:
    token = ContinuationToken(provider="openai.responses", handle={"id": "resp_x"}, created_at=1.0)

    async def main() -> None:
        async with an_agent(simulator) as agent:
            with pytest.raises(OperationExpiredError, match="resp_x"):
                await agent.run(continuation_token=token)
            with pytest.raises(OperationExpiredError, match="resp_x"):
                await anext(agent.run(continuation_token=token, stream=True))

    asyncio.run(main())


TOKEN = ContinuationToken(provider="openai.responses", handle={"id": "resp_x"}, created_at=1.0)


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        ((), {}, "invalid_call"),
        ((), {"continuation_token": None}, "invalid_call"),
        (("Go",), {"continuation_token": TOKEN}, "invalid_call"),
        ((), {"continuation_token": {"provider": "openai.responses"}}, "invalid_token"),
        ((), {"continuation_token": {**TOKEN.to_dict(), "provider": "elsewhere"}}, "wrong_token"),
        ((), {"continuation_token": TOKEN.at({"page": 3}), "stream": True}, "invalid_token"),
        (
            (),
            {"continuation_token": {**TOKEN.to_dict(), "handle": {"task": "x"}}, "stream": True},
            "wrong_token",
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    arguments: tuple[str, ...], options: dict[str, Any], code: str
) -> None:
    agent: Any = Agent("a", model="m")

    async def main() -> None:
        made = agent.run(*arguments, **options)
        await (anext(made) if options.get("stream") else made)

    with pytest.raises(OperationError) as caught:
        asyncio.run(main())
    assert caught.value.code == code


def test_a_thread_that_is_none_is_refused() -> None:
    with pytest.raises(OperationError, match="no thread"):
        AgentThread.from_dict({"id": "x"})
