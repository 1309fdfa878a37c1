"""Errors of graphs and runs. Each message names the run, the node and the fix."""

from __future__ import annotations

from ..checkpoints.errors import PerdureError

# -- workflows -------------------------------------------------------------------------------------------


class WorkflowError(PerdureError):
    """Base of what can be wrong with a workflow itself, before any run."""


class WorkflowInvalidError(WorkflowError):
    """The workflow can't be run as it is wired; `problems` holds every problem found, with its fix."""

    def __init__(self, workflow: str, problems: tuple[str, ...]) -> None:
        head = f"Workflow {workflow!r} can't be run as it is wired"
        if len(problems) == 1:
            super().__init__(f"{head}: {problems[0]}")
        else:
            lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(problems, 1))
            super().__init__(f"{head}, {len(problems)} problems:{lines}")
        self.workflow = workflow
        self.problems = problems


class WorkflowFrozenError(WorkflowError):
    """The workflow was used already, so it can't be wired any further: wire it fully before it is used."""


# -- runs ------------------------------------------------------------------------------------------------


class AmbiguousInputError(PerdureError):
    """Several edges gave a value to a node that takes one: alternatives were taken together."""


class NoEdgeTakenError(PerdureError):
    """All edges that leave a node are conditional, none was taken, and nothing says that this is meant."""


class ConditionError(PerdureError):
    """A `when`, or the key of a `switch`, raised. The node's result is kept; a retry evaluates its edges alone."""


class ItemsError(PerdureError):
    """The `each` of a map raised, or gave no list. The mapped node's result is kept; a retry evaluates `each` again."""


class NodeTimeoutError(PerdureError, TimeoutError):
    """An attempt of a node took longer than the node's timeout."""


class RunError(PerdureError):
    """Base of what can go wrong with a run; `run_id` names it."""

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunIdError(RunError, ValueError):
    """That text can't be a run's id."""


class RunFailedError(RunError):
    """The run failed. `node` names the activation, `error_type` and `error` what happened there.

    The exception of the node is the `__cause__` where it happened in this process.
    """

    def __init__(self, message: str, *, run_id: str, node: str | None, error_type: str, error: str) -> None:
        super().__init__(message, run_id=run_id)
        self.node = node
        self.error_type = error_type
        self.error = error


class RunCancelledError(RunError):
    """The run was cancelled; it has no result."""


class RunOwnedError(RunError):
    """Another living process drives the run; `holder` says which."""

    def __init__(self, message: str, *, run_id: str, holder: str) -> None:
        super().__init__(message, run_id=run_id)
        self.holder = holder


class InputMismatchError(RunError):
    """A run with that id exists and was started with another input or workflow."""


class WorkflowUnknownError(RunError):
    """The executor was not given the workflow that this run belongs to."""


class WorkflowChangedError(RunError):
    """The workflow has another shape than when the run was started; `changes` lists what differs."""

    def __init__(self, message: str, *, run_id: str, changes: tuple[str, ...]) -> None:
        super().__init__(message, run_id=run_id)
        self.changes = changes


class RunNotRetryableError(RunError):
    """Only a failed run can be retried."""


class AnswerError(RunError):
    """The answer does not fit: nothing waits for one there, or it is none of `resubmit`, `fail`, a handle."""


class ExecutorStoppedError(PerdureError):
    """The executor stopped before the run ended. Everything is committed; `resume` goes on from there."""


class LoopRunningError(PerdureError, RuntimeError):
    """`run_sync` was called where an event loop runs: await `run` there."""


class DrivingInterruptedError(PerdureError):
    """A node or an adapter cancelled the task that drove its run, or would have ended the process. `resume` goes on."""


class HandleNotCommittedError(PerdureError):
    """A provider's handle is known and could not be committed; the message holds it."""


class OperationUnknownError(RunError):
    """This process has no adapter for the provider, or can't run nodes of that kind."""
