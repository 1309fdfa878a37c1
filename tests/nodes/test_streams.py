"""Streams deliver every piece of text exactly once, whatever breaks, in this process or another."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest
from perdure.nodes import (
    Agent,
    AgentResponse,
    AgentThread,
    AgentUpdate,
    ContinuationToken,
    OperationCancelledError,
    OperationFailedError,
    OperationIncompleteError,
    Polling,
    SubmissionUnknownError,
)
from perdure.nodes.operations.openai import ResponsesOperation
from perdure.simulator import (
    Answer,
    HttpError,
    Match,
    Rule,
    Simulator,
    Stale,
    StreamCut,
    WindowExpired,
)

PIECES = ("Otters ", "hold ", "hands ", "\u2013 ", "so ", "that ", "none ", "drifts ", "off.")
TEXT = "".join(PIECES)
EVENTS = 3 + 2 + len(PIECES) + 3 + 1
"""created, queued, in_progress; item and part added; deltas; text, part and item done; completed."""
CUTS = ("reset", "mid_frame", "half_frame", "eof", "idle", "bad_json", "nested_error", "flat_error")
QUIRKS = ("keepalives", "unknown_events", "comments", "duplicates", "gaps", "unnumbered")

FAST = Polling(first=0.05, cap=0.1, timeout=0.6)


@asynccontextmanager
async def an_agent(simulator: Simulator, polling: Polling = FAST) -> AsyncGenerator[Agent[str], None]:
    """An agent with a client of its own, as another process would have."""
    async with simulator.client() as client:
        yield Agent("teller", model="m", client=client, polling=polling)


async def told(
    agent: Agent[str],
    prompt: str | None = None,
    *,
    token: ContinuationToken | Mapping[str, object] | None = None,
    background: bool = True,
    limit: int | None = None,
) -> tuple[list[str], ContinuationToken | None, AgentResponse[str] | None]:
    """The pieces of text of a stream, closed after `limit` updates; the last token, the response."""
    if prompt is not None:
        updates = agent.run(prompt, background=background, stream=True)
    else:
        assert token is not None
        updates = agent.run(continuation_token=token, stream=True)
    pieces: list[str] = []
    last: ContinuationToken | None = None
    response = None
    try:
        async for update in updates:
            pieces.append(update.text)
            last = update.continuation_token or last
            response = update.response
            if len(pieces) == limit:
                break
    finally:
        await updates.aclose()
    return pieces, last, response


async def read_all(updates: AsyncGenerator[AgentUpdate[str], None], pieces: list[str]) -> None:
    """Append the text of all updates."""
    async for update in updates:
        pieces.append(update.text)  # noqa: PERF401  # what came before an error counts


def test_a_stream_gives_the_text_piece_by_piece_and_the_response_at_the_end(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.3)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, token, response = await told(agent, "Otters?")
        assert pieces == ["", *PIECES, ""]
        assert response is not None
        assert (response.text, response.status, response.continuation_token) == (TEXT, "completed", None)
        assert response.usage.output_tokens
        assert token is not None

    asyncio.run(main())
    assert [request.route for request in simulator.ledger().requests] == ["create"]


@pytest.mark.parametrize("how", CUTS)
def test_a_stream_that_breaks_at_any_event_goes_on_by_itself(simulator: Simulator, how: str) -> None:
    """The connection of the submission breaks once, after each number of events."""
    positions = range(1, EVENTS)
    for cut in positions:
        prompt = f"story {cut:02}."
        fault = StreamCut(how=how, after=cut)  # type: ignore[arg-type]
        simulator.script(Rule(match=Match(contains=prompt), on="stream", fault=fault))
    duration = 3.0 if how == "idle" else 2.0  # silence is noticed after the time limit
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=duration)))

    async def tell(cut: int) -> None:
        async with an_agent(simulator) as agent:
            pieces, _, response = await told(agent, f"story {cut:02}.")
        assert response is not None, cut
        assert response.text == TEXT, cut
        assert "".join(pieces) == TEXT, cut

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for cut in positions:
                group.create_task(tell(cut))

    asyncio.run(main())
    ledger = simulator.ledger()
    assert len(ledger.submissions()) == len(ledger.accepted()) == len(positions)
    assert len(ledger.calls("stream")) >= len(positions) // 2  # some breaks come when the response has ended


def test_a_stream_that_was_closed_at_any_update_goes_on_elsewhere(simulator: Simulator) -> None:
    """The token travels as JSON; a fresh agent with a fresh client goes on right after the last piece."""
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.5)))

    async def tell(limit: int) -> None:
        async with an_agent(simulator) as agent:
            begun, token, _ = await told(agent, f"story {limit}", limit=limit)
        assert token is not None
        sent = json.loads(json.dumps(token.to_dict()))
        async with an_agent(simulator) as other:
            rest, _, response = await told(other, token=sent)
        assert response is not None, limit
        assert "".join(begun) + "".join(rest) == response.text == TEXT, limit
        assert begun == ["", *PIECES][:limit], limit

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for limit in range(1, len(PIECES) + 2):
                group.create_task(tell(limit))

    asyncio.run(main())


def test_a_stream_can_be_resumed_update_by_update(simulator: Simulator) -> None:
    """Every update is read by another reader: none misses a piece, none sees one twice."""
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.4)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, token, response = await told(agent, "story", limit=1)
            while response is None:
                more, token, response = await told(agent, token=token, limit=1)
                pieces += more
            assert "".join(pieces) == response.text == TEXT

    asyncio.run(main())


@pytest.mark.parametrize("quirks", [*((quirk,) for quirk in QUIRKS), QUIRKS])
@pytest.mark.parametrize("cut", [4, 7, 11])
def test_oddities_of_the_event_log_do_no_harm(
    simulator: Simulator, quirks: tuple[str, ...], cut: int
) -> None:
    simulator.script(
        Rule(on="stream", fault=StreamCut(how="reset", after=cut)),
        Rule(answer=Answer(pieces=PIECES, duration=0.3, quirks=quirks)),  # type: ignore[arg-type]
    )

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, token, response = await told(agent, "story", limit=3)
            while response is None:  # twice, or once where the break let the poll see the end
                rest, token, response = await told(agent, token=token)
                pieces += rest
        assert "".join(pieces) == response.text == TEXT

    asyncio.run(main())


@pytest.mark.parametrize("limit", [1, 4, 8])
def test_when_the_provider_no_longer_streams_the_last_piece_is_exactly_the_rest(
    simulator: Simulator, limit: int
) -> None:
    simulator.script(
        Rule(on="stream", nth=2, times=0, fault=WindowExpired()),
        Rule(answer=Answer(pieces=PIECES, duration=0.4)),
    )

    async def main() -> None:
        async with an_agent(simulator) as agent:
            begun, token, _ = await told(agent, "story", limit=limit)
            rest, _, response = await told(agent, token=token)
        assert response is not None
        assert rest == ["".join(PIECES[limit - 1 :])]
        assert "".join(begun + rest) == TEXT

    asyncio.run(main())


def test_a_connection_that_breaks_every_time_ends_in_polls(simulator: Simulator) -> None:
    simulator.script(
        Rule(on="stream", times=0, fault=StreamCut(how="reset", after=1)),
        Rule(answer=Answer(pieces=PIECES, duration=8.0)),
    )

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, _, response = await told(agent, "story")
        assert response is not None
        assert "".join(pieces) == response.text == TEXT

    asyncio.run(main())
    ledger = simulator.ledger()
    assert len(ledger.calls("stream")) == 5
    assert len(ledger.calls("retrieve")) > 5


def test_a_response_that_was_not_created_as_a_stream_is_polled(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.3)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            started = await agent.run("story", background=True)
            assert started.continuation_token is not None
            pieces, _, response = await told(
                agent, token=ContinuationToken.from_dict(started.continuation_token)
            )
        assert response is not None
        assert pieces == [TEXT]

    asyncio.run(main())


def test_a_finished_response_streams_from_any_cursor(simulator: Simulator) -> None:
    """Past the end the server answers 200 and nothing: the poll then tells."""
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.2)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            updates = agent.run("story", background=True, stream=True)
            tokens = [update.continuation_token async for update in updates]
            for count, token in enumerate(tokens[:-1]):
                rest, _, response = await told(agent, token=token)
                assert "".join(rest) == "".join(PIECES[count:])
                assert response is not None

    asyncio.run(main())


def test_a_stale_poll_after_a_break_is_not_believed_for_long(simulator: Simulator) -> None:
    simulator.script(
        Rule(on="stream", fault=StreamCut(how="eof", after=7)),
        Rule(on="retrieve", times=2, fault=Stale()),
        Rule(answer=Answer(pieces=PIECES, duration=0.1)),
    )

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, _, response = await told(agent, "story")
        assert response is not None
        assert "".join(pieces) == TEXT

    asyncio.run(main())


def test_commentary_is_no_part_of_the_text(simulator: Simulator) -> None:
    """Also when the reader comes after the event that says which item is commentary."""
    simulator.script(
        Rule(answer=Answer(pieces=PIECES, duration=0.5, commentary="Let me look it up.", reasoning=True))
    )

    async def tell(limit: int) -> None:
        async with an_agent(simulator) as agent:
            begun, token, _ = await told(agent, f"story {limit}", limit=limit)
            rest, _, response = await told(agent, token=token)
        assert response is not None
        assert "".join(begun + rest) == response.text == TEXT

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for limit in range(1, len(PIECES) + 2):
                group.create_task(tell(limit))

    asyncio.run(main())


def test_an_incomplete_response_gives_its_text_and_then_its_error(simulator: Simulator) -> None:
    simulator.script(
        Rule(on="stream", fault=StreamCut(how="eof", after=7)),
        Rule(on="stream", fault=WindowExpired(), times=0),
        Rule(answer=Answer(pieces=PIECES, duration=0.3, status="incomplete")),
    )

    async def main() -> None:
        pieces: list[str] = []
        async with an_agent(simulator) as agent:
            with pytest.raises(OperationIncompleteError) as caught:
                await read_all(agent.run("story", background=True, stream=True), pieces)
        assert "".join(pieces) == caught.value.partial == TEXT
        assert caught.value.code == "max_output_tokens"

    asyncio.run(main())


@pytest.mark.parametrize("cut", [None, 6])
def test_a_failed_response_raises_its_error(simulator: Simulator, cut: int | None) -> None:
    if cut is not None:
        simulator.script(Rule(on="stream", fault=StreamCut(how="eof", after=cut)))
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.3, status="failed")))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            with pytest.raises(OperationFailedError) as caught:
                await told(agent, "story")
        assert (caught.value.code, caught.value.retryable) == ("server_error", True)

    asyncio.run(main())


def test_a_response_that_is_cancelled_ends_without_an_event(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=30)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            updates = agent.run("story", background=True, stream=True)
            first = await anext(updates)
            assert first.continuation_token is not None
            assert isinstance(agent.operation, ResponsesOperation)
            await agent.operation.cancel(first.continuation_token)
            with pytest.raises(OperationCancelledError):
                async for _ in updates:
                    pass

    asyncio.run(main())


def test_a_thread_advances_before_the_last_update_is_seen(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.2)))

    async def main() -> None:
        thread = AgentThread()
        async with an_agent(simulator) as agent:
            seen: list[str | None] = []
            last = None
            async for update in agent.run("story", thread=thread, background=True, stream=True):
                seen.append(thread.previous_response_id)
                last = update.response
            assert last is not None
            assert seen == [*[None] * (len(PIECES) + 1), last.id]

    asyncio.run(main())


def test_without_background_there_is_no_token_and_a_break_is_an_error(simulator: Simulator) -> None:
    simulator.script(
        Rule(match=Match(contains="broken"), on="stream", fault=StreamCut(how="eof", after=6)),
        Rule(answer=Answer(pieces=PIECES, duration=0.5)),
    )

    async def main() -> None:
        async with an_agent(simulator) as agent:
            pieces, token, response = await told(agent, "whole", background=False)
            assert (pieces, token) == (["", *PIECES, ""], None)
            assert response is not None
            with pytest.raises(OperationFailedError) as caught:
                await told(agent, "broken", background=False)
        assert caught.value.code == "stream_interrupted"
        assert "background=True" in str(caught.value)

    asyncio.run(main())


@pytest.mark.parametrize("accepted", [True, False])
def test_a_stream_that_fails_before_its_id_is_known_may_be_running(
    simulator: Simulator, *, accepted: bool
) -> None:
    simulator.script(Rule(fault=HttpError(status=500, accepted=accepted)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            with pytest.raises(SubmissionUnknownError):
                await told(agent, "story")

    asyncio.run(main())


def test_a_stream_that_ends_before_created_may_be_running(simulator: Simulator) -> None:
    simulator.script(Rule(on="stream", fault=StreamCut(how="eof", after=0)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            with pytest.raises(SubmissionUnknownError, match="may be running"):
                await told(agent, "story")

    asyncio.run(main())


def test_closing_right_after_the_first_update_reads_on_until_the_response_is_under_way(
    simulator: Simulator,
) -> None:
    """Two events more, here `queued` at once and `in_progress` after 0.4 s; bounded where they don't come."""
    simulator.script(
        Rule(match=Match(contains="soon"), answer=Answer(duration=5.0, queued=0.4)),
        Rule(answer=Answer(duration=60.0, queued=30.0)),
    )

    async def close_after_first(agent: Agent[str], prompt: str) -> float:
        updates = agent.run(prompt, background=True, stream=True)
        await anext(updates)
        started = time.monotonic()
        await updates.aclose()
        return time.monotonic() - started

    async def main() -> None:
        async with an_agent(simulator, Polling(timeout=30)) as agent:
            assert 0.2 < await close_after_first(agent, "soon") < 1.5
            assert 1.5 < await close_after_first(agent, "later") < 3.0

    asyncio.run(main())


def test_cancelling_the_reader_closes_the_stream_at_once(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=60.0)))

    async def main() -> None:
        async with an_agent(simulator, Polling(timeout=30)) as agent:
            updates = agent.run("story", background=True, stream=True)
            await anext(updates)
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read_all(updates, []), 0.3)
            assert time.monotonic() - started < 1.0

    asyncio.run(main())


def test_a_reader_that_just_stops_leaves_nothing_behind(simulator: Simulator) -> None:
    """No warning about an open connection or a generator that was never closed (warnings are errors here)."""
    simulator.script(Rule(answer=Answer(pieces=PIECES, duration=0.5)))

    async def main() -> None:
        async with an_agent(simulator) as agent:
            async for update in agent.run("story", background=True, stream=True):
                if update.text:
                    break

    asyncio.run(main())
