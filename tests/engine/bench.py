"""The bench on which executors are tried: stores on the same data, small workflows, waiting for something.

Each test gets every store that there is, as a function that makes a store object on the data of the test. The
in-memory one makes the same object each time, because nothing else sees its data.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from perdure.checkpoints import ActivationRecord, MemoryStore, SQLiteStore, Store
from perdure.engine import Executor, Run, Workflow
from perdure.engine.runtime import Runtime
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
    return runtime(executor).store


async def rows(executor: Executor, run_id: str) -> dict[str, ActivationRecord]:
    """The activations of a run as they are stored, by how they are shown."""
    store = store_of(executor)
    record = await store.run(run_id)
    return {
        f"{row.key.node}{list(row.path) if row.path else ''}": row
        for row in await store.activations(record.key)
    }


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
