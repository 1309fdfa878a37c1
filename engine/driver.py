"""The driver of one run: turns the scheduler's commands into commits, and commits into effects.

`apply` is the only way in which a run moves. It advances the state, writes one transition, and begins the
effects that follow only when that transition's COMMIT has returned. A driver exists while something of its
run is busy in this process; a run that only waits is evicted and loaded again when something of it moves.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..checkpoints import (
    ActivationChange,
    ActivationColumns,
    ActivationKey,
    ActivationState,
    EventRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Transition,
    Value,
    pack,
    unpack,
)
from .commands import Cancel, Decide, Finish, Save, SaveScope, Settle, Start
from .decisions import decide, deciding_edges
from .errors import ConditionError, NoEdgeTakenError
from .events import NAMES, Address, EdgesDecided, EdgesFailed, Event, Failed, Succeeded, to_data
from .failure import Failure, describe, sentence
from .hub import Outcome
from .plan import EdgeKind
from .rows import scope_record, set_columns
from .scheduler import advance
from .state import State
from .step import ALLOWED
from .values import Values

if TYPE_CHECKING:
    from ..nodes import Node
    from .graph import Workflow
    from .runtime import Runtime

log = logging.getLogger("perdure")
S = ActivationState
NO_DATA = pack({})

Effect: TypeAlias = Start | Settle | Decide | Cancel | Finish
"""A command that begins something outside of the state, after its transition is committed."""
Change: TypeAlias = tuple[Event, ActivationColumns, dict[str, Any]]
"""An event, the columns that it sets in its activation's row, and what the journal tells people about it."""


