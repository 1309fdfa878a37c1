"""What the engine asks of a store, as a protocol. `sqlite.py` implements it; `conformance.py` checks it.

One rule governs all of it: a call that writes returns after its COMMIT, and a call that raises wrote nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .records import (
    ActivationKey,
    ActivationRecord,
    ActivationState,
    EventRecord,
    Message,
    NewRun,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Transition,
    Value,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The answer to a claim: the run as it is now, and who drives it if that is somebody else.

    `taken_over` is the owner from which the run was taken because it was dead or its lease had run out.
    """

    run: RunRecord
    granted: bool
    holder: str | None = None  # "process 4711 on this machine", where not granted
    taken_over: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What it takes to go on with a run: its record, and what `scopes` and `activations` give with `open_only`."""

    run: RunRecord
    scopes: Sequence[ScopeRecord]
    activations: Sequence[ActivationRecord]


class Store(Protocol):
    """Durable state of runs. One instance serves one event loop; use it as an async context manager."""

    async def __aenter__(self) -> Store: ...
    async def __aexit__(self, *exc: object) -> None: ...

    # -- ownership ---------------------------------------------------------------------------------------

    async def register(self) -> str:
        """Become an executor: take the kernel lock, start the lease, return the executor's id."""
        ...

    async def unregister(self) -> None:
        """Give back all runs that this executor owns, its lease and its lock. Safe to call twice."""
        ...

    async def claim(self, run_id: str, *, failed: bool = False) -> Claim:
        """Take one unfinished run if nobody alive owns it (or we do).

        A finished run is not granted, but one that failed is where `failed` is set (to retry it).
        """
        ...

    async def claim_all(self, signatures: Sequence[str]) -> list[Claim]:
        """Take every unfinished run of these workflow signatures that nobody alive owns, in one commit.

        Runs that others drive come back too, with `granted=False`.
        """
        ...

    async def release(self, runs: Sequence[RunRecord]) -> None:
        """Give runs back without finishing them; a run whose fence moved on is left alone."""
        ...

    # -- writing -----------------------------------------------------------------------------------------

    async def create(self, run: NewRun, plan: PlanRecord, transition: Transition) -> RunRecord:
        """Insert a run owned by this executor (fence 1) with its plan and first transition, all in one commit.

        `transition.run` and `.fence` are ignored. Raises `RunExistsError`.
        """
        ...

    async def commit(self, transition: Transition) -> None:
        """Append one transition; commits of transitions that are ready together are shared.

        Raises `StaleFenceError` when the run was taken over (or its position is not what the transition
        says), `StoreError` when it could not be written. Transitions of one run are written in call order;
        once one was refused, later ones that build on it are refused as well.
        """
        ...

    async def post(self, run: int, type: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:  # noqa: A002  # the column
        """Leave a message for whoever drives the run, without any fence. Returns the message's id."""
        ...

    # -- reading -----------------------------------------------------------------------------------------

    async def run(self, run_id: str) -> RunRecord:
        """The run with that exact id. Raises `RunNotFoundError`."""
        ...

    async def find(self, prefix: str) -> RunRecord:
        """The run whose id begins so, or the newest for `@latest`. Raises `RunNotFoundError`,
        `AmbiguousRunError`."""
        ...

    async def runs(
        self,
        *,
        status: Sequence[RunStatus] = (),
        workflow: str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        """Runs, newest first."""
        ...

    async def runs_by_key(self, keys: Sequence[int]) -> list[RunRecord]:
        """The runs with these keys; unknown ones are left out."""
        ...

    async def load(self, keys: Sequence[int]) -> list[Loaded]:
        """What it takes to go on with each of these runs, in one call; unknown ones are left out."""
        ...

    async def holder(self, run: RunRecord) -> str | None:
        """Who drives the run now ("process 4711"), or None when nobody alive does."""
        ...

    async def plan(self, signature: str) -> PlanRecord:
        """A stored plan. Raises `StoreError` when there is none."""
        ...

    async def input(self, run: int) -> Value:
        """The run's encoded input."""
        ...

    async def activations(self, run: int, *, open_only: bool = False) -> list[ActivationRecord]:
        """A run's activations ordered by (scope, node, item); with `open_only` those of open scopes."""
        ...

    async def activation(self, run: int, key: ActivationKey) -> ActivationRecord | None:
        """One activation."""
        ...

    async def activations_by_key(self, keys: Sequence[tuple[int, ActivationKey]]) -> list[ActivationRecord]:
        """Many activations of many runs in one call; those that are gone are left out."""
        ...

    async def in_state(self, states: Sequence[ActivationState]) -> list[ActivationRecord]:
        """All activations of all runs that are in one of these states, oldest first."""
        ...

    async def scopes(self, run: int, *, open_only: bool = False) -> list[ScopeRecord]:
        """A run's scope instances by number.

        With `open_only`: the open ones, those whose parent is open or the root, and the newest (its number
        says which one is next).
        """
        ...

    async def live(self, runs: Sequence[int]) -> list[ActivationRecord]:
        """The live (not terminal) activations of all these runs in one call, ordered by run."""
        ...

    async def result(self, run: int, key: ActivationKey) -> Value | None:
        """The encoded output of one activation, None when it has none."""
        ...

    async def results(self, run: int, scope: int, node: str) -> list[tuple[int, Value]]:
        """(item, output) of every succeeded activation of a node in one scope instance, in item order."""
        ...

    async def request(self, run: int, key: ActivationKey) -> Value | None:
        """The encoded request of one activation, None when it has none."""
        ...

    async def events(self, run: int, *, after: int = 0, limit: int | None = None) -> list[EventRecord]:
        """The checkpoint log from a position on."""
        ...

    async def messages(self, runs: Sequence[int] | None = None) -> list[Message]:
        """Messages not dealt with: of these runs, or of all runs that this executor owns; oldest first."""
        ...

    def result_now(self, run: int, key: ActivationKey) -> Value | None:
        """As `result`, blocking the calling thread (for `Context.output`, which is no coroutine)."""
        ...


StoreFactory = Callable[[], Store]
"""Makes a fresh store; what the conformance kit is given."""
