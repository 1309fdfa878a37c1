"""`run` and `run_sync`: a run in memory, with fakes in place of the agents and a clock that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

from perdure.checkpoints.memory import MemoryStore
from perdure.checkpoints.records import RunRecord, State
from perdure.checkpoints.view import View
from perdure.engine.executor import Executor
from perdure.engine.graph import Workflow, as_workflow
from perdure.engine.run import Run
from perdure.nodes.node import Node

from ._fakes import FakeAgents
from .clock import Clock
from .errors import RunStuckError
from .finished_run import FinishedRun

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output

RUN = "test"
"""The id of the run."""


async def run(
    workflow: Node[I, O],
    value: I,
    *,
    agents: Mapping[Any, Any] | None = None,
    clock: Clock | None = None,
) -> FinishedRun[O]:
    """Run a workflow, or any node as a workflow of one, in memory and return what came of it. No network, no key, no waiting.

    `agents` fakes the agents' nodes, by node or name. A fake is the answer, of the type that the node gives; a
    function of the prompt (plain or async); an exception, with which the node fails as it would; or a list of these,
    in order. Functions run as they are. Timers and backoffs are over at once: `clock` (a new one by default) is moved
    to what is due next.

    Raises `RunFailedError` when the run fails, `FakeError` for a fake that is missing or wrong, what a fake's function
    raised (unless it is an `OperationError`, which is the node's), `RunStuckError` when the run waits for a person, and
    as `Executor.start`.
    """
    clock = clock or Clock()
    workflow = as_workflow(workflow)
    fakes = FakeAgents(workflow, agents or {})
    store = MemoryStore(clock=clock)
    async with Executor(store, workflows=[fakes.workflow], clock=clock, gc_threshold=None) as executor:
        started = await executor.start(fakes.workflow, value, run_id=RUN)
        try:
            output = await _result(executor, store, started, clock)
        except Exception:  # whatever the run failed with: a fake that is wrong is the better reason
            if fakes.problem is not None:
                raise fakes.problem from None
            raise
        if fakes.problem is not None:
            raise fakes.problem
        outputs = await store.read(lambda view: _outputs(view, workflow, view.run(RUN)))
    return FinishedRun(output=output, outputs=outputs, prompts=fakes.prompts)


def run_sync(
    workflow: Node[I, O],
    value: I,
    *,
    agents: Mapping[Any, Any] | None = None,
    clock: Clock | None = None,
) -> FinishedRun[O]:
    """As `run`, for tests that are plain functions. Raises `RuntimeError` in a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run(workflow, value, agents=agents, clock=clock))
    raise RuntimeError(
        "An event loop is running here: write `await testing.run(...)` in place of `run_sync`."
    )


async def _result(executor: Executor, store: MemoryStore, started: Run[O], clock: Clock) -> O:
    """Wait for the run's end, and move the clock whenever nothing else can happen."""
    result = asyncio.ensure_future(started.result())
    try:
        while not result.done():
            settled = asyncio.ensure_future(executor.settled())
            await asyncio.wait((result, settled), return_when=asyncio.FIRST_COMPLETED)
            if not settled.done():
                settled.cancel()
                continue
            await settled
            if result.done() or not started.driven_here:  # it has ended, or what stopped the driving is told
                break
            due = executor.next_due
            if due is None:
                raise RunStuckError(await _stuck(store))
            clock.move_to(max(due, clock.now))
        return await result
    finally:
        result.cancel()


async def _stuck(store: MemoryStore) -> str:
    operations = await store.read(lambda view: view.operations(view.run(RUN).key))
    waiting = [f"{one.key.node} is {one.state}" for one in operations if not one.state.terminal]
    return (
        f"The run waits for something that no clock brings: {', '.join(waiting) or 'nothing is under way'}."
    )


def _outputs(view: View, workflow: Workflow[Any, Any], record: RunRecord) -> dict[str, list[object]]:
    """What each node gave, in the order of its activations."""
    outputs: dict[str, list[object]] = {node.name: [] for node in workflow.plan.nodes}
    for activation in view.activations(record.key):
        if activation.state is State.SUCCEEDED:
            value = view.value(record.key, activation.key)
            assert value is not None, f"{activation.key} succeeded without an output"
            name = activation.key.node
            outputs[name].append(workflow.node(name).output_codec.decode(value.data))
    return outputs
