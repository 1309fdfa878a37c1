"""Polls and cancels: how a response is read, and what an inconclusive answer comes to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure.nodes import (
    OperationError,
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    OutputRefusedError,
    Polling,
    ProviderUnavailableError,
)
from perdure.nodes.operations import (
    Cancelled,
    ContinuationToken,
    Expired,
    Failed,
    Incomplete,
    Json,
    Outcome,
    ResponsesOperation,
    Running,
    Succeeded,
    operation_for,
)
from perdure.simulator import (
    Answer,
    BrokenReply,
    Call,
    ConnectionLost,
    HttpError,
    NotFound,
    Rule,
    Simulator,
    SlowReply,
)

FAST = Polling(first=0.05, cap=0.1, jitter=0.0, timeout=0.5)
T = TypeVar("T", bound=Outcome)


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def an_operation(
    simulator: Simulator, polling: Polling = FAST, clock: Clock | None = None
) -> AsyncGenerator[ResponsesOperation, None]:
    async with simulator.client() as client:
        yield ResponsesOperation(client, polling=polling, clock=clock or Clock(), chance=lambda: 0.5)


def a_request(text: str = "Hello") -> dict[str, Json]:
    return {"model": "m", "input": text, "background": True, "store": True}


async def ended(operation: ResponsesOperation, token: ContinuationToken) -> Outcome:
    """Poll until there is something else than `Running`."""
    state = await operation.poll(token)
    if not isinstance(state, Running):
        return state
    await asyncio.sleep(operation.wait(state))
    return await ended(operation, token)


def ending(simulator: Simulator, answer: Answer, kind: type[T]) -> T:
    """What a submission with this answer ends with."""
    simulator.script(Rule(answer=replace(answer, duration=0.1)))

    async def main() -> Outcome:
        async with an_operation(simulator) as operation:
            return await ended(operation, await operation.submit(a_request(), "key"))

    state = asyncio.run(main())
    assert isinstance(state, kind)
    return state


def one_poll(simulator: Simulator, *rules: Rule, age: float = 0.0) -> Outcome:
    """What one poll of a running response of this age says under these rules."""
    simulator.script(*rules, Rule(answer=Answer(duration=30)))

    async def main() -> Outcome:
        clock = Clock()
        async with an_operation(simulator, clock=clock) as operation:
            token = await operation.submit(a_request(), "key")
            clock.ahead = age
            return await operation.poll(token)

    return asyncio.run(main())


def test_a_response_is_queued_then_in_progress_then_completed(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Hi.", duration=0.6, queued=0.3)))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            seen: list[str | None] = []
            while isinstance(state := await operation.poll(token), Running):
                seen += [state.status] if state.status not in seen else []
                assert (state.token, state.problem) == (token, None)
                await asyncio.sleep(operation.wait(state))
        assert seen == ["queued", "in_progress"]
        assert isinstance(state, Succeeded)
        assert isinstance(state.value, dict)
        assert (state.value["id"], state.value["text"]) == (token.handle["id"], "Hi.")
        assert state.usage["total_tokens"]
        assert json.loads(json.dumps(state.value)) == state.value

    asyncio.run(main())


def test_commentary_and_reasoning_are_no_part_of_the_answer(simulator: Simulator) -> None:
    state = ending(simulator, Answer(text="42.", commentary="Let me think.", reasoning=True), Succeeded)
    assert isinstance(state.value, dict)
    assert state.value["text"] == "42."


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("server_error", True),
        ("rate_limit_exceeded", True),
        ("vector_store_timeout", True),
        ("invalid_prompt", False),
        ("a_code_of_tomorrow", False),
    ],
)
def test_a_failed_response_keeps_its_code(simulator: Simulator, code: str, *, retryable: bool) -> None:
    state = ending(simulator, Answer(status="failed", code=code, message="No luck."), Failed)
    assert isinstance(state.error, OperationFailedError)
    assert (state.error.code, state.retryable, state.error.retryable) == (code, retryable, retryable)
    assert "No luck." in str(state.error)


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_incomplete_response_keeps_its_reason_and_its_text(simulator: Simulator, reason: str) -> None:
    state = ending(simulator, Answer(status="incomplete", reason=reason, text="Half an ans"), Incomplete)
    assert isinstance(state.error, OperationIncompleteError)
    assert (state.error.code, state.error.partial) == (reason, "Half an ans")
    assert state.usage["output_tokens"]


def test_a_refusal_is_an_error(simulator: Simulator) -> None:
    state = ending(simulator, Answer(refusal="I will not."), Failed)
    assert isinstance(state.error, OutputRefusedError)
    assert not state.retryable
    assert "I will not." in str(state.error)


def test_a_response_that_the_provider_cancelled(simulator: Simulator) -> None:
    assert ending(simulator, Answer(status="cancelled"), Cancelled).error.code == "cancelled"


@pytest.mark.parametrize("answer", [Answer(text=""), Answer(function_calls=(Call(name="look_up"),))], ids=str)
def test_a_completed_response_without_text_is_an_error(simulator: Simulator, answer: Answer) -> None:
    state = ending(simulator, answer, Failed)
    assert isinstance(state.error, OperationFailedError)
    assert (state.error.code, state.retryable) == ("empty_output", False)


@pytest.mark.parametrize(
    "fault",
    [
        HttpError(status=408),
        HttpError(status=409),
        HttpError(status=429),
        HttpError(status=500),
        HttpError(status=503),
        ConnectionLost(),
        BrokenReply(form="bad_json"),
        BrokenReply(form="html"),
        BrokenReply(form="half"),
        SlowReply(seconds=2),
    ],
    ids=str,
)
def test_an_inconclusive_poll_is_not_the_end(simulator: Simulator, fault: Any) -> None:
    state = one_poll(simulator, Rule(on="retrieve", fault=fault))
    assert isinstance(state, Running)
    assert state.problem
    assert (state.status, state.retry_after) == (None, None)


def test_a_poll_comes_back_when_the_provider_says(simulator: Simulator) -> None:
    state = one_poll(simulator, Rule(on="retrieve", fault=HttpError(status=429, retry_after=45)))
    assert isinstance(state, Running)
    assert state.retry_after == 45


def test_a_poll_without_a_connection_is_not_the_end(simulator: Simulator) -> None:
    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            simulator.kill()
            state = await operation.poll(token)
            assert isinstance(state, Running)
            assert "can't be reached" in str(state.problem)
            simulator.restart()
            assert isinstance(await ended(operation, token), Succeeded)

    simulator.script(Rule(answer=Answer(duration=0.1)))
    asyncio.run(main())


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_poll_that_is_no_use_repeating_raises(simulator: Simulator, status: int) -> None:
    with pytest.raises(ProviderUnavailableError, match=str(status)) as caught:
        one_poll(simulator, Rule(on="retrieve", fault=HttpError(status=status)))
    assert "may still be alive" in str(caught.value)


def test_a_wrong_key_raises_and_is_not_shown(simulator: Simulator) -> None:
    async def main() -> None:
        async with simulator.client(api_key="sk-wrong-0123456789") as client:
            operation = ResponsesOperation(client)
            with pytest.raises(ProviderUnavailableError) as caught:
                await operation.poll(operation.adopt("resp_1"))
        assert "OPENAI_API_KEY" in str(caught.value)
        assert "sk-wrong" not in str(caught.value)
        assert "6789" not in str(caught.value)

    asyncio.run(main())


def test_a_missing_key_raises_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    operation = ResponsesOperation()
    with pytest.raises(ProviderUnavailableError, match="OPENAI_API_KEY"):
        asyncio.run(operation.poll(operation.adopt("resp_1")))


def test_an_unknown_handle_is_waited_for_while_it_is_young(simulator: Simulator) -> None:
    state = one_poll(simulator, Rule(on="retrieve", fault=NotFound()), age=25)
    assert isinstance(state, Running)
    assert "404" in str(state.problem)


def test_an_unknown_handle_has_expired_later(simulator: Simulator) -> None:
    state = one_poll(simulator, Rule(on="retrieve", fault=NotFound()), age=31)
    assert isinstance(state, Expired)
    assert isinstance(state.error, OperationExpiredError)


def test_a_404_of_something_else_does_not_expire_a_handle() -> None:
    """A wrong base URL must not make the engine submit everything again."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nNot Found")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        from openai import AsyncOpenAI

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, AsyncOpenAI(base_url=url, api_key="sk-simulated") as client:
            operation = ResponsesOperation(client)
            token = replace(operation.adopt("resp_1"), created_at=0.0)
            with pytest.raises(ProviderUnavailableError, match="base_url"):
                await operation.poll(token)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("provider", "handle"), [("another", {"id": "x"}), ("openai.responses", {"task": "x"})]
)
def test_a_token_of_another_provider_is_refused(provider: str, handle: dict[str, Json]) -> None:
    token = ContinuationToken(provider=provider, handle=handle, created_at=0.0)
    operation = ResponsesOperation()
    for call in (operation.poll, operation.cancel):
        with pytest.raises(OperationError) as caught:
            asyncio.run(call(token))
        assert caught.value.code == "wrong_token"


