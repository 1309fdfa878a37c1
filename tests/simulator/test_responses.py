"""Normal use of the API, with the real client in strict validation."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI, BadRequestError
from perdure.simulator import Answer, Call, Rule, Simulator
from pydantic import BaseModel


@asynccontextmanager
async def strict(simulator: Simulator) -> AsyncGenerator[AsyncOpenAI]:
    async with simulator.client(_strict_response_validation=True, max_retries=0) as client:
        yield client


def test_a_background_run_goes_from_queued_over_in_progress_to_completed(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=2, queued=1)))

    async def main() -> None:
        async with strict(simulator) as client:
            first = await client.responses.create(
                model="o3", input="What do sea otters eat?", background=True, metadata={"run": "r1"}
            )
            assert first.status == "queued"
            assert first.output == []
            assert first.usage is None
            assert first.metadata == {"run": "r1"}
            statuses: list[str | None] = []
            while (response := await client.responses.retrieve(first.id)).status != "completed":
                statuses.append(response.status)
                await asyncio.sleep(0.05)
            assert set(statuses) == {"queued", "in_progress"}
            assert "What do sea otters eat?" in response.output_text
            assert response.usage is not None
            assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens

    asyncio.run(main())


def test_the_same_question_gets_the_same_answer_and_another_one_another(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0)))

    async def main() -> None:
        async with strict(simulator) as client:

            async def ask(text: str, instructions: str) -> str:
                response = await client.responses.create(model="o3", input=text, instructions=instructions)
                return response.output_text

            first = await ask("a\nb", "Be brief.")
            assert first == await ask("a\nb", "Be brief.")
            assert first != await ask("a\nc", "Be brief.")
            assert first != await ask("a\nb", "Be long.")
            assert await ask("", "")

    asyncio.run(main())


def test_a_foreground_create_blocks_until_the_end(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.4)))

    async def main() -> None:
        async with strict(simulator) as client:
            loop = asyncio.get_running_loop()
            start = loop.time()
            response = await client.responses.create(model="gpt-5", input="Hello")
            assert loop.time() - start >= 0.4
            assert response.status == "completed"
            assert (await client.responses.retrieve(response.id)).output_text == response.output_text

    asyncio.run(main())


def test_a_foreground_stream_ends_with_completed(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.2, pieces=("one", " two"))))

    async def main() -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(model="gpt-5", input="Hello", stream=True) as stream:
                events = [event async for event in stream]
            assert [event.type for event in events][:2] == ["response.created", "response.in_progress"]
            assert events[-1].type == "response.completed"
            assert events[-1].response.output_text == "one two"

    asyncio.run(main())


def test_the_conversation_is_remembered(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0)))

    async def main() -> None:
        async with strict(simulator) as client:
            first = await client.responses.create(model="o3", input="My name is Ada.")
            second = await client.responses.create(
                model="o3", input="What is my name?", previous_response_id=first.id
            )
            assert second.previous_response_id == first.id
            assert "My name is Ada." in second.output_text
            with pytest.raises(BadRequestError, match="Previous response with id 'resp_0' not found"):
                await client.responses.create(model="o3", input="x", previous_response_id="resp_0")

    asyncio.run(main())


class Source(BaseModel):
    title: str
    year: int | None


class Review(BaseModel):
    verdict: bool
    text: str
    sources: list[Source]


def test_structured_output_parses(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0)))

    async def main() -> None:
        async with strict(simulator) as client:
            parsed = await client.responses.parse(model="o3", input="Judge the otters.", text_format=Review)
            review = parsed.output_parsed
            assert review is not None
            assert "Judge the otters." in review.text
            assert len(review.sources) == 2
            assert isinstance(review.sources[0].year, int)
            texts: set[str] = set()
            for finding in ("They float.", "They sink."):
                parsed = await client.responses.parse(
                    model="o3", input=f"Judge these findings:\n{finding}", text_format=Review
                )
                assert parsed.output_parsed is not None
                texts.add(parsed.output_parsed.text)
            assert len(texts) == 2

    asyncio.run(main())


def test_a_scripted_json_answer(simulator: Simulator) -> None:
    answer: dict[str, object] = {"verdict": False, "text": "no", "sources": list[object]()}
    simulator.script(Rule(answer=Answer(duration=0, json=answer)))

    async def main() -> None:
        async with strict(simulator) as client:
            parsed = await client.responses.parse(model="o3", input="Judge.", text_format=Review)
            assert parsed.output_parsed == Review(verdict=False, text="no", sources=[])

    asyncio.run(main())


def test_function_calls_and_their_outputs(simulator: Simulator) -> None:
    call = Call(name="weather", arguments='{"city": "Lisbon"}', call_id="call_1")
    simulator.script(
        Rule(answer=Answer(duration=0.1, function_calls=(call,)), times=1), Rule(answer=Answer(duration=0))
    )

    async def main() -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(
                model="o3", input="Weather?", background=True, stream=True
            ) as stream:
                events = [event async for event in stream]
            deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
            assert "".join(deltas) == '{"city": "Lisbon"}'
            assert events[-1].type == "response.completed"
            response = events[-1].response
            assert [(item.type, getattr(item, "call_id", None)) for item in response.output] == [
                ("function_call", "call_1")
            ]
            with pytest.raises(BadRequestError, match="No tool output found for function call call_1"):
                await client.responses.create(model="o3", input="and?", previous_response_id=response.id)
            answer = await client.responses.create(
                model="o3",
                input=[{"type": "function_call_output", "call_id": "call_1", "output": "Sunny, 31 degrees"}],
                previous_response_id=response.id,
            )
            assert "Sunny, 31 degrees" in answer.output_text
            listed = [item async for item in client.responses.input_items.list(answer.id)]
            assert [item.type for item in listed] == ["function_call_output"]

    asyncio.run(main())


def test_a_demanded_tool_is_called_with_arguments_of_its_schema(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0)))

    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(
                model="o3",
                input="Weather in Lisbon?",
                tool_choice="required",
                tools=[
                    {
                        "type": "function",
                        "name": "weather",
                        "strict": True,
                        "parameters": {"type": "object", "properties": {"days": {"type": "integer"}}},
                    }
                ],
            )
            call = response.output[0]
            assert call.type == "function_call"
            assert (call.name, json.loads(call.arguments)) == ("weather", {"days": 1})

    asyncio.run(main())


def test_commentary_reasoning_and_refusals_are_items_of_their_own(simulator: Simulator) -> None:
    simulator.script(
        Rule(answer=Answer(duration=0, reasoning=True, commentary="Let me see.", text="Done."), times=1),
        Rule(answer=Answer(duration=0.1, refusal="I can't help with that."), times=1),
    )

    async def main() -> None:
        async with strict(simulator) as client:
            first = await client.responses.create(model="o3", input="Go.")
            assert [item.type for item in first.output] == ["reasoning", "message", "message"]
            assert [getattr(item, "phase", None) for item in first.output] == [
                None,
                "commentary",
                "final_answer",
            ]
            async with await client.responses.create(model="o3", input="Bad.", stream=True) as stream:
                events = [event async for event in stream]
            said = "".join(event.delta for event in events if event.type == "response.refusal.delta")
            assert said == "I can't help with that."

    asyncio.run(main())


def test_input_items_are_listed_in_pages(simulator: Simulator) -> None:
    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(
                model="o3",
                background=True,
                input=[
                    {"role": "user", "content": "one"},
                    {"role": "assistant", "content": "two"},
                    {"role": "user", "content": [{"type": "input_text", "text": "three"}]},
                ],
            )
            pages = client.responses.input_items.list(response.id, order="asc", limit=2)
            texts = [item.content[0] async for item in pages if item.type == "message"]
            assert [getattr(part, "text", None) for part in texts] == ["one", "two", "three"]

    asyncio.run(main())


def test_replies_carry_the_request_id_that_the_ledger_knows(simulator: Simulator) -> None:
    async def main() -> None:
        async with simulator.client(max_retries=0) as client:
            raw = await client.responses.with_raw_response.create(
                model="o3",
                input="Go.",
                background=True,
                metadata={"run": "r1", "node": "a"},
                extra_headers={"Idempotency-Key": "k1"},
            )
        (received,) = simulator.ledger().submissions(run="r1")
        assert received.request_id == raw.headers["x-request-id"]
        assert received.idempotency_key == "k1"
        assert (received.outcome, received.status, received.response_id) == ("accepted", 200, raw.parse().id)
        assert simulator.ledger().submissions(run="r2") == ()

    asyncio.run(main())
