"""The words of the public face for states, as Literals: a typo in one is a type error."""

from __future__ import annotations

from typing import Literal, TypeAlias

ActivationState: TypeAlias = Literal[
    "ready",
    "running",
    "submitting",
    "submit_unknown",
    "waiting",
    "backoff",
    "cancelling",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "lost",
]
"""The states of an activation."""
RunStatus: TypeAlias = Literal[
    "queued", "running", "waiting", "failing", "cancelling", "succeeded", "failed", "cancelled"
]
"""The states of a run."""
EventType: TypeAlias = Literal[
    "run_started",
    "policies_changed",
    "run_retried",
    "cancel_requested",
    "succeeded",
    "edges_decided",
    "edges_failed",
    "attempt_failed",
    "backoff_ended",
    "cancelled",
    "submission_intended",
    "submission_refused",
    "submission_unknown",
    "nothing_found",
    "submitted",
    "opened",
    "handle_found",
    "stray_cancelled",
    "fate_decided",
    "token_advanced",
    "fetch_started",
    "fetched",
    "operation_ended",
    "given_up",
]
"""What happens to a run, as the journal says it."""
