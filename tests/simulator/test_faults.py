"""Every fault of a request as a client sees it on the wire, and what the simulator's ledger holds afterwards."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncOpenAI,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from openai.types.responses import Response
from perdure.simulator import (
    Answer,
    BrokenReply,
    ConnectionLost,
    HttpError,
    Match,
    NotFound,
    Rule,
    Simulator,
    SlowReply,
    Stale,
)


@asynccontextmanager
async def plain(simulator: Simulator) -> AsyncGenerator[AsyncOpenAI]:
    async with simulator.client(max_retries=0) as client:
        yield client


def submit(client: AsyncOpenAI, text: str = "Go.") -> Coroutine[None, None, Response]:
    return client.responses.create(model="o3", input=text, background=True)


def test_a_reply_is_lost_after_the_submission_was_accepted(simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost()))

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises(APIConnectionError) as lost:
                await submit(client)
            assert not isinstance(lost.value, APITimeoutError)
            await submit(client)

    asyncio.run(main())
    account = simulator.ledger()
    assert [(r.outcome, r.status, r.fault) for r in account.submissions()] == [
        ("accepted", None, "connection_lost"),
        ("accepted", 200, None),
    ]
    assert account.submissions()[0].response_id == account.accepted()[0].id


def test_a_connection_is_lost_before_acceptance(simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost(accepted=False)))

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises(APIConnectionError):
                await submit(client)

    asyncio.run(main())
    assert [request.outcome for request in simulator.ledger().submissions()] == ["fault"]
    assert simulator.ledger().accepted() == ()


def test_the_real_clients_own_retry_pays_twice(simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost()))

    async def main() -> None:
        async with simulator.client() as client:
            await submit(client)

    asyncio.run(main())
    assert len(simulator.ledger().accepted()) == 2


def test_a_reply_that_hangs_after_acceptance(simulator: Simulator) -> None:
    simulator.script(Rule(fault=SlowReply(seconds=30)))

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises(APITimeoutError):
                await client.with_options(timeout=1).responses.create(
                    model="o3", input="Go.", background=True
                )

    asyncio.run(main())
    account = simulator.ledger()
    assert len(account.accepted()) == 1
    assert [(request.outcome, request.status) for request in account.submissions()] == [("accepted", None)]


def test_a_submission_that_is_accepted_late(simulator: Simulator) -> None:
    simulator.script(Rule(fault=SlowReply(seconds=1.5, accepted=False)))

    async def main() -> None:
        async with plain(simulator) as client, asyncio.TaskGroup() as tasks:
            created = tasks.create_task(submit(client))
            await asyncio.sleep(0.5)
            assert simulator.ledger().accepted() == ()
            assert len(simulator.ledger().submissions()) == 1
            assert (await created).status == "queued"

    asyncio.run(main())


def test_too_many_requests_says_when_to_come_back(simulator: Simulator) -> None:
    simulator.script(Rule(fault=HttpError(status=429, retry_after=2, retry_after_ms=1500, should_retry=True)))

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises(RateLimitError) as limited:
                await submit(client)
            headers = limited.value.response.headers
            assert [headers[name] for name in ("retry-after", "retry-after-ms", "x-should-retry")] == [
                "2",
                "1500",
                "true",
            ]
            assert limited.value.code == "rate_limit_exceeded"

    asyncio.run(main())
    assert simulator.ledger().accepted() == ()


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_before_and_after_acceptance(simulator: Simulator, status: int, accepted: bool) -> None:
    simulator.script(Rule(fault=HttpError(status=status, accepted=accepted), times=2))

    async def main() -> None:
        async with plain(simulator) as client:
            for _ in range(2):
                with pytest.raises(InternalServerError) as failed:
                    await submit(client)
                assert failed.value.status_code == status
            assert (await submit(client)).status == "queued"

    asyncio.run(main())
    assert len(simulator.ledger().accepted()) == (3 if accepted else 1)
    assert [request.status for request in simulator.ledger().submissions()] == [status, status, 200]


def test_a_poll_can_fail_in_every_way_and_the_run_goes_on(simulator: Simulator) -> None:
    simulator.script(
        Rule(on="retrieve", fault=HttpError(status=403)),
        Rule(on="retrieve", fault=HttpError(status=503)),
        Rule(on="retrieve", fault=ConnectionLost()),
        Rule(on="retrieve", fault=BrokenReply(form="bad_json")),
        Rule(on="retrieve", fault=BrokenReply(form="html")),
        Rule(on="retrieve", fault=BrokenReply(form="half")),
    )

    async def main() -> None:
        async with plain(simulator) as client:
            response = await submit(client)
            expected: tuple[type[Exception], ...] = (
                PermissionDeniedError,
                InternalServerError,
                APIConnectionError,
                json.JSONDecodeError,
                InternalServerError,
                APIConnectionError,
            )
            for error in expected:
                with pytest.raises(error):
                    await client.responses.retrieve(response.id)
            assert (await client.responses.retrieve(response.id)).id == response.id

    asyncio.run(main())
    assert [request.fault for request in simulator.ledger().calls("retrieve")] == [
        "http_error",
        "http_error",
        "connection_lost",
        "broken_reply",
        "broken_reply",
        "broken_reply",
        None,
    ]


@pytest.mark.parametrize("form", ["bad_json", "html", "half"])
def test_a_broken_reply_to_an_accepted_submission(
    simulator: Simulator, form: Literal["bad_json", "html", "half"]
) -> None:
    simulator.script(Rule(fault=BrokenReply(form=form)))

    async def main() -> None:
        async with plain(simulator) as client:
            with pytest.raises((json.JSONDecodeError, APIError)):
                await submit(client)

    asyncio.run(main())
    assert len(simulator.ledger().accepted()) == 1


def test_not_found_early_and_late(simulator: Simulator) -> None:
    simulator.script(
        Rule(answer=Answer(duration=30, queued=0)),
        Rule(match=Match(younger_than=1), fault=NotFound(), times=0),
        Rule(match=Match(older_than=2.5), fault=NotFound(), times=0),
    )

    async def main() -> None:
        async with plain(simulator) as client:
            response = await submit(client)
            with pytest.raises(NotFoundError, match="not found"):
                await client.responses.retrieve(response.id)
            await asyncio.sleep(1.2)
            assert (await client.responses.retrieve(response.id)).status == "in_progress"
            await asyncio.sleep(1.5)
            with pytest.raises(NotFoundError):
                await client.responses.retrieve(response.id)

    asyncio.run(main())


def test_a_stale_retrieve_after_the_end(simulator: Simulator) -> None:
    simulator.script(
        Rule(answer=Answer(duration=0)), Rule(match=Match(status="completed"), fault=Stale(), nth=2)
    )

    async def main() -> None:
        async with plain(simulator) as client:
            response = await submit(client)
            assert response.status == "completed"
            statuses = [(await client.responses.retrieve(response.id)).status for _ in range(3)]
            assert statuses == ["completed", "in_progress", "completed"]

    asyncio.run(main())


def test_a_cancel_whose_reply_is_lost_took_effect(simulator: Simulator) -> None:
    simulator.script(Rule(on="cancel", fault=ConnectionLost()))

    async def main() -> None:
        async with plain(simulator) as client:
            response = await submit(client)
            with pytest.raises(APIConnectionError):
                await client.responses.cancel(response.id)
            assert (await client.responses.cancel(response.id)).status == "cancelled"

    asyncio.run(main())
    assert len(simulator.ledger().calls("cancel")) == 2


def test_a_lost_connection_is_a_tcp_reset_and_no_end_of_file(simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost()))
    host, port = simulator.base_url.split("/")[2].split(":")
    body = b'{"model": "o3", "input": "Go.", "background": true}'
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_request_that_hangs_over_a_reset_belongs_to_the_past(simulator: Simulator) -> None:
    simulator.script(Rule(fault=SlowReply(seconds=1.5, accepted=False)))

    async def main() -> None:
        async with plain(simulator) as client:
            held_up = asyncio.create_task(submit(client, "Old."))
            await asyncio.sleep(0.5)
            simulator.reset()
            await submit(client, "New.")
            with pytest.raises(InternalServerError, match="was reset"):
                await held_up

    asyncio.run(main())
    account = simulator.ledger()
    assert [(request.body["input"], request.outcome) for request in account.requests] == [
        ("New.", "accepted")
    ]


def test_an_unknown_path_is_an_error_that_says_so(simulator: Simulator) -> None:
    async def main() -> None:
        async with simulator.client(base_url=simulator.base_url.removesuffix("/v1"), max_retries=0) as client:
            with pytest.raises(NotFoundError, match=r"Invalid URL \(POST /responses\)"):
                await submit(client)

    asyncio.run(main())


def test_half_a_request_is_none(simulator: Simulator) -> None:
    host, port = simulator.base_url.split("/")[2].split(":")
    head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + b'{"model": ')
        time.sleep(0.2)
    time.sleep(0.2)
    assert simulator.ledger().requests == ()
