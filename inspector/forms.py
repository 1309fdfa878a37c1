"""Runs, errors and tokens in JSON. Their keys are part of the command line's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checkpoints import RunRecord, unpack
from .times import iso, iso_or_none


def run_form(run: RunRecord) -> dict[str, Any]:
    """A run in JSON."""
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
        "error": None if run.error is None else error_form(unpack(run.error)),
    }


def error_form(error: Mapping[str, Any]) -> dict[str, Any]:
    """An error in JSON."""
    return {name: error.get(name) for name in ("type", "message", "code", "node", "partial")}


def token_form(token: Mapping[str, Any]) -> dict[str, Any]:
    """A continuation token in JSON."""
    return {
        "provider": token["provider"],
        "handle": dict(token["handle"]),
        "cursor": token["cursor"],
        "created_at": iso(token["created_at"]),
    }
