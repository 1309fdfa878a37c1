"""`runs`, `show`, `tokens`, `events`, `graph`, `db`: on a database with runs of every kind, in every form."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from .conftest import LONG
from .console import Console

RUN_KEYS = [
    "id",
    "workflow",
    "status",
    "created_at",
    "updated_at",
    "finished_at",
    "outcome",
    "signature",
    "position",
    "error",
    "labels",
]
ACTIVATION_KEYS = [
    "node",
    "path",
    "activation",
    "kind",
    "state",
    "attempt",
    "submissions",
    "unknown_submissions",
    "started_at",
    "updated_at",
    "wake_at",
    "token",
    "error",
    "usage",
    "failures",
    "operations",
]
OPERATION_KEYS = [
    "attempt",
    "chain",
    "number",
    "state",
    "detail",
    "started_at",
    "updated_at",
    "sent_at",
    "accepted_at",
    "wake_at",
    "unknown",
    "refused",
    "token",
    "error",
    "submissions",
]
SUBMISSION_KEYS = ["submission", "fate", "handle", "source", "sent_at", "updated_at", "error", "usage"]
CLAIM_KEYS = ["executor", "pid", "host", "claimed_at", "ended_at", "end"]
NEWEST_FIRST = [
    "stumbling-1",
    "narrow-1",
    "wide-1",
    "timer-1",
    "asking-1",
    "waiting-1",
    LONG,
    "failed-1",
    "done-1",
]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

VERBS = [
    ("runs",),
    ("show", "done-1"),
    ("show", "failed-1"),
    ("show", "waiting-1"),
    ("show", "asking-1"),
    ("show", "wide-1"),
    ("show", "timer-1"),
    ("show", "stumbling-1"),
    ("show", "nightly"),
    ("tokens",),
    ("events", "done-1"),
    ("events", "wide-1"),
    ("graph", "done-1"),
    ("graph", "wide-1"),
    ("db", "info"),
    ("db", "check"),
]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_text_for_people_fits_80_columns_without_colour(viewer: Console, words: tuple[str, ...]) -> None:
    done = viewer.run(*words)
    assert done.code == 0, done.err
    wide = [line for line in done.lines if len(line) > 80 and not line.strip().startswith("perdure ")]
    assert wide == []
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_json_and_jsonl_say_the_same(viewer: Console, words: tuple[str, ...]) -> None:
    whole = viewer.run(*words, "-o", "json")
    by_line = viewer.run(*words, "-o", "jsonl")
    assert (whole.code, by_line.code) == (0, 0)
    assert by_line.entries == (whole.json if whole.out.startswith("[") else [whole.json])
    assert whole.err == by_line.err == ""


# -- runs ----------------------------------------------------------------------------------------------------


def test_runs_come_newest_first_with_their_keys(viewer: Console) -> None:
    runs = viewer.run("runs", "-o", "json").json
    assert [run["id"] for run in runs] == NEWEST_FIRST
    assert all(list(run) == RUN_KEYS for run in runs)
    by_id = {run["id"]: run for run in runs}
    assert {run["status"] for run in runs} == {"succeeded", "failed", "waiting"}
    assert by_id["done-1"]["finished_at"] is not None
    assert by_id["waiting-1"]["finished_at"] is None
    assert by_id["failed-1"]["error"]["type"] == "FileNotFoundError"
    assert by_id["failed-1"]["error"]["node"] == "open_the_file"
    for run in runs:
        assert INSTANT.fullmatch(run["created_at"])
        assert (datetime.now(UTC) - datetime.fromisoformat(run["created_at"])).total_seconds() < 600


def test_the_table_of_runs_reads_well(viewer: Console) -> None:
    done = viewer.run("runs")
    assert re.fullmatch(r"RUN +WORKFLOW +STATUS +STARTED +MOVED +ERROR", done.lines[0])
    assert len(done.lines) == 1 + len(NEWEST_FIRST)
    row = next(line for line in done.lines if line.startswith("done-1"))
    assert re.search(r"done-1 +briefing +succeeded +\d+ (s|min) +\d+ (s|min)", row)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--status", "failed"), ["wide-1", "failed-1"]),
        (("--status", "failed", "--workflow", "reading"), ["failed-1"]),
        (("--workflow", "briefing"), ["waiting-1", "done-1"]),
        (("--limit", "2"), ["stumbling-1", "narrow-1"]),
        (("--since", "1h", "--limit", "1"), ["stumbling-1"]),
        (("--since", "2200-01-01"), []),
    ],
)
def test_runs_can_be_chosen(viewer: Console, words: tuple[str, ...], expected: list[str]) -> None:
    assert [run["id"] for run in viewer.run("runs", *words, "-o", "json").json] == expected


def test_a_time_that_is_none_is_a_usage_error(viewer: Console) -> None:
    done = viewer.run("runs", "--since", "yesteryear")
    assert done.code == 2
    assert "2026-11-22" in done.err


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "run_id"), [("don", "done-1"), ("nightly/", LONG), ("@latest", "stumbling-1")]
)
def test_a_run_is_named_by_the_beginning_of_its_id(viewer: Console, name: str, run_id: str) -> None:
    assert viewer.run("show", name, "-o", "json").json["id"] == run_id


def test_an_ambiguous_beginning_lists_the_candidates(viewer: Console) -> None:
    done = viewer.run("show", "n")
    assert done.code == 2
    assert "narrow-1" in done.err
    assert LONG in done.err
    assert done.out == ""


def test_an_unknown_run_is_not_found(viewer: Console) -> None:
    for verb in ("show", "events", "graph", "tokens", "cancel", "resume", "retry"):
        done = viewer.run(verb, "nosuch")
        assert (done.code, done.out) == (3, ""), verb
        assert "perdure runs" in done.err


# -- show ----------------------------------------------------------------------------------------------------


def test_show_tells_all_of_a_run_that_succeeded(viewer: Console) -> None:
    run = viewer.run("show", "done-1", "-o", "json").json
    assert list(run) == [
        *RUN_KEYS, "driven_by", "waits_on", "activations", "usage", "input", "result", "claims", "signals",
    ]  # fmt: skip
    assert [activation["activation"] for activation in run["activations"]] == [
        "plan", "research[0]", "research[1]", "edit",
    ]  # fmt: skip
    assert all(list(activation) == ACTIVATION_KEYS for activation in run["activations"])
    first = run["activations"][1]
    assert (first["node"], first["path"], first["kind"], first["submissions"]) == (
        "research",
        [0],
        "agent",
        1,
    )
    assert run["usage"]["output_tokens"] == sum(
        activation["usage"].get("output_tokens", 0) for activation in run["activations"]
    )
    assert run["usage"]["output_tokens"] > 0
    assert (run["input"], run["result"], run["waits_on"], run["signals"]) == ("otters", "2 findings", [], [])

    text = viewer.run("show", "done-1").out
    assert re.search(r"^done-1  briefing  succeeded$", text, re.MULTILINE)
    assert re.search(r"^research\[1\] +succeeded", text, re.MULTILINE)
    assert "output tokens" in text
    assert "2 findings" in text


def test_show_tells_each_operation_and_each_sending_of_it(viewer: Console) -> None:
    run = viewer.run("show", "done-1", "-o", "json").json
    plan, first, *_ = run["activations"]
    assert plan["operations"] == []
    (operation,) = first["operations"]
    assert list(operation) == OPERATION_KEYS
    assert (operation["attempt"], operation["state"], operation["detail"]) == (1, "succeeded", None)
    assert operation["token"] == first["token"]
    (submission,) = operation["submissions"]
    assert list(submission) == SUBMISSION_KEYS
    assert (submission["fate"], submission["source"]) == ("accepted", "reply")
    assert submission["handle"] == operation["token"]["handle"]["id"]
    assert submission["usage"] == first["usage"]
    for moment in (operation["sent_at"], operation["accepted_at"], submission["sent_at"]):
        assert INSTANT.fullmatch(moment)


def test_show_tells_who_drove_a_run_and_how_that_ended(viewer: Console) -> None:
    (claim,) = viewer.run("show", "done-1", "-o", "json").json["claims"]
    assert list(claim) == CLAIM_KEYS
    assert claim["end"] == "finished"
    assert re.search(
        rf"last driven by process {claim['pid']} until \d\d:\d\d:\d\d, when the run ended",
        viewer.run("show", "done-1").out,
    )
    (claim,) = viewer.run("show", "waiting-1", "-o", "json").json["claims"]
    assert claim["end"] == "released"
    assert INSTANT.fullmatch(claim["ended_at"])
    text = " ".join(viewer.run("show", "waiting-1").out.split())
    assert "nobody drives it now; last driven by process" in text
    assert "which gave it back" in text


def test_show_tells_why_a_run_failed_and_how_it_goes_on(viewer: Console) -> None:
    text = viewer.run("show", "failed-1").out
    assert "open_the_file: FileNotFoundError: [Errno 2]" in text
    assert "perdure retry failed-1 --app MODULE:ATTRIBUTE" in text


def test_commands_that_are_shown_name_the_database_and_the_app(viewer: Console, gallery: Path) -> None:
    text = viewer.run("show", "failed-1", "--db", str(gallery), env={"PERDURE_APP": "x:y"}).out
    assert f"perdure retry failed-1 --db {gallery}\n" in text


def test_show_tells_what_a_run_waits_on(viewer: Console) -> None:
    run = viewer.run("show", "waiting-1", "-o", "json").json
    waits = [(wait["on"], wait["activation"], wait["provider"]) for wait in run["waits_on"]]
    assert waits == [
        ("provider", "research[0]", "openai.responses"),
        ("provider", "research[1]", "openai.responses"),
        ("driver", None, None),
    ]
    token = run["activations"][1]["token"]
    assert list(token) == ["provider", "handle", "cursor", "created_at"]
    assert token["handle"]["id"].startswith("resp_")
    assert run["driven_by"] is None

    text = viewer.run("show", "waiting-1").out
    assert "waits on openai.responses: research[0], research[1]" in text
    assert "nobody drives it now" in text
    assert "perdure resume waiting-1" in text
    assert token["handle"]["id"][:12] in text


def test_show_gives_the_commands_that_decide_a_submission_of_unknown_fate(viewer: Console) -> None:
    run = viewer.run("show", "asking-1", "-o", "json").json
    commands = [f"perdure answer asking-1 look {reply}" for reply in ("resubmit", "fail", "HANDLE")]
    assert run["waits_on"][0] == {
        "on": "person", "activation": "look", "provider": None, "at": None, "commands": commands, "fate": None,
    }  # fmt: skip
    look = next(activation for activation in run["activations"] if activation["node"] == "look")
    assert (look["state"], look["submissions"], look["unknown_submissions"]) == ("submit_unknown", 1, 1)
    (operation,) = look["operations"]
    assert (operation["detail"], operation["submissions"][0]["fate"]) == ("held", "unknown")
    assert look["error"] == operation["error"]

    done = viewer.run("show", "asking-1")
    assert [line.strip() for line in done.lines if line.strip().startswith("perdure answer")] == commands
    assert re.search(r"^look +submit_unknown .*1, 1 of unknown fate", done.out, re.MULTILINE)


def test_commands_to_paste_name_the_database_and_quote_the_item(viewer: Console, gallery: Path) -> None:
    text = viewer.run("show", "asking-1", "--db", str(gallery)).out
    assert f"    perdure answer asking-1 look fail --db {gallery}\n" in text


def test_a_timer_waits_until_its_time_and_not_on_a_provider(viewer: Console) -> None:
    run = viewer.run("show", "timer-1", "-o", "json").json
    wait = run["waits_on"][0]
    assert (wait["on"], wait["activation"], wait["provider"]) == ("time", "pause", None)
    later = datetime.fromisoformat(wait["at"]) - datetime.fromisoformat(run["created_at"])
    assert 3590 < later.total_seconds() < 3610
    text = viewer.run("show", "timer-1").out
    assert re.search(r"waits until pause \(due in 5\d min\)", text)
    assert re.search(r"^pause +waiting .* until (\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d$", text, re.MULTILINE)


def test_show_tells_until_when_an_attempt_is_held_back(viewer: Console) -> None:
    run = viewer.run("show", "stumbling-1", "-o", "json").json
    assert run["waits_on"][0]["on"] == "time"
    assert INSTANT.fullmatch(run["waits_on"][0]["at"])
    text = viewer.run("show", "stumbling-1").out
    assert "waits until stumble" in text
    assert "ValueError: not yet" in text


def test_a_thousand_items_are_one_line_and_the_failed_ones(viewer: Console) -> None:
    done = viewer.run("show", "wide-1")
    assert "997 succeeded, 3 failed" in done.out
    assert len(done.lines) < 40
    assert "claims_that_want_a_source[407]:" in done.out  # its error, with its whole name
    everything = viewer.run("show", "wide-1", "--all")
    assert len(everything.lines) > 1000
    assert all(len(line) <= 80 for line in everything.lines)


def test_what_a_program_says_cannot_steer_the_terminal(viewer: Console) -> None:
    assert "section 7 is empty" in " ".join(viewer.run("show", "wide-1").out.split())
    assert "\x1b" not in viewer.run("show", "wide-1", "--all").out + viewer.run("runs").out


# -- tokens, events, graph -----------------------------------------------------------------------------------


def test_tokens_are_those_that_are_out_now(viewer: Console) -> None:
    tokens = viewer.run("tokens", "-o", "json").json
    assert [(token["run"], token["activation"], token["state"]) for token in tokens] == [
        ("waiting-1", "research[0]", "waiting"),
        ("waiting-1", "research[1]", "waiting"),
        ("timer-1", "pause", "waiting"),
    ]
    assert [token["provider"] for token in tokens] == ["openai.responses"] * 2 + ["perdure.timer"]
    assert list(tokens[0]) == [
        "run", "workflow", "node", "path", "activation", "state", "provider", "handle", "cursor", "created_at",
        "next_poll_at", "driven_by", "attempt", "detail",
    ]  # fmt: skip
    lines = viewer.run("tokens").lines
    assert re.fullmatch(r"RUN +NODE +STATE +HANDLE +AGE( +CURSOR)? +NEXT POLL +PROVIDER", lines[0])
    assert re.search(r"^waiting-1 +research\[0\] +waiting +resp_\w+….* not driven ", lines[1])
    assert viewer.run("tokens", "waiting", "-o", "jsonl").entries == tokens[:2]
    empty = viewer.run("tokens", "done-1")
    assert (empty.code, empty.out) == (0, "")
    assert "No token" in empty.err


def test_events_are_one_line_each_and_begin_behind_a_position(viewer: Console) -> None:
    events = viewer.run("events", "done-1", "-o", "jsonl").entries
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    assert list(events[0]) == ["run", "position", "at", "type", "node", "path", "activation", "data"]
    assert (events[0]["type"], events[0]["node"]) == ("run_started", None)
    submitted = [event for event in events if event["type"] == "submitted"]
    assert {event["activation"] for event in submitted} == {"research[0]", "research[1]"}
    assert viewer.run("events", "done-1", "--after", "5", "-o", "json").json == events[5:]
    lines = viewer.run("events", "done-1").lines
    assert len(lines) == len(events)
    assert re.match(r" +1  \d\d:\d\d:\d\d  run_started$", lines[0])


def test_tokens_and_errors_in_events_are_as_everywhere_else(viewer: Console) -> None:
    events = viewer.run("events", "done-1", "-o", "json").json
    token = next(event["data"]["token"] for event in events if event["type"] == "submitted")
    assert list(token) == ["provider", "handle", "cursor", "created_at"]
    assert INSTANT.fullmatch(token["created_at"])
    failed = viewer.run("events", "failed-1", "-o", "json").json
    error = next(event["data"]["error"] for event in failed if event["type"] == "attempt_failed")
    assert error["type"] == "FileNotFoundError"
    assert "open_the_file" in error["traceback"]


def test_following_ends_with_the_run(viewer: Console) -> None:
    plain = viewer.run("events", "done-1", "-o", "jsonl")
    assert viewer.run("events", "done-1", "-f", "-o", "jsonl").out == plain.out


def test_the_graph_is_drawn_from_the_stored_plan(viewer: Console) -> None:
    assert viewer.run("graph", "waiting-1").lines == [
        "briefing  waiting-1  waiting",
        "",
        "plan (start)      succeeded",
        "  └─▶ research  map, at most 8 at once",
        "╭ for each item of plan: 2 items",
        "│ research        2 waiting",
        "│   └─▶ edit  collect",
        "╰",
        "edit (end)        not reached",
    ]


def test_the_graph_tells_which_conditions_were_met(viewer: Console) -> None:
    text = viewer.run("graph", "narrow-1").out
    assert "├─▶ keep  when: taken" in text
    assert "└─▶ shorten  otherwise: not taken" in text
    assert re.search(r"^shorten +skipped$", text, re.MULTILINE)
    form = viewer.run("graph", "narrow-1", "-o", "json").json
    assert list(form) == ["id", "workflow", "status", "start", "ends", "nodes", "edges", "scopes"]
    taken = {edge["target"]: edge["taken"] for edge in form["edges"] if edge["decided"] is not None}
    assert taken == {"keep": 1, "shorten": 0}
    assert [edge["concurrency"] for edge in viewer.run("graph", "done-1", "-o", "json").json["edges"]] == [
        8,
        None,
    ]
    assert form["scopes"][1]["items"] == 3


def test_the_graph_as_a_mermaid_chart(viewer: Console) -> None:
    assert viewer.run("graph", "waiting-1", "--mermaid").lines == [
        "flowchart TD",
        '  n0(["plan<br/>succeeded"])',
        '  n2(["edit"])',
        '  subgraph s1 ["for each item of plan"]',
        '    n1["research<br/>2 waiting"]',
        "  end",
        "  n0 -->|map concurrency 8| n1",
        "  n1 -->|collect| n2",
    ]
    assert viewer.run("graph", "waiting-1", "--mermaid", "-o", "json").code == 2


# -- db ------------------------------------------------------------------------------------------------------


def test_db_info_counts_what_is_there(viewer: Console, gallery: Path) -> None:
    form = viewer.run("db", "info", "-o", "json").json
    assert list(form) == [
        "path", "schema", "bytes", "wal_bytes", "free_bytes", "journal_mode", "sqlite", "rows",
    ]  # fmt: skip
    assert (form["path"], form["rows"]["runs"]) == (str(gallery), len(NEWEST_FIRST))
    assert list(form["rows"]) == ["runs", "activations", "operations", "events", "blobs", "signals"]
    assert form["rows"]["signals"] == 0


def test_db_check_finds_a_sound_database_sound(viewer: Console) -> None:
    done = viewer.run("db", "check", "-o", "json")
    assert (done.code, done.json["sound"], done.json["damage"]) == (0, True, [])
    assert "sound" in viewer.run("db", "check").err
