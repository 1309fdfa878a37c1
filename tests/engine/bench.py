"""The bench on which executors are tried: stores on the same data, small workflows, waiting for something.

Each test gets every store that there is, as a function that makes a store object on the data of the test. The
in-memory one makes the same object each time, because nothing else sees its data.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from perdure.checkpoints import (
    ActivationRecord,
    MemoryStore,
    OperationRecord,
    RunRecord,
    SQLiteStore,
    State,
    Store,
    SubmissionRecord,
)
from perdure.checkpoints.view import View
from perdure.engine import Executor, Run, Workflow
from perdure.engine.core.addresses import Address
from perdure.engine.runtime._runtime import Runtime
from perdure.nodes import Node, node

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # as in the library
O = TypeVar("O")  # noqa: E741

Stores: TypeAlias = Callable[[], Store]
PATIENCE = 30.0
"""Seconds after which something that does not come counts as lost."""


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on an event loop of its own."""
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


async def until(done: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    while True:
        found = done()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.002)


def chain(name: str, *nodes: Node[Any, Any]) -> Workflow[Any, Any]:
    """One after the other."""
    workflow = Workflow[Any, Any](name, start=nodes[0], end=nodes[-1])
    for source, target in pairwise(nodes):
        workflow.edge(source, target)
    return workflow


def runtime(executor: Executor) -> Runtime:
    """What an executor holds in memory: only tests of what it holds may look."""
    return executor._runtime  # pyright: ignore[reportPrivateUsage]


def store_of(executor: Executor) -> Store:
    """The store that the executor has opened."""
    return runtime(executor).shared.store


async def read(executor: Executor, work: Callable[[View], T]) -> T:
    """What a reader of the executor's database sees now."""
    return await store_of(executor).read(work)


async def record(executor: Executor, run_id: str = "r") -> RunRecord:
    """The run as it is stored."""
    return await read(executor, lambda view: view.run(run_id))


@dataclass(frozen=True, kw_only=True)
class Row:
    """An activation as it is stored, with its operations and their submissions, oldest first."""

    activation: ActivationRecord
    operations: tuple[OperationRecord, ...]
    submissions: tuple[SubmissionRecord, ...]

    @property
    def state(self) -> State:
        """As people see it: that of its open operation, where there is one."""
        return next(
            (each.state for each in self.operations if not each.state.terminal), self.activation.state
        )

    @property
    def attempt(self) -> int:
        return self.activation.attempt

    @property
    def error(self) -> bytes | None:
        return self.activation.error

    @property
    def operation(self) -> OperationRecord:
        """The newest one."""
        return self.operations[-1]


async def rows(executor: Executor, run_id: str) -> dict[str, Row]:
    """The activations of a run as they are stored, by how they are shown."""

    def work(view: View) -> dict[str, Row]:
        with view.snapshot():
            run = view.run(run_id).key
            operations, submissions = view.operations(run), view.submissions(run)
            return {
                str(Address(row.key.node, row.path)): Row(
                    activation=row,
                    operations=tuple(each for each in operations if each.key.activation == row.key),
                    submissions=tuple(
                        each for each in submissions if each.key.operation.activation == row.key
                    ),
                )
                for row in view.activations(run)
            }

    return await read(executor, work)


async def states(executor: Executor, run_id: str) -> dict[str, State]:
    """The states of a run's activations as people see them, by how they are shown."""
    return {name: row.state for name, row in (await rows(executor, run_id)).items()}


def state_is(executor: Executor, address: str, state: State) -> Callable[[], Awaitable[bool]]:
    """For `until`: the activation of run r is in that state."""

    async def done() -> bool:
        return (await states(executor, "r")).get(address) is state

    return done


async def journal(run: Run[Any], after: int = 0) -> list[str]:
    """All that happened, to the end of the run: `3 succeeded research[1]`."""
    return [str(event) async for event in run.events(after=after)]


def raises(error: type[BaseException], *words: str) -> AbstractContextManager[pytest.ExceptionInfo[Any]]:
    """`pytest.raises` with a message that has all these words in it, in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(word) for word in words))


@node
async def first(text: str) -> str:
    return f"{text}1"


@node
async def second(text: str) -> str:
    return f"{text}2"


@node
async def third(text: str) -> str:
    return f"{text}3"


def sqlite(folder: Path) -> Stores:
    """Store objects on one file."""
    return lambda: SQLiteStore(folder / "perdure.db")


def memory() -> Stores:
    """The one store object."""
    store = MemoryStore()
    return lambda: store
