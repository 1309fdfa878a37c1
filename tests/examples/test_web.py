"""The synchronous web process beside the executor process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from perdure.simulator import Answer, Match, Rule, Simulator
from perdure.simulator.fixture import simulator as simulator

from .programs import Program, call, call_until

RUN = "/runs/otters-1"
ORDER = {"topic": "sea otters", "id": "otters-1"}
BRIEFING = "Sea otters hold hands."
SIGTERM_EXIT = 143


def web(folder: Path, simulator: Simulator) -> Program:
    return Program(folder, simulator.env, "examples.embedding.web", "0", name="web")


def worker(folder: Path, simulator: Simulator, name: str = "worker") -> Program:
    return Program(folder, simulator.env, "examples.embedding.worker", name=name)


def test_orders_wait_for_a_worker_and_survive_it(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script(
        Rule(match=Match(contains="Write a briefing"), answer=Answer(text=BRIEFING, duration=0.2)),
        Rule(answer=Answer(duration=10.0)),
    )
    with web(tmp_path, simulator) as site:
        port = site.port()
        ordered = call(port, "POST", "/runs", ORDER)
        assert (ordered.status, ordered.body) == (201, {"id": "otters-1"})
        assert call(port, "POST", "/runs", ORDER).body == {"id": "otters-1"}
        assert call(port, "GET", RUN).body == {"status": "ordered"}
        with closing(sqlite3.connect(tmp_path / "web.db")) as database, database:
            database.execute("INSERT INTO orders (id, topic) VALUES ('no id of a run', 'bats')")
        with worker(tmp_path, simulator) as first:
            first.printed("order no id of a run is not started")
            call_until(port, RUN, "waiting")
            assert first.terminate() == SIGTERM_EXIT
        assert call(port, "GET", RUN).body == {"status": "waiting"}
        with worker(tmp_path, simulator, "next") as second:
            assert call_until(port, RUN, "succeeded").body["result"] == BRIEFING
            assert second.terminate() == SIGTERM_EXIT
    assert simulator.ledger().summary["submissions_received"] == 2


def test_what_is_wrong_with_a_request_is_told(simulator: Simulator, tmp_path: Path) -> None:
    with web(tmp_path, simulator) as site:
        port = site.port()
        call(port, "POST", "/runs", ORDER)
        other = call(port, "POST", "/runs", {**ORDER, "topic": "bats"})
        assert other.status == 409
        assert "otters-1" in other.body["detail"]
        assert call(port, "POST", "/runs", {**ORDER, "id": "sea otters"}).status == 400
        missing = call(port, "GET", "/runs/bats-1")
        assert missing.status == 404
        assert "bats-1" in missing.body["detail"]
