"""The simulator's process: it survives its clients and being killed, and ends with its parent; its ledger counts right."""

import asyncio
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from openai import AsyncOpenAI, InternalServerError
from perdure.simulator import Answer, HttpError, Match, Rule, Simulator, SimulatorError


async def settled(client: AsyncOpenAI, response_id: str) -> str:
    while True:
        response = await client.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response.output_text
        await asyncio.sleep(0.05)


def test_generation_goes_on_while_the_simulator_is_dead(tmp_path: Path) -> None:
    async def main(simulator: Simulator) -> None:
        simulator.script(Rule(match=Match(contains="short"), answer=Answer(duration=0.4)))
        async with simulator.client(_strict_response_validation=True, max_retries=0) as client:
            stream = await client.responses.create(model="o3", input="Go on.", background=True, stream=True)
            first = await anext(aiter(stream))
            await stream.close()
            assert first.type == "response.created"
            polled = await client.responses.create(model="o3", input="Go on.", background=True)
            short = await client.responses.create(model="o3", input="Be short.", background=True)
            cancelled = await client.responses.create(model="o3", input="Stop.", background=True)
            await client.responses.cancel(cancelled.id)
        simulator.kill()
        await asyncio.sleep(0.5)
        url = simulator.base_url
        simulator.start()
        assert simulator.base_url == url
        async with simulator.client(_strict_response_validation=True, max_retries=0) as client:
            assert (await client.responses.retrieve(short.id)).status == "completed"
            assert (await client.responses.retrieve(cancelled.id)).status == "cancelled"
            async with await client.responses.retrieve(
                first.response.id, stream=True, starting_after=first.sequence_number
            ) as rest:
                events = [event async for event in rest]
            assert [event.sequence_number for event in events] == list(range(1, len(events) + 1))
            assert events[-1].type == "response.completed"
            assert await settled(client, polled.id) == events[-1].response.output_text
        account = simulator.ledger()
        assert len(account.accepted()) == len(account.submissions()) == 4
        assert account.running == ()

    with Simulator(tmp_path / "sim.db", duration=1.5) as simulator:
        asyncio.run(main(simulator))


def test_a_script_outlives_the_process(tmp_path: Path) -> None:
    async def main(simulator: Simulator) -> None:
        async with simulator.client(max_retries=0) as client:
            await client.responses.create(model="o3", input="Go.", background=True)

    with Simulator(tmp_path / "sim.db") as simulator:
        simulator.script(Rule(fault=HttpError(status=500), nth=4))
        asyncio.run(three(simulator))
        simulator.restart()
        with pytest.raises(InternalServerError, match="server had an error"):
            asyncio.run(main(simulator))


async def three(simulator: Simulator) -> None:
    async with simulator.client(max_retries=0) as client:
        for number in range(3):
            await client.responses.create(
                model="o3", input="Go.", background=True, metadata={"run": "r1", "node": f"n{number % 2}"}
            )


def test_the_ledger_counts(simulator: Simulator) -> None:
    asyncio.run(three(simulator))
    account = simulator.ledger()
    assert [request.number for request in account.requests] == [1, 2, 3]
    assert account.requests[0].body["input"] == "Go."
    assert account.summary == {
        "submissions_received": 3,
        "submissions_accepted": 3,
        "polls": 0,
        "streams": 0,
        "cancels": 0,
        "running": 3,
        "accepted_by_metadata": {"run": {"r1": 3}, "node": {"n0": 2, "n1": 1}},
    }
    assert len(account.accepted(run="r1", node="n0")) == 2
    assert len(account.running) == 3
    simulator.reset()
    assert simulator.ledger().requests == ()
    assert simulator.ledger().responses == ()


def test_waiting_until_idle(simulator: Simulator) -> None:
    simulator.script(Rule(answer=Answer(duration=1.5)))
    asyncio.run(three(simulator))
    with pytest.raises(SimulatorError, match="Still running"):
        simulator.wait_until_idle(timeout=0.1)
    assert simulator.wait_until_idle(timeout=10).running == ()


