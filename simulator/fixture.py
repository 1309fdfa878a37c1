"""A pytest fixture for users' own tests: `from perdure.simulator.fixture import simulator`.

One process serves the whole test session; each test finds it empty and running.
"""

from __future__ import annotations

import pytest

from ._process import Simulator

_PROCESS = pytest.StashKey[Simulator]()


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """A running simulator without responses, requests or rules."""
    process = request.config.stash.get(_PROCESS, None)
    if process is None:
        process = Simulator()
        request.config.stash[_PROCESS] = process
        request.config.add_cleanup(process.close)
    process.start()
    process.reset()
    return process
