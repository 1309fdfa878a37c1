"""`Cast`: plays many scenarios at once, so that the tests of a module wait together and assert one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from perdure.simulator import Simulator

from .nursery import Nursery
from .scenario import Ending, Scenario, play

AT_A_TIME = 6
"""Scenarios under way at once. They mostly wait for the provider."""


class Cast:
    """Endings by the scenarios' names. Playing begins with the first question."""

    def __init__(
        self, nursery: Nursery, provider: Simulator, folder: Path, scenarios: Mapping[str, Scenario]
    ):
        self._nursery = nursery
        self._provider = provider
        self._folder = folder
        self._scenarios = scenarios
        self._pool = ThreadPoolExecutor(AT_A_TIME)
        self._endings: dict[str, Future[Ending]] = {}

    def __enter__(self) -> Self:
        for name, scenario in self._scenarios.items():
            folder = self._folder / scenario.name
            self._endings[name] = self._pool.submit(play, scenario, self._nursery, self._provider, folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def ending(self, name: str) -> Ending:
        """Wait until the scenario is over."""
        return self._endings[name].result()


def wanted(request: pytest.FixtureRequest, *parameters: str) -> Iterator[tuple[Any, ...]]:
    """The parameters of the module's tests that were selected, so that nothing is played in vain."""
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec"):
            given = item.callspec.params
            if all(name in given for name in parameters):
                yield tuple(given[name] for name in parameters)
