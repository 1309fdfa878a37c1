"""Random graphs in random orders of completion end where a simple oracle says, and keep every promise on
the way. `Play` checks after each event what must hold at each moment; see there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from perdure.checkpoints import ActivationState, RunStatus, pack
from perdure.engine.commands import Command, SaveScope, Start
from perdure.engine.scheduler import advance, fold
from perdure.engine.state import State

from .course import Course
from .graphs import Choices, Sketch, draw_plan
from .oracle import Oracle, Verdict
from .play import Play, at

S = ActivationState


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
    """The run is where the oracle says, every attempt was started once, and nothing is left waiting."""
    play, oracle = course.play, Oracle(course.plan, course.decisions)
    expected = {str(address): oracle.verdict(address).name.lower() for address in oracle.addresses()}
    assert play.states() == expected
    end = oracle.verdict(at("end"))
    assert play.finished is (RunStatus.SUCCEEDED if end is Verdict.SUCCEEDED else RunStatus.FAILED)
    ran = {a: row.attempt for a, row in play.rows.items() if row.state is S.SUCCEEDED}
    assert dict(play.starts) == {(a, n): 1 for a, last in ran.items() for n in range(1, last + 1)}
    assert dict(play.successes) == dict.fromkeys(ran, 1)
    assert play.got == {address: oracle.input(address) for address in ran}
    state = play.state
    assert list(state.scopes) == [0]
    assert (state.scopes[0].gates, state.scopes[0].unresolved, state.waiters) == ({}, 0, {})
    assert {len(path) for _, path in state.numbers} == {0}


@pace(60)
@given(st.data())
def test_whatever_the_order_of_completion_a_run_ends_where_the_oracle_says(data: st.DataObject) -> None:
    choices = Choices(data)
    plan = draw_plan(choices)
    first = Course(plan, choices)
    first.run()
    check_end(first)
    second = Course(plan, choices, decisions=first.decisions, checked=False)
    second.run()
    check_end(second)


@pace(60)
@given(st.data())
def test_failures_retries_lost_submissions_and_crashes_change_nothing_about_the_end(
    data: st.DataObject,
) -> None:
    choices = Choices(data)
    course = Course(draw_plan(choices), choices, detours=15, failures=3, crashes=True)
    course.run()
    check_end(course)


@pace(60)
@given(st.data())
def test_a_cancelled_run_starts_nothing_more_and_ends(data: st.DataObject) -> None:
    choices = Choices(data)
    course = Course(
        draw_plan(choices, nodes=5),
        choices,
        detours=15,
        failures=choices.number(0, 1),
        crashes=True,
        cancel_after=choices.number(1, 20),
    )
    play = course.run()
    if play.finished is not RunStatus.CANCELLED:
        return  # it ended before
    names = [name for name, *_ in play.journal]
    after = play.commands[names.index("cancel_requested") :]
    assert not [command for commands in after for command in commands if isinstance(command, Start)]
    assert {row.state for row in play.rows.values()} <= {S.SUCCEEDED, S.SKIPPED, S.FAILED, S.CANCELLED}


@pace(40)
@given(st.data())
def test_the_journal_folded_up_to_any_event_is_the_state_that_was_live_then(data: st.DataObject) -> None:
    choices = Choices(data)
    plan = draw_plan(choices, nodes=5)
    course = Course(plan, choices, detours=10, failures=1, checked=False)
    snapshots = [course.play.snapshot()]
    course.after_each = lambda play: snapshots.append(play.snapshot())
    course.run()
    events = course.play.events()
    assert len(snapshots) == len(events) + 1
    for position, snapshot in enumerate(snapshots):
        assert fold(plan, events[:position]) == snapshot


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
    course = Course(plan, choices, detours=10, failures=1, checked=False)
    events = course.run().events()
    state = State(plan=plan)
    expected = [said(advance(state, event)) for event in events]
    crash = choices.number(1, len(events))
    again = Play(plan, checked=False)
    for event in events[:crash]:
        again.apply(event)
    again.crash()
    assert [said(advance(again.state, event)) for event in events[crash:]] == expected[crash:]
    assert again.state == state


REPLAY = """
import hashlib, sys
from perdure.checkpoints import unpack
from perdure.engine.events import from_journal
from perdure.engine.plan import Plan
from perdure.engine.scheduler import advance
from perdure.engine.state import State

plan, journal = unpack(sys.stdin.buffer.read())
state = State(plan=Plan.decode(plan))
digest = hashlib.sha256()
for name, node, path, data in journal:
    event = from_journal(name, node, tuple(path), unpack(data))
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
    state, digest = State(plan=plan), hashlib.sha256()
    for event in play.events():
        digest.update(repr(advance(state, event)).encode())
    replay = subprocess.run(
        [sys.executable, "-c", REPLAY],
        input=pack(
            [plan.encode(), [[name, node, list(path), data] for name, node, path, data in play.journal]]
        ),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert replay.stdout.decode().strip() == digest.hexdigest()
