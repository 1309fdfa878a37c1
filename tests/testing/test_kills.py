"""`testing.kill_everywhere`: real processes, real SIGKILL, and it finds what does not survive."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from perdure import testing
from perdure.engine import Workflow
from perdure.nodes import node
from perdure.simulator import Simulator
from perdure.testing import simulator as simulator
from perdure.testing.kills import Ending, differences

from . import killed


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_a_sound_workflow_survives_with_fakes_that_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")
    report = testing.kill_everywhere(
        killed.sound, "otters", agents={killed.research: killed.answer}, folder=tmp_path
    )
    assert report.submissions == {"research": 1}
    assert report.kills == 2 * len(report.commits)
    assert report.not_reached == ()
    assert report.commits[0] == "run_started"
    assert "submitted research[0]" in report.commits
    # Killed right after the intent's commit, and right before the token's: the fate is unknown to both.
    assert report.unknown_fates >= 2
    assert str(report).startswith(f"sound: killed {report.kills} times around {len(report.commits)} commits")
    assert f"{report.kills}/{report.kills}, killed right after" in caplog.text


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_agents_that_are_not_faked_ask_the_simulator(simulator: Simulator) -> None:
    report = testing.kill_everywhere("tests.testing.killed:sound", "otters", simulator=simulator)
    assert report.submissions == {"research": 1}
    assert len(simulator.ledger().accepted()) >= 1 + report.kills


@pytest.mark.crash
def test_an_output_that_differs_is_told_with_the_commit() -> None:
    with pytest.raises(AssertionError) as told:
        testing.kill_everywhere(killed.stamping, "x")
    assert "killed right before the commit of `succeeded same`: the output is 'x " in str(told.value)
    assert "undisturbed it is 'x " in str(told.value)


@pytest.mark.crash
def test_a_run_that_can_not_be_resumed_is_told_with_the_commit(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FileExistsError") as told:
        testing.kill_everywhere(killed.fragile, str(tmp_path), folder=tmp_path / "trials")
    assert "killed right before the commit of `succeeded once`: the resumed run failed" in str(told.value)
    assert "`succeeded same`" not in str(told.value)


def test_one_submission_too_many_is_told_unless_a_fate_was_unknown() -> None:
    undisturbed = Ending(output=b"\xa1x", submissions=Counter(research=2), unknown=Counter())
    twice = replace(undisturbed, submissions=Counter(research=3, review=1))
    assert differences(undisturbed, undisturbed) == []
    assert differences(undisturbed, replace(twice, unknown=Counter(research=1, review=1))) == []
    assert differences(undisturbed, replace(twice, unknown=Counter(review=1))) == [
        "research was submitted 3 times, undisturbed 2 times, and 0 unknown fates were recorded"
    ]
    assert differences(undisturbed, replace(undisturbed, output=None)) == ["the run did not succeed"]


@pytest.mark.crash
def test_an_undisturbed_run_that_fails_is_told() -> None:
    with pytest.raises(AssertionError, match=r"The undisturbed run of 'sound' failed.*research.*no str"):
        testing.kill_everywhere(killed.sound, "x", agents={"research": killed.wrong_answer})


def test_what_another_process_can_not_find_is_refused() -> None:
    @node
    def here(text: str) -> str:
        return text

    with pytest.raises(testing.FakeError, match="Workflow 'local' can't be found by another process"):
        testing.kill_everywhere(Workflow("local", start=here, end=here), "x")

    def local_fake(prompt: str) -> str:
        return prompt

    for fake in (local_fake, ValueError("no"), 5):
        with pytest.raises(testing.FakeError, match="'research'"):
            testing.kill_everywhere(killed.sound, "x", agents={"research": fake})


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="write 'module:attribute'"):
        testing.kill_everywhere("tests.testing.killed", "x")
