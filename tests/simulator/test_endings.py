"""Responses that don't complete, with the real client in strict validation."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import Response
from perdure.simulator import Answer, Rule, Simulator


@asynccontextmanager
async def strict(simulator: Simulator) -> AsyncGenerator[AsyncOpenAI]:
    async with simulator.client(_strict_response_validation=True, max_retries=0) as client:
        yield client


async def finished(client: AsyncOpenAI, response_id: str) -> Response:
    for _ in range(200):
        response = await client.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response
        await asyncio.sleep(0.05)
    raise AssertionError("still running after 10 s")


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "invalid_prompt"])
def test_failed_comes_as_a_body_with_its_code(simulator: Simulator, code: str) -> None:
    simulator.script(Rule(answer=Answer(duration=0.1, status="failed", code=code, message="No luck.")))

    async def main() -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                events = [event async for event in stream]
            assert events[-1].type == "response.failed"
            response = await client.responses.retrieve(events[-1].response.id)
            assert response.status == "failed"
            assert response.error is not None
            assert (response.error.code, response.error.message) == (code, "No luck.")
            assert response.output_text == ""

    asyncio.run(main())


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_incomplete_comes_with_its_reason_and_what_there_was(simulator: Simulator, reason: str) -> None:
    simulator.script(Rule(answer=Answer(duration=0.1, status="incomplete", reason=reason, text="Half of")))

    async def main() -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                events = [event async for event in stream]
            assert events[-1].type == "response.incomplete"
            response = await client.responses.retrieve(events[-1].response.id)
            assert response.incomplete_details is not None
            assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
            assert response.output_text == "Half of"

    asyncio.run(main())


def test_a_limit_of_tokens_makes_a_long_answer_incomplete(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0, text="word " * 40)))

    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(model="o3", input="Go.", max_output_tokens=16)
            assert response.incomplete_details is not None
            assert response.incomplete_details.reason == "max_output_tokens"
            assert response.output_text.split() == ["word"] * 16

    asyncio.run(main())


def test_cancel_is_idempotent_and_stops_the_run(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=1.5), times=1), Rule(answer=Answer(duration=0.1)))

    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(model="o3", input="Go.", background=True)
            assert (await client.responses.cancel(response.id)).status == "cancelled"
            assert (await client.responses.cancel(response.id)).status == "cancelled"
            await asyncio.sleep(1.6)
            assert (await client.responses.retrieve(response.id)).status == "cancelled"
            ended = await client.responses.create(model="o3", input="Go.", background=True)
            await finished(client, ended.id)
            assert (await client.responses.cancel(ended.id)).status == "completed"
            foreground = await client.responses.create(model="o3", input="Go.")
            with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
                await client.responses.cancel(foreground.id)

    asyncio.run(main())


def test_cancelled_by_the_provider(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.1, status="cancelled")))

    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(model="o3", input="Go.", background=True)
            assert (await finished(client, response.id)).status == "cancelled"

    asyncio.run(main())


def test_cancel_races(simulator: Simulator) -> None:
    simulator.script(
        Rule(answer=Answer(duration=1.5, on_cancel="completes"), times=1),
        Rule(answer=Answer(duration=9, on_cancel="late"), times=1),
    )

    async def main() -> None:
        async with strict(simulator) as client:
            revived = await client.responses.create(model="o3", input="Go.", background=True)
            assert (await client.responses.cancel(revived.id)).status == "cancelled"
            assert (await client.responses.retrieve(revived.id)).status == "cancelled"
            await asyncio.sleep(1.6)
            assert (await client.responses.retrieve(revived.id)).status == "completed"
            late = await client.responses.create(model="o3", input="Go.", background=True)
            assert (await client.responses.cancel(late.id)).status in ("queued", "in_progress")
            assert (await finished(client, late.id)).status == "cancelled"

    asyncio.run(main())


def test_deleted_and_unknown_responses_are_not_found(simulator: Simulator) -> None:
    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(model="o3", input="Go.", background=True)
            await client.responses.delete(response.id)
            for wanted in (response.id, "resp_0"):
                with pytest.raises(NotFoundError, match=f"Response with id '{wanted}' not found."):
                    await client.responses.retrieve(wanted)
            simulator.script(Rule(answer=Answer(duration=0)))
            unstored = await client.responses.create(model="o3", input="Go.", store=False)
            with pytest.raises(NotFoundError):
                await client.responses.retrieve(unstored.id)
        assert simulator.ledger().running == ()

    asyncio.run(main())
