"""What can be read of a database, as a protocol: synchronous, for the command line, the page, `ctx.output`.

`sqlite` implements it; `conformance` checks it. A view needs none of the user's code and never writes. The engine
reads through the same calls, by way of `Store.read`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from .records import (
    NO_LABELS,
    ActivationRecord,
    ClaimRecord,
    EventRecord,
    Loaded,
    OperationKey,
    OperationRecord,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Signal,
    SubmissionRecord,
    Value,
    ValueRef,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseInfo:
    """What a database is and how much it holds. Sizes are in bytes."""

    path: str | None
    schema: int
    sqlite: str
    journal_mode: str
    size: int
    wal_size: int
    free_size: int
    """How much of `size` is free, for rows to come."""
    runs: int
    activations: int
    operations: int
    events: int
    blobs: int
    blob_bytes: int
    signals: int


class View(Protocol):
    """Reads of one database. Use it in one thread, and `close` it, or use it as a context manager."""

    def __enter__(self) -> View: ...
    def __exit__(self, *exc: object) -> None: ...

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """One read transaction: all that is read inside is of one moment. Does not nest."""
        ...

    def changes(self) -> int:
        """A number that is another one after any commit by another connection; costs microseconds."""
        ...

    # -- runs --------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> RunRecord:
        """The run with that exact id. Raises `RunNotFoundError`."""
        ...

    def find(self, prefix: str) -> RunRecord:
        """The run whose id begins so, or the newest for `@latest`.

        Raises `RunNotFoundError`, `AmbiguousRunError`.
        """
        ...

    def runs(
        self,
        *,
        status: Sequence[RunStatus] = (),
        workflow: str | None = None,
        labels: Mapping[str, str] = NO_LABELS,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        """Runs, newest first: those in one of these states, of this workflow, that have at least these labels."""
        ...

    def unfinished(self) -> list[RunRecord]:
        """All runs that have not ended, oldest first; costs nothing for those that have.

        A run whose row is damaged is logged and left out.
        """
        ...

    def unsettled(self) -> list[RunRecord]:
        """Runs that have ended and have submissions to cancel, or handles that nobody has acted on, oldest first."""
        ...

    def runs_by_key(self, keys: Sequence[int]) -> list[RunRecord]:
        """The runs with these keys; unknown ones are left out."""
        ...

    def fences(self, keys: Sequence[int]) -> dict[int, int]:
        """The fence of each of these runs; unknown ones are left out."""
        ...

    def holder(self, run: RunRecord) -> str | None:
        """Who drives the run now ("process 4711"), or None when nobody alive does."""
        ...

    def claims(self, run: int) -> list[ClaimRecord]:
        """Who drove the run, oldest first."""
        ...

    def plan(self, signature: str) -> PlanRecord:
        """A stored plan. Raises `StoreError` when there is none."""
        ...

    # -- going on ----------------------------------------------------------------------------------------

    def load(self, keys: Sequence[int]) -> list[Loaded]:
        """What it takes to go on with each of these runs; unknown ones are left out."""
        ...

    def live(self, keys: Sequence[int]) -> tuple[list[ActivationRecord], list[OperationRecord]]:
        """The activations and operations of these runs that have not ended, ordered by run.

        Of a failed run an activation that has failed has ended.
        """
        ...

    def operations_by_key(self, keys: Sequence[tuple[int, OperationKey]]) -> list[OperationRecord]:
        """Operations of many runs, given as (run, key); those that are gone are left out."""
        ...

    def signals(self, runs: Sequence[int] | None = None, *, owner: str | None = None) -> list[Signal]:
        """Signals that were not dealt with: of these runs, of the runs that this executor owns, or all."""
        ...

    # -- what a run holds --------------------------------------------------------------------------------

    def activations(self, run: int) -> list[ActivationRecord]:
        """A run's activations, ordered by (scope, node, item)."""
        ...

    def operations(self, run: int) -> list[OperationRecord]:
        """A run's operations of all attempts, ordered by key."""
        ...

    def open_operations(self) -> list[OperationRecord]:
        """The operations of all runs that have not ended, oldest first."""
        ...

    def submissions(self, run: int) -> list[SubmissionRecord]:
        """A run's submissions, ordered by key."""
        ...

    def submissions_by_handle(self, handle: str) -> list[SubmissionRecord]:
        """The submissions of all runs that have this handle."""
        ...

    def scopes(self, run: int) -> list[ScopeRecord]:
        """A run's scope instances by number, closed ones too."""
        ...

    def events(self, run: int, *, after: int = 0, limit: int | None = None) -> list[EventRecord]:
        """The journal from a position on."""
        ...

    def value(self, run: int, ref: ValueRef) -> Value | None:
        """One stored value, None where there is none (yet)."""
        ...

    def outputs(self, run: int, scope: int, node: str) -> list[tuple[int, Value]]:
        """(item, output) of every succeeded activation of a node in one scope instance, in item order."""
        ...

    # -- the database ------------------------------------------------------------------------------------

    def info(self) -> DatabaseInfo:
        """What the database is: where, which schema, how large, how much it holds."""
        ...

    def check(self) -> list[str]:
        """What is wrong with the database, a line for each damage; an empty list when it is sound. Reads all of it."""
        ...