class Driver:
    """One run that is moving in this process."""

    def __init__(
        self, runtime: Runtime, record: RunRecord, workflow: Workflow[Any, Any] | None, state: State
    ) -> None:
        self.runtime = runtime
        self.key = record.key
        self.run_id = record.id
        self.fence = record.fence
        self.position = record.position
        self.workflow = workflow
        self.state = state
        self.error = record.error
        self.values = Values(
            store=runtime.store, run=record.key, state=state, workflow=workflow, budget=runtime.budget
        )
        self.bodies: dict[Address, asyncio.Task[None]] = {}  # async functions that can be cancelled now
        self.stopped: BaseException | None = None  # why it is not driven here any more
        self._broken: Exception | None = None  # why the state in memory is not what is committed
        self._tasks: set[asyncio.Task[None]] = set()
        self._pins = 0
        self._causes: dict[Address, BaseException] = {}

    def born(self, record: RunRecord, value: Value) -> None:
        """The run, whose first transition this driver made, has been inserted."""
        self.key, self.fence, self.position = record.key, record.fence, record.position
        self.values.born(record.key, value)

    # -- moving ------------------------------------------------------------------------------------------

    async def apply(self, *changes: Change, messages: tuple[int, ...] = (), tell: bool = True) -> None:
        """Advance by these events in one transition, commit it, then begin what follows from it.

        Raises what the store raised; the run is then not driven here any more. With `tell=False` the caller
        has more to say than that: it calls `abort`.
        """
        self.perform(await self.commit(*changes, messages=messages, tell=tell))

    async def commit(
        self, *changes: Change, messages: tuple[int, ...] = (), tell: bool = True
    ) -> list[Effect]:
        """As `apply`, but what follows is the caller's to begin."""
        if self._broken is not None:
            raise self._broken
        try:
            transition, effects = self.step(changes, messages)
            await self.runtime.store.commit(transition)
        except Exception as error:  # the boundary: recorded, and everyone who waits for the run is told
            self._broken = error
            if tell:
                self.abort(error)
            raise
        self.runtime.hub.changed(self.key)
        return effects

    def step(
        self, changes: Iterable[Change], messages: tuple[int, ...] = ()
    ) -> tuple[Transition, list[Effect]]:
        """Advance by these events: the transition to commit, and the effects that follow its commit."""
        now = self.runtime.clock()
        first = self.position
        rows: dict[ActivationKey, ActivationColumns] = {}
        events: list[EventRecord] = []
        scopes: dict[int, ScopeRecord] = {}
        effects: list[Effect] = []
        for event, columns, note in changes:
            address: Address | None = getattr(event, "address", None)
            # A scope may close in this very step, so the key is asked for before.
            key = None if address is None else self.state.key(address)
            closed: list[int] = []
            for command in advance(self.state, event):
                if isinstance(command, Save):
                    row = rows.get(command.key)
                    if row is None:
                        row = rows[command.key] = {}
                    set_columns(row, command.activation)
                elif isinstance(command, SaveScope):
                    scopes[command.scope.number] = scope_record(command)
                    if not command.open:
                        closed.append(command.scope.number)
                else:
                    effects.append(command)
            if key is not None and columns:
                rows.setdefault(key, {}).update(columns)
                result = columns.get("result")
                if result is not None:
                    self.values.keep(key, result)
            for number in closed:
                self.values.forget_scope(number)
            self.position += 1
            events.append(self._entry(event, address, note, now))
        if self.state.outcome is not None or self.error is not None:
            self._note_error()
        transition = Transition(
            run=self.key,
            fence=self.fence,
            position=first,
            at=now,
            status=self.state.status,
            outcome=self.state.outcome,
            error=self.error,
            events=events,
            activations=[ActivationChange(*row) for row in rows.items()],
            scopes=list(scopes.values()),
            messages=messages,
        )
        return transition, effects

    def _entry(self, event: Event, address: Address | None, note: dict[str, Any], now: float) -> EventRecord:
        data = to_data(event)
        if note:
            data.update(note)
        return EventRecord(
            position=self.position,
            at=now,
            type=NAMES[type(event)],
            node=None if address is None else address.node,
            path=() if address is None else address.path,
            data=pack(data) if data else NO_DATA,
        )

    def _note_error(self) -> None:
        """The run's error is that of its first failure, or that its end was skipped."""
        if self.state.outcome in (None, RunStatus.SUCCEEDED, RunStatus.CANCELLED):
            self.error = None
        elif self.error is None:
            self.error = pack(
                Failure(
                    type="EndSkipped",
                    message=f"node {self.state.plan.end}, the end of workflow {self.state.plan.workflow}, was skipped: "
                    + deciding_edges(self.state),
                )
            )

    # -- effects -----------------------------------------------------------------------------------------

    def perform(self, effects: Iterable[Effect]) -> None:
        """Begin what a committed transition asks for. When the executor is stopping, leave it for a resume."""
        for effect in effects:
            if isinstance(effect, Finish):
                self.finish(effect.status)
            elif not self.runtime.stopping and self.stopped is None:
                match effect:
                    case Start(address):
                        self.spawn(self.runtime.start(self, address))
                    case Settle(address):
                        self.spawn(self.runtime.submissions.settle(self, address))
                    case Cancel(address):
                        self.cancel(address)
                    case Decide(address):
                        self.spawn(self.decide(address))

    def cancel(self, address: Address) -> None:
        """Cancel what the activation is doing, here or at its provider."""
        body = self.bodies.get(address)
        if body is not None:
            body.cancel()
        else:
            self.spawn(self.runtime.polls.cancel(self, address))

    def finish(self, status: RunStatus) -> None:
        """The run has ended: tell those who wait, and forget it."""
        key = ActivationKey(scope=0, node=self.state.plan.end, item=0)
        outcome = Outcome(
            status=status,
            value=self.values.kept(key) if status is RunStatus.SUCCEEDED else None,
            failure=None if self.error is None else unpack(self.error),
            cause=next(iter(self._causes.values()), None),
        )
        self.values.forget()
        self.runtime.forget(self)
        self.runtime.hub.finished(self.key, outcome)

    def spawn(
        self, work: Coroutine[Any, Any, None], variables: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        """Run this as a task of the run, with these context variables (default: those of the caller)."""
        self._pins += 1  # from now on, not from when the task begins
        task = self.runtime.create_task(self._guard(work), partial(self._done, work), variables)
        self._tasks.add(task)
        return task

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this for the run; an error that it does not record itself stops the driving, loudly."""
        with self.pinned():
            await self._guard(work)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # the boundary: abort records and reports it
            self.abort(error)

    def _done(self, work: Coroutine[Any, Any, None], task: asyncio.Task[None]) -> None:
        work.close()  # where the task was cancelled before it began; no more than a look at it otherwise
        self._tasks.discard(task)
        self._unpin()

    @contextmanager
    def pinned(self) -> Generator[None]:
        """Keep the driver in memory meanwhile."""
        self._pins += 1
        try:
            yield
        finally:
            self._unpin()

    def _unpin(self) -> None:
        self._pins -= 1
        if self._pins == 0 and self.stopped is None and self.runtime.drivers.get(self.key) is self:
            self.values.forget()
            self.runtime.evict(self)

    @property
    def size(self) -> int:
        """How many activations it holds in memory."""
        return sum(len(scope.activations) for scope in self.state.scopes.values())

    def leave(self) -> None:
        """Be forgotten, unless busy again."""
        if self._pins == 0 and self.runtime.drivers.get(self.key) is self:
            del self.runtime.drivers[self.key]

    def abort(self, error: BaseException) -> None:
        """Stop driving the run here, whatever it does, and tell those who wait. It stays resumable."""
        if self.stopped is not None:
            return
        self.stopped = error
        self.values.forget()
        current, busy = asyncio.current_task(), self.runtime.busy()
        for task in self._tasks:
            if task is not current and task not in busy:
                task.cancel()
        self.runtime.abort(self, error)

    async def quiet(self) -> None:
        """Wait until no submission of the run is between its intent and its token, and no thread is at work for it."""
        tasks = self._tasks & self.runtime.busy()
        if tasks:
            await asyncio.wait(tasks)

    # -- ends of activations -----------------------------------------------------------------------------

    def state_of(self, address: Address) -> ActivationState | None:
        """The activation's state as this process knows it."""
        activation = self.state.find(address)
        return None if activation is None else activation.state

    def node(self, address: Address) -> Node[Any, Any]:
        """The user's node."""
        assert self.workflow is not None, f"run {self.run_id} is driven without its workflow"
        return self.workflow.node(address.node)

    async def succeed(
        self, address: Address, value: Value, columns: ActivationColumns | None = None
    ) -> Address | None:
        """Commit an output, with the edges that it takes and the starts that follow.

        Where the only thing that follows is the start of one node, its address is returned and starting it is
        the caller's: a chain then needs no new task for each of its nodes.
        """
        if self.state_of(address) not in ALLOWED[Succeeded]:  # the first end has won
            return None
        columns = {} if columns is None else columns
        columns["result"] = value
        try:
            taken, items = self.decisions(address, value)
        except (ConditionError, NoEdgeTakenError) as error:
            columns["error"] = self._record_failure(address, error)
            effects = await self.commit((Succeeded(address, None), columns, {"error": str(error)}))
        else:
            effects = await self.commit((Succeeded(address, taken, items), columns, {}))
        if len(effects) == 1 and self.stopped is None and not self.runtime.stopping:
            (effect,) = effects
            if isinstance(effect, Start):
                return effect.address
        self.perform(effects)
        return None

    async def fail(
        self,
        address: Address,
        error: BaseException,
        columns: ActivationColumns | None = None,
        messages: tuple[int, ...] = (),
    ) -> None:
        """Commit that the activation failed for good."""
        if self.state_of(address) not in ALLOWED[Failed]:  # the first end has won
            return
        columns = {} if columns is None else columns
        columns["error"] = self._record_failure(address, error)
        note = {"error": sentence(describe(error))}
        await self.apply((Failed(address), columns, note), messages=messages)

    def _record_failure(self, address: Address, error: BaseException) -> bytes:
        if self.state.outcome is None:  # the first failure is the run's
            self._causes[address] = error
            self.error = pack(describe(error, node=str(address)))
        return pack(describe(error))

    async def decide(self, address: Address) -> None:
        """Evaluate once more the edges of an activation whose result is kept."""
        value = await self.values.output(self.state.key(address))
        if self.state.outcome is not None:  # the run has ended otherwise; a retry asks again
            return
        try:
            taken, items = self.decisions(address, value)
        except (ConditionError, NoEdgeTakenError) as error:
            columns = ActivationColumns(error=self._record_failure(address, error), state=S.SUCCEEDED)
            await self.apply((EdgesFailed(address), columns, {"error": str(error)}))
        else:
            await self.apply((EdgesDecided(address, taken, items), {"state": S.SUCCEEDED, "error": None}, {}))

    def decisions(self, address: Address, value: Value) -> tuple[tuple[int, ...], int | None]:
        """Which conditional edges the output takes, and its length where it is mapped. Raises as `decide`."""
        plan = self.state.plan
        mapped = any(edge.kind is EdgeKind.MAP for edge in plan.outgoing[address.node])
        items = self.values.count(self.state.key(address), value) if mapped else None
        return decide(plan, self.workflow, self.run_id, address, value), items
