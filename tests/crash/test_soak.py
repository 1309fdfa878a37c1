"""Hundreds of random deaths, behind `make soak`.

`PERDURE_SOAK_RUNS` says how many runs are played (200), `PERDURE_SOAK_SEED` with which seed the first one is (1000; the
others count up from it), `PERDURE_SOAK_CRASHES` how often each is killed at most (6).
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from perdure.simulator import Simulator

from . import instants
from .cast import Cast, wanted
from .nursery import Nursery
from .pipeline import SUBMISSIONS
from .scenario import Scenario

RUNS = int(os.environ.get("PERDURE_SOAK_RUNS", "200"))
SEED = int(os.environ.get("PERDURE_SOAK_SEED", "1000"))
CRASHES = int(os.environ.get("PERDURE_SOAK_CRASHES", "6"))
UNDISTURBED = "undisturbed-soak"

pytestmark = [pytest.mark.soak, pytest.mark.crash, pytest.mark.timeout(60 + 10 * RUNS)]


@pytest.fixture(scope="module")
def cast(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    provider: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Cast]:
    scenarios = {UNDISTURBED: Scenario(name=UNDISTURBED, lives=())}
    for (seed,) in wanted(request, "seed"):
        name = f"soak-{seed}"
        scenarios[name] = instants.scenario(name, seed, 1 + seed % CRASHES)
    with Cast(nursery, provider, tmp_path_factory.mktemp("soak"), scenarios) as cast:
        yield cast


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_killed(cast: Cast, seed: int) -> None:
    ending = cast.ending(f"soak-{seed}")
    ending.assert_promises(cast.ending(UNDISTURBED).output, SUBMISSIONS)
    assert ending.crashes >= 1
