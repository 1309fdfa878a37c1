"""Writes groups of transitions into an open connection: the store's hot path. Runs on the connection's thread.

Each transition's fence and position are checked by the statement that moves its run on. One that is refused
drops out of the group, and with it what follows of the same run; the others are none the worse.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import RunExistsError, StaleFenceError, StoreError
from ..records import NewRun, PlanRecord, RunRecord, Transition
from . import _queries as queries
from . import _rows as rows
from ._faults import concerns_the_database
from ._upserts import ACTIVATIONS, OPERATIONS, SUBMISSIONS, put, put_blob


@dataclass(frozen=True, kw_only=True, slots=True)
class Creation:
    """A run to insert for `owner`, a registered executor, with its first transition."""

    run: NewRun
    plan: PlanRecord
    transition: Transition
    owner: str


Job: TypeAlias = Transition | Creation
JobResult: TypeAlias = RunRecord | Exception | None
"""What came of a job: the run that was created, why it was refused, or None for a transition that was written."""
_Refused: TypeAlias = "dict[tuple[int, int], Exception]"
"""The runs, with the fence, of which a transition of this group was refused, and why."""


class Writer:
    """Writes groups. It remembers which plans are in the database, so that runs need not put them there again."""

    def __init__(self, explain: Callable[[sqlite3.Error], StoreError]) -> None:
        self._explain = explain
        self._plans: set[str] = set()

    def write_group(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[JobResult]:
        """Write the jobs in one transaction, in order; an outcome for each.

        When it fails in a way that one job may be to blame for, each is written by itself, so that only the guilty
        one gets the error, SQLite's in the words of `explain`, and what follows of its run. What every job would
        have met (a lock, a failing disk) is raised.
        """
        try:
            return self._commit(connection, jobs, {})
        except Exception as error:
            if concerns_the_database(error):
                raise
            if len(jobs) == 1:
                return [_refusal(jobs[0], error, self._explain)]
        outcomes: list[JobResult] = []
        refused: _Refused = {}
        for job in jobs:
            try:
                outcomes += self._commit(connection, [job], refused)
            except Exception as error:  # noqa: BLE001 it is the job's outcome, which its caller gets
                outcome = _refusal(job, error, self._explain)
                outcomes.append(outcome)
                if isinstance(job, Transition):
                    refused[job.run, job.fence] = outcome
        return outcomes

    def _commit(
        self, connection: sqlite3.Connection, jobs: Sequence[Job], refused: _Refused
    ) -> list[JobResult]:
        # One cursor for all: a new one for each statement takes a third of the time of the smallest ones.
        cursor = connection.cursor()
        plans = self._plans.copy()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            events: list[tuple[Any, ...]] = []
            outcomes: list[JobResult] = []
            for job in jobs:
                if not isinstance(job, Transition):
                    outcomes.append(_create(cursor, job, events, plans))
                elif (job.run, job.fence) in refused:
                    outcomes.append(refused_with(refused[job.run, job.fence]))
                else:
                    outcome = _step(cursor, job, events)
                    if outcome is not None:
                        refused[job.run, job.fence] = outcome
                    outcomes.append(outcome)
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
        self._plans = plans
        return outcomes


def refused_with(first: Exception) -> StoreError:
    """What a transition gets that follows, in its run, one that was refused with `first`."""
    kind = type(first) if isinstance(first, StoreError) else StoreError
    refusal = kind(f"not written, because the transition before it in its run was not: {first}")
    refusal.__cause__ = first
    return refusal


def _step(cursor: sqlite3.Cursor, transition: Transition, events: list[tuple[Any, ...]]) -> StoreError | None:
    run, position = transition.run, transition.position
    after = position + len(transition.events)
    if transition.events and transition.events[-1].position != after:
        return StoreError(
            f"run {run}: events up to {transition.events[-1].position} after position {position}: "
            "they must be numbered without a gap."
        )
    if _move(cursor, transition, run, transition.fence, position, after):
        _write_parts(cursor, run, transition, events)
        return None
    # So that what this group has written before is found as well.
    cursor.executemany(queries.INSERT_EVENT, events)
    events.clear()
    return None if _is_there(cursor, transition) else _stale(cursor, transition)


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
        if moved:
            cursor.execute(queries.END_CLAIM, (at, "finished", run, fence))
    else:
        moved = cursor.execute(queries.STEP_RUN, (*values, *where)).rowcount
        if not moved:
            moved = cursor.execute(queries.REOPEN_RUN, (*values, *where)).rowcount
    return moved > 0


def _create(
    cursor: sqlite3.Cursor, creation: Creation, events: list[tuple[Any, ...]], plans: set[str]
) -> RunRecord | RunExistsError | StoreError:
    new, plan, first = creation.run, creation.plan, creation.transition
    at, status, outcome = first.at, first.status, first.outcome
    last = first.events[-1].position if first.events else 0
    if last != len(first.events):
        return StoreError(f"run {new.id}: its first events end at {last}, they must count from 1.")
    owner = None if status.finished else creation.owner
    finished_at = at if status.finished else None
    inserted = cursor.execute(
        queries.INSERT_RUN,
        (
            new.id,
            new.workflow,
            new.signature,
            new.nonce,
            rows.STATUS_TEXT[status],
            None if outcome is None else rows.STATUS_TEXT[outcome],
            at,
            at,
            finished_at,
            owner,
            last,
            first.error,
            first.policies,
            rows.inline(new.input),
            new.input.digest,
            rows.labels_text(new.labels),
            new.code,
        ),
    )
    if not inserted.rowcount:
        return RunExistsError(
            f"run {new.id}: there is a run with this id already. Resume it, or take another id."
        )
    key = inserted.lastrowid
    assert key is not None
    cursor.execute(queries.INSERT_CLAIM, (key, 1, at, creation.owner))
    if status.finished:
        cursor.execute(queries.END_CLAIM, (at, "finished", key, 1))
    if not new.input.inline:
        put_blob(cursor, new.input)
    if plan.signature not in plans:
        cursor.execute(queries.PUT_PLAN, (plan.signature, plan.workflow, plan.plan, at))
        plans.add(plan.signature)
    _write_parts(cursor, key, first._replace(policies=None), events)
    return RunRecord(
        key=key,
        id=new.id,
        workflow=new.workflow,
        signature=new.signature,
        nonce=new.nonce,
        status=status,
        outcome=outcome,
        created_at=at,
        updated_at=at,
        finished_at=finished_at,
        input_digest=new.input.digest,
        owner=owner,
        fence=1,
        position=last,
        error=first.error,
        policies=first.policies,
        labels=new.labels,
        code=new.code,
    )


def _write_parts(
    cursor: sqlite3.Cursor, run: int, transition: Transition, events: list[tuple[Any, ...]]
) -> None:
    """All of a transition but the run's row; its events are gathered, to be inserted in one call."""
    at = transition.at
    events += [
        (run, event.position, event.at, event.type, event.node, rows.path_text(event.path), event.data)
        for event in transition.events
    ]
    for activation, activation_columns in transition.activations.items():
        put(cursor, ACTIVATIONS, (run, *activation), activation_columns, at)
    for operation, operation_columns in transition.operations.items():
        put(cursor, OPERATIONS, (run, *operation), operation_columns, at)
    for (sent, number), submission_columns in transition.submissions.items():
        put(cursor, SUBMISSIONS, (run, *sent, number), submission_columns, at)
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
    for signal in transition.signals:
        cursor.execute(queries.DELETE_SIGNAL, (signal, run))
    if transition.policies is not None:
        cursor.execute(queries.SET_POLICIES, (transition.policies, run))


def _is_there(cursor: sqlite3.Cursor, transition: Transition) -> bool:
    """Whether this very transition was written before: its caller did not hear of the COMMIT and tries again."""
    if not transition.events:
        return False
    row = cursor.execute(queries.RUN_BY_KEY, (transition.run,)).fetchone()
    if row is None or rows.run_from(row).fence != transition.fence:
        return False
    last = transition.events[-1]
    row = cursor.execute(queries.EVENT_AT, (transition.run, last.position)).fetchone()
    return row is not None and rows.event_from(row) == last


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
    said = explain(error) if isinstance(error, sqlite3.Error) else StoreError(str(error))
    refusal = type(said)(f"run {run}: its transition was not written: {said}")
    refusal.__cause__ = error
    return refusal
