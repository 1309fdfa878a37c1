"""The provider and the nursery of the crash tests: one of each for the whole session."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from perdure.nodes.simulator import Simulator

from .nursery import Nursery


@pytest.fixture(scope="session")
def provider() -> Generator[Simulator]:
    """A simulator of its own, which is never reset: runs are told apart by their ids."""
    with Simulator(duration=0.4) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def nursery() -> Generator[Nursery]:
    """Where children are forked."""
    nursery = Nursery()
    yield nursery
    nursery.close()
