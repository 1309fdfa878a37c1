"""`SQLiteView`: synchronous reads of a Perdure database. What the methods promise stands in `view.py`."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar, assert_never

from ..errors import AmbiguousRunError, RunNotFoundError, StoreError
from ..records import (
    NO_LABELS,
    ActivationKey,
    ActivationRecord,
    ClaimRecord,
    EventRecord,
    Loaded,
    OperationKey,
    OperationRecord,
    OutcomeRef,
    PlanRecord,
    RequestRef,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Signal,
    SubmissionRecord,
    Value,
    ValueRef,
)
from ..view import DatabaseInfo, View
from . import _queries as queries
from . import _rows as rows
from . import _soundness as soundness
from ._database import Database
from ._ownership import Owners
from ._rows import Row

T = TypeVar("T")

_NAMED = 10
"""How many candidates a message lists."""


class SQLiteView(View):
    """Reads of one SQLite file, on a connection of its own that no writer holds up. Make it with `open`.

    Use it in one thread at a time, as a context manager, or `close` it.
    """

    def __init__(self, connection: sqlite3.Connection, database: Database, *, lent: bool = False) -> None:
        """A view over an open connection, which `close` leaves open where it is `lent`. For stores alone."""
        self._connection: sqlite3.Connection | None = connection
        self._database = database
        self._lent = lent

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, busy_timeout: float = 10.0) -> SQLiteView:
        """Open a database to read it. Works on read-only media, never makes a file.

        `busy_timeout`: seconds to wait for a process that is just making or closing the database.
        Raises `DatabaseMissingError`, `DatabaseReadOnlyError` (the files can't be reached),
        `DatabaseCorruptError` (it is not one of Perdure's), `SchemaTooNewError`, `StoreError` (an older one).
        """
        return cls.over(Database(path=os.path.realpath(path), busy_timeout=busy_timeout))

    @classmethod
    def over(cls, database: Database) -> SQLiteView:
        """A view on a connection of its own. For stores alone; raises as `open` does."""
        try:
            return cls(database.open_to_read(), database)
        except sqlite3.Error as error:
            raise database.explain(error) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not self._lent:
            connection.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        with self._explained() as connection:
            if connection.in_transaction:
                raise StoreError(f"{self._database.name}: a snapshot of this view is open already.")
        with self._one_moment():
            self._row("SELECT 1 FROM sqlite_schema LIMIT 1")  # the moment is now, not that of the first read
            yield

    def changes(self) -> int:
        return self._number("PRAGMA data_version")

    # -- runs --------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> RunRecord:
        row = self._row(queries.RUN_BY_ID, (run_id,))
        if row is None:
            raise RunNotFoundError(f"run {run_id}: there is none with this id. `perdure runs` lists them.")
        return rows.run_from(row)

    def find(self, prefix: str) -> RunRecord:
        if prefix == "@latest":
            row = self._row(queries.NEWEST_RUN)
            if row is None:
                raise RunNotFoundError("@latest: there is no run in this database yet.")
            return rows.run_from(row)
        if not prefix:
            raise RunNotFoundError("no run was named. Give an id, the beginning of one, or @latest.")
        found = self._all(rows.run_from, queries.RUNS_BY_PREFIX, {"prefix": prefix})
        exact = [run for run in found if run.id == prefix]
        match exact or found:
            case []:
                raise RunNotFoundError(f"run {prefix}: no run's id begins so. `perdure runs` lists them.")
            case [one]:
                return one
            case several:
                ids = tuple(run.id for run in several)
                more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
                raise AmbiguousRunError(
                    f"run {prefix}: several ids begin so: {', '.join(ids[:_NAMED])}{more}. Give more of the id.",
                    ids,
                )

    def runs(
        self,
        *,
        status: Sequence[RunStatus] = (),
        workflow: str | None = None,
        labels: Mapping[str, str] = NO_LABELS,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        parameters = {
            "status": json.dumps(list(status)) if status else None,
            "workflow": workflow,
            "labels": rows.labels_text(labels),
            "since": since,
            "limit": -1 if limit is None else limit,
        }
        return self._all(rows.run_from, queries.RUNS, parameters)

    def unfinished(self) -> list[RunRecord]:
        return rows.readable_runs(self._all(tuple, queries.UNFINISHED_RUNS))

    def unsettled(self) -> list[RunRecord]:
        return rows.readable_runs(self._all(tuple, queries.UNSETTLED_RUNS))

    def runs_by_key(self, keys: Sequence[int]) -> list[RunRecord]:
        return self._all(rows.run_from, queries.RUNS_BY_KEY, (_list(keys),))

    def fences(self, keys: Sequence[int]) -> dict[int, int]:
        return dict(self._all(tuple[int, int], queries.FENCES, (_list(keys),)))

    def holder(self, run: RunRecord) -> str | None:
        with self._explained() as connection:
            row = connection.execute(queries.RUN_BY_KEY, (run.key,)).fetchone()
            owners = Owners(self._database.path)
            return None if row is None else owners.living(connection, rows.run_from(row).owner)

    def claims(self, run: int) -> list[ClaimRecord]:
        return self._all(rows.claim_from, queries.CLAIMS, (run,))

    def plan(self, signature: str) -> PlanRecord:
        row = self._row(queries.PLAN, (signature,))
        if row is None:
            raise StoreError(f"workflow {signature}: no plan with this signature is stored in this database.")
        return PlanRecord(signature=row[0], workflow=row[1], plan=row[2])

    # -- going on ----------------------------------------------------------------------------------------

    def load(self, keys: Sequence[int]) -> list[Loaded]:
        with self._one_moment():
            scopes = self._by_run(rows.scope_from, queries.SCOPES_TO_GO_ON_WITH, keys)
            activations = self._by_run(rows.activation_from, queries.ACTIVATIONS_OF_OPEN_SCOPES, keys)
            operations = self._by_run(rows.operation_from, queries.OPERATIONS_TO_GO_ON_WITH, keys)
            handles = self._by_run(rows.submission_from, queries.SUBMISSIONS_TO_GO_ON_WITH, keys)
            strays = self._by_run(rows.submission_from, queries.STRAYS, keys)
            return [
                Loaded(
                    run=run,
                    scopes=scopes.get(run.key, ()),
                    activations=activations.get(run.key, ()),
                    operations=operations.get(run.key, ()),
                    handles=handles.get(run.key, ()),
                    strays=strays.get(run.key, ()),
                )
                for run in self.runs_by_key(keys)
            ]

    def live(self, keys: Sequence[int]) -> tuple[list[ActivationRecord], list[OperationRecord]]:
        with self._one_moment():
            return (
                self._all(rows.activation_from, queries.LIVE_ACTIVATIONS, (_list(keys),)),
                self._all(rows.operation_from, queries.LIVE_OPERATIONS, (_list(keys),)),
            )

    def operations_by_key(self, keys: Sequence[tuple[int, OperationKey]]) -> list[OperationRecord]:
        with self._one_moment():
            found = [self._row(queries.OPERATION, (run, *key)) for run, key in keys]
        return [rows.operation_from(row) for row in found if row is not None]

    def signals(self, runs: Sequence[int] | None = None, *, owner: str | None = None) -> list[Signal]:
        if owner is not None:
            owned = self._all(rows.signal_from, queries.SIGNALS_OF_OWNER, (owner,))
            return owned if runs is None else [signal for signal in owned if signal.run in runs]
        if runs is not None:
            return self._all(rows.signal_from, queries.SIGNALS_OF_RUNS, (_list(runs),))
        return self._all(rows.signal_from, queries.SIGNALS)

    # -- what a run holds --------------------------------------------------------------------------------

    def activations(self, run: int) -> list[ActivationRecord]:
        return self._all(rows.activation_from, queries.ACTIVATIONS, (run,))

    def operations(self, run: int) -> list[OperationRecord]:
        return self._all(rows.operation_from, queries.OPERATIONS, (run,))

    def open_operations(self) -> list[OperationRecord]:
        return self._all(rows.operation_from, queries.OPEN_OPERATIONS)

    def submissions(self, run: int) -> list[SubmissionRecord]:
        return self._all(rows.submission_from, queries.SUBMISSIONS, (run,))

    def submissions_by_handle(self, handle: str) -> list[SubmissionRecord]:
        return self._all(rows.submission_from, queries.SUBMISSIONS_BY_HANDLE, (handle,))

    def scopes(self, run: int) -> list[ScopeRecord]:
        return self._all(rows.scope_from, queries.SCOPES, (run,))

    def events(self, run: int, *, after: int = 0, limit: int | None = None) -> list[EventRecord]:
        return self._all(rows.event_from, queries.EVENTS, (run, after, -1 if limit is None else limit))

    def value(self, run: int, ref: ValueRef) -> Value | None:
        match ref:
            case "input":
                row = self._row(queries.RUN_INPUT, (run,))
            case ActivationKey():
                row = self._row(queries.RESULT, (run, *ref))
            case RequestRef(operation):
                row = self._row(queries.REQUEST, (run, *operation))
            case OutcomeRef(operation):
                row = self._row(queries.OUTCOME, (run, *operation))
            case _:
                assert_never(ref)
        return rows.value_from(row)

    def outputs(self, run: int, scope: int, node: str) -> list[tuple[int, Value]]:
        found: list[tuple[int, Value]] = []
        for item, data, digest in self._all(tuple[Any, ...], queries.OUTPUTS, (run, scope, node)):
            value = rows.value_from((data, digest))
            if value is not None:
                found.append((item, value))
        return found

    # -- the database ------------------------------------------------------------------------------------

    def info(self) -> DatabaseInfo:
        with self._one_moment():
            return soundness.info(self._opened(), self._database.path)

    def check(self) -> list[str]:
        with self._one_moment():
            return soundness.check(self._opened())

    # -- the connection ----------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self._database.name}: this view is closed. Open another one.")
        return self._connection

    @contextmanager
    def _explained(self) -> Generator[sqlite3.Connection]:
        """The connection; SQLite's errors become ours."""
        try:
            yield self._opened()
        except sqlite3.Error as error:
            raise self._database.explain(error) from error

    @contextmanager
    def _one_moment(self) -> Generator[None]:
        """A read transaction, or the one that is open."""
        with self._explained() as connection:
            if connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                yield
            finally:
                # Not when the view was closed inside, nor where an error has rolled back already.
                if self._connection is connection and connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _row(self, query: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        try:
            return self._opened().execute(query, parameters).fetchone()
        except sqlite3.Error as error:
            raise self._database.explain(error) from error

    def _all(
        self, make: Callable[[Row], T], query: str, parameters: Sequence[Any] | dict[str, Any] = ()
    ) -> list[T]:
        try:
            found = self._opened().execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._database.explain(error) from error
        return [make(row) for row in found]

    def _by_run(self, make: Callable[[Row], T], query: str, keys: Sequence[int]) -> dict[int, list[T]]:
        """The rows of these runs, whose keys are the rows' first column."""
        found: dict[int, list[T]] = {}
        for row in self._all(tuple[Any, ...], query, {"runs": _list(keys)}):
            found.setdefault(row[0], []).append(make(row))
        return found

    def _number(self, query: str) -> int:
        row = self._row(query)
        assert row is not None
        return int(row[0])


def _list(keys: Sequence[int]) -> str:
    return json.dumps(list(keys))
