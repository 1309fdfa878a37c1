"""`Driver`: one run that is moving in this process. It commits what the core decides, then performs its commands.

`apply` is the only way in which a run moves: it advances the state, writes one transition, and begins what follows only
when that transition's COMMIT has returned. All work for the run is begun with `begin` or `spawn`, as tasks that end with
the driving. A driver exists while something of its run is busy in this process, and for a while after that.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Protocol, cast

from ...checkpoints.codec import pack, pack_known, unpack
from ...checkpoints.records import (
    ActivationKey,
    EventRecord,
    RunRecord,
    RunStatus,
    Transition,
    Value,
)
from .._waiters import RunOutcome
from ..core import commands
from ..core.addresses import OperationAddress
from ..core.book import Book, Change, Page
from ..core.commands import Effect
from ..core.errors import IllegalEventError
from ..core.pending import moment
from ..core.state import RunState
from ..errors import DrivingInterruptedError
from ..failures import FailureData
from ._policies import pack_policies
from ._shared import OwnedRun, Work, ends_the_task
from ._values import Values
from .performers import TABLE

log = logging.getLogger("perdure")
NO_DATA = pack({})


def interrupted(run_id: str, error: BaseException) -> DrivingInterruptedError:
    """What is told of a run whose task was ended by code that it ran."""
    told = DrivingInterruptedError(
        f"Run {run_id}: a node or an adapter ended by itself what was done for it ({type(error).__name__}). Everything is "
        "committed: fix that, then resume the run."
    )
    told.__cause__ = error
    return told


def _same(variables: contextvars.Context, others: contextvars.Context) -> bool:
    """Whether these are the very same values; how values compare is their own affair."""
    nothing = object()
    return len(variables) == len(others) and all(
        others.get(variable, nothing) is value for variable, value in variables.items()
    )


class Keeper(Protocol):
    """Who keeps drivers: told when one has nothing to do, or will not do anything any more."""

    def idle(self, driver: Driver) -> None:
        """Nothing of the run is busy."""
        ...

    def ended(self, driver: Driver) -> None:
        """The run has ended."""
        ...

    def aborted(self, driver: Driver, error: BaseException, place: object) -> None:
        """The run can't be driven on here, because of something at that place in it; it stays as it was committed."""
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

    __slots__ = (
        "_broken",
        "_error",
        "_keeper",
        "_packed_error",
        "_pins",
        "_tasks",
        "book",
        "owned",
        "shared",
        "signals",
        "state",
        "stopped",
        "work",
    )

    def __init__(
        self,
        keeper: Keeper,
        owned: OwnedRun,
        state: RunState,
        *,
        nonce: str,
        position: int = 0,
        error: bytes | None = None,
    ) -> None:
        self._keeper = keeper
        self.owned = owned
        self.shared = owned.shared
        self._packed_error = error
        self._error = None if error is None else unpack(error)
        self.book = Book(state, position, self._error)
        self.state = state
        self.work = Work(
            nonce=nonce,
            state=state,
            values=Values(
                store=self.shared.store,
                views=self.shared.views,
                budget=self.shared.budget,
                run=owned.run,
                run_id=owned.run_id,
                state=state,
                workflow=owned.workflow,
            ),
        )
        self.stopped: BaseException | None = None  # why it is not driven here any more
        self._broken: Exception | None = None  # why the state in memory is not what is committed
        self.signals: list[int] = []  # those that were acted on since it is in memory
        self._tasks: set[asyncio.Task[None]] = set()
        self._pins = 0

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
        self.owned.run, self.owned.fence = record.key, record.fence
        self.work.values.created(record.key, value)

    # -- moving ------------------------------------------------------------------------------------------

    async def apply(self, *changes: Change, signals: tuple[int, ...] = ()) -> None:
        """Advance by these changes in one transition, commit it, then begin what follows from it.

        Raises what the store raised; the run is then not driven here any more. Raises `IllegalEventError`, having
        changed nothing, when the first of them can't happen any more.
        """
        self.perform(await self.commit(changes, signals=signals))

    async def commit(
        self, changes: Iterable[Change], *, signals: tuple[int, ...] = (), tell: bool = True
    ) -> list[Effect]:
        """As `apply`, but what follows is the caller's to begin.

        Each change is asked for in the state that the one before has led to. With `tell=False` the caller has more to
        say than the store's error: it calls `abort`.
        """
        if self._broken is not None:
            raise self._broken
        before = self.book.position
        try:
            transition, effects = self.step(changes, signals)
        except IllegalEventError as error:
            if self.book.position != before:  # not the first of them, so the state has moved
                self._broken = error
                self.abort(error)
            raise
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
        page = self.book.apply(changes, self.shared.clock())
        values = self.work.values
        for key, result in page.results.items():
            values.keep(key, result)
        for scope in page.scopes.values():
            if not scope.open:
                values.forget_scope(scope.number)
        if self.book.error is not self._error:
            self._error = self.book.error
            self._packed_error = None if self._error is None else pack(self._error)
        transition = Transition(  # in the order of its fields, which takes half the time
            self.owned.run,
            self.owned.fence,
            page.position,
            page.at,
            self.state.status,
            self.state.outcome,
            self._packed_error,
            [
                EventRecord(position, at, kind, node, path, pack_known(data) if data else NO_DATA)
                for position, at, kind, node, path, data in page.entries
            ],
            page.activations,
            page.operations,
            page.submissions,
            list(page.scopes.values()),
            signals,
            None if page.policies is None else self._policies_of(page),
        )
        return transition, page.effects

    @staticmethod
    def _policies_of(page: Page) -> bytes | None:
        """The column of the run's row, where the page sets it. A new run's is empty by itself."""
        if page.policies is None or (page.position == 0 and not page.policies.plain):
            return None
        return pack_policies(page.policies)

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
                        self.begin(effect)

    def begin(
        self, first: Effect | Change, variables: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        """Perform a command, or commit what a performer found out, as a task of the run, and go on with what follows.

        An error that is not recorded itself stops the driving, and is logged. `variables` are the context variables to
        begin with (default: those of the caller).
        """
        return self._create_task(self._carry_out(first), variables)

    async def _carry_out(self, then: Effect | Change | None) -> None:
        """Go on while one thing follows from another."""
        try:
            while then is not None and self.stopped is None:
                if isinstance(then, Change):
                    then = self._next(await self.commit((then,)))
                    continue
                variables = contextvars.copy_context()
                try:
                    change = await TABLE[type(then)](self.owned, then, self.commit_on_the_way)
                except Exception as error:  # told with the place
                    self.abort(error, getattr(then, "operation", None) or getattr(then, "address", None))
                    raise
                if change is not None and not _same(contextvars.copy_context(), variables):
                    # Those that a function set are its own: after a crash its successors would not see them.
                    self.begin(change, variables)
                    return
                then = change
        except IllegalEventError as stale:  # it came too late: the first end has won
            log.debug("run %s: %s", self.run_id, stale)
        except BaseException as error:  # noqa: BLE001  # the boundary of this run
            self._broke_off(error)

    async def commit_on_the_way(
        self, *changes: Change, then: Effect | None = None, tell: bool = True
    ) -> bool:
        """As `Commit`: for performers that go on after it."""
        if then is not None and (self.stopped is not None or self.shared.stopping):
            return False
        try:
            effects = await self.commit(changes, tell=tell)
        except IllegalEventError as stale:  # it came too late: the first end has won
            log.debug("run %s: %s", self.run_id, stale)
            return False
        follows = then is not None and then in effects
        if then is not None and follows:
            effects.remove(then)
        self.perform(effects)
        return then is None or follows

    def _next(self, effects: list[Effect]) -> Effect | None:
        """The one thing that follows, to be done in the same task: a chain then needs no new task for each node."""
        if len(effects) == 1 and self.stopped is None and not self.shared.stopping:
            (effect,) = effects
            if isinstance(effect, commands.Call):
                return effect
        self.perform(effects)
        return None

    def _wake(self, wake: commands.Wake) -> None:
        at, key = moment(self.state, wake)
        self.shared.wake_queue.add(at, self.run, key)

    def _say_held(self, operation: OperationAddress) -> None:
        log.warning(
            "run %s waits: the provider may have accepted the submission of %s. Decide with: perdure answer %s '%s' "
            "resubmit|fail|HANDLE",
            self.run_id,
            operation,
            self.run_id,
            operation,
            extra={"waits_for_person": True},  # for handlers that show it another way
        )

    def _finish(self, status: RunStatus) -> None:
        """The run has ended: tell those who wait, and forget it."""
        end = self.state.end if status is RunStatus.SUCCEEDED else None
        outcome = RunOutcome(
            status=status,
            value=None if end is None else self.work.values.kept(ActivationKey(scope=0, node=end, item=0)),
            end=end,
            failure=None if self.book.error is None else cast("FailureData", dict(self.book.error)),
            cause=self.book.cause,
        )
        self.work.values.forget()
        self._keeper.ended(self)
        self.shared.waiters.finished(self.run, outcome)

    # -- tasks -------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this as a task of the run; an error that it does not record itself stops the driving, and is logged."""
        task = self._create_task(self._watched(work))
        task.add_done_callback(lambda _: work.close())  # where it was cancelled before it began
        return task

    def _create_task(
        self, work: Coroutine[Any, Any, None], variables: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        """Run it as a task, with these context variables (default: those of the caller)."""
        self._pins += 1  # from now on, not from when the task begins
        task = self._keeper.create_task(work, self._done, variables)
        self._tasks.add(task)
        return task

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException as error:  # noqa: BLE001  # the boundary of this run
            self._broke_off(error)

    def _broke_off(self, error: BaseException) -> None:
        """The boundary of this run: stop its driving for this error, or raise it where it ends the task."""
        if ends_the_task(error):
            raise error
        self.abort(error if isinstance(error, Exception) else interrupted(self.run_id, error))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() and not self.shared.stopping:  # if it was abort that did it, this does nothing
            self.abort(interrupted(self.run_id, asyncio.CancelledError()))
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

    def abort(self, error: BaseException, place: object = None) -> None:
        """Stop driving the run here, whatever it does, and tell those who wait. It stays resumable.

        `place` is the activation or operation where the error was met, if there is one.
        """
        if self.stopped is not None:
            return
        self.stopped = error
        self.work.values.forget()
        current, kept = asyncio.current_task(), self._uninterruptible()
        for task in self._tasks:
            if task is not current and task not in kept:
                task.cancel()
        self._keeper.aborted(self, error, place)

    def _uninterruptible(self) -> set[asyncio.Task[Any]]:
        return self.shared.shielded | set(self.shared.threads.tasks.values())

    async def wait_for_uninterruptible(self) -> None:
        """Wait until no submission of the run is between its intent and its token, and no thread is at work for it."""
        tasks = self._tasks & self._uninterruptible()
        if tasks:
            await asyncio.wait(tasks)
