"""Rows of the database as records, and back. Knows the order of the columns in `queries.py`."""

from __future__ import annotations

from typing import Any, TypeAlias

from .errors import DatabaseCorruptError
from .records import (
    INLINE_LIMIT,
    ActivationKey,
    ActivationRecord,
    ActivationState,
    EventRecord,
    Message,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Value,
)

Row: TypeAlias = "tuple[Any, ...]"

_STATUS = {status.value: status for status in RunStatus}
_STATE = {state.value: state for state in ActivationState}
STATUS_TEXT = {status: status.value for status in RunStatus}
"""Plain text for each status: sqlite3 binds exact `str` much faster than an enum."""
STATE_TEXT = {state: state.value for state in ActivationState}
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


def run_from(row: Row) -> RunRecord:
    """A row of `RUN_COLUMNS`."""
    return RunRecord(
        key=row[0],
        id=row[1],
        workflow=row[2],
        signature=row[3],
        status=_STATUS[row[4]],
        outcome=None if row[5] is None else _STATUS[row[5]],
        created_at=row[6],
        updated_at=row[7],
        finished_at=row[8],
        input_digest=row[9],
        owner=row[10],
        fence=row[11],
        position=row[12],
        error=row[13],
    )


def activation_from(row: Row) -> ActivationRecord:
    """A row of any of the `ACTIVATION…` queries."""
    scope, item = row[1], row[3]
    return ActivationRecord(
        run=row[0],
        key=ActivationKey(scope, row[2], item),
        path=() if scope == 0 else (*path_from(row[4] or ""), item),
        state=_STATE[row[5]],
        attempt=row[6],
        submission=row[7],
        unknown=row[8],
        wake_at=row[9],
        started_at=row[10],
        updated_at=row[11],
        taken=row[12],
        items=row[13],
        token=row[14],
        error=row[15],
        usage=row[16],
        has_result=bool(row[17]),
        has_request=bool(row[18]),
    )


def value_from(data: bytes | None, digest: bytes | None) -> Value | None:
    """A value from its bytes (of the row or of its blob) and its digest, which is set where it is a blob."""
    if data is None:
        if digest is not None:
            raise DatabaseCorruptError(
                f"the stored value {digest.hex()} is missing. `perdure db check` lists all damage."
            )
        return None
    return Value(data, digest)


def scope_from(row: Row) -> ScopeRecord:
    """A row of `SCOPES`."""
    return ScopeRecord(
        number=row[0], scope=row[1], parent=row[2], path=path_from(row[3]), size=row[4], open=bool(row[5])
    )


def event_from(row: Row) -> EventRecord:
    """A row of `EVENTS`."""
    return EventRecord(
        position=row[0], at=row[1], type=row[2], node=row[3], path=path_from(row[4]), data=row[5]
    )


def message_from(row: Row) -> Message:
    """A row of `MESSAGES_OF_RUNS` or `MESSAGES_OF_OWNER`."""
    return Message(
        id=row[0], run=row[1], at=row[2], type=row[3], node=row[4], path=path_from(row[5]), data=row[6]
    )
