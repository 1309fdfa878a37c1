"""Fixtures of the executor's tests."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from perdure.engine.core import policy
from perdure.engine.runtime import _runtime  # pyright: ignore[reportPrivateUsage]
from perdure.engine.runtime._driver_cache import DriverCache

from .batches import Works
from .bench import Stores, memory, sqlite


@pytest.fixture(params=["sqlite", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Every store that there is."""
    return sqlite(tmp_path) if request.param == "sqlite" else memory()


@pytest.fixture(autouse=True)
def driver_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in a memory store stays in the executor's memory too, what waits in a file is evicted at once.

    So tests over every store go both ways: on with what is in memory, and with what is loaded again.
    """
    call = getattr(request.node, "callspec", None)
    kept = call is not None and call.params.get("stores") == "memory"
    if not kept or "evicted" in request.fixturenames:
        monkeypatch.setattr(_runtime, "DriverCache", partial(DriverCache, runs=0))


@pytest.fixture
def evicted() -> None:
    """Runs are evicted as soon as they only wait, whatever the store."""


@pytest.fixture
def files(tmp_path: Path) -> Stores:
    """SQLite alone: several executors at a time, each with a store object of its own, on one file."""
    return sqlite(tmp_path)


@pytest.fixture
def works() -> Works:
    """A provider without any work."""
    return Works()


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoffs of hundredths of a second."""
    monkeypatch.setattr(policy, "FIRST_BACKOFF", 0.01)
