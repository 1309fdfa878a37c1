"""`Driver`: one run that is moving in this process. It commits what the core decides, then performs its commands.

`apply` is the only way in which a run moves: it advances the state, writes one transition, and begins what follows only
when that transition's COMMIT has returned. A driver exists while something of its run is busy in this process; a run
that only waits is evicted and loaded again when something of it moves.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from ...checkpoints.codec import pack, unpack
from ...checkpoints.records import (
    ActivationChange,
    ActivationColumns,
    ActivationKey,
    EventRecord,
    OperationChange,
    OperationColumns,
    OperationKey,
    RunRecord,
    RunStatus,
    ScopeRecord,
    SubmissionChange,
    SubmissionColumns,
    SubmissionKey,
    Transition,
    Value,
)
from ..core import commands, events
from ..core.addresses import Address, OperationAddress
from ..core.commands import Effect, SaveActivation, SaveOperation, SaveScope, SaveSubmission
from ..core.errors import IllegalEventError
from ..core.journal import to_journal
from ..core.machine import advance
from ..core.sources import deciding_edges
from ..core.state import RunState, Scope
from ..failures import Failure, describe
from ._hand_over import leave_handle
from ._policies import pack_policies
from ._shared import Change, OwnedRun, Work
from ._values import Values
from ._waiters import RunOutcome
from .performers import TABLE

log = logging.getLogger("perdure")
NO_DATA = pack({})
_WITH_POLICIES = (events.RunStarted, events.PoliciesChanged)
_WAITS = (events.AttemptFailed, events.SubmissionRefused, events.SubmissionUnknown)
"""Events of which people want to know when it goes on."""


class Keeper(Protocol):
    """Who keeps drivers: told when one has nothing to do, or will not do anything any more."""

    def idle(self, driver: Driver) -> None:
        """Nothing of the run is busy."""
        ...

    def ended(self, driver: Driver) -> None:
        """The run has ended."""
        ...

    def aborted(self, driver: Driver, error: BaseException) -> None:
        """The run can't be driven on here; it stays as it was committed."""
        ...

    def create_task(
        self,
        work: Coroutine[Any, Any, None],
        done: Any = None,
        variables: contextvars.Context | None = None,
    ) -> asyncio.Task[None]:
        """A task of the executor."""
        ...


