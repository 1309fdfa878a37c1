"""The web service under uvicorn: orders, streams, and deploys that lose nothing and pay nothing twice."""

from __future__ import annotations

import signal
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from perdure.simulator import Answer, HttpError, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .programs import Message, Program, call, call_until, stream

RUN = "/runs/otters-1"
ORDER = {"topic": "sea otters", "id": "otters-1"}
BRIEFING = "Sea otters hold hands."
WRITTEN = Rule(match=Match(contains="Write a briefing"), answer=Answer(text=BRIEFING, duration=0.2))


def serve(folder: Path, env: Mapping[str, str], name: str = "first") -> Program:
    command = ("uvicorn", "examples.embedding.service:app", "--timeout-graceful-shutdown", "2")
    return Program(folder, env, *command, "--port", "0", name=name)


@pytest.fixture
def port(simulator: Simulator, tmp_path: Path) -> Generator[int]:
    """Of a service whose provider answers at once."""
    simulator.script(WRITTEN, Rule(answer=Answer(duration=0.2)))
    with serve(tmp_path, simulator.env) as service:
        yield service.port()


def test_an_order_that_is_sent_twice_is_one_run(port: int, simulator: Simulator) -> None:
    first = call(port, "POST", "/runs", ORDER)
    assert (first.status, first.body) == (201, {"id": "otters-1"})
    assert first.headers["location"] == RUN
    done = call_until(port, RUN, "succeeded")
    assert done.body["result"] == BRIEFING
    second = call(port, "POST", "/runs", ORDER)
    assert (second.status, second.body) == (201, {"id": "otters-1"})
    assert call(port, "GET", RUN).body == done.body
    assert simulator.ledger().summary["submissions_received"] == 2


def test_orders_without_an_id_are_runs_of_their_own(port: int) -> None:
    ids = {call(port, "POST", "/runs", {"topic": "sea otters"}).body["id"] for _ in range(2)}
    assert len(ids) == 2
    for run_id in ids:
        call_until(port, f"/runs/{run_id}", "succeeded")


def test_what_is_wrong_with_a_request_is_told(port: int) -> None:
    missing = call(port, "GET", RUN)
    assert missing.status == 404
    assert "otters-1" in missing.body["detail"]
    assert call(port, "GET", f"{RUN}/events").status == 404
    call(port, "POST", "/runs", ORDER)
    other = call(port, "POST", "/runs", {**ORDER, "topic": "bats"})
    assert other.status == 409
    assert "otters-1" in other.body["detail"]
    unusable = call(port, "POST", "/runs", {**ORDER, "id": "sea otters"})
    assert unusable.status == 422
    assert "sea otters" in unusable.body["detail"]


def test_a_failed_run_says_why(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script(Rule(fault=HttpError(status=400, code="invalid_prompt", message="Not about otters.")))
    with serve(tmp_path, simulator.env) as service:
        port = service.port()
        call(port, "POST", "/runs", ORDER)
        assert "Not about otters." in call_until(port, RUN, "failed").body["error"]
        with stream(port, f"{RUN}/events") as messages:
            assert list(messages)[-1] == Message(None, "end", {"status": "failed"})


def test_a_stream_goes_on_after_the_last_event_that_was_seen(port: int) -> None:
    call(port, "POST", "/runs", ORDER)
    with stream(port, f"{RUN}/events") as messages:
        *whole, end = messages
    assert (end.id, end.event, end.data) == (None, "end", {"status": "succeeded"})
    assert [message.id for message in whole] == [str(number) for number in range(1, len(whole) + 1)]
    assert [message.event for message in whole].count("submitted") == 2
    for message in whole:
        with stream(port, f"{RUN}/events", after=message.id) as messages:
            assert list(messages) == [*whole[int(message.id or 0) :], end]


@pytest.mark.parametrize("rolling", [False, True], ids=["replaced", "rolling"])
def test_a_deploy_loses_nothing(simulator: Simulator, tmp_path: Path, rolling: bool) -> None:
    simulator.script(WRITTEN, Rule(answer=Answer(duration=15)))
    with ExitStack() as services:
        old = services.enter_context(serve(tmp_path, simulator.env, "old"))
        call(old.port(), "POST", "/runs", ORDER)
        new = services.enter_context(serve(tmp_path, simulator.env, "new")) if rolling else None
        if new is not None:
            new.port()
        seen: list[Message] = []
        with stream(old.port(), f"{RUN}/events") as messages:
            for message in messages:
                seen.append(message)
                if message.event == "submitted":
                    break
            # The stream is open, and has nothing to tell until the provider has answered.
            assert old.terminate() in (0, -signal.SIGTERM)
            assert simulator.ledger().running, "the stop took as long as the run"
            seen += messages
        if new is None:
            new = services.enter_context(serve(tmp_path, simulator.env, "new"))
        with stream(new.port(), f"{RUN}/events", after=seen[-1].id) as messages:
            seen += messages
        with stream(new.port(), f"{RUN}/events") as messages:
            assert list(messages) == seen, "an event was missed or repeated"
        assert seen[-1] == Message(None, "end", {"status": "succeeded"})
        assert call(new.port(), "GET", RUN).body["result"] == BRIEFING
    assert simulator.ledger().summary["submissions_received"] == 2