@pytest.mark.parametrize(("queued", "status"), [(50.0, "queued"), (0.0, "in_progress")])
@pytest.mark.parametrize("age", [0.0, 3610.0, 24 * 3600 + 10.0])
def test_a_poll_reports_and_decides_nothing(
    simulator: Simulator, queued: float, status: str, age: float
) -> None:
    """When to ask again and when to give up is the engine's decision, however old the response is."""
    simulator.script(Rule(answer=Answer(duration=60, queued=queued)))
    state = one_poll(simulator, age=age)
    assert isinstance(state, Running)
    assert (state.status, state.retry_after, state.problem) == (status, None, None)
    assert len(simulator.ledger().running) == 1
    assert [received.route for received in simulator.ledger().requests] == ["create", "retrieve"]


def test_a_wait_that_the_provider_asks_for_has_a_limit(simulator: Simulator) -> None:
    state = one_poll(simulator, Rule(on="retrieve", fault=HttpError(status=503, retry_after=100000)))
    assert isinstance(state, Running)
    assert state.retry_after == 120


def test_a_cancel_is_idempotent(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=30)))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            for _ in range(2):
                assert isinstance(await operation.cancel(token), Cancelled)
            assert isinstance(await operation.poll(token), Cancelled)

    asyncio.run(main())
    assert simulator.ledger().running == ()