class Driver:
    """One run in memory."""

    def __init__(self, keeper: Keeper, owned: OwnedRun, record: RunRecord, state: RunState) -> None:
        self._keeper = keeper
        self.owned = owned
        self.shared = owned.shared
        self.position = record.position
        self.error = record.error
        self.state = state
        self.work = Work(
            nonce=record.nonce,
            state=state,
            values=Values(
                store=self.shared.store,
                views=self.shared.views,
                budget=self.shared.budget,
                run=record.key,
                state=state,
                workflow=owned.workflow,
            ),
        )
        self.stopped: BaseException | None = None  # why it is not driven here any more
        self._broken: Exception | None = None  # why the state in memory is not what is committed
        self._tasks: set[asyncio.Task[None]] = set()
        self._pins = 0
        self._cause: BaseException | None = None

    @property
    def run(self) -> int:
        return self.owned.run

    @property
    def run_id(self) -> str:
        return self.owned.run_id

    @property
    def size(self) -> int:
        """How many activations it holds in memory."""
        return sum(len(scope.activations) for scope in self.state.scopes.values())

    def created(self, record: RunRecord, value: Value) -> None:
        """The run, whose first transition this driver made, has been inserted with this input."""
        self.owned.run, self.owned.fence, self.position = record.key, record.fence, record.position
        self.work.values.created(record.key, value)

    # -- moving ------------------------------------------------------------------------------------------

    async def apply(self, *changes: Change, signals: tuple[int, ...] = ()) -> None:
        """Advance by these changes in one transition, commit it, then begin what follows from it.

        Raises what the store raised; the run is then not driven here any more. Raises `IllegalEventError`, having
        changed nothing, when the first of them can't happen any more.
        """
        self.perform(await self.commit(*changes, signals=signals))

    async def commit(
        self, *changes: Change, signals: tuple[int, ...] = (), tell: bool = True
    ) -> list[Effect]:
        """As `apply`, but what follows is the caller's to begin.

        With `tell=False` the caller has more to say than the store's error: it calls `abort`.
        """
        if self._broken is not None:
            raise self._broken
        transition, effects = self.step(changes, signals)
        try:
            await self.shared.store.commit(transition)
        except Exception as error:  # the boundary: recorded, and everyone who waits for the run is told
            self._broken = error
            if tell:
                self.abort(error)
            raise
        self.shared.waiters.changed(self.run)
        return effects

    def step(
        self, changes: Iterable[Change], signals: tuple[int, ...] = ()
    ) -> tuple[Transition, list[Effect]]:
        """Advance by these changes: the transition to commit, and what follows its commit."""
        rows = _Rows()
        first = self.position
        at = 0.0
        policies: bytes | None = None
        for change in changes:
            at = change.event.at
            if isinstance(change.event, _WITH_POLICIES):
                policies = pack_policies(change.event.policies)
            self._advance(change, rows)
        if self.state.outcome is not None or self.error is not None:
            self._note_error()
        transition = Transition(
            run=self.run,
            fence=self.owned.fence,
            position=first,
            at=at or self.shared.clock(),
            status=self.state.status,
            outcome=self.state.outcome,
            error=self.error,
            events=rows.events,
            activations=[ActivationChange(*row) for row in rows.activations.items()],
            operations=[OperationChange(*row) for row in rows.operations.items()],
            submissions=[SubmissionChange(*row) for row in rows.submissions.items()],
            scopes=list(rows.scopes.values()),
            signals=signals,
            policies=policies,
        )
        return transition, rows.effects

    def _advance(self, change: Change, rows: _Rows) -> None:
        event = change.event
        failing = self.state.outcome is None
        # A scope may close in this very step, so the keys are asked for before.
        address: Address | None = getattr(event, "address", None)
        operation: OperationAddress | None = getattr(event, "operation", None)
        if address is None and operation is not None:
            address = operation.address
        key = self._key_of(address) if change.activation or change.operation or change.submission else None
        number = self._submission_of(event, operation) if change.submission else 0
        waits: float | None = None
        closed: list[int] = []
        for command in advance(self.state, event):
            if isinstance(command, SaveActivation):
                _save(rows.activations, *command)
            elif isinstance(command, SaveOperation):
                _save(rows.operations, *command)
            elif isinstance(command, SaveSubmission):
                _save(rows.submissions, *command)
            elif isinstance(command, SaveScope):
                scope, open_ = command
                rows.scopes[scope.number] = _scope_record(scope, open_)
                if not open_:
                    closed.append(scope.number)
            else:
                if isinstance(command, commands.Wake):
                    waits = command.at
                rows.effects.append(command)
        if key is not None:
            self._add_payloads(change, key, operation, number, rows)
        for scope_number in closed:
            self.work.values.forget_scope(scope_number)
        if failing and self.state.outcome is RunStatus.FAILED and change.cause is not None:
            self._cause = change.cause
            self.error = pack(describe(change.cause, node=None if address is None else str(address)))
        self.position += 1
        rows.events.append(self._entry(change, waits))

    def _key_of(self, address: Address | None) -> ActivationKey | None:
        scope = None if address is None else self.state.scope_of(address)
        return None if scope is None or address is None else self.state.key(address)

    def _submission_of(self, event: events.Event, operation: OperationAddress | None) -> int:
        if isinstance(event, events.HandleFound | events.StrayCancelled):
            return event.submission
        known = None if operation is None else self.state.operation(operation)
        return 0 if known is None else known.submission

    def _add_payloads(
        self,
        change: Change,
        key: ActivationKey,
        operation: OperationAddress | None,
        number: int,
        rows: _Rows,
    ) -> None:
        if change.activation and key in rows.activations:
            rows.activations[key].update(change.activation)
            result = change.activation.get("result")
            if result is not None:
                self.work.values.keep(key, result)
        if operation is None:
            return
        row = OperationKey(*key, operation.attempt, operation.chain, operation.number)
        if change.operation and row in rows.operations:
            rows.operations[row].update(change.operation)
        if change.submission and number:
            submission = rows.submissions.setdefault(SubmissionKey(row, number), {"fate": "accepted"})
            submission.update(change.submission)

    def _entry(self, change: Change, waits: float | None) -> EventRecord:
        kind, node, path, data = to_journal(change.event)
        note = change.note
        if note or waits is not None:
            data = dict(data)
            if note:
                data.update(note)
            if waits is not None and isinstance(change.event, _WAITS):
                data["wake_at"] = waits
        return EventRecord(self.position, change.event.at, kind, node, path, pack(data) if data else NO_DATA)

    def _note_error(self) -> None:
        """The run's error is that of its first failure, or that its end was skipped."""
        if self.state.outcome in (None, RunStatus.SUCCEEDED, RunStatus.CANCELLED):
            self.error = None
        elif self.error is None:
            plan = self.state.plan
            self.error = pack(
                Failure(
                    type="EndSkipped",
                    message=f"node {plan.end}, the end of workflow {plan.workflow}, was skipped: "
                    + deciding_edges(self.state),
                )
            )

    # -- performing --------------------------------------------------------------------------------------

    def perform(self, effects: Iterable[Effect]) -> None:
        """Begin what a committed transition asks for. When the executor is stopping, leave it for a resume."""
        for effect in effects:
            if isinstance(effect, commands.Finish):
                self._finish(effect.status)
            elif not self.shared.stopping and self.stopped is None:
                match effect:
                    case commands.Wake():
                        self._wake(effect)
                    case commands.Hold():
                        self._say_held(effect.operation)
                    case _:
                        self.spawn(self.carry_out(effect))

    async def carry_out(self, then: Effect | Change | None) -> None:
        """Perform a command, or commit what a performer found out, and go on while one thing follows from another."""
        while then is not None and self.stopped is None:
            if not isinstance(then, Change):
                variables = contextvars.copy_context()
                change = await TABLE[type(then)](self.owned, then)
                if change is not None and contextvars.copy_context() != variables:
                    # Context variables that a function set are its own: after a crash its successors would not see
                    # them.
                    self.spawn(self.carry_out(change), variables)
                    return
                then = change
                continue
            try:
                if isinstance(then.event, events.SubmissionIntended):
                    effects = await self._submit(then)
                else:
                    effects = await self.commit(then, *then.also)
            except IllegalEventError as stale:  # it came too late: the first end has won
                log.debug("run %s: %s", self.run_id, stale)
                return
            then = self._next(effects)

    def _next(self, effects: list[Effect]) -> Effect | None:
        """The one thing that follows, to be done in the same task: a chain then needs no new task for each node."""
        if len(effects) == 1 and self.stopped is None and not self.shared.stopping:
            (effect,) = effects
            if isinstance(effect, commands.Call):
                return effect
        self.perform(effects)
        return None

    async def _submit(self, change: Change) -> list[Effect]:
        """Intent, submission, token: whole, whoever is cancelled meanwhile. Holds one of the executor's places."""
        task = asyncio.current_task()
        assert task is not None
        assert isinstance(change.event, events.SubmissionIntended)
        operation = change.event.operation
        places = self.shared.submissions
        await places.acquire()
        waiting_for_reply = True
        try:
            if self.shared.stopping or self.stopped is not None:
                return []
            self.shared.shielded.add(
                task
            )  # from before the intent's commit, so that nobody cancels in between
            await self.commit(change)
            reply = await TABLE[commands.Submit](self.owned, commands.Submit(operation))
            places.release()
            waiting_for_reply = False
            assert reply is not None
            if not isinstance(reply.event, events.Submitted):
                return await self.commit(reply)
            try:
                return await self.commit(reply, tell=False)
            except Exception as error:  # noqa: BLE001  # whatever it is, the handle must not be lost with it
                known = self.state.operation(operation)
                number = 1 if known is None else known.submission
                self.abort(await leave_handle(self.owned, reply, number, error))
                return []
        finally:
            if waiting_for_reply:
                places.release()
            self.shared.shielded.discard(task)
            self.work.requests.pop(operation, None)

    def _wake(self, wake: commands.Wake) -> None:
        if wake.operation is None:
            key: ActivationKey | OperationKey = self.state.key(wake.address)
        else:
            key = self.state.operation_key(wake.operation)
        self.shared.wake_queue.add(wake.at, self.run, key)

    def _say_held(self, operation: OperationAddress) -> None:
        log.warning(
            "run %s waits: the provider may have accepted the submission of %s. Decide with: perdure answer %s '%s' "
            "resubmit|fail|HANDLE",
            self.run_id,
            operation,
            self.run_id,
            operation,
            extra={"waits_for_person": True},  # whoever says so by other means can leave it out
        )

    def _finish(self, status: RunStatus) -> None:
        """The run has ended: tell those who wait, and forget it."""
        key = ActivationKey(scope=0, node=self.state.plan.end, item=0)
        outcome = RunOutcome(
            status=status,
            value=self.work.values.kept(key) if status is RunStatus.SUCCEEDED else None,
            failure=None if self.error is None else unpack(self.error),
            cause=self._cause,
        )
        self.work.values.forget()
        self._keeper.ended(self)
        self.shared.waiters.finished(self.run, outcome)

    # -- tasks -------------------------------------------------------------------------------------------

    def spawn(
        self, work: Coroutine[Any, Any, None], variables: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        """Run this as a task of the run, with these context variables (default: those of the caller)."""
        self._pins += 1  # from now on, not from when the task begins
        task = self._keeper.create_task(self._guard(work), partial(self._done, work), variables)
        self._tasks.add(task)
        return task

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this for the run; an error that it does not record itself stops the driving, loudly."""
        with self.pinned():
            await self._guard(work)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # the boundary of this run: abort records and reports it
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
        if self._pins == 0 and self.stopped is None:
            self.work.values.forget()
            self._keeper.idle(self)

    @property
    def busy(self) -> bool:
        """Whether something of the run is under way here."""
        return self._pins > 0

    def abort(self, error: BaseException) -> None:
        """Stop driving the run here, whatever it does, and tell those who wait. It stays resumable."""
        if self.stopped is not None:
            return
        self.stopped = error
        self.work.values.forget()
        current, held = asyncio.current_task(), self._held()
        for task in self._tasks:
            if task is not current and task not in held:
                task.cancel()
        self._keeper.aborted(self, error)

    def _held(self) -> set[asyncio.Task[Any]]:
        return self.shared.shielded | set(self.shared.threads.tasks.values())

    async def quiet(self) -> None:
        """Wait until no submission of the run is between its intent and its token, and no thread is at work for it."""
        tasks = self._tasks & self._held()
        if tasks:
            await asyncio.wait(tasks)


class _Rows:
    """What one transition writes, gathered."""

    __slots__ = ("activations", "effects", "events", "operations", "scopes", "submissions")

    def __init__(self) -> None:
        self.activations: dict[ActivationKey, ActivationColumns] = {}
        self.operations: dict[OperationKey, OperationColumns] = {}
        self.submissions: dict[SubmissionKey, SubmissionColumns] = {}
        self.scopes: dict[int, ScopeRecord] = {}
        self.events: list[EventRecord] = []
        self.effects: list[Effect] = []


def _save(rows: dict[Any, Any], key: Any, columns: Any) -> None:
    known = rows.get(key)
    if known is None:
        rows[key] = columns
    else:
        known.update(columns)


def _scope_record(scope: Scope, open_: bool) -> ScopeRecord:
    return ScopeRecord(
        number=scope.number,
        scope=scope.scope,
        parent=scope.parent or 0,
        path=scope.path,
        size=scope.size,
        open=open_,
    )
