"""Writes groups of transitions into an open connection: the store's hot path. Runs on the connection's thread.

Each transition's fence and position are checked by the statement that moves its run on. One that is refused
drops out of the group without harm to the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from . import queries, rows
from .errors import RunExistsError, StaleFenceError, StoreError
from .records import (
    INLINE_LIMIT,
    ActivationChange,
    ActivationColumns,
    ActivationState,
    NewRun,
    PlanRecord,
    RunRecord,
    Transition,
    Value,
)
from .sqlite_faults import concerns_the_database


@dataclass(frozen=True, kw_only=True, slots=True)
class Creation:
    """A run to insert for `owner`, with its first transition."""

    run: NewRun
    plan: PlanRecord
    transition: Transition
    owner: str


Job: TypeAlias = Transition | Creation
Outcome: TypeAlias = RunRecord | Exception | None

_VALUES = frozenset(("request", "result"))
_COLUMNS = frozenset(ActivationColumns.__annotations__)
_MOSTLY_NEW = frozenset((ActivationState.READY, ActivationState.RUNNING, ActivationState.SKIPPED))
"""States in which most activations are inserted. Rows in other states are nearly always there already, and an
UPDATE costs two thirds of an upsert that meets its row."""


def write_group(
    connection: sqlite3.Connection, jobs: Sequence[Job], explain: Callable[[sqlite3.Error], StoreError]
) -> list[Outcome]:
    """Write the jobs in one transaction, in order; an outcome for each.

    When it fails in a way that one job may be to blame for, each is written by itself, so that only the guilty
    one gets the error, SQLite's in the words of `explain`. What every job would have met (a lock, a failing
    disk) is raised.
    """
    try:
        return _commit(connection, jobs)
    except Exception as error:
        if concerns_the_database(error):
            raise
        if len(jobs) == 1:
            return [_refusal(jobs[0], error, explain)]
    outcomes: list[Outcome] = []
    for job in jobs:
        try:
            outcomes += _commit(connection, [job])
        except Exception as error:  # noqa: BLE001 it is the job's outcome, which its caller gets
            outcomes.append(_refusal(job, error, explain))
    return outcomes


def _commit(connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Outcome]:
    # One cursor for all: a new one for each statement takes a third of the time of the smallest ones.
    cursor = connection.cursor()
    try:
        cursor.execute("BEGIN IMMEDIATE")
        events: list[tuple[Any, ...]] = []
        outcomes: list[Outcome] = []
        for job in jobs:
            if isinstance(job, Transition):
                outcomes.append(_step(cursor, job, events))
            else:
                outcomes.append(_create(cursor, job, events))
        if events:
            cursor.executemany(queries.INSERT_EVENT, events)
        cursor.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            cursor.execute("ROLLBACK")
        raise
    finally:
        # An error's traceback would keep the cursor, and the cursor would keep the file open after `close`.
        cursor.close()
    return outcomes


def _step(
    cursor: sqlite3.Cursor, transition: Transition, events: list[tuple[Any, ...]]
) -> StaleFenceError | StoreError | None:
    run, position = transition.run, transition.position
    after = position + len(transition.events)
    if transition.events and transition.events[-1].position != after:
        return StoreError(
            f"run {run}: events up to {transition.events[-1].position} after position {position}: "
            "they must be numbered without a gap."
        )
    if not _move(cursor, transition, run, transition.fence, position, after):
        return _stale(cursor, transition)
    _write_parts(cursor, run, transition, events)
    return None


def _move(
    cursor: sqlite3.Cursor, transition: Transition, run: int, fence: int, position: int, after: int
) -> bool:
    """Bring the run's row from one position to another; False where it is not at that fence and position."""
    status, outcome, at = transition.status, transition.outcome, transition.at
    values = (
        after,
        rows.STATUS_TEXT[status],
        None if outcome is None else rows.STATUS_TEXT[outcome],
        transition.error,
        at,
    )
    where = (run, fence, position)
    if status.finished:
        moved = cursor.execute(queries.FINISH_RUN, (*values, at, *where)).rowcount
    else:
        moved = cursor.execute(queries.STEP_RUN, (*values, *where)).rowcount
        if not moved:
            moved = cursor.execute(queries.REOPEN_RUN, (*values, *where)).rowcount
    return moved > 0


