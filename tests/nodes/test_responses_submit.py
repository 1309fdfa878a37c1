"""Submissions: what is sent, and what the provider's answer, or its silence, says about their fate."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
from openai import AsyncOpenAI
from perdure.nodes import OperationError, Polling, SubmissionRejectedError, SubmissionUnknownError
from perdure.nodes.operations import Json, ResponsesOperation
from perdure.simulator import Answer, BrokenReply, ConnectionLost, HttpError, Rule, Simulator, SlowReply

REQUEST: Mapping[str, Json] = {
    "model": "m",
    "input": "Hello",
    "instructions": "Be kind.",
    "reasoning": {"effort": "low"},
    "metadata": {"run": "r1", "node": "research[3]", "attempt": "1"},
    "a_parameter_of_tomorrow": {"depth": [1, 2.5, None, True]},
    "background": True,
    "store": True,
}
SECRET = "sk-wrong-Zk3v9_QwErTy-0123456789abcdefABCDEF"  # a made-up key

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(handle: Handler) -> AsyncGenerator[str, None]:
    """A bare TCP server, for what the simulator's HTTP can't do."""

    idle = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        idle.clear()
        await handle(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        idle.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await idle.wait()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One HTTP request: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return head, await reader.readexactly(length)


def a_reply(status: int, body: str, *headers: str) -> bytes:
    """One HTTP reply that closes the connection."""
    data = body.encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(data)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def fate(client: AsyncOpenAI, polling: Polling | None = None) -> OperationError:
    """The error of a submission."""
    async with client:
        operation = ResponsesOperation(client, polling=polling or Polling(timeout=5))
        with pytest.raises((SubmissionRejectedError, SubmissionUnknownError)) as caught:
            await operation.submit(REQUEST, "key-1")
    return caught.value


async def fate_at(url: str, polling: Polling | None = None) -> OperationError:
    return await fate(AsyncOpenAI(base_url=url, api_key=SECRET), polling)


def test_the_request_is_sent_as_it_is_with_its_key(simulator: Simulator) -> None:
    async def main() -> str:
        async with simulator.client() as client:
            operation = ResponsesOperation(client)
            token = await operation.submit(REQUEST, "key-1")
        assert (token.provider, token.cursor) == ("openai.responses", None)
        assert operation.poll_after(token) == 0.3
        return str(token.handle["id"])

    handle = asyncio.run(main())
    (request,) = simulator.ledger().submissions()
    assert request.body == REQUEST
    assert request.idempotency_key == "key-1"
    assert request.response_id == handle


def test_a_resubmission_sends_the_same_bytes() -> None:
    """Also when the request was stored and read back meanwhile."""
    seen: list[tuple[bytes, bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(a_reply(500, "{}"))
        await writer.drain()

    async def main() -> None:
        async with a_server(handle) as url:
            for request in (REQUEST, json.loads(json.dumps(REQUEST))):
                async with AsyncOpenAI(base_url=url, api_key=SECRET) as client:
                    with pytest.raises(SubmissionUnknownError):
                        await ResponsesOperation(client).submit(request, "key-1")

    asyncio.run(main())
    (head, body), (head_again, body_again) = seen
    assert body == body_again
    assert json.loads(body) == REQUEST
    assert b"idempotency-key: key-1" in head.lower()
    assert b"idempotency-key: key-1" in head_again.lower()


def test_nothing_is_retried_even_if_the_client_would(simulator: Simulator) -> None:
    simulator.script(Rule(fault=HttpError(status=500), times=0))
    asyncio.run(fate(simulator.client(max_retries=5)))
    assert len(simulator.ledger().submissions()) == 1


def test_no_connection_means_not_accepted() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        error = asyncio.run(fate_at(f"http://127.0.0.1:{taken.getsockname()[1]}/v1"))
    assert isinstance(error, SubmissionRejectedError)
    assert (error.code, error.retryable) == ("unreachable", True)


def test_a_name_that_does_not_resolve_means_not_accepted() -> None:
    error = asyncio.run(fate_at("http://no-such-host.invalid/v1"))
    assert isinstance(error, SubmissionRejectedError)
    assert error.retryable
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("url", ["localhost:8080/v1", "nonsense"])
def test_an_address_that_is_none_means_nothing_was_sent(url: str) -> None:
    error = asyncio.run(fate_at(url))
    assert isinstance(error, SubmissionRejectedError)
    assert (error.code, error.retryable) == ("bad_url", False)
    assert "OPENAI_BASE_URL" in str(error)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, True),
        (422, False),
        (429, True),
    ],
)
def test_an_error_of_ours_means_not_accepted(simulator: Simulator, status: int, *, retryable: bool) -> None:
    simulator.script(Rule(fault=HttpError(status=status)))
    error = asyncio.run(fate(simulator.client()))
    assert isinstance(error, SubmissionRejectedError)
    assert error.retryable is retryable
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (HttpError(status=429, retry_after=7), 7.0),
        (HttpError(status=429, retry_after_ms=1500), 1.5),
        (HttpError(status=429, retry_after=9, retry_after_ms=250), 0.25),
        (HttpError(status=429), None),
    ],
)
def test_the_provider_says_when_to_come_back(
    simulator: Simulator, fault: HttpError, seconds: float | None
) -> None:
    simulator.script(Rule(fault=fault))
    error = asyncio.run(fate(simulator.client()))
    assert isinstance(error, SubmissionRejectedError)
    assert error.retry_after == seconds


def test_a_spent_quota_does_not_pass(simulator: Simulator) -> None:
    simulator.script(Rule(fault=HttpError(status=429, code="insufficient_quota")))
    error = asyncio.run(fate(simulator.client()))
    assert isinstance(error, SubmissionRejectedError)
    assert (error.code, error.retryable) == ("insufficient_quota", False)
    assert "quota" in str(error)


def test_the_provider_knows_best_whether_to_try_again(simulator: Simulator) -> None:
    simulator.script(Rule(fault=HttpError(status=429, should_retry=False)))
    error = asyncio.run(fate(simulator.client()))
    assert isinstance(error, SubmissionRejectedError)
    assert not error.retryable


@pytest.mark.parametrize(
    "fault",
    [
        HttpError(status=500),
        HttpError(status=500, accepted=True),
        HttpError(status=503, retry_after=3),
        ConnectionLost(accepted=True),
        ConnectionLost(accepted=False),
        BrokenReply(form="bad_json"),
        BrokenReply(form="html"),
        BrokenReply(form="half"),
        SlowReply(seconds=3, accepted=True),
    ],
    ids=str,
)
def test_everything_else_means_that_it_may_have_been_accepted(
    simulator: Simulator, fault: HttpError | ConnectionLost | BrokenReply | SlowReply
) -> None:
    simulator.script(Rule(fault=fault))
    error = asyncio.run(fate(simulator.client(), Polling(timeout=0.5)))
    assert isinstance(error, SubmissionUnknownError)
    assert error.retry_after == (3.0 if isinstance(fault, HttpError) and fault.status == 503 else None)


def test_a_reset_after_the_request_was_read_is_unknown() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def main() -> OperationError:
        async with a_server(handle) as url:
            return await fate_at(url)

    error = asyncio.run(main())
    assert isinstance(error, SubmissionUnknownError)
    assert error.code == "no_answer"


def test_a_server_that_never_answers_is_unknown() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up

    async def main() -> OperationError:
        async with a_server(handle) as url:
            return await fate_at(url, Polling(timeout=0.3))

    assert isinstance(asyncio.run(main()), SubmissionUnknownError)


@pytest.mark.parametrize("body", ["{}", "[1]", '{"id": 3}', "null", "<html></html>"])
def test_an_answer_without_an_id_is_unknown(body: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(a_reply(200, body, "content-type: application/json"))
        await writer.drain()

    async def main() -> OperationError:
        async with a_server(handle) as url:
            return await fate_at(url)

    error = asyncio.run(main())
    assert isinstance(error, SubmissionUnknownError)
    assert error.code == "unreadable_answer"


def test_without_a_key_nothing_is_sent_and_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SubmissionRejectedError) as caught:
        asyncio.run(ResponsesOperation().submit(REQUEST, "key-1"))
    assert not caught.value.retryable
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "client=" in str(caught.value)


def test_no_key_reaches_an_error_or_its_traceback(simulator: Simulator) -> None:
    """The provider repeats the key that it was sent; so do many proxies."""
    error = asyncio.run(fate(simulator.client(api_key=SECRET)))
    assert isinstance(error, SubmissionRejectedError)
    assert not error.retryable
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert "OPENAI_API_KEY" in shown
    assert SECRET not in shown
    assert SECRET[-4:] not in shown
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {SECRET}.",
        "Incorrect API key provided: sk-wrong-*******************CDEF.",
        f"header was 'Authorization: Bearer {SECRET}'",
        "Incorrect API key provided: my own keys look so.",
    ],
)
def test_a_repeated_key_is_left_out_in_whatever_form(said: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(a_reply(401, json.dumps({"error": {"message": said}}), "content-type: application/json"))
        await writer.drain()

    async def main() -> str:
        async with a_server(handle) as url:
            return str(await fate_at(url))

    text = asyncio.run(main())
    assert "[key]" in text
    for secret in (SECRET, "sk-wrong", "CDEF", "provided: my"):
        assert secret not in text


def test_a_run_in_the_foreground_is_done_when_its_handle_is_known(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(text="There.", duration=0.2)))

    async def main() -> None:
        async with simulator.client() as client:
            operation = ResponsesOperation(client)
            token = await operation.submit({**REQUEST, "background": False}, "key-1")
            assert operation.poll_after(token) == 0.0
            state = await operation.poll(token)
        value = getattr(state, "value", {})
        assert (value["id"], value["text"], value["model"]) == (token.handle["id"], "There.", "m")
        assert value["previous_response_id"] is None
        assert [item["content"][0]["text"] for item in value["items"]] == ["There."]
        assert value["usage"]["output_tokens"] > 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 2.5", 2.5),
        ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("retry-after: soon", None),
        ("retry-after: inf", None),
        ("retry-after: -4", 0.0),
    ],
)
def test_odd_times_to_come_back(header: str, seconds: float | None) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(a_reply(429, "{}", "content-type: application/json", header))
        await writer.drain()

    async def main() -> OperationError:
        async with a_server(handle) as url:
            return await fate_at(url)

    error = asyncio.run(main())
    assert isinstance(error, SubmissionRejectedError)
    assert error.retry_after == seconds
