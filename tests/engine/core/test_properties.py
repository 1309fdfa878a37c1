"""Random graphs in random orders of completion end where a simple oracle says, and keep every promise on
the way. `Play` checks after each event what must hold at each moment; see there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from perdure.checkpoints.codec import pack
from perdure.checkpoints.records import RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.commands import Call, Command, Resubmit, SaveScope, Submit
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.journal import NAMES
from perdure.engine.core.machine import advance, fold
from perdure.engine.core.policy import Policies
from perdure.engine.core.restore import restore
from perdure.engine.core.state import RunState

from ..graphs import Choices, Sketch, draw_plan, draw_policies
from ..oracle import Oracle, Verdict
from .course import Course
from .play import Play, at
from .refusals import refused

S = State


def pace(examples: int) -> settings:
    """How long hypothesis looks. Its explanations are left out: they cost more than the search."""
    return settings(
        deadline=None,
        max_examples=examples,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


def check_end(course: Course) -> None:
    """The run is where the oracle says, every attempt was called at most once, and nothing is left waiting."""
    play, oracle = course.play, Oracle(course.plan, course.decisions)
    expected = {str(address): oracle.verdict(address).name.lower() for address in oracle.addresses()}
    assert play.states() == expected
    reached = [end for end in course.plan.ends if oracle.verdict(at(end)) is Verdict.SUCCEEDED]
    assert play.finished is (RunStatus.SUCCEEDED if reached else RunStatus.FAILED)
    assert play.state.end == (reached[0] if reached else None)
    assert play.state.ends_skipped is not bool(reached)
    ran = {a: row.attempt for a, row in play.rows.items() if row.state is S.SUCCEEDED}
    assert set(play.calls.values()) <= {1}
    assert set(play.calls) <= {(a, n) for a, last in ran.items() for n in range(1, last + 1)}
    assert dict(play.successes) == dict.fromkeys(ran, 1)
    assert play.got == {address: oracle.input(address) for address in ran}
    state = play.state
    assert list(state.scopes) == [0]
    assert (state.scopes[0].gates, state.scopes[0].unresolved, state.waiters) == ({}, 0, {})
    assert {len(path) for _, path in state.numbers} <= {0}
    open_ = [row for row in play.stored.operations.values() if not row.state.terminal]
    assert (open_, state.strays) == ([], {})


@pace(60)
@given(st.data())
def test_whatever_the_order_of_completion_a_run_ends_where_the_oracle_says(data: st.DataObject) -> None:
    choices = Choices(data)
    plan = draw_plan(choices)
    policies = draw_policies(choices, plan)
    first = Course(plan, choices, policies, operations=False)
    first.run()
    check_end(first)
    second = Course(plan, choices, policies, decisions=first.decisions, checked=False)
    second.run()
    check_end(second)


@pace(150)
@given(st.data())
def test_failures_retries_lost_submissions_and_crashes_change_nothing_about_the_end(
    data: st.DataObject,
) -> None:
    choices = Choices(data)
    plan = draw_plan(choices, nodes=5)
    course = Course(plan, choices, draw_policies(choices, plan), detours=25, failures=4)
    course.run()
    check_end(course)


@pace(60)
@given(st.data())
def test_one_operation_survives_whatever_a_provider_and_the_clock_can_do(data: st.DataObject) -> None:
    choices = Choices(data)
    sketch = Sketch("n0")
    sketch.edge("n0", "end")
    plan = sketch.plan("end", on_failure=choices.one(["cancel", "finish"]))
    course = Course(plan, choices, draw_policies(choices, plan), detours=30, failures=3)
    course.kinds["n0"] = course.kinds["end"] = "operation"
    course.run()
    check_end(course)


@pace(60)
@given(st.data())
def test_a_cancelled_run_starts_nothing_more_and_ends(data: st.DataObject) -> None:
    choices = Choices(data)
    plan = draw_plan(choices, nodes=5)
    course = Course(
        plan,
        choices,
        draw_policies(choices, plan),
        detours=15,
        failures=choices.number(0, 1),
        cancel_after=choices.number(1, 20),
    )
    play = course.run()
    if play.finished is not RunStatus.CANCELLED:
        return  # it ended before
    names = [entry.word for entry in play.journal]
    after = play.commands[names.index("cancel_requested") :]
    begun = (Call, Submit, Resubmit)
    assert not [command for commands in after for command in commands if isinstance(command, begun)]
    assert {row.state for row in play.rows.values()} <= {S.SUCCEEDED, S.SKIPPED, S.FAILED, S.CANCELLED}
    assert not [row for row in play.stored.operations.values() if not row.state.terminal]


@pace(60)
@given(st.data())
def test_the_journal_folded_and_the_rows_restored_are_the_state_that_was_live(data: st.DataObject) -> None:
    """At every event; `fold` from the journal as it is stored, `restore` from the rows as they are stored."""
    choices = Choices(data)
    plan = draw_plan(choices, nodes=5)
    course = Course(plan, choices, draw_policies(choices, plan), detours=15, failures=2, checked=False)
    snapshots = [course.play.snapshot()]

    def look(play: Play) -> None:
        snapshots.append(play.snapshot())
        assert restore(plan, play.state.policies, play.stored.loaded()) == play.state

    course.after_each = look
    course.run()
    journal = course.play.events()
    assert len(snapshots) == len(journal) + 1
    state = RunState(plan=plan)
    for event, snapshot in zip(journal, snapshots[1:], strict=True):
        advance(state, event)
        assert state == snapshot
    middle = choices.number(0, len(journal))
    assert fold(plan, journal[:middle]) == snapshots[middle]


def draw_event(choices: Choices, play: Play) -> CoreEvent:
    """Any event, of any activation or operation that there is, or of none."""
    kind = choices.one(list(NAMES))
    known = [*sorted(play.rows), Address("nobody"), Address("n0", (7,))]
    address = choices.one(known)
    row = play.rows.get(address)
    attempt = choices.one([1, 2, 1 if row is None else row.attempt])
    chain, number = choices.one([("", 0), ("", 0), ("", 1), ("key", 0), ("key", 0), ("key", 1), ("other", 0)])
    given: dict[str, Any] = {}
    for name in kind._fields:
        match name:
            case "at":
                given["at"] = play.now
            case "address":
                given["address"] = address
            case "operation":
                operation = OperationAddress(address, attempt, chain, number)
                optional = name in kind._field_defaults
                given["operation"] = None if optional and choices.chance(50) else operation
            case "policies":
                given["policies"] = Policies({})
            case "taken":
                given["taken"] = choices.one([(), None]) if kind is events.Succeeded else ()
            case "items":
                given["items"] = choices.number(0, 2)
            case "ending":
                given["ending"] = choices.one(
                    ["succeeded", "failed", "cancelled", "undecodable", "lost"]
                    if kind is events.OperationEnded
                    else ["failed", "undecodable"]  # the latter of an operation alone
                )
            case "submission":
                given["submission"] = choices.number(0, 2)
            case "source":
                given["source"] = "webhook"
            case "reply":
                given["reply"] = choices.one(["resubmit", "fail"])
            case "reason":
                given["reason"] = choices.one(["deadline", "queue"])
            case "passing" | "retryable":
                given[name] = choices.chance(50)
            case _:
                pass
    if given.get("ending") == "undecodable" and given["operation"] is None:
        given["ending"] = "failed"
    if (
        kind is events.HandleFound
        and not any(  # handles are of operations that are stored
            (key.node, row.path, *key[3:]) == (*address, attempt, chain, number)
            for key, row in play.stored.operations.items()
        )
    ):
        return events.RunRetried(play.now)
    return kind(**given)


@pace(150)
@given(st.data())
def test_an_event_is_taken_whole_or_refused_and_changes_nothing(data: st.DataObject) -> None:
    """Any event in any state: taken, every promise holds after it; refused, the state is as it was."""
    choices = Choices(data)
    plan = draw_plan(choices, nodes=4)
    play = Play(plan, draw_policies(choices, plan)).begin()
    for _ in range(choices.number(1, 40)):
        event = draw_event(choices, play)
        try:
            advance(play.snapshot(), event)
        except IllegalEventError:
            refused(play, event)
        else:
            play.apply(event)


def said(commands: list[Command]) -> list[str]:
    """The commands as text, with what a row holds of a scope."""
    return [
        f"scope {command.scope.number} {command.scope.path} {command.scope.size} {command.open}"
        if isinstance(command, SaveScope)
        else repr(command)
        for command in commands
    ]


@pace(40)
@given(st.data())
def test_the_same_events_give_the_same_commands_after_a_crash_too(data: st.DataObject) -> None:
    choices = Choices(data)
    plan = draw_plan(choices, nodes=5)
    course = Course(plan, choices, draw_policies(choices, plan), detours=10, failures=2, checked=False)
    journal = course.run().events()
    state = RunState(plan=plan)
    expected = [said(advance(state, event)) for event in journal]
    crash = choices.number(1, len(journal))
    again = Play(plan, checked=False)
    for event in journal[:crash]:
        again.apply(event)
    again.crash()
    assert [said(advance(again.state, event)) for event in journal[crash:]] == expected[crash:]
    assert again.state == state


REPLAY = """
import hashlib, sys
from perdure.checkpoints.codec import unpack
from perdure.engine.core.journal import from_journal
from perdure.engine.core.machine import advance
from perdure.engine.core.plan import Plan
from perdure.engine.core.state import RunState

