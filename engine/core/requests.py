"""What people ask of a run, and other processes for them: to cancel it, to decide a submission of unknown fate."""

from __future__ import annotations

from typing import Final

from ...checkpoints.records import RunStatus, State
from .addresses import OperationAddress
from .events import CancelRequested
from .state import Operation, RunState

VOID_WHEN_RETRIED: Final = frozenset({"cancel"})
"""Kinds of signals that mean nothing any more when the failed run for which they were left is retried."""


def cancel_requested(state: RunState, at: float) -> CancelRequested | None:
    """What a request to cancel the run leads to; None where it has ended, or is being cancelled already."""
    return None if state.ended or state.outcome is RunStatus.CANCELLED else CancelRequested(at)


def undecided(state: RunState, operation: OperationAddress) -> Operation | None:
    """The operation, while a person can decide the fate of its submission; None when nothing of it is unknown any more."""
    known = state.operation(operation)
    return known if known is not None and known.state is State.SUBMIT_UNKNOWN else None