def test_a_cancel_after_the_end_returns_the_end(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Done.", duration=0.05)))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            await ended(operation, token)
            assert isinstance(await operation.cancel(token), Succeeded)

    asyncio.run(main())


def test_a_cancel_that_is_not_acknowledged_is_running(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=30, on_cancel="late")))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            state = await operation.cancel(token)
            assert isinstance(state, Running)
            assert isinstance(await ended(operation, token), Cancelled)

    asyncio.run(main())


@pytest.mark.parametrize(
    "fault", [HttpError(status=500), HttpError(status=429), HttpError(status=409), ConnectionLost()], ids=str
)
def test_a_cancel_that_fails_is_asked_again(simulator: Simulator, fault: HttpError | ConnectionLost) -> None:
    simulator.script(Rule(on="cancel", fault=fault), Rule(answer=Answer(duration=30)))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit(a_request(), "key")
            assert isinstance(await operation.cancel(token), Running | Cancelled)
            assert isinstance(await operation.cancel(token), Cancelled)

    asyncio.run(main())


def test_a_cancel_of_what_is_gone(simulator: Simulator) -> None:
    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = operation.adopt("resp_none")
            assert isinstance(await operation.cancel(token), Running)
            assert isinstance(await operation.cancel(replace(token, created_at=0.0)), Expired)

    asyncio.run(main())


def test_a_run_in_the_foreground_that_can_not_be_cancelled_is_polled(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="Done.", duration=0.05)))

    async def main() -> None:
        async with an_operation(simulator) as operation:
            token = await operation.submit({**a_request(), "background": False}, "key")
            assert isinstance(await operation.cancel(token), Succeeded)

    asyncio.run(main())


def test_the_command_line_finds_the_adapter_of_a_token(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.script(Rule(answer=Answer(duration=30)))
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        adapter = operation_for("openai.responses")
        assert isinstance(adapter, ResponsesOperation)
        token = await adapter.submit(a_request(), "key")
        assert isinstance(await adapter.cancel(token), Cancelled)

    asyncio.run(main())
    assert operation_for("another") is None


def test_the_first_waits_double_and_later_ones_grow_by_half_up_to_the_cap() -> None:
    """The age alone gives the series."""
    polling = Polling()
    age, waits = 0.0, list[float]()
    for _ in range(12):
        waits.append(polling.interval(age, 0.5))
        age += waits[-1]
    assert waits[:4] == pytest.approx([0.3, 0.6, 1.2, 2.0])
    assert [later / earlier for earlier, later in pairwise(waits[4:9])] == pytest.approx([1.5] * 4)
    assert waits[3] < waits[4] < 1.5 * waits[3]
    assert waits[-2:] == [20.0, 20.0]


@pytest.mark.parametrize("first", [2.0, 5.0])
def test_waits_that_begin_long_grow_by_half_at_once(first: float) -> None:
    polling = Polling(first=first, cap=1000)
    age, waits = 0.0, list[float]()
    for _ in range(5):
        waits.append(polling.interval(age, 0.5))
        age += waits[-1]
    assert waits == pytest.approx([first * 1.5**n for n in range(5)])


@given(age=st.floats(-1e6, 1e9), chance=st.floats(0, 1))
def test_a_wait_is_never_off_by_more_than_the_jitter(age: float, chance: float) -> None:
    polling = Polling()
    middle = polling.interval(age, 0.5)
    assert 0.3 <= middle <= 20.0
    assert 0.8 * middle - 1e-9 <= polling.interval(age, chance) <= 1.2 * middle + 1e-9


def test_whoever_polls_without_an_engine_waits_by_the_same_series_and_never_too_short() -> None:
    clock = Clock()
    operation = ResponsesOperation(clock=clock, chance=lambda: 0.5)
    token = operation.adopt("resp_1")
    clock.ahead = 3.2
    assert operation.wait(Running(token=token)) == pytest.approx(Polling().interval(3.2, 0.5), abs=0.01)
    assert operation.wait(Running(token=token, retry_after=45.0)) == 45.0
    assert operation.wait(Running(token=token, retry_after=0.1)) == pytest.approx(2.0, abs=0.01)
    assert operation.poll_after(token) == 0.3
    assert operation.poll_after(replace(token, handle={"id": "resp_1", "ended": True})) == 0.0
