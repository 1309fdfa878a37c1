"""`Client`: reads, cancels and deletes runs, and drives nothing. For processes beside those that drive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Never, Self, TypeAlias, TypeVar, overload

from ..checkpoints.codec import pack, unpack
from ..checkpoints.records import NO_LABELS, RunRecord
from ..checkpoints.records import RunStatus as Status
from ..checkpoints.store import Store
from ..nodes.durations import Duration
from ..nodes.errors import NotBuiltError
from ..nodes.failure import Failure
from ..nodes.node import Node, Source
from ._waiters import Waiters
from .core.addresses import parse_address
from .errors import ExecutorStoppedError
from .graph import as_workflow
from .run import Followed, Run
from .words import RunStatus

if TYPE_CHECKING:  # named in signatures alone
    from ..nodes.human import HumanNode
    from .questions import Question

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output

Database: TypeAlias = Store | str | os.PathLike[str] | None
"""A store, the path of a database, or None: `PERDURE_DB`, else `perdure.db`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """A run as it stands."""

    id: str
    workflow: str
    status: RunStatus
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    driven_by: str | None
    """The living process that drives it; None when nobody does, or it has ended."""
    error: Failure | None


def open_database(db: Database, *, create: bool) -> Store:
    """The store that is meant."""
    if isinstance(db, str | os.PathLike | None):
        from ..checkpoints.sqlite import SQLiteStore  # sqlite3 and aiosqlite: not needed to declare workflows

        return SQLiteStore(db or os.environ.get("PERDURE_DB") or "perdure.db", create=create)
    return db


class Client:
    """Reads, cancels and deletes runs. Use it as an async context manager, as often as you like."""

    def __init__(self, db: Database = None) -> None:
        """`db`: a store, the path of a database that exists, or None: `PERDURE_DB`, else `perdure.db`."""
        self._store = open_database(db, create=False)
        self._followed: Followed | None = None
        self._process = 0  # that entered it

    async def __aenter__(self) -> Self:
        if self._followed is not None:
            raise ExecutorStoppedError("It is entered already: leave it before you enter it again.")
        await self._store.__aenter__()
        self._followed = Followed(store=self._store, waiters=Waiters(), driven=())
        self._process = os.getpid()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._followed = None
        await self._store.__aexit__(kind, error, traceback)

    # -- reading -----------------------------------------------------------------------------------------

    @overload
    async def get(self, run_id: str, /) -> Run[object]: ...
    @overload
    async def get(self, run_id: str, workflow: Node[Never, O], /) -> Run[O]: ...
    async def get(self, run_id: str, workflow: Node[Never, Any] | None = None, /) -> Run[Any]:
        """The run with that id, which nobody claims for this.

        Without its workflow values come as plain data: dicts, lists, texts, numbers. Raises `RunNotFoundError`.
        """
        record = await self._find(run_id)
        return Run(self._opened(), record, None if workflow is None else as_workflow(workflow))

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        limit: int | None = 50,
    ) -> list[RunInfo]:
        """Runs, newest first: of this status and workflow, with at least these labels, started at that moment or later.

        `limit=None` gives all of them.
        """
        found = await self._opened().store.read(
            lambda view: [
                (record, None if record.status.finished else view.holder(record))
                for record in view.runs(
                    status=() if status is None else (Status(status),),
                    workflow=workflow,
                    labels=labels or NO_LABELS,
                    since=None if since is None else since.timestamp(),
                    limit=limit,
                )
            ]
        )
        return [_info(record, holder) for record, holder in found]

    # -- acting ------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str, /, *, node: Source[object] | None = None) -> None:
        """Have a run cancelled, at its providers too, by whoever drives it now or next. Left alone if it has ended.

        Works without its workflow. Raises `RunNotFoundError`.
        """
        require_whole(node)
        record = await self._find(run_id)
        if not record.status.finished:
            await self._opened().store.signal(record.key, "cancel", None, (), pack({}))

    async def delete(self, run_id: str, /) -> None:
        """Delete a run that has ended, with all that is stored of it. Its id is free again.

        Raises `RunNotFoundError`, and `RunNotDeletableError` while it is under way or something of it is still to be
        cancelled at a provider.
        """
        record = await self._find(run_id)
        await self._opened().store.delete(record.key)

    # -- what is to come ---------------------------------------------------------------------------------

    async def enqueue(
        self,
        workflow: Node[I, O],
        value: I,
        /,
        *,
        run_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        deadline: Duration | None = None,
    ) -> Run[O]:
        """Have a run driven by a worker. Not built yet."""
        raise NotBuiltError(
            "`enqueue` is not built yet. Today: start the run in the process that drives it, `executor.start(...)`."
        )

    async def questions(self, *, run: str | None = None) -> list[Question]:
        """The questions that wait for a person. Not built yet."""
        raise NotBuiltError(
            "`questions` is not built yet. Submissions on hold are shown by `perdure show RUN`; decide them with "
            "`perdure answer RUN NODE resubmit|fail|HANDLE`."
        )

    @overload
    async def answer(self, question: Question | str, value: object, /, *, by: str | None = None) -> None: ...
    @overload
    async def answer(
        self,
        run: Run[Any] | str,
        node: HumanNode[Never, ..., object, T],
        value: T,
        /,
        *,
        path: tuple[int, ...] = (),
        by: str | None = None,
    ) -> None: ...
    async def answer(self, *_: Any, **__: Any) -> None:
        """Answer a question. Not built yet."""
        raise NotBuiltError(
            "`answer` is not built yet, because nodes that ask people are not. A submission on hold is decided with "
            "`executor.decide(run_id, node, reply)` or `perdure answer RUN NODE resubmit|fail|HANDLE`."
        )

    # -- inside ------------------------------------------------------------------------------------------

    def _opened(self) -> Followed:
        require_same_process(type(self).__name__, self._process)
        if self._followed is None:
            raise ExecutorStoppedError(
                f"The {type(self).__name__.lower()} is not open: use it inside `async with`."
            )
        return self._followed

    async def _find(self, run_id: str) -> RunRecord:
        return await self._opened().store.read(lambda view: view.run(run_id))


def require_same_process(kind: str, process: int) -> None:
    """Raises `ExecutorStoppedError` in a process that was forked from the one that entered it; 0: nobody did."""
    if process not in (0, os.getpid()):
        raise ExecutorStoppedError(
            f"This {kind} was entered in another process, and this one was forked from it: its database connections, "
            f"threads and tasks are the other's. Make a {kind} of your own after the fork."
        )


def require_whole(node: Source[object] | None) -> None:
    """Raises `NotBuiltError` for a part of a run."""
    if node is not None:
        raise NotBuiltError(f"Cancelling {node.name} alone is not built yet. Today: cancel the run.")


def _info(record: RunRecord, holder: str | None) -> RunInfo:
    return RunInfo(
        id=record.id,
        workflow=record.workflow,
        status=status_word(record.status),
        labels=record.labels,
        created_at=datetime.fromtimestamp(record.created_at, UTC),
        updated_at=datetime.fromtimestamp(record.updated_at, UTC),
        driven_by=holder,
        error=None if record.error is None else failure_of(unpack(record.error)),
    )


def failure_of(error: Mapping[str, Any]) -> Failure:
    """A run's stored error as a value."""
    address = parse_address(str(error.get("node") or ""))
    return Failure(
        node="" if address is None else address.node,
        path=() if address is None else address.path,
        type=error.get("type", "Error"),
        message=error.get("message", ""),
        code=error.get("code"),
        partial=error.get("partial", ""),
    )


def status_word(status: Status) -> RunStatus:
    """The status as a word of the public face."""
    return status.value
