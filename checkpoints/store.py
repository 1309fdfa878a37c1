"""What the engine asks of a store, as a protocol. `sqlite` implements it; `conformance` checks it.

One rule governs all of it: a call that writes returns after its COMMIT, and a call that raises wrote nothing. What is
read is in `view.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from .records import NewRun, PlanRecord, RunRecord, Transition
from .view import View

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The answer to a claim: the run as it is now, and who drives it if that is somebody else.

    `taken_over` is the owner from which the run was taken because it was dead or its lease had run out.
    """

    run: RunRecord
    granted: bool
    holder: str | None = None  # "process 4711", where not granted
    taken_over: str | None = None


class Store(Protocol):
    """Durable state of runs. One instance serves one event loop; use it as an async context manager."""

    async def __aenter__(self) -> Store: ...
    async def __aexit__(self, *exc: object) -> None: ...

    # -- ownership ---------------------------------------------------------------------------------------

    async def register(self) -> str:
        """Become an executor: take the kernel lock, start the lease, return the executor's id.

        What a call that was cancelled may have taken is given back by `unregister`, and when the store is left.
        """
        ...

    async def unregister(self) -> None:
        """Give back all runs that this executor owns, its lease and its lock. Safe to call twice."""
        ...

    async def claim(self, run_id: str, *, failed: bool = False) -> Claim:
        """Take one unfinished run if nobody alive owns it (or we do). Its fence grows by one.

        A finished run is not granted, but one that failed is where `failed` is set (to retry it). Raises
        `RunNotFoundError`.
        """
        ...

    async def claim_all(self, signatures: Sequence[str], *, exclude: Collection[int] = ()) -> list[Claim]:
        """Take every unfinished run of these workflow signatures that nobody alive owns, in one commit.

        Runs that others drive come back too, with `granted=False`. Runs that this executor owns, and those whose
        keys are in `exclude`, are left as they are and left out. One whose row is damaged is logged and left out,
        so that it stops no other. Takes no write lock when there is nothing to take.
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
        once one was refused, those that were called before that was known are refused as well, with the same
        kind of error. A transition that is there already, because its caller did not hear of the COMMIT and
        tries again, counts as done: its last event is stored with equal bytes, and its fence still holds.
        """
        ...

    async def delete(self, run: int) -> None:
        """Remove a run that has ended, by its key: all that is stored of it, and the blobs that no other run refers to.

        One commit, without any registration. The plan of its workflow stays, and its key is never used again. Raises
        `RunNotFoundError`, and `RunNotDeletableError` while it has not ended, somebody drives it, a submission of it
        is to be cancelled at the provider, or a handle has come that nobody has acted on.
        """
        ...

    async def signal(self, run: int, kind: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:
        """Leave a signal for whoever drives the run, without any fence. Returns the signal's id."""
        ...

    # -- reading -----------------------------------------------------------------------------------------

    async def read(self, work: Callable[[View], T]) -> T:
        """What `work` reads, in a thread of the store: it sees every commit that has returned. Keep it short."""
        ...

    def view(self) -> View:
        """A view of its own, on a connection that no writer blocks. Raises as opening a database does."""
        ...
