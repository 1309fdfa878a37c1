"""Every way in which a stream breaks, as the real client sees it, and that it can be resumed where it broke."""

import asyncio
import json
from typing import Literal

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
)
from openai.types.responses import ResponseStreamEvent
from perdure.simulator import (
    Answer,
    Rule,
    Simulator,
    StreamCut,
    WindowExpired,
)


async def read_cut(
    simulator: Simulator, cut: StreamCut, patience: float = 10
) -> tuple[list[ResponseStreamEvent], Exception | None, list[ResponseStreamEvent]]:
    """Meet the cut in a live stream: the events before it, the error, and the rest after it."""
    simulator.script(Rule(answer=Answer(duration=0.4, text="one two three")), Rule(fault=cut))
    got: list[ResponseStreamEvent] = []
    error: Exception | None = None
    async with simulator.client(max_retries=0, timeout=patience) as client:
        async with await client.responses.create(
            model="o3", input="Go.", background=True, stream=True
        ) as stream:
            try:
                async for event in stream:
                    got.append(event)  # noqa: PERF401  # kept when the stream breaks
            except (APIError, json.JSONDecodeError) as failure:
                error = failure
        assert got
        assert got[0].type == "response.created"
        async with await client.responses.retrieve(
            got[0].response.id, stream=True, starting_after=cut.after - 1
        ) as stream:
            rest = [event async for event in stream]
    return got, error, rest


@pytest.mark.parametrize("how", ["reset", "mid_frame"])
@pytest.mark.parametrize("after", [1, 5])
def test_a_stream_that_is_reset_is_an_error_and_goes_on_where_it_was(
    simulator: Simulator, how: Literal["reset", "mid_frame"], after: int
) -> None:
    got, error, rest = asyncio.run(read_cut(simulator, StreamCut(how=how, after=after)))
    assert type(error) is APIConnectionError
    assert len(got) == after
    assert [event.sequence_number for event in rest] == list(range(after, 12))
    assert [request.fault for request in simulator.ledger().requests] == [how, None]


@pytest.mark.parametrize("how", ["eof", "half_frame"])
def test_a_clean_end_in_the_middle_looks_like_a_normal_end(
    simulator: Simulator, how: Literal["eof", "half_frame"]
) -> None:
    got, error, rest = asyncio.run(read_cut(simulator, StreamCut(how=how, after=6)))
    assert error is None
    assert [event.sequence_number for event in got] == list(range(6))
    assert rest[-1].type == "response.completed"


def test_a_stream_that_falls_silent_times_out(simulator: Simulator) -> None:
    got, error, rest = asyncio.run(read_cut(simulator, StreamCut(how="idle", after=4), patience=1.5))
    assert isinstance(error, APITimeoutError)
    assert len(got) == 4
    assert rest[-1].type == "response.completed"


def test_error_events_in_both_shapes_and_bad_json(simulator: Simulator) -> None:
    nested, error, _ = asyncio.run(read_cut(simulator, StreamCut(how="nested_error", after=3)))
    assert type(error) is APIError
    assert len(nested) == 3
    simulator.reset()
    flat, error, _ = asyncio.run(read_cut(simulator, StreamCut(how="flat_error", after=3)))
    assert error is None
    assert [event.type for event in flat][3:] == ["error"]
    simulator.reset()
    bad, error, _ = asyncio.run(read_cut(simulator, StreamCut(how="bad_json", after=3)))
    assert isinstance(error, json.JSONDecodeError)
    assert len(bad) == 3


def test_a_stream_is_refused_as_too_old(simulator: Simulator) -> None:
    simulator.script(Rule(fault=WindowExpired(), nth=2))

    async def main() -> None:
        async with simulator.client(max_retries=0) as client:
            async with await client.responses.create(
                model="o3", input="Go.", background=True, stream=True
            ) as stream:
                first = await anext(aiter(stream))
            assert first.type == "response.created"
            with pytest.raises(APIError, match="can no longer be streamed"):
                await client.responses.retrieve(first.response.id, stream=True, starting_after=0)

    asyncio.run(main())
