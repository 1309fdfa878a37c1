"""The engine: workflows, their runs, and the executor that drives them."""

from .errors import (
    AnswerError,
    InputMismatchError,
    RunCancelledError,
    RunError,
    RunFailedError,
    RunNotRetryableError,
    RunOwnedError,
    WorkflowChangedError,
    WorkflowError,
    WorkflowFrozenError,
    WorkflowInvalidError,
    WorkflowUnknownError,
)
from .executor import Executor, Resumed
from .graph import Workflow
from .journal import Event
from .plan import Plan
from .run import Run

__all__ = [
    "AnswerError",
    "Event",
    "Executor",
    "InputMismatchError",
    "Plan",
    "Resumed",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunNotRetryableError",
    "RunOwnedError",
    "Workflow",
    "WorkflowChangedError",
    "WorkflowError",
    "WorkflowFrozenError",
    "WorkflowInvalidError",
    "WorkflowUnknownError",
]
