"""Runs, activations, tokens and events in JSON. Their keys are part of the command line's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...checkpoints.codec import unpack
from ...checkpoints.records import ClaimRecord, EventRecord, RunRecord
from ...engine.core.addresses import Address
from ..commands import answer_commands, drive_command
from ..read.activations import Activation, Operation, Submission
from ..read.run import RunDetails
from ..read.signals import KeptSignal
from ..read.tokens import OpenToken
from ..read.waits import Wait
from ..settings import Settings
from .output import Entry
from .times import iso, iso_or_none


def run_entry(run: RunRecord) -> dict[str, Any]:
    """A run."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status.value,
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "finished_at": iso_or_none(run.finished_at),
        "outcome": None if run.outcome is None else run.outcome.value,
        "signature": run.signature,
        "position": run.position,
        "error": None if run.error is None else error_entry(unpack(run.error)),
        "labels": dict(run.labels),
    }


def details_entry(settings: Settings, details: RunDetails) -> Entry:
    """A run with all that belongs to it."""
    return {
        **run_entry(details.run),
        "driven_by": details.holder,
        "waits_on": [_wait(settings, details.run.id, wait) for wait in details.waits],
        "activations": [_activation(activation) for activation in details.activations],
        "usage": details.usage,
        "input": details.input,
        "result": details.result,
        "claims": [_claim(claim) for claim in details.claims],
        "signals": [_signal(signal) for signal in details.signals],
    }


def wait_commands(settings: Settings, run_id: str, wait: Wait) -> tuple[str, ...]:
    """What a person types to move it: one of these, none where there is nothing to do."""
    if wait.undecided:
        return answer_commands(settings, run_id, str(wait.operation))
    if wait.on == "driver" and wait.address is None:
        return (drive_command(settings, "resume", run_id),)
    return ()


def error_entry(error: Mapping[str, Any]) -> dict[str, Any]:
    """An error."""
    return {name: error.get(name) for name in ("type", "message", "code", "node", "partial", "traceback")}


def open_token_entry(entry: OpenToken) -> Entry:
    """A token that is out now."""
    operation = entry.operation
    return {
        "run": entry.run.id,
        "workflow": entry.run.workflow,
        "node": operation.key.node,
        "path": list(operation.path),
        "activation": str(entry.address),
        "state": operation.state.value,
        **_token(entry.token),
        "next_poll_at": iso_or_none(operation.wake_at),
        "driven_by": entry.holder,
        "attempt": operation.key.attempt,
        "detail": operation.detail,
    }


def event_entry(run: RunRecord, record: EventRecord) -> Entry:
    """An event."""
    return {
        "run": run.id,
        "position": record.position,
        "at": iso(record.at),
        "type": record.type,
        "node": record.node,
        "path": list(record.path),
        "activation": None if record.node is None else str(Address(record.node, record.path)),
        "data": _event_data(unpack(record.data)),
    }


def _event_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the journal holds, with tokens and errors as everywhere else."""
    shown = dict(data)
    if isinstance(shown.get("token"), dict):
        shown["token"] = _token(shown["token"])
    if isinstance(shown.get("error"), dict):
        shown["error"] = error_entry(shown["error"])
    return shown


def _wait(settings: Settings, run_id: str, wait: Wait) -> Entry:
    return {
        "on": wait.on,
        "activation": None if wait.address is None else str(wait.address),
        "provider": wait.provider,
        "at": iso_or_none(wait.at),
        "commands": list(wait_commands(settings, run_id, wait)),
        "fate": wait.fate,
    }


def _activation(activation: Activation) -> Entry:
    record = activation.record
    return {
        "node": record.key.node,
        "path": list(record.path),
        "activation": str(activation.address),
        "kind": activation.kind,
        "state": activation.state.value,
        "attempt": record.attempt,
        "submissions": activation.submissions,
        "unknown_submissions": activation.unknown,
        "started_at": iso(record.started_at),
        "updated_at": iso(activation.updated_at),
        "wake_at": iso_or_none(activation.wake_at),
        "token": None if activation.token is None else _token(activation.token),
        "error": None if activation.error is None else error_entry(activation.error),
        "usage": dict(activation.usage),
        "failures": record.failures,
        "operations": [_operation(operation) for operation in activation.operations],
    }


def _operation(operation: Operation) -> Entry:
    record = operation.record
    return {
        "attempt": record.key.attempt,
        "chain": record.key.chain,
        "number": record.key.number,
        "state": record.state.value,
        "detail": record.detail,
        "started_at": iso(record.started_at),
        "updated_at": iso(record.updated_at),
        "sent_at": iso_or_none(record.sent_at),
        "accepted_at": iso_or_none(record.accepted_at),
        "wake_at": iso_or_none(record.wake_at),
        "unknown": record.unknown,
        "refused": record.refused,
        "token": None if operation.token is None else _token(operation.token),
        "error": None if operation.error is None else error_entry(operation.error),
        "submissions": [_submission(submission) for submission in operation.submissions],
    }


def _submission(submission: Submission) -> Entry:
    record = submission.record
    return {
        "submission": record.key.submission,
        "fate": record.fate,
        "handle": record.handle,
        "source": record.source,
        "sent_at": iso(record.sent_at),
        "updated_at": iso(record.updated_at),
        "error": None if submission.error is None else error_entry(submission.error),
        "usage": dict(submission.usage),
    }


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "provider": token["provider"],
        "handle": dict(token["handle"]),
        "cursor": token["cursor"],
        "created_at": iso(token["created_at"]),
    }


def _claim(claim: ClaimRecord) -> Entry:
    return {
        "executor": claim.executor,
        "pid": claim.pid,
        "host": claim.host,
        "claimed_at": iso(claim.claimed_at),
        "ended_at": iso_or_none(claim.ended_at),
        "end": claim.end,
    }


def _signal(signal: KeptSignal) -> Entry:
    return {
        "id": signal.id,
        "at": iso(signal.at),
        "kind": signal.kind,
        "activation": None if signal.address is None else str(signal.address),
        "data": signal.data,
    }