def _create(
    cursor: sqlite3.Cursor, creation: Creation, events: list[tuple[Any, ...]]
) -> RunRecord | RunExistsError | StoreError:
    new, plan, first = creation.run, creation.plan, creation.transition
    at = first.at
    last = first.events[-1].position if first.events else 0
    if last != len(first.events):
        return StoreError(f"run {new.id}: its first events end at {last}, they must count from 1.")
    inserted = cursor.execute(
        queries.INSERT_RUN,
        (
            new.id,
            new.workflow,
            new.signature,
            rows.STATUS_TEXT[first.status],
            at,
            at,
            creation.owner,
            rows.inline(new.input),
            new.input.digest,
        ),
    )
    if not inserted.rowcount:
        return RunExistsError(
            f"run {new.id}: there is a run with this id already. Resume it, or take another id."
        )
    key = inserted.lastrowid
    assert key is not None
    if not new.input.inline:
        _put_blob(cursor, new.input)
    cursor.execute(queries.PUT_PLAN, (plan.signature, plan.workflow, plan.plan, at))
    _move(cursor, first, key, 1, 0, last)
    _write_parts(cursor, key, first, events)
    return rows.run_from(cursor.execute(queries.RUN_BY_KEY, (key,)).fetchone())


def _write_parts(
    cursor: sqlite3.Cursor, run: int, transition: Transition, events: list[tuple[Any, ...]]
) -> None:
    """All of a transition but the run's row; its events are gathered, to be inserted in one call."""
    events += [
        (run, event.position, event.at, event.type, event.node, rows.path_text(event.path), event.data)
        for event in transition.events
    ]
    for change in transition.activations:
        _put_activation(cursor, run, transition.at, change)
    for scope in transition.scopes:
        cursor.execute(
            queries.PUT_SCOPE,
            (
                run,
                scope.number,
                scope.scope,
                scope.parent,
                rows.path_text(scope.path),
                scope.size,
                scope.open,
            ),
        )
    for message in transition.messages:
        cursor.execute(queries.DELETE_MESSAGE, (message, run))


def _put_activation(cursor: sqlite3.Cursor, run: int, at: float, change: ActivationChange) -> None:
    key, columns = change.key, change.columns
    state = columns.get("state")
    if state is None:
        raise StoreError(f"{key}: a change must name the activation's state.")
    parameters: list[Any] = [at]
    for name, value in columns.items():
        if name in _VALUES:
            if not isinstance(value, Value):
                parameters += (None, None)
            elif len(value.data) <= INLINE_LIMIT:
                parameters += (value.data, None)
            else:
                _put_blob(cursor, value)
                parameters += (None, value.digest)
        elif name == "state":
            parameters.append(rows.STATE_TEXT[state])
        else:
            parameters.append(value)
    parameters += (run, *key)
    update, upsert = _activation_statements(tuple(columns))
    if state in _MOSTLY_NEW or not cursor.execute(update, parameters).rowcount:
        parameters.append(at)
        cursor.execute(upsert, parameters)


@cache
def _activation_statements(names: tuple[str, ...]) -> tuple[str, str]:
    """The UPDATE and the upsert that set exactly these columns. Both bind them, then the key, in one order."""
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown:
        raise StoreError(f"an activation has no column {', '.join(unknown)}.")
    columns = ["updated_at"]
    for name in names:
        columns.append(name)
        if name in _VALUES:
            columns.append(f"{name}_digest")
    key = ("run", "scope", "node", "item")
    update = (
        f"UPDATE activations SET {', '.join(f'{name} = ?' for name in columns)} "  # noqa: S608 our own names
        f"WHERE {' AND '.join(f'{name} = ?' for name in key)}"
    )
    upsert = (
        f"INSERT INTO activations ({', '.join((*columns, *key))}, started_at) "  # noqa: S608 our own names
        f"VALUES ({', '.join('?' * (len(columns) + 5))}) "
        f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns)}"
    )
    return update, upsert


def _put_blob(cursor: sqlite3.Cursor, value: Value) -> None:
    # Looked up first: binding a megabyte only to find that it is there would copy it.
    if cursor.execute(queries.HAS_BLOB, (value.digest,)).fetchone() is None:
        cursor.execute(queries.INSERT_BLOB, (value.digest, value.data))


def _stale(cursor: sqlite3.Cursor, transition: Transition) -> StaleFenceError:
    row = cursor.execute(queries.RUN_BY_KEY, (transition.run,)).fetchone()
    if row is None:
        return StaleFenceError(f"run {transition.run}: it is gone from the database; nothing was written.")
    run = rows.run_from(row)
    if run.fence != transition.fence:
        return StaleFenceError(
            f"run {run.id}: another executor took it over (fence {run.fence}, ours was {transition.fence}); "
            "nothing was written. It is driven there; look at it with `perdure show`."
        )
    return StaleFenceError(
        f"run {run.id}: it is at position {run.position}, the transition was made for {transition.position}; "
        "nothing was written. Load the run again."
    )


def _refusal(job: Job, error: Exception, explain: Callable[[sqlite3.Error], StoreError]) -> StoreError:
    if isinstance(error, StoreError):
        return error
    run = job.run if isinstance(job, Transition) else job.run.id
    said = explain(error) if isinstance(error, sqlite3.Error) else error
    refusal = StoreError(f"run {run}: its transition was not written: {said}")
    refusal.__cause__ = error
    return refusal
