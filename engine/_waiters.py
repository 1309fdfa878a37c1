"""Who waits in this process for news of a run. Costs nothing for runs that nobody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from ..checkpoints.records import RunStatus, Value
from .failures import FailureData

T = TypeVar("T")


class RunOutcome(NamedTuple):
    """How a run ended in this process. `cause` is the node's own exception where it was raised here."""

    status: RunStatus
    value: Value | None = None
    end: str | None = None  # the node whose output the value is
    failure: FailureData | None = None
    cause: BaseException | None = None


@contextmanager
def _listed(
    waiting: dict[int, set[asyncio.Future[T]]], run: int, future: asyncio.Future[T]
) -> Generator[None]:
    """Have the future listed for the run for as long as somebody waits for it."""
    waiting.setdefault(run, set()).add(future)
    try:
        yield
    finally:
        others = waiting.get(run, set())
        others.discard(future)
        if not others:
            waiting.pop(run, None)


class Waiters:
    """Futures of those who wait for a run's end, and for its next commit."""

    def __init__(self) -> None:
        self._outcomes: dict[int, set[asyncio.Future[RunOutcome]]] = {}
        self._changes: dict[int, set[asyncio.Future[None]]] = {}
        self._errors: dict[int, BaseException] = {}
        self._over: BaseException | None = None

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(map(len, self._outcomes.values())) + sum(map(len, self._changes.values()))

    def error(self, run: int) -> BaseException | None:
        """What stopped this process from driving the run, None if nothing did."""
        return self._over or self._errors.get(run)

    def driven(self, run: int) -> None:
        """The run is driven here from now on (again)."""
        self._errors.pop(run, None)

    async def outcome(self, run: int) -> RunOutcome:
        """Wait for the end of a run that this process drives. Raises what stopped the driving."""
        error = self.error(run)
        if error is not None:
            raise error
        future: asyncio.Future[RunOutcome] = asyncio.get_running_loop().create_future()
        with _listed(self._outcomes, run, future):
            return await future

    async def change(self, run: int, at_most: float) -> None:
        """Wait for the next commit of the run here, at most so many seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with _listed(self._changes, run, future):
            await asyncio.wait([future], timeout=at_most)

    def changed(self, run: int) -> None:
        """The run has committed something."""
        if self._changes:
            for future in self._changes.pop(run, ()):
                future.set_result(None)

    def finished(self, run: int, outcome: RunOutcome) -> None:
        """The run has ended."""
        for future in self._outcomes.pop(run, ()):
            if not future.done():  # its waiter may have been cancelled
                future.set_result(outcome)
        self.changed(run)

    def stopped(self, run: int, error: BaseException) -> None:
        """The run is not driven here any more; whoever waits for it, now or later, gets the error."""
        self._errors[run] = error
        for future in self._outcomes.pop(run, ()):
            if not future.done():  # its waiter may have been cancelled
                future.set_exception(error)
        self.changed(run)

    def stop_all(self, error: BaseException) -> None:
        """Nothing is driven here any more."""
        self._over = error
        for run in [*self._outcomes, *self._changes]:
            self.stopped(run, error)
