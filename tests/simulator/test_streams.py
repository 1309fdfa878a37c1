"""Event streams: live, resumed at every position, after their window, and with unusual but legal features."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from openai import AsyncOpenAI, BadRequestError, omit
from openai.types.responses import ResponseStreamEvent
from perdure.simulator import Answer, Rule, Simulator


@asynccontextmanager
async def strict(simulator: Simulator) -> AsyncGenerator[AsyncOpenAI]:
    async with simulator.client(_strict_response_validation=True, max_retries=0) as client:
        yield client


async def read_all(
    client: AsyncOpenAI, response_id: str, after: int | None = None
) -> list[ResponseStreamEvent]:
    stream = await client.responses.retrieve(
        response_id, stream=True, starting_after=omit if after is None else after
    )
    async with stream:
        return [event async for event in stream]


async def raw_frames(client: AsyncOpenAI, response_id: str) -> str:
    async with client.responses.with_streaming_response.retrieve(response_id, stream=True) as reply:
        return (await reply.read()).decode()


def test_the_events_come_in_the_documented_order(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.3, pieces=("one ", "two"))))

    async def main() -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                events = [event async for event in stream]
            assert [event.type.removeprefix("response.") for event in events] == [
                "created",
                "queued",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed",
            ]
            assert [event.sequence_number for event in events] == list(range(len(events)))

    asyncio.run(main())


def test_events_come_while_they_are_made(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=2.4, queued=0, text="a b c d e f")))

    async def main() -> None:
        async with strict(simulator) as client:
            loop = asyncio.get_running_loop()
            start, times = loop.time(), list[float]()
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        times.append(loop.time() - start)
            assert times[0] < 1.5
            assert times[-1] - times[0] > 0.5

    asyncio.run(main())


def test_a_stream_goes_on_after_every_position(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.2, text="one two three")))

    async def main() -> None:
        async with strict(simulator) as client:
            response = await client.responses.create(model="o3", input="Go.", background=True, stream=True)
            async with response as stream:
                whole = [event async for event in stream]
            assert whole[0].type == "response.created"
            response_id = whole[0].response.id
            assert await read_all(client, response_id) == whole
            for position in range(len(whole)):
                assert await read_all(client, response_id, position) == whole[position + 1 :]
            assert await read_all(client, response_id, 10_000) == []

    asyncio.run(main())


def test_a_stream_that_is_left_is_resumed_live(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0.6, text="one two three four five six")))

    async def main() -> None:
        async with strict(simulator) as client:
            text, cursor, response_id = "", -1, ""
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                async for event in stream:
                    cursor = event.sequence_number
                    if event.type == "response.created":
                        response_id = event.response.id
                    if event.type == "response.output_text.delta":
                        text += event.delta
                        break
            rest = await read_all(client, response_id, cursor)
            text += "".join(event.delta for event in rest if event.type == "response.output_text.delta")
            assert text == "one two three four five six"
            assert rest[-1].type == "response.completed"

    asyncio.run(main())


def test_only_background_runs_that_were_streamed_can_be_streamed_again(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0)))

    async def main() -> None:
        async with strict(simulator) as client:
            polled = await client.responses.create(model="o3", input="Go.", background=True)
            foreground = await client.responses.create(model="o3", input="Go.")
            for response in (polled, foreground):
                with pytest.raises(BadRequestError) as refused:
                    await read_all(client, response.id)
                assert (
                    "This response cannot be streamed because it was not created with background=true."
                    in refused.value.message
                )

    asyncio.run(main())


def test_a_stream_can_be_resumed_only_in_its_window() -> None:
    async def main(simulator: Simulator) -> None:
        async with strict(simulator) as client:
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                events = [event async for event in stream]
            assert events[0].type == "response.created"
            await asyncio.sleep(0.4)
            with pytest.raises(
                BadRequestError, match="can no longer be streamed because it is more than 5 min"
            ):
                await read_all(client, events[0].response.id, 2)
            assert (await client.responses.retrieve(events[0].response.id)).status == "completed"

    with Simulator(duration=0.1, window=0.4) as simulator:
        asyncio.run(main(simulator))


def test_a_cancel_ends_the_stream_without_a_terminal_event(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=30)))

    async def main() -> None:
        async with strict(simulator) as client, asyncio.timeout(5):
            types: list[str] = []
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                async for event in stream:
                    types.append(event.type)
                    if event.type == "response.queued":
                        response_id = (await client.responses.cancel(event.response.id)).id
                        assert (await client.responses.retrieve(response_id)).status == "cancelled"
            assert types == ["response.created", "response.queued"]

    asyncio.run(main())


async def oddly_numbered(simulator: Simulator) -> str:
    async with simulator.client(max_retries=0) as client:
        response_id = ""
        async with await client.responses.create(
            model="o3", input="Go.", background=True, stream=True
        ) as stream:
            async for event in stream:
                if event.type == "response.created":
                    response_id = event.response.id
        return await raw_frames(client, response_id)


def numbers(frames: str) -> list[int | None]:
    data = [json.loads(line[6:]) for line in frames.splitlines() if line.startswith("data: ")]
    return [event.get("sequence_number") for event in data]


def test_keepalives_and_unknown_events_have_numbers_of_their_own(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=0, text="a b c", quirks=("keepalives", "unknown_events"))))
    frames = asyncio.run(oddly_numbered(simulator))
    assert "event: keepalive\n" in frames
    assert "event: response.simulated.noted\n" in frames
    assert numbers(frames) == list(range(len(numbers(frames))))


def test_comments_duplicates_gaps_and_events_without_a_number(simulator: Simulator) -> None:
    quirks: tuple[Literal["comments", "duplicates", "gaps", "unnumbered"], ...] = (
        "comments",
        "duplicates",
        "gaps",
        "unnumbered",
    )
    simulator.script(
        *(Rule(answer=Answer(duration=0, text="a b c", quirks=(quirk,)), times=1) for quirk in quirks)
    )
    comments, duplicates, gaps, unnumbered = (asyncio.run(oddly_numbered(simulator)) for _ in quirks)
    assert ": ping\n\n" in comments
    assert numbers(duplicates)[:3] == [0, 1, 1]
    assert numbers(gaps)[:4] == [0, 1, 3, 4]
    assert None in numbers(unnumbered)
    assert 2 in numbers(unnumbered)
