"""`resume` and `retry`: driving runs on, with the real simulator as provider."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from perdure.simulator import Answer, ConnectionLost, HttpError, Match, Rule, Simulator

from . import apps
from .console import Console, Done, wait_for
from .making import backs_off, make, one_waits, two_wait, unknown


@pytest.fixture
def waiting(console: Console, db: Path, simulator: Simulator) -> str:
    """A run whose two agents are at the provider for a second more; nobody drives it."""
    simulator.script(Rule(match=Match(contains="otters"), answer=Answer(duration=1.0)))
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    return "otters-1"


@pytest.fixture
def stuck(console: Console, db: Path, simulator: Simulator) -> str:
    """A run whose agents are at the provider for an hour; nobody drives it."""
    simulator.script(Rule(match=Match(contains="otters"), answer=Answer(duration=3600)))
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    return "otters-1"


def said(done: Done) -> str:
    """What it said on stderr, in one line."""
    return " ".join(done.err.split())


# -- resume --------------------------------------------------------------------------------------------------


def test_resume_prints_a_text_as_it_is_and_nothing_else(
    console: Console, waiting: str, simulator: Simulator
) -> None:
    done = console.run("resume", "otters")
    assert (done.code, done.out, done.err) == (0, "2 findings\n", "")
    assert len(simulator.ledger().submissions()) == 2


def test_resume_prints_other_results_as_json(console: Console, db: Path) -> None:
    make(db, apps.asking, "whales", "whales-1")
    done = console.run("resume", "whales-1")
    assert done.code == 0
    assert list(done.json) == ["characters"]


def test_resume_in_json_gives_the_run_and_its_result(console: Console, waiting: str) -> None:
    done = console.run("resume", waiting, "-o", "json")
    assert (done.code, done.json["status"], done.json["result"]) == (0, "succeeded", "2 findings")


def test_resume_of_a_finished_run_drives_nothing(
    console: Console, waiting: str, simulator: Simulator
) -> None:
    first = console.run("resume", waiting)
    asked = len(simulator.ledger().requests)
    assert console.run("resume", waiting).out == first.out
    assert len(simulator.ledger().requests) == asked


def test_progress_is_told_on_request(console: Console, waiting: str) -> None:
    done = console.run("resume", waiting, "-v")
    assert (done.code, done.out) == (0, "2 findings\n")
    lines = done.err.splitlines()
    assert any(re.match(r"\d\d:\d\d:\d\d  succeeded +research\[0\]$", line) for line in lines)
    assert not any("run_started" in line for line in lines), "that was told when it was started"


def test_progress_is_told_on_a_terminal(console: Console, waiting: str) -> None:
    done = console.on_terminal("resume", waiting, "--no-color")
    assert done.code == 0
    assert re.search(r"^\d\d:\d\d:\d\d  succeeded +edit$", done.out, re.MULTILINE)


def test_once_stops_when_everything_only_waits(console: Console, stuck: str, simulator: Simulator) -> None:
    before = time.monotonic()
    done = console.run("resume", stuck, "--once")
    assert (done.code, done.out) == (5, "")
    assert time.monotonic() - before < 15
    assert "waits on research[0] (openai.responses), research[1] (openai.responses)." in said(done)
    assert "Go on with: perdure resume otters-1" in said(done)
    assert simulator.ledger().calls("retrieve"), "what was due was asked after"


def test_once_takes_what_is_there(console: Console, waiting: str, simulator: Simulator) -> None:
    simulator.wait_until_idle()
    assert console.run("resume", waiting, "--once").out == "2 findings\n"


def test_a_run_that_fails_while_it_is_driven(console: Console, db: Path, simulator: Simulator) -> None:
    simulator.script(
        Rule(
            match=Match(contains="otters"),
            answer=Answer(duration=0.5, status="incomplete", reason="max_output_tokens"),
        )
    )
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    done = console.run("resume", "otters-1")
    assert (done.code, done.out) == (4, "")
    assert "OperationIncompleteError" in done.err
    assert "perdure retry otters-1" in done.err
    assert "Traceback" not in done.err


def test_a_run_that_is_cancelled_while_it_is_driven(console: Console, stuck: str) -> None:
    driving = console.spawn("resume", stuck)
    drives(console, stuck)
    cancelled = console.run("cancel", stuck)
    done = wait_for(driving)
    assert (done.code, done.out) == (6, "")
    assert "was cancelled" in done.err
    assert cancelled.code == 0
    assert "drives run otters-1 and was asked to cancel it" in said(cancelled)


def test_a_run_that_waits_for_a_person(console: Console, db: Path, simulator: Simulator) -> None:
    simulator.script(Rule(fault=ConnectionLost(accepted=True)))
    make(db, apps.asking, "whales", "whales-1", until=unknown)
    done = console.run("resume", "whales-1")
    assert (done.code, done.out) == (5, "")
    for reply in ("resubmit", "fail", "HANDLE"):
        assert f"  perdure answer whales-1 look {reply}\n" in done.err
    assert "Go on with: perdure resume whales-1" in done.err
    assert len(simulator.ledger().submissions()) == 1


def test_a_wrong_key_leaves_everything_resumable(
    console: Console, waiting: str, simulator: Simulator
) -> None:
    done = console.run("resume", waiting, env={"OPENAI_API_KEY": "sk-wrong"})
    assert (done.code, done.out) == (1, "")
    assert "401" in done.err
    assert "sk-wrong" not in done.err
    assert console.run("resume", waiting).out == "2 findings\n"
    assert len(simulator.ledger().accepted()) == 2


def test_no_key_at_all_is_said_and_leaves_everything_resumable(console: Console, waiting: str) -> None:
    done = console.run("resume", waiting, env={"OPENAI_API_KEY": ""})
    assert (done.code, done.out) == (1, "")
    assert "OPENAI_API_KEY" in done.err
    assert console.run("resume", waiting).code == 0


# -- several -------------------------------------------------------------------------------------------------


def test_two_that_resume_at_once_one_drives_and_the_other_leaves(
    console: Console, db: Path, simulator: Simulator
) -> None:
    simulator.script(Rule(match=Match(contains="otters"), answer=Answer(duration=5.0)))
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    both = [console.spawn("resume", "otters-1") for _ in range(2)]
    one, other = sorted((wait_for(process) for process in both), key=lambda done: done.code)
    assert (one.code, one.out) == (0, "2 findings\n")
    assert (other.code, other.out) == (1, "")
    assert re.search(r"driven by process \d+.*perdure events otters-1 -f", said(other))
    assert len(simulator.ledger().submissions()) == 2


def test_resume_leaves_a_run_that_another_process_drives(console: Console, stuck: str) -> None:
    driving = console.spawn("resume", stuck)
    drives(console, stuck)
    try:
        done = console.run("resume", stuck)
        assert (done.code, done.out) == (1, "")
        assert f"driven by process {driving.pid}" in done.err
        everything = console.run("resume", "--all")
        assert everything.code == 0
        assert f"Left alone: run otters-1: process {driving.pid} drives it" in everything.err
        assert console.run("show", stuck, "-o", "json").json["driven_by"] == f"process {driving.pid}"
        assert all(
            row["driven_by"] == f"process {driving.pid}" for row in console.run("tokens", "-o", "json").json
        )
    finally:
        driving.send_signal(signal.SIGINT)
        wait_for(driving)


def test_resume_takes_over_at_once_from_a_killed_process(
    console: Console, waiting: str, simulator: Simulator
) -> None:
    driving = console.spawn("resume", waiting)
    drives(console, waiting)
    driving.kill()
    wait_for(driving)
    assert console.run("resume", waiting).out == "2 findings\n"
    assert len(simulator.ledger().submissions()) == 2


def test_resume_all_drives_what_it_can_and_reports_the_rest(
    console: Console, db: Path, simulator: Simulator
) -> None:
    simulator.script(
        Rule(match=Match(contains="otters"), answer=Answer(duration=0.5)),
        Rule(match=Match(contains="seals"), answer=Answer(duration=0.5, status="incomplete")),
        Rule(match=Match(contains="Look at"), answer=Answer(duration=3600)),
    )
    make(db, apps.briefing, "otters", "otters-1", until=two_wait)
    make(db, apps.briefing, "seals", "seals-1", until=two_wait)
    make(db, apps.asking, "whales", "whales-1", until=one_waits)
    done = console.run("resume", "--all", "--app", "apps:ONE", "-o", "json")
    assert done.code == 4
    assert {run["id"]: run["status"] for run in done.json} == {"otters-1": "succeeded", "seals-1": "failed"}
    assert {run["id"]: run["result"] for run in done.json} == {"otters-1": "2 findings", "seals-1": None}
    assert "Left alone: run whales-1: Run whales-1 belongs to workflow asking" in done.err
    once = console.run("resume", "--all", "--once")
    assert once.code == 5
    assert re.search(r"^whales-1 +asking +waiting$", once.out, re.MULTILINE)


def test_resume_all_of_nothing(console: Console, db: Path) -> None:
    make(db, apps.dozing, 0.0, "rested-1")
    done = console.run("resume", "--all")
    assert (done.code, done.out) == (0, "")
    assert "nothing to resume" in done.err


# -- stopping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_signal_stops_gracefully_and_leaves_the_run_resumable(
    console: Console, waiting: str, simulator: Simulator, number: signal.Signals, code: int, word: str
) -> None:
    driving = console.spawn("resume", waiting)
    drives(console, waiting)
    driving.send_signal(number)
    done = wait_for(driving)
    assert (done.code, done.out) == (code, "")
    assert f"{word}. Everything is committed; go on with: perdure resume otters-1" in done.err
    assert "Traceback" not in done.err
    assert console.run("resume", waiting).out == "2 findings\n"
    assert len(simulator.ledger().submissions()) == 2


def test_following_shows_what_another_process_does(console: Console, waiting: str) -> None:
    following = console.spawn("events", waiting, "-f", "-o", "jsonl")
    assert console.run("resume", waiting).code == 0
    done = wait_for(following)
    assert done.code == 0
    assert done.entries[-1]["activation"] == "edit"
    assert "Nobody drives run otters-1 now" in done.err


def test_ctrl_c_ends_following_and_closes_the_array(console: Console, stuck: str) -> None:
    following = console.spawn("events", stuck, "-f", "-o", "json")
    assert following.stderr is not None
    following.stderr.readline()
    time.sleep(0.5)
    following.send_signal(signal.SIGINT)
    done = wait_for(following)
    assert done.code == 130
    assert done.json[0]["type"] == "run_started"


# -- retry ---------------------------------------------------------------------------------------------------


def test_retry_goes_on_when_the_cause_is_gone(console: Console, db: Path, tmp_path: Path) -> None:
    make(db, apps.reading, "poem.txt", "poem-1")
    assert console.run("retry", "poem-1").code == 4
    (tmp_path / "poem.txt").write_text("otters float")
    done = console.run("retry", "poem")
    assert (done.code, done.out) == (0, "OTTERS FLOAT\n")


def test_the_advice_after_a_failure_names_the_database_and_the_app(console: Console, db: Path) -> None:
    make(db, apps.reading, "missing.txt", "missing-1")
    done = console.run("retry", "missing-1", "--db", str(db), "--app", "apps:reading")
    assert done.code == 4
    assert done.err.endswith(f": perdure retry missing-1 --app apps:reading --db {db}\n")
    assert "executor." not in done.err


def test_retry_keeps_what_succeeded(console: Console, db: Path, simulator: Simulator) -> None:
    simulator.script(
        Rule(match=Match(contains="history"), answer=Answer(status="incomplete", duration=0.5), times=1)
    )
    make(db, apps.briefing, "otters", "otters-1")
    simulator.wait_until_idle()
    done = console.run("retry", "otters-1")
    assert (done.code, done.out) == (0, "2 findings\n")
    assert len(simulator.ledger().submissions(node="research[0]")) == 2


def test_retry_refuses_a_run_that_succeeded(console: Console, db: Path) -> None:
    make(db, apps.dozing, 0.0, "rested-1")
    done = console.run("retry", "rested-1")
    assert (done.code, done.out) == (1, "")
    assert "only a failed run can be retried" in done.err


def test_retry_resumes_a_run_that_has_not_ended(console: Console, waiting: str) -> None:
    assert console.run("retry", waiting).out == "2 findings\n"


def test_a_rate_limit_is_waited_out(console: Console, db: Path, simulator: Simulator) -> None:
    simulator.script(
        Rule(fault=HttpError(status=429, retry_after=0.5), match=Match(contains="otters"), times=2)
    )
    make(
        db,
        apps.briefing,
        "otters",
        "otters-1",
        until=backs_off,
    )
    done = console.run("resume", "otters-1", "--once")
    assert done.code in (0, 5)
    assert console.run("resume", "otters-1").out == "2 findings\n"
    assert len(simulator.ledger().accepted()) == 2


def drives(console: Console, run_id: str) -> None:
    """Wait until some process drives the run."""
    deadline = time.monotonic() + 30
    while console.run("show", run_id, "-o", "json").json["driven_by"] is None:
        assert time.monotonic() < deadline, "nobody came to drive it"