def test_the_ledger_is_json_for_everybody(simulator: Simulator) -> None:
    asyncio.run(three(simulator))
    host = simulator.base_url.split("/")[2]
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/_control/ledger")
    data = json.loads(connection.getresponse().read())
    connection.request("POST", "/_control/script", '{"fault": {"kind": "http_error", "stauts": 1}}')
    refused = connection.getresponse()
    message = json.loads(refused.read())["error"]["message"]
    connection.close()
    assert set(data) == {"requests", "responses", "summary"}
    assert refused.status == 400
    assert "stauts" in message


def test_a_thousand_responses_are_no_trouble(simulator: Simulator) -> None:
    async def main() -> float:
        gate = asyncio.Semaphore(50)
        async with simulator.client(max_retries=0) as client:

            async def submit() -> str:
                async with gate:
                    return (await client.responses.create(model="o3", input="Go.", background=True)).id

            start = time.perf_counter()
            ids = await asyncio.gather(*(submit() for _ in range(1000)))
            elapsed = time.perf_counter() - start
            assert len(set(ids)) == 1000
        return elapsed

    simulator.script(Rule(answer=Answer(duration=0)))
    elapsed = asyncio.run(main())
    account = simulator.ledger()
    assert len(account.accepted()) == 1000
    assert account.running == ()
    assert 1000 / elapsed > 50


ORPHAN = """
import sys, time
from perdure.simulator import Simulator
simulator = Simulator(sys.argv[1]).start()
print(simulator.base_url.split("/")[2], flush=True)
time.sleep(60)
"""


@pytest.mark.crash
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "sim.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        host = parent.stdout.readline().strip()
        parent.kill()
    deadline = time.monotonic() + 5
    while True:
        connection = http.client.HTTPConnection(host, timeout=1)
        try:
            connection.request("GET", "/_control/ledger")
        except ConnectionRefusedError:
            break
        except OSError:
            pass
        finally:
            connection.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)


SERVE = """
import sys
from perdure.simulator import serve
serve(0, sys.argv[1], duration=30)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_prints_what_to_export_and_ends_cleanly(
    tmp_path: Path, signal_number: signal.Signals
) -> None:
    database = tmp_path / "sim.db"
    command = [sys.executable, "-c", SERVE, str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        exports = dict(line.split()[1].split("=", 1) for line in lines if line.strip().startswith("export"))
        assert set(exports) == {"OPENAI_BASE_URL", "OPENAI_API_KEY"}
        hanging = http.client.HTTPConnection(exports["OPENAI_BASE_URL"].split("/")[2])
        body = json.dumps({"model": "o3", "input": "Go."})
        hanging.request("POST", "/v1/responses", body, {"Authorization": "Bearer k"})
        time.sleep(1)
        start = time.monotonic()
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=10)
        hanging.close()
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - start < 5
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM responses").fetchone() == (1,)
    connection.close()


def test_using_it_before_the_start_or_on_a_bad_file_says_what_to_do(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "sim.db")
    with pytest.raises(SimulatorError, match="start"):
        _ = simulator.base_url
    with pytest.raises(SimulatorError, match="not running"):
        simulator.ledger()
    (tmp_path / "broken.db").write_text("no database " * 100)
    with pytest.raises(SimulatorError, match=r"did not start on .*broken\.db"):
        Simulator(tmp_path / "broken.db").start()


def test_importing_it_loads_no_web_server() -> None:
    code = "import sys, perdure.simulator as s; print({'starlette', 'uvicorn', 'openai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_process_is_there_before_a_second_has_passed(tmp_path: Path) -> None:
    start = time.perf_counter()
    with Simulator(tmp_path / "sim.db") as simulator:
        elapsed = time.perf_counter() - start
        assert simulator.alive
    assert not simulator.alive
    assert elapsed < 10  # loaded machines are slow; alone it takes a third of a second
    assert os.path.exists(tmp_path / "sim.db")
