"""The core loads and runs in Temporal's sandbox as it is: nothing passed through, nothing excepted.

The sandbox imports the workflow's module and all that it imports anew, and refuses what could differ at a replay: some
of it at the import, the rest (the clock, files, threads) while the workflow runs. So the workflow here plays a run of
the core, activated as a worker would do it, without a server.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from perdure.engine.core import machine
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import (
    InitializeWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

CORE = Path(machine.__file__).parent

WORKFLOW = """
from temporalio import workflow

from {library}.engine.core import events, journal, pending, policy, restore, sources
from {library}.engine.core.addresses import Address, OperationAddress, submission_key
from {library}.engine.core.machine import advance, fold
from {library}.engine.core.plan import Plan, PlanNode, PlanScope
from {library}.engine.core.state import RunState

NODE = PlanNode(name="a", kind="operation", scope=0, input="str", output="str")
ROOT = PlanScope(index=0, parent=None, edge=None, depth=0)
PLAN = Plan(workflow="w", start="a", ends=("a",), nodes=(NODE,), edges=(), scopes=(ROOT,))
OPERATION = OperationAddress(Address("a"))
JOURNAL = [
    events.RunStarted(1.0, policy.Policies({{"a": policy.Policy(retries=1)}})),
    events.SubmissionIntended(2.0, OPERATION),
    events.SubmissionUnknown(3.0, OPERATION, jitter=0.5),
    events.SubmissionIntended(4.0, OPERATION),
    events.Submitted(5.0, OPERATION, 0.3),
    events.Succeeded(6.0, Address("a"), operation=OPERATION),
]


@workflow.defn
class Run:
    @workflow.run
    async def run(self) -> str:
        {more}
        state = RunState(plan=PLAN)
        for event in JOURNAL:
            advance(state, event)
            pending.pending(state)
            journal.to_journal(event)
        assert fold(PLAN, JOURNAL) == state
        return f"{{submission_key('nonce', OPERATION)}} {{state.status}}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported, and are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


class Runner(SandboxedWorkflowRunner):
    """The default sandbox; keeps what it has prepared."""

    prepared: WorkflowInstance

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        object.__setattr__(self, "prepared", instance)
        return instance


def play(folder: Path, *, library: str = "perdure", more: str = "pass") -> str:
    """Run a workflow that plays a run on the library's core. Raises what the sandbox says against it."""
    (folder / "in_sandbox.py").write_text(WORKFLOW.format(library=library, more=more), encoding="utf-8")
    importlib.invalidate_caches()
    definition = workflow._Definition.must_from_class(importlib.import_module("in_sandbox").Run)  # pyright: ignore[reportPrivateUsage]
    runner = Runner()

    async def work() -> WorkflowActivationCompletion:
        runner.prepare_workflow(definition)
        start = InitializeWorkflow(workflow_id="w", workflow_type="Run", randomness_seed=1)
        activation = WorkflowActivation(run_id="r", jobs=[WorkflowActivationJob(initialize_workflow=start)])
        return await asyncio.to_thread(runner.prepared.activate, activation)

    completion = asyncio.run(work())
    if completion.HasField("failed"):
        raise RefusedError(completion.failed.failure.message)
    (command,) = completion.successful.commands
    return json.loads(command.complete_workflow_execution.result.data)


class RefusedError(Exception):
    """The sandbox let the workflow not run."""


def copy_core(folder: Path) -> Path:
    """The core's files and those that it stands on, as a library of their own."""
    copied = folder / "copied"
    shutil.copytree(CORE, copied / "engine" / "core", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "checkpoints").mkdir()
    for name in ("records", "errors"):
        shutil.copy(CORE.parents[1] / "checkpoints" / f"{name}.py", copied / "checkpoints" / f"{name}.py")
    return copied / "engine" / "core"


def test_the_core_runs_in_temporals_sandbox(folder: Path) -> None:
    assert play(folder).endswith(" succeeded")


def test_the_core_stands_on_nothing_but_the_records(folder: Path) -> None:
    copy_core(folder)
    assert play(folder, library="copied") == play(folder)


@pytest.mark.parametrize(
    "line",
    [
        "import random; random.random()",
        "import time; time.time()",
        "import uuid; uuid.uuid4()",
        "import datetime; datetime.datetime.now()",
        "import os; os.listdir()",
        "import threading; threading.Lock()",
    ],
)
def test_what_may_not_run_there_is_caught(folder: Path, line: str) -> None:
    with pytest.raises(RefusedError, match="Cannot access"):
        play(folder, more=line)


@pytest.mark.parametrize(
    ("module", "function"),
    [("policy", "def backoff"), ("machine", "def fold"), ("journal", "def to_journal")],
)
def test_a_core_that_reads_the_clock_would_be_caught(folder: Path, module: str, function: str) -> None:
    path = copy_core(folder) / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    start = text.index('"""', text.index(function))
    after = text.index('"""', start + 3) + 3
    path.write_text(f"{text[:after]}\n    import time\n\n    time.time()\n{text[after:]}", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"Cannot access time\.time"):
        play(folder, library="copied")
