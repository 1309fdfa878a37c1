"""Rows of the database as records, and back. Knows the order of the columns in `_queries.py`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ..errors import DatabaseCorruptError
from ..records import (
    INLINE_LIMIT,
    NO_LABELS,
    ActivationKey,
    ActivationRecord,
    ClaimRecord,
    EventRecord,
    OperationKey,
    OperationRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Signal,
    State,
    SubmissionKey,
    SubmissionRecord,
    Value,
)

log = logging.getLogger("perdure")

Row: TypeAlias = "tuple[Any, ...]"

_STATUS = {status.value: status for status in RunStatus}
_STATE = {state.value: state for state in State}
STATUS_TEXT = {status: status.value for status in RunStatus}
"""Plain text for each status: sqlite3 binds exact `str` much faster than an enum."""
STATE_TEXT = {state: state.value for state in State}
"""Plain text for each state, for the same reason."""


def path_text(path: tuple[int, ...]) -> str:
    """`1,4` for (1, 4), the empty text for the root."""
    return ",".join(map(str, path)) if path else ""


def path_from(text: str) -> tuple[int, ...]:
    """What `path_text` wrote."""
    return tuple(map(int, text.split(","))) if text else ()


def inline(value: Value) -> bytes | None:
    """The bytes to keep in the row; None where they belong into `blobs`."""
    return value.data if len(value.data) <= INLINE_LIMIT else None


def labels_text(labels: Mapping[str, str]) -> str | None:
    """A JSON object; None where there are none."""
    return json.dumps(dict(labels)) if labels else None


def run_from(row: Row) -> RunRecord:
    """A row of `RUN_COLUMNS`."""
    return RunRecord(
        key=row[0],
        id=row[1],
        workflow=row[2],
        signature=row[3],
        nonce=row[4],
        status=_STATUS[row[5]],
        outcome=None if row[6] is None else _STATUS[row[6]],
        created_at=row[7],
        updated_at=row[8],
        finished_at=row[9],
        input_digest=row[10],
        owner=row[11],
        fence=row[12],
        position=row[13],
        error=row[14],
        policies=row[15],
        labels=NO_LABELS if row[16] is None else json.loads(row[16]),
        code=row[17],
    )


def readable_runs(found: Iterable[Row]) -> list[RunRecord]:
    """Those of these rows of `RUN_COLUMNS` that make sense; the others are told, and hide no other run."""
    runs: list[RunRecord] = []
    for row in found:
        try:
            runs.append(run_from(row))
        except (KeyError, TypeError, ValueError) as error:
            log.error("run %s is left out, its row is damaged: %s: %s", row[1], type(error).__name__, error)
    return runs


def claim_from(row: Row) -> ClaimRecord:
    """A row of `CLAIMS`."""
    return ClaimRecord(
        run=row[0],
        fence=row[1],
        executor=row[2],
        pid=row[3],
        host=row[4],
        claimed_at=row[5],
        ended_at=row[6],
        end=row[7],
    )


def activation_from(row: Row) -> ActivationRecord:
    """A row of any of the `…ACTIVATIONS…` queries."""
    return ActivationRecord(
        run=row[0],
        key=ActivationKey(row[1], row[2], row[3]),
        path=_path(row[1], row[4], row[3]),
        state=_STATE[row[5]],
        attempt=row[6],
        failures=row[7],
        wake_at=row[8],
        started_at=row[9],
        updated_at=row[10],
        taken=None if row[11] is None else path_from(row[11]),
        items=row[12],
        error=row[13],
        has_result=bool(row[14]),
    )


def operation_from(row: Row) -> OperationRecord:
    """A row of any of the `…OPERATION…` queries."""
    return OperationRecord(
        run=row[0],
        key=OperationKey(row[1], row[2], row[3], row[4], row[5], row[6]),
        path=_path(row[1], row[7], row[3]),
        state=_STATE[row[8]],
        submission=row[9],
        unknown=row[10],
        refused=row[11],
        trying_since=row[12],
        sent_at=row[13],
        accepted_at=row[14],
        wake_at=row[15],
        detail=row[16],
        started_at=row[17],
        updated_at=row[18],
        token=row[19],
        error=row[20],
        has_outcome=bool(row[21]),
    )


def submission_from(row: Row) -> SubmissionRecord:
    """A row of any of the `SUBMISSIONS…` queries or of `STRAYS`."""
    return SubmissionRecord(
        run=row[0],
        key=SubmissionKey(OperationKey(row[1], row[2], row[3], row[4], row[5], row[6]), row[7]),
        path=_path(row[1], row[8], row[3]),
        fate=row[9],
        handle=row[10],
        token=row[11],
        source=row[12],
        sent_at=row[13],
        updated_at=row[14],
        error=row[15],
        usage=row[16],
    )


def value_from(row: Row | None) -> Value | None:
    """A value from its bytes (of the row or of its blob) and its digest, which is set where it is a blob."""
    if row is None:
        return None
    data, digest = row
    if data is None:
        if digest is not None:
            raise DatabaseCorruptError(
                f"the stored value {digest.hex()} is missing. `perdure db check` lists all damage."
            )
        return None
    return Value(data, digest)


def scope_from(row: Row) -> ScopeRecord:
    """A row of any of the `SCOPES…` queries."""
    return ScopeRecord(
        number=row[1], scope=row[2], parent=row[3], path=path_from(row[4]), size=row[5], open=bool(row[6])
    )


def event_from(row: Row) -> EventRecord:
    """A row of `EVENTS`."""
    return EventRecord(
        position=row[0], at=row[1], type=row[2], node=row[3], path=path_from(row[4]), data=row[5]
    )


def signal_from(row: Row) -> Signal:
    """A row of any of the `SIGNALS…` queries."""
    return Signal(
        id=row[0], run=row[1], at=row[2], kind=row[3], node=row[4], path=path_from(row[5]), data=row[6]
    )


def _path(scope: int, of_scope: str | None, item: int) -> tuple[int, ...]:
    """The path of what lies at this item of this scope instance, whose own path is `of_scope`."""
    return () if scope == 0 else (*path_from(of_scope or ""), item)
