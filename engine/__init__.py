"""The engine: workflows, their runs, and the executor that drives them."""

from .errors import WorkflowError, WorkflowFrozenError, WorkflowInvalidError
from .graph import Workflow
from .plan import Plan

__all__ = ["Plan", "Workflow", "WorkflowError", "WorkflowFrozenError", "WorkflowInvalidError"]
