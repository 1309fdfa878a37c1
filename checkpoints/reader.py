"""Reads records from an open connection. Runs on the connection's thread; each function is one of `Store`'s."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from . import queries, rows
from .errors import AmbiguousRunError, RunNotFoundError, StoreError
from .records import (
    ActivationKey,
    ActivationRecord,
    ActivationState,
    EventRecord,
    Message,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Value,
)
from .store import Loaded

_NAMED = 10
"""How many candidates a message lists."""

_AWAY = frozenset(
    (
        ActivationState.WAITING,
        ActivationState.BACKOFF,
        ActivationState.SUBMITTING,
        ActivationState.SUBMIT_UNKNOWN,
        ActivationState.CANCELLING,
    )
)
"""The states that the index activations_away holds."""


def run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    row = connection.execute(queries.RUN_BY_ID, (run_id,)).fetchone()
    if row is None:
        raise RunNotFoundError(f"run {run_id}: there is none with this id. `perdure runs` lists them.")
    return rows.run_from(row)


def find(connection: sqlite3.Connection, prefix: str) -> RunRecord:
    if prefix == "@latest":
        row = connection.execute(queries.NEWEST_RUN).fetchone()
        if row is None:
            raise RunNotFoundError("@latest: there is no run in this database yet.")
        return rows.run_from(row)
    if not prefix:
        raise RunNotFoundError("no run was named. Give an id, the beginning of one, or @latest.")
    found = [rows.run_from(row) for row in connection.execute(queries.RUNS_BY_PREFIX, {"prefix": prefix})]
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
    connection: sqlite3.Connection,
    *,
    status: Sequence[RunStatus],
    workflow: str | None,
    since: float | None,
    limit: int | None,
) -> list[RunRecord]:
    parameters = {
        "status": json.dumps(list(status)) if status else None,
        "workflow": workflow,
        "since": since,
        "limit": -1 if limit is None else limit,
    }
    return [rows.run_from(row) for row in connection.execute(queries.RUNS, parameters)]


def runs_by_key(connection: sqlite3.Connection, keys: Sequence[int]) -> list[RunRecord]:
    found = connection.execute(queries.RUNS_BY_KEY, (json.dumps(list(keys)),))
    return [rows.run_from(row) for row in found]


def load(connection: sqlite3.Connection, keys: Sequence[int]) -> list[Loaded]:
    return [
        Loaded(
            run=found,
            scopes=scopes(connection, found.key, open_only=True),
            activations=activations(connection, found.key, open_only=True),
        )
        for found in runs_by_key(connection, keys)
    ]


def plan(connection: sqlite3.Connection, signature: str) -> PlanRecord:
    row = connection.execute(queries.PLAN, (signature,)).fetchone()
    if row is None:
        raise StoreError(f"workflow {signature}: no plan with this signature is stored in this database.")
    return PlanRecord(signature=row[0], workflow=row[1], plan=row[2])


def input_of(connection: sqlite3.Connection, run: int) -> Value:
    row = connection.execute(queries.RUN_INPUT, (run,)).fetchone()
    if row is None:
        raise RunNotFoundError(f"run number {run}: there is none. `perdure runs` lists them.")
    digest, data = row
    value = rows.value_from(data, digest)
    assert value is not None
    return value


def activations(connection: sqlite3.Connection, run: int, *, open_only: bool) -> list[ActivationRecord]:
    query = queries.ACTIVATIONS_OF_OPEN_SCOPES if open_only else queries.ACTIVATIONS
    return [rows.activation_from(row) for row in connection.execute(query, {"run": run})]


def activations_by_key(
    connection: sqlite3.Connection, keys: Sequence[tuple[int, ActivationKey]]
) -> list[ActivationRecord]:
    found: list[ActivationRecord] = []
    for run, key in keys:
        row = connection.execute(queries.ACTIVATION, (run, key.scope, key.node, key.item)).fetchone()
        if row is not None:
            found.append(rows.activation_from(row))
    return found


def in_state(connection: sqlite3.Connection, states: Sequence[ActivationState]) -> list[ActivationRecord]:
    query = queries.ACTIVATIONS_AWAY if _AWAY.issuperset(states) else queries.ACTIVATIONS_IN_STATE
    return [rows.activation_from(row) for row in connection.execute(query, (json.dumps(list(states)),))]


def live(connection: sqlite3.Connection, runs: Sequence[int]) -> list[ActivationRecord]:
    found = connection.execute(queries.LIVE_ACTIVATIONS, (json.dumps(list(runs)),))
    return [rows.activation_from(row) for row in found]


def scopes(connection: sqlite3.Connection, run: int, *, open_only: bool) -> list[ScopeRecord]:
    query = queries.OPEN_SCOPES if open_only else queries.SCOPES
    return [rows.scope_from(row) for row in connection.execute(query, {"run": run})]


def result(connection: sqlite3.Connection, run: int, key: ActivationKey) -> Value | None:
    row = connection.execute(queries.RESULT, (run, key.scope, key.node, key.item)).fetchone()
    return None if row is None else rows.value_from(*row)


def results(connection: sqlite3.Connection, run: int, scope: int, node: str) -> list[tuple[int, Value]]:
    found: list[tuple[int, Value]] = []
    for item, data, digest in connection.execute(queries.RESULTS, (run, scope, node)):
        value = rows.value_from(data, digest)
        if value is not None:
            found.append((item, value))
    return found


def request(connection: sqlite3.Connection, run: int, key: ActivationKey) -> Value | None:
    row = connection.execute(queries.REQUEST, (run, key.scope, key.node, key.item)).fetchone()
    return None if row is None else rows.value_from(*row)


def events(connection: sqlite3.Connection, run: int, *, after: int, limit: int | None) -> list[EventRecord]:
    found = connection.execute(queries.EVENTS, (run, after, -1 if limit is None else limit))
    return [rows.event_from(row) for row in found]


def messages(connection: sqlite3.Connection, runs: Sequence[int] | None, owner: str | None) -> list[Message]:
    """Of these runs, or of all that `owner` owns where `runs` is None."""
    if runs is None:
        found = connection.execute(queries.MESSAGES_OF_OWNER, (owner,))
    else:
        found = connection.execute(queries.MESSAGES_OF_RUNS, (json.dumps(list(runs)),))
    return [rows.message_from(row) for row in found]
