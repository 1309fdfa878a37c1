"""A process is killed at instants that nobody chose: whatever it does at the moment, the promises hold."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from perdure.simulator import Simulator

from . import instants
from .cast import Cast, wanted
from .nursery import Nursery
from .pipeline import SUBMISSIONS
from .scenario import Scenario

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

SEEDS = range(20)
CRASHES = (1, 2, 3)
UNDISTURBED = "undisturbed-by-chance"


@pytest.fixture(scope="module")
def cast(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    provider: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Cast]:
    scenarios = {UNDISTURBED: Scenario(name=UNDISTURBED, lives=())}
    for seed, count in wanted(request, "seed", "count"):
        name = f"instant-{seed}-{count}"
        scenarios[name] = instants.scenario(name, seed, count)
    with Cast(nursery, provider, tmp_path_factory.mktemp("instants"), scenarios) as cast:
        yield cast


@pytest.mark.parametrize("count", CRASHES)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed(cast: Cast, seed: int, count: int) -> None:
    ending = cast.ending(f"instant-{seed}-{count}")
    ending.assert_promises(cast.ending(UNDISTURBED).output, SUBMISSIONS)
    assert ending.crashes == count
