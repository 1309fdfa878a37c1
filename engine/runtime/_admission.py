"""Admission: whether a run may be driven here, and the error that says why not."""

from __future__ import annotations

from typing import Any

from ...checkpoints.records import RunRecord, Value
from ...checkpoints.store import Claim
from ..core.plan import Plan, differences
from ..errors import InputMismatchError, RunOwnedError, WorkflowChangedError, WorkflowUnknownError
from ..graph import Workflow
from ._runtime import Runtime


def require_granted(claim: Claim | None) -> None:
    """Raises `RunOwnedError` when another living process drives the run."""
    if claim is not None and not claim.granted and claim.holder is not None:
        raise RunOwnedError(
            f"Run {claim.run.id} is driven by {claim.holder}. Follow it with `perdure events {claim.run.id} -f`; "
            "once that process has ended, resume goes on at once.",
            run_id=claim.run.id,
            holder=claim.holder,
        )


def require_same_input(record: RunRecord, plan: Plan, value: Value) -> None:
    """Raises `InputMismatchError` when the run was started with another input, or of another workflow."""
    if record.workflow != plan.workflow:
        raise InputMismatchError(
            f"Run {record.id} exists and belongs to workflow {record.workflow}, not {plan.workflow}: use another "
            "run id.",
            run_id=record.id,
        )
    if record.input_digest != value.digest:
        raise InputMismatchError(
            f"Run {record.id} exists and was started with another input: use another run id, or the same input "
            "to take that run up.",
            run_id=record.id,
        )


def require_same_workflow(record: RunRecord, workflow: Workflow[Any, Any], stored: Plan) -> None:
    """Raises `WorkflowChangedError` when the workflow has another shape than the run was started with."""
    if record.signature == workflow.signature:
        return
    plan = workflow.plan
    changes = tuple(differences(stored, plan))
    raise WorkflowChangedError(
        f"Workflow {plan.workflow} has changed since run {record.id} was started: {'; '.join(changes)}. Resume it "
        "with the code that started it, or start a new run.",
        run_id=record.id,
        changes=changes,
    )


async def workflow_of(runtime: Runtime, record: RunRecord) -> Workflow[Any, Any]:
    """The workflow of a run, or the error that says why this executor does not have it."""
    workflow = runtime.workflows.get(record.signature)
    if workflow is not None:
        return workflow
    for known in runtime.workflows.values():
        if known.name == record.workflow:
            require_same_workflow(record, known, await runtime.plan(record.signature))
    names = ", ".join(sorted({known.name for known in runtime.workflows.values()})) or "none"
    raise WorkflowUnknownError(
        f"Run {record.id} belongs to workflow {record.workflow}, which this executor does not have (it has: "
        f"{names}). Pass it as Executor(..., workflows=[...]) or with --app.",
        run_id=record.id,
    )


async def why_not(runtime: Runtime, record: RunRecord) -> str:
    """Why an unfinished run is left alone, for people."""
    try:
        await workflow_of(runtime, record)
    except (WorkflowUnknownError, WorkflowChangedError) as error:
        return str(error)
    return "it was started just now"
