"""A process that drives many runs at once is killed: its transitions share commits, and each run holds the promises."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from perdure.checkpoints import RunStatus

from .kills import ANYTHING
from .scenario import AT_ONCE, look
from .stage import Acts, Played, Stage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

ACTS = Acts()
RUNS = 12
SEEDS = range(8)


def steps(random: Random, most: int) -> Sequence[dict[str, object]]:
    return ({"when": "after", "what": ANYTHING, "node": None, "nth": random.randint(1, most)},)


def killed(stage: Stage, seed: int) -> None:
    random = Random(seed)
    for number, most in enumerate((100, 30, 20)):
        dying = stage.child(
            crowd=RUNS, verb="resume_all" if number else "start", steps=tuple(steps(random, most))
        )
        assert dying.wait() == -signal.SIGKILL
    last = stage.child(crowd=RUNS, verb="resume_all")
    assert last.wait() == 0
    outputs = {report["run"]: report["value"] for report in stage.reports("result")}
    assert set(outputs) == {f"{stage.run}.{number}" for number in range(RUNS)}
    assert len(set(outputs.values())) == 1
    account = stage.provider.ledger()
    for run in outputs:
        snapshot = look(stage.job().database, run)
        assert snapshot is not None
        assert snapshot.run.status is RunStatus.SUCCEEDED
        succeeded = [event.node for event in snapshot.journal if event.type == "succeeded"]
        assert sorted(map(str, succeeded)) == ["answer", "ask", "tell"]
        ended = {event.node: event.at for event in snapshot.journal if event.type == "succeeded"}
        assert all(
            effect["at"] <= ended[effect["node"]] for effect in stage.effects() if effect["run"] == run
        )
        unknown = snapshot.unknown("answer")
        assert 1 <= len(account.accepted(run=run)) <= 1 + unknown
        assert unknown <= 3
        replace(stage, run=run).assert_nothing_left()
    taken = [report["after"] for report in stage.reports("moved") if report["process"] == last.pid]
    assert max(taken) < AT_ONCE


for _seed in SEEDS:

    @ACTS.named(f"seed {_seed}")
    def _(stage: Stage, seed: int = _seed) -> None:
        killed(stage, seed)


@pytest.mark.parametrize("act", ACTS.names)
def test_crowd(played: Played, act: str) -> None:
    played[act].result()
