"""What the performers of one executor share, and what they know of the run that they work for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeAlias, TypeVar

from ...checkpoints.records import (
    OperationKey,
    OperationRecord,
)
from ...checkpoints.store import Store
from ...nodes.context import Context
from ...nodes.node import Node
from ...nodes.operation_node import OperationNode
from ...nodes.operations.capabilities import PerContext, Timed, has_capability
from ...nodes.operations.protocol import Operation
from .._waiters import Waiters
from ..core.addresses import Address, OperationAddress
from ..core.book import Change
from ..core.commands import Effect
from ..core.plan import Plan
from ..core.policy import Policies, Policy
from ..core.state import RunState
from ..errors import AnswerError
from ..graph import Workflow
from ._places import Places
from ._values import Budget, Values
from ._views import Views
from ._wake_queue import Waiting, WakeQueue

T = TypeVar("T")
AnyWorkflow: TypeAlias = Workflow[Any, Any]

SUBMISSIONS = 80
"""How many submissions an executor has under way at once."""
POLLS = 64
"""How many polls and look-ups an executor has under way at once."""
THREADS = 32
"""How many plain functions may run at once."""


def ends_the_task(error: BaseException) -> bool:
    """Whether this is no error of the user's code or of an adapter's: somebody cancels the task, or ends the process."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


class Threads:
    """Plain functions that run now."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self.tasks: dict[tuple[int, Address], asyncio.Task[Any]] = {}
        """The tasks that wait for them, by (run, address)."""

    async def call(self, run: int, address: Address, work: Callable[[], T]) -> T:
        """Do the work in a thread. A thread can't be stopped: whoever wants it to end waits for its return."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="perdure-node")
        task = asyncio.current_task()
        assert task is not None
        self.tasks[run, address] = task
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            del self.tasks[run, address]

    def close(self) -> None:
        """Start nothing any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class Commit(Protocol):
    """How a performer commits what it has found out, while it goes on."""

    async def __call__(self, *changes: Change, then: Effect | None = None, tell: bool = True) -> bool:
        """Commit these changes in one transition, and have what follows begun. False: they came too late.

        `then` is what the performer goes on with by itself: False as well where it does not follow, or is not wanted
        any more. Raises what the store raised; with `tell=False` the caller has more to say than that to those who
        wait.
        """
        ...


class Shield:
    """Keeps the current task among those that nothing cancels, until the end of the block."""

    __slots__ = ("_shielded", "_task")

    def __init__(self, shielded: set[asyncio.Task[Any]]) -> None:
        self._shielded = shielded

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._shielded.add(task)

    def __exit__(self, *exc: object) -> None:
        self._shielded.discard(self._task)


@dataclass(slots=True)
class Shared:
    """What one executor has: its store, its clock, its limits."""

    store: Store
    clock: Callable[[], float]
    random: Random
    wake_queue: WakeQueue
    create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """A task of the executor, which a stop cancels."""
    see_off: Callable[[int], Awaitable[None]]
    """Cancel what was left of a run, where it has ended, for some seconds, also while the executor stops."""
    resources: Mapping[type, object]
    """What nodes get with `ctx.resource`, by type."""
    waiters: Waiters = field(default_factory=Waiters)
    budget: Budget = field(default_factory=Budget)
    threads: Threads = field(default_factory=Threads)
    submissions: Places = field(default_factory=lambda: Places(SUBMISSIONS))
    polls: Places = field(default_factory=lambda: Places(POLLS))
    shielded: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    """Tasks between the commit of an intent and that of its token, and verbs of the executor: a stop waits for them."""
    late_handles: set[Callable[[], Awaitable[None]]] = field(
        default_factory=set[Callable[[], Awaitable[None]]]
    )
    """Tries to store handles that could not be committed; each takes itself out once that is done."""
    answers: dict[int, AnswerError | None] = field(default_factory=dict[int, "AnswerError | None"])
    """Answers of which somebody here waits for what they lead to, by their signals: why one was refused."""
    views: Views = field(init=False)
    stopping: bool = False

    def __post_init__(self) -> None:
        self.views = Views(self.store)

    def shield(self) -> Shield:
        """Nothing of this executor cancels the current task meanwhile; a stop waits for it."""
        return Shield(self.shielded)


@dataclass(slots=True)
class Work:
    """What performers know of a run that is in memory. Its state is the driver's: they only read it."""

    nonce: str
    state: RunState
    values: Values
    calls: dict[Address, asyncio.Task[Any]] = field(default_factory=dict[Address, "asyncio.Task[Any]"])
    """Tasks of async functions that can be cancelled now."""


@dataclass(slots=True, eq=False)
class OwnedRun:
    """A run that this executor drives, whether it is in memory or not."""

    shared: Shared
    run: int
    run_id: str
    fence: int
    workflow: AnyWorkflow | None
    plan: Plan
    policies: Policies
    load: Callable[[int], Awaitable[Work | None]]
    """The run in memory, loaded if it was evicted; None when it is not ours any more."""
    in_memory: Work | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Words of the user's by which the run is found."""

    def node(self, name: str) -> Node[Any, Any]:
        """The user's node."""
        assert self.workflow is not None, f"run {self.run_id} is driven without its workflow"
        return self.workflow.node(name)

    def declared(self, name: str) -> Operation:
        """The adapter of a node with an operation as the node has it, for what is pure and for its capabilities."""
        node = self.node(name)
        assert isinstance(node, OperationNode), (
            f"run {self.run_id}: {name} is a {node.kind}, not an operation"
        )
        return node.operation

    def adapter(self, operation: OperationAddress) -> Operation:
        """The adapter to ask about the operation: the one for the run's context, on the executor's clock.

        Raises `ProviderUnavailableError` when there is none for the context.
        """
        name, path = operation.address
        adapter = self.declared(name)
        if has_capability(adapter, PerContext):
            adapter = adapter.in_context(
                Context(
                    run_id=self.run_id,
                    node=name,
                    path=path,
                    attempt=operation.attempt,
                    labels=self.labels,
                    resources=self.shared.resources,
                )
            )
        return adapter.on_clock(self.shared.clock) if has_capability(adapter, Timed) else adapter

    def policy(self, name: str) -> Policy:
        """The policy of a node."""
        return self.policies.of(name)

    async def work(self) -> Work | None:
        """What performers know of the run in memory, loaded if it was evicted; None when it is not ours any more."""
        return self.in_memory or await self.load(self.run)

    async def record(self, key: OperationKey) -> OperationRecord | None:
        """The operation's row."""
        found = await self.shared.store.read(lambda view: view.operations_by_key([(self.run, key)]))
        return found[0] if found else None

    def wake(self, delay: float, key: Waiting, *, replace: bool = True) -> None:
        """Have it looked at again after so many seconds.

        With `replace=False` a time that was set meanwhile stays: what was found out by then came too late to say when.
        """
        self.shared.wake_queue.add(self.shared.clock() + delay, self.run, key, replace=replace)