plan, journal = unpack(sys.stdin.buffer.read())
state = RunState(plan=Plan.from_plain(plan))
digest = hashlib.sha256()
for word, at, node, path, data in journal:
    event = from_journal(word, at, node, tuple(path), unpack(data))
    digest.update(repr(advance(state, event)).encode())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_says_the_same(seed: str) -> None:
    sketch = Sketch("s")
    sketch.edge("s", "a")
    for name in ("note", "brief", "memo"):
        sketch.edge("s", name)
    sketch.map("a", "c")
    sketch.join(("brief", "c", "note", "memo"), "d")
    sketch.collect("d", "z")
    plan = sketch.plan("z")
    play = Play(plan).begin()
    play.succeed("s")
    play.succeed("a", items=8)
    play.succeed(*(f"c[{item}]" for item in range(8)))
    play.succeed("brief", "note", "memo")
    play.fail("d[3]")
    state, digest = RunState(plan=plan), hashlib.sha256()
    for event in play.events():
        digest.update(repr(advance(state, event)).encode())
    replay = subprocess.run(
        [sys.executable, "-c", REPLAY],
        input=pack([plan.to_plain(), [[e.word, e.at, e.node, list(e.path), e.data] for e in play.journal]]),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert replay.stdout.decode().strip() == digest.hexdigest()
