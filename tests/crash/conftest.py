"""The provider of each module, the nursery of the session, and the acts of a module under way."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from perdure.simulator import Simulator

from .cast import wanted
from .nursery import Nursery
from .stage import Acts, Played


@pytest.fixture(scope="module")
def provider() -> Generator[Simulator]:
    """A simulator that is never reset: runs are told apart by their ids."""
    with Simulator(duration=0.4) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def nursery() -> Generator[Nursery]:
    """Where children are forked."""
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    provider: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Played]:
    """The module's `ACTS`, those of them that are wanted, all under way."""
    acts: Acts = vars(cast("ModuleType", request.module))["ACTS"]  # pyright: ignore[reportUnknownMemberType]
    names = [name for (name,) in wanted(request, "act")]
    folder: Path = tmp_path_factory.mktemp(request.path.stem.removeprefix("test_"))
    with acts.playing(names, nursery, provider, folder) as played:
        yield played
