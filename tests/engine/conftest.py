"""Fixtures of the executor's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from perdure.engine.core import policy

from .batches import Works
from .bench import Stores, memory, sqlite


@pytest.fixture(params=["sqlite", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Every store that there is."""
    return sqlite(tmp_path) if request.param == "sqlite" else memory()


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
