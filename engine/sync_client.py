"""`SyncClient`: the client for synchronous code, such as a WSGI application beside the processes that drive runs.

One thread with an event loop serves all callers; every verb hands its work over and blocks until that is done.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Never, Self, TypeVar, overload

from ..nodes.durations import Duration
from ..nodes.node import Node, Source
from .client import Client, Database, RunInfo, require_same_process
from .errors import ExecutorStoppedError
from .event import Event
from .run import Run
from .words import RunStatus

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741  # the output, as in the documented signatures
Out = TypeVar("Out", covariant=True)


class SyncClient:
    """Reads, cancels and deletes runs from synchronous code, and drives nothing. Safe to share between threads.

    Use it as a context manager, or `open` it at start-up and `close` it at the end. After a fork make another one.
    """

    def __init__(self, db: Database = None) -> None:
        """`db`: a path or a store; None: `PERDURE_DB`, else `perdure.db`."""
        self._db = db
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Client | None = None
        self._process = 0  # that opened it

    def open(self) -> Self:
        """Start its thread and open the database. Raises what opening a `Client` raises."""
        if self._loop is not None:
            raise ExecutorStoppedError("The client is open already: close it before you open it again.")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="perdure-client", daemon=True)
        thread.start()
        self._loop, self._thread = loop, thread
        client = Client(self._db)
        try:
            self._call(client.__aenter__())
        except BaseException:
            self._end_thread()
            raise
        self._client = client
        self._process = os.getpid()
        return self

    def close(self) -> None:
        """Close the database and end the thread. Safe to call twice."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            self._call(client.__aexit__(None, None, None))
        finally:
            self._end_thread()

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not closed since."""
        return self._client is not None

    def _end_thread(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @overload
    def get(self, run_id: str, /) -> SyncRun[object]: ...
    @overload
    def get(self, run_id: str, workflow: Node[Never, O], /) -> SyncRun[O]: ...
    def get(self, run_id: str, workflow: Node[Never, Any] | None = None, /) -> SyncRun[Any]:
        """As `Client.get`."""
        client = self._opened()
        run = self._call(client.get(run_id) if workflow is None else client.get(run_id, workflow))
        return SyncRun(self, run)

    def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        limit: int | None = 50,
    ) -> list[RunInfo]:
        """As `Client.runs`."""
        found = self._opened().runs(status=status, workflow=workflow, labels=labels, since=since, limit=limit)
        return self._call(found)

    def cancel(self, run_id: str, /) -> None:
        """As `Client.cancel`."""
        self._call(self._opened().cancel(run_id))

    def delete(self, run_id: str, /) -> None:
        """As `Client.delete`."""
        self._call(self._opened().delete(run_id))

    def _opened(self) -> Client:
        require_same_process(type(self).__name__, self._process)
        if self._client is None:
            raise ExecutorStoppedError(
                "The client is not open: use it inside `with SyncClient(...)`, or open it."
            )
        return self._client

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the client's thread. Whoever is interrupted meanwhile has it cancelled."""
        if self._process and self._process != os.getpid():
            work.close()
            require_same_process(type(self).__name__, self._process)
        loop = self._loop
        if loop is None:
            work.close()
            raise ExecutorStoppedError("The client is closed.")
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class SyncRun(Generic[Out]):
    """A run, as `Run`, for synchronous code."""

    def __init__(self, client: SyncClient, run: Run[Out]) -> None:
        self._client = client
        self._run = run
        self._call = client._call  # pyright: ignore[reportPrivateUsage]  # one thing in two classes

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.id

    def status(self) -> RunStatus:
        """As `Run.status`."""
        return self._call(self._run.status())

    def result(self, *, timeout: Duration | None = None) -> Out:
        """As `Run.result`."""
        return self._call(self._run.result(timeout=timeout))

    def output(self, node: Source[T], /, *, path: tuple[int, ...] = ()) -> T:
        """As `Run.output`."""
        return self._call(self._run.output(node, path=path))

    def outputs(self, node: Source[T], /) -> dict[tuple[int, ...], T]:
        """As `Run.outputs`."""
        return self._call(self._run.outputs(node))

    def events(self, *, after: int = 0) -> Generator[Event]:
        """As `Run.events`: blocks until the next one, ends with the run."""
        events: AsyncGenerator[Event, None] = self._run.events(after=after)
        try:
            while (event := self._call(_next(events))) is not None:
                yield event
        finally:
            if self._client.is_open:  # else its database is closed, and the events with it
                self._call(events.aclose())

    def cancel(self) -> None:
        """As `Run.cancel`."""
        self._call(self._run.cancel())

    def __repr__(self) -> str:
        return repr(self._run)


async def _next(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)
