"""`answer`, `cancel` and `simulate`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from perdure.checkpoints.codec import pack
from perdure.checkpoints.sqlite import SQLiteStore
from perdure.inspector.act.simulate import SimulatorUnavailableError, simulate
from perdure.simulator import Answer, ConnectionLost, Match, Rule, Simulator, SlowReply

from . import apps
from .console import Console, wait_for
from .making import make, one_waits, two_wait, unknown
from .test_driving import drives

# -- answer --------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(console: Console, db: Path, simulator: Simulator) -> str:
    """A run that asks: the provider accepted its submission, and the reply was lost."""
    simulator.script(Rule(fault=ConnectionLost(accepted=True)))
    make(db, apps.asking, "whales", "whales-1", until=unknown)
    return "whales-1"


def test_resubmit_sends_the_same_request_again(console: Console, lost: str, simulator: Simulator) -> None:
    answered = console.run("answer", "whales", "look", "resubmit")
    assert (answered.code, answered.out) == (0, "")
    assert "Nobody drives the run now" in answered.err
    assert "perdure resume whales-1" in answered.err
    assert console.run("resume", lost).code == 0
    first, second = simulator.ledger().submissions()
    assert first.body == second.body
    look = _activation(console, lost, "look")
    assert (look["submissions"], look["unknown_submissions"], look["error"]) == (2, 1, None)
    assert "2, 1 of unknown fate" in console.run("show", lost).out


def test_fail_fails_the_run_and_nothing_is_submitted(
    console: Console, lost: str, simulator: Simulator
) -> None:
    assert console.run("answer", lost, "look", "fail").code == 0
    done = console.run("resume", lost)
    assert done.code == 4
    assert "a person decided to fail the node" in done.err
    assert len(simulator.ledger().submissions()) == 1


def test_a_handle_is_adopted(console: Console, lost: str, simulator: Simulator) -> None:
    (accepted,) = simulator.ledger().accepted()
    answered = console.run("answer", lost, "look", accepted.id, "-o", "json")
    assert answered.json == {"run": lost, "activation": "look", "fate": accepted.id, "driven_by": None}
    assert console.run("resume", lost).code == 0
    assert len(simulator.ledger().submissions()) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("whales-1", "count", "resubmit"), 1, "count waits for no answer. What does: look."),
        (("whales-1", "look[0]", "resubmit"), 1, "look[0] waits for no answer. What does: look."),
        (("whales-1", "look", "resubmitt"), 2, "did you mean resubmit?"),
        (("whales-1", "look", "Fail"), 2, "did you mean fail?"),
        (("whales-1", "look", " "), 2, "it is empty"),
        (("whales-1", "look", "HANDLE"), 2, "HANDLE stands for the provider's handle"),
        (("whales-1", "look"), 2, "Missing argument"),
        (("nosuch", "look", "fail"), 3, "perdure runs"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(
    console: Console, lost: str, words: tuple[str, ...], code: int, message: str
) -> None:
    done = console.run("answer", *words)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert console.run("db", "info", "-o", "json").json["rows"]["signals"] == 0


def test_an_answer_that_was_given_is_shown_and_not_asked_for_again(console: Console, lost: str) -> None:
    assert console.run("answer", lost, "look", "fail").code == 0
    run = console.run("show", lost, "-o", "json").json
    assert [(wait["on"], wait["activation"], wait["fate"]) for wait in run["waits_on"]] == [
        ("driver", "look", "fail"),
        ("driver", None, None),
    ]
    (signal_,) = run["signals"]
    assert list(signal_) == ["id", "at", "kind", "activation", "data"]
    assert (signal_["kind"], signal_["activation"], signal_["data"]) == (
        "fate",
        "look",
        {"operation": [1, "", 0], "reply": "fail"},
    )
    text = console.run("show", lost).out
    assert "fail for look. Kept for whoever drives the run next." in " ".join(text.split())
    assert "waits for you" not in text
    assert "perdure answer" not in text
    assert "perdure resume whales-1" in text


def test_of_several_operations_each_is_answered_by_its_name(console: Console, db: Path, lost: str) -> None:
    asked = 'look (ask "prices")'
    with closing(sqlite3.connect(db)) as opened, opened:  # its function asks as well
        columns = [name for _, name, *_ in opened.execute("PRAGMA table_info(operations)")]
        chosen = ", ".join("'prices'" if name == "chain" else name for name in columns)
        opened.execute(f"INSERT INTO operations ({', '.join(columns)}) SELECT {chosen} FROM operations")
    text = console.run("show", lost).out
    assert f"perdure answer {lost} look fail" in text
    assert f"perdure answer {lost} '{asked}' fail" in text
    answered = console.run("answer", lost, asked, "fail", "-o", "json")
    assert answered.json == {"run": lost, "activation": "look", "fate": "fail", "driven_by": None}
    assert f"The answer for {asked} of run {lost} is kept." in answered.err
    text = console.run("show", lost).out
    assert f"perdure answer {lost} look fail" in text
    assert f"perdure answer {lost} '{asked}' fail" not in text
    assert f"fail for {asked}. Kept" in " ".join(text.split())


def test_a_signal_of_a_kind_that_nobody_knows_is_shown(console: Console, db: Path, lost: str) -> None:
    async def leave() -> None:
        async with SQLiteStore(db) as store:
            run = await store.read(lambda view: view.run(lost))
            await store.signal(run.key, "raven", "look", (), pack({"wings": 2}))
            await store.signal(run.key, "cancel", None, (), b"\xc1 no msgpack")

    asyncio.run(leave())
    text = " ".join(console.run("show", lost).out.split())
    assert 'signal of kind raven for look, 0 s ago, which this version does not know: {"wings": 2}.' in text
    assert "asked to cancel 0 s ago. Kept for whoever drives the run next." in text
    signals = console.run("show", lost, "-o", "json").json["signals"]
    assert [(one["kind"], one["data"]) for one in signals] == [("raven", {"wings": 2}), ("cancel", None)]


def test_a_second_answer_is_refused_while_the_first_waits(console: Console, lost: str) -> None:
    assert console.run("answer", lost, "look", "resubmit").code == 0
    done = console.run("answer", lost, "look", "fail")
    assert done.code == 1
    assert "has an answer already" in done.err


def test_an_answer_is_left_to_the_process_that_drives_the_run(
    console: Console, db: Path, simulator: Simulator
) -> None:
    """One item waits for a person, the other for the provider: so the run is driven on meanwhile."""
    simulator.script(
        Rule(match=Match(contains="one"), fault=ConnectionLost(accepted=True)),
        Rule(match=Match(contains="two"), answer=Answer(duration=4.0)),
    )
    make(
        db,
        apps.choosing,
        ["one", "two"],
        "both-1",
        until=lambda found: unknown(found) and one_waits(found),
    )
    driving = console.spawn("resume", "both-1")
    drives(console, "both-1")
    answered = console.run("answer", "both-1", "look", "resubmit")
    assert answered.code == 0
    assert f"left to process {driving.pid}" in answered.err
    done = wait_for(driving)
    assert (done.code, done.out) == (0, "2\n")
    assert len(simulator.ledger().submissions()) == 3


def _activation(console: Console, run_id: str, name: str) -> dict[str, object]:
    activations = console.run("show", run_id, "-o", "json").json["activations"]
    return next(activation for activation in activations if activation["activation"] == name)


def test_a_submission_whose_process_was_killed_can_be_decided_before_anybody_resumes(
    console: Console, db: Path, simulator: Simulator
) -> None:
    simulator.script(Rule(fault=SlowReply(seconds=30, accepted=True)))
    program = (
        "import sys, apps, asyncio; from perdure.checkpoints import SQLiteStore as S; "
        "from perdure.engine import Executor as E\n"
        "async def main():\n  async with E(S(sys.argv[1])) as e:\n"
        "    await (await e.start(apps.asking, 'whales', run_id='whales-1')).result()\n"
        "asyncio.run(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, db], cwd=console.folder, env=console.environment
    )
    try:
        deadline = time.monotonic() + 30
        while not simulator.ledger().accepted():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    (accepted,) = simulator.ledger().accepted()
    text = " ".join(console.run("show", "whales-1").out.split())
    assert "the process that submitted look ended before the handle was known" in text
    assert "gone and did not give it back" in text
    for reply in ("resubmit", "fail", "HANDLE"):
        assert f"perdure answer whales-1 look {reply}" in text
    assert console.run("answer", "whales-1", "look", accepted.id).code == 0
    assert console.run("resume", "whales-1").code == 0
    assert len(simulator.ledger().submissions()) == 1
    look = _activation(console, "whales-1", "look")
    assert (look["submissions"], look["unknown_submissions"]) == (1, 1)


# -- cancel --------------------------------------------------------------------------------------------------


@pytest.fixture
def stuck(console: Console, db: Path, simulator: Simulator) -> str:
    """A run whose agents are at the provider for an hour; nobody drives it."""
    simulator.script(Rule(match=Match(contains="otters"), answer=Answer(duration=3600)))
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    return "otters-1"


def test_cancel_ends_the_run_at_the_provider_too_without_any_app(
    console: Console, stuck: str, simulator: Simulator, tmp_path: Path
) -> None:
    done = console.run("cancel", "otters", env={"PERDURE_APP": "no.such:app"})
    assert (done.code, done.err) == (0, "")
    assert done.lines == ["Run otters-1 cancelled. What was under way: research[0], research[1]."]
    assert [response.status for response in simulator.ledger().responses] == ["cancelled"] * 2
    assert console.run("show", stuck, "-o", "json").json["status"] == "cancelled"
    assert console.run("tokens").out == ""
    assert console.run("resume", stuck).code == 6


def test_cancel_of_a_finished_run_changes_nothing(console: Console, stuck: str) -> None:
    first = console.run("cancel", stuck, "-o", "json")
    assert (first.json["status"], first.json["was_under_way"]) == (
        "cancelled",
        ["research[0]", "research[1]"],
    )
    again = console.run("cancel", stuck)
    assert again.code == 0
    assert "nothing to cancel" in again.err


def test_cancel_is_not_over_before_the_provider_has_acknowledged(
    console: Console, stuck: str, simulator: Simulator
) -> None:
    refused = console.run("cancel", stuck, env={"OPENAI_API_KEY": "sk-wrong"})
    assert (refused.code, refused.out) == (1, "")
    assert "401" in refused.err
    assert (
        "Run otters-1 is cancelling: the cancel is committed, but not acknowledged everywhere." in refused.err
    )
    assert "perdure cancel otters-1" in refused.err
    states = {token["state"] for token in console.run("tokens", "-o", "json").json}
    assert states == {"cancelling"}
    assert console.run("cancel", stuck).code == 0
    assert not simulator.ledger().running


def test_ctrl_c_leaves_a_cancel_that_goes_on(console: Console, stuck: str, simulator: Simulator) -> None:
    simulator.kill()  # so that nobody acknowledges
    cancelling = console.spawn("cancel", stuck)
    drives(console, stuck)
    cancelling.send_signal(signal.SIGINT)
    done = wait_for(cancelling)
    assert done.code == 130
    assert "perdure cancel otters-1" in done.err
    simulator.start()
    assert console.run("cancel", stuck).code == 0
    assert not simulator.ledger().running


# -- simulate ------------------------------------------------------------------------------------------------


def test_simulate_serves_until_it_is_told_to_end(console: Console, tmp_path: Path) -> None:
    serving = console.spawn("simulate", "--port", "0", "--db", str(tmp_path / "sim.db"), "--duration", "0.1")
    assert serving.stdout is not None
    try:
        lines = [serving.stdout.readline() for _ in range(6)]
        url = next(line for line in lines if "OPENAI_BASE_URL" in line).strip().split("=")[1]
        ledger = url.removesuffix("/v1") + "/_control/ledger"
        with urllib.request.urlopen(ledger, timeout=10) as reply:
            assert reply.status == 200
    finally:
        serving.send_signal(signal.SIGINT)
        done = wait_for(serving)
    assert done.code == 0
    assert "Traceback" not in done.err


def test_simulate_says_that_a_port_is_taken(console: Console, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = console.run("simulate", "--port", str(port), "--db", str(tmp_path / "sim.db"))
    assert done.code == 1
    assert f"port {port}" in done.err
    assert "--port" in done.err


def test_simulate_without_its_extra_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "perdure.simulator._server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as if it were not installed
    with pytest.raises(SimulatorUnavailableError, match=r"uvicorn.* pip install 'perdure\[simulator\]'"):
        simulate(port=0, db=str(tmp_path / "sim.db"), duration=1.0)


def test_simulate_keeps_its_hands_off_checkpoints(console: Console, db: Path) -> None:
    make(db, apps.dozing, 0.0, "rested-1")
    done = console.run("simulate", "--port", "0", "--db", str(db))
    assert done.code == 1
    assert "file of its own" in done.err
    with sqlite3.connect(db) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'responses'").fetchone()
    connection.close()
    assert tables == (0,)
    assert console.run("--db", str(db), "simulate").code == 2
