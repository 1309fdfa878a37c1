"""`Starts`: new runs. Nothing is inserted before the workflow's adapters can be used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from ..checkpoints.errors import RunExistsError
from ..checkpoints.records import NewRun, RunRecord, Value
from ..nodes.context import Context
from ..nodes.errors import ProviderUnavailableError
from ..nodes.operation_node import OperationNode
from ..nodes.operations.capabilities import PerContext, has_capability
from ._run_ids import new_run_id
from .core import events
from .core.book import Change
from .core.state import RunState
from .graph import Workflow
from .graph.code import code_hash
from .runtime import Claims, Driver, Runtime, ends_the_task

log = logging.getLogger("perdure")

_Node: TypeAlias = OperationNode[Any, Any]


class Starts:
    """The starts of one executor."""

    def __init__(self, runtime: Runtime, claims: Claims) -> None:
        self._runtime = runtime
        self._claims = claims
        self._usable: set[str] = set()  # workflows whose adapters can be used, by their signatures
        self._per_context: WeakKeyDictionary[Workflow[Any, Any], tuple[_Node, ...]] = WeakKeyDictionary()

    def usable(self, workflow: Workflow[Any, Any]) -> bool:
        """Whether it is known already that its adapters can be used for any run."""
        return workflow.signature in self._usable and not self._chosen_by_run(workflow)

    async def prepare(self, workflow: Workflow[Any, Any], run_id: str, labels: Mapping[str, str]) -> None:
        """Find out whether its adapters can be used: those that depend on the context for this run, the others once.

        Raises what they raise.
        """
        by_run = self._chosen_by_run(workflow)
        for node in by_run:
            context = Context(
                run_id=run_id,
                node=node.name,
                path=(),
                attempt=1,
                labels=labels,
                resources=self._runtime.shared.resources,
            )
            await _require_usable(node, workflow, context)
        if workflow.signature not in self._usable:
            for node in _operations(workflow):
                if node not in by_run:
                    await _require_usable(node, workflow)
            self._usable.add(workflow.signature)

    def _chosen_by_run(self, workflow: Workflow[Any, Any]) -> tuple[_Node, ...]:
        """The nodes whose adapters depend on the context."""
        known = self._per_context.get(workflow)
        if known is None:
            nodes = _operations(workflow)
            known = tuple(node for node in nodes if has_capability(node.operation, PerContext))
            self._per_context[workflow] = known
        return known

    async def create(
        self, workflow: Workflow[Any, Any], run_id: str, value: Value, labels: Mapping[str, str]
    ) -> RunRecord | None:
        """Insert a run with its first transition, and drive it; None when there is one with that id.

        The workflow is known to the runtime.
        """
        runtime, plan = self._runtime, workflow.plan
        nonce = new_run_id()  # as random as an id
        owned = runtime.new_run(run_id, workflow, labels)
        driver = Driver(runtime, owned, RunState(plan=plan), nonce=nonce)
        now = runtime.shared.clock()
        transition, effects = driver.step([Change(events.RunStarted(now, owned.policies))])
        new = NewRun(
            id=run_id,
            workflow=plan.workflow,
            signature=workflow.signature,
            nonce=nonce,
            input=value,
            labels=labels,
            code=code_hash(workflow),
        )
        with self._claims.starting(run_id):
            try:
                record = await runtime.shared.store.create(new, workflow.plan_record, transition)
            except RunExistsError:
                return None
            except asyncio.CancelledError:  # the insert is queued and goes on without its caller
                if not runtime.shared.stopping:
                    runtime.create_task(self._create_after_all(workflow, run_id, value, labels))
                raise
            driver.created(record, value)
            runtime.keep(owned)
            runtime.adopt(driver)
        driver.perform(effects)
        return record

    async def _create_after_all(
        self, workflow: Workflow[Any, Any], run_id: str, value: Value, labels: Mapping[str, str]
    ) -> None:
        """Drive the run whose start lost its caller. Inserting it again waits in line behind the first insert."""
        try:
            if await self.create(workflow, run_id, value, labels) is None:
                record = await self._runtime.shared.store.read(lambda view: view.run(run_id))
                if not record.status.finished:
                    await self._claims.take(record)
        except Exception as error:  # noqa: BLE001  # the boundary: nobody waits for this start any more
            log.error("run %s was started and is not driven: %s. Resume it.", run_id, error)


def _operations(workflow: Workflow[Any, Any]) -> list[_Node]:
    """Its nodes with an operation."""
    return [node for node in map(workflow.node, workflow.plan.node) if isinstance(node, OperationNode)]


async def _require_usable(node: _Node, workflow: Workflow[Any, Any], context: Context | None = None) -> None:
    """Prepare the node's adapter. Raises what it raises; what would end the caller or the process as a sentence."""
    try:
        adapter = node.operation
        if context is not None and has_capability(adapter, PerContext):
            adapter = adapter.in_context(context)
        await adapter.prepare()
    except Exception:  # an error in its own words: whoever starts the run gets it as it is
        raise
    except BaseException as error:
        if ends_the_task(error):
            raise
        raise ProviderUnavailableError(
            f"Workflow {workflow.name}: the adapter of {node.name} can't be used: its prepare() raised "
            f"{type(error).__name__}. Nothing was started.",
            code="prepare_failed",
        ) from error
