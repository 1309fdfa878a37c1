"""The engine: workflows, their runs, and the executor that drives them.

Submodules are imported lazily: drawing a stored run needs neither asyncio nor the nodes.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.plan import Plan
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
    from .event import Event
    from .executor import Executor, Resumed
    from .graph import Workflow
    from .run import Run
else:
    _MODULES = {
        "AnswerError": "errors",
        "Event": "event",
        "Executor": "executor",
        "InputMismatchError": "errors",
        "Plan": "core.plan",
        "Resumed": "executor",
        "Run": "run",
        "RunCancelledError": "errors",
        "RunError": "errors",
        "RunFailedError": "errors",
        "RunNotRetryableError": "errors",
        "RunOwnedError": "errors",
        "Workflow": "graph",
        "WorkflowChangedError": "errors",
        "WorkflowError": "errors",
        "WorkflowFrozenError": "errors",
        "WorkflowInvalidError": "errors",
        "WorkflowUnknownError": "errors",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


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
