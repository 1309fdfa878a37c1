"""The bare loop: the same durable rows without an engine. The yardstick that every figure is divided by.

One writer thread, group commit, WAL and FULL; a step writes one event row and one activation row with a result
of about 200 bytes, as the engine does, and follows its predecessor's commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from perdure.checkpoints import pack

RESULT = {"text": "x" * 150, "score": 0.5, "tags": ["a", "b", "c"], "id": 12345}
SCHEMA = """
CREATE TABLE events (run INTEGER, position INTEGER, at REAL, data BLOB, PRIMARY KEY (run, position)) WITHOUT ROWID;
CREATE TABLE activations (run INTEGER, node TEXT, state TEXT, result BLOB, PRIMARY KEY (run, node)) WITHOUT ROWID;
"""


class BareLoop:
    """A group-committing writer."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[tuple[int, int], asyncio.Future[None]]] = []
        self._busy = False
        self._work: SimpleQueue[list[tuple[tuple[int, int], asyncio.Future[None]]] | None] = SimpleQueue()
        self._thread = Thread(target=self._write, args=(str(path),), daemon=True)
        self._thread.start()

    async def step(self, run: int, position: int) -> None:
        """Write one step and return after its COMMIT."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(((run, position), future))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._send)
        await future

    def close(self) -> None:
        """End the thread."""
        self._work.put(None)
        self._thread.join()

    def _send(self) -> None:
        group, self._queue = self._queue, []
        self._work.put(group)

    def _done(self, group: list[tuple[tuple[int, int], asyncio.Future[None]]]) -> None:
        for _, future in group:
            future.set_result(None)
        if self._queue:
            self._loop.call_soon(self._send)
        else:
            self._busy = False

    def _write(self, path: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(SCHEMA)
        while (group := self._work.get()) is not None:
            connection.execute("BEGIN IMMEDIATE")
            result = pack(RESULT)
            rows = [(run, position, 0.0, b"\x80") for (run, position), _ in group]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT INTO activations VALUES (?, ?, 'succeeded', ?)",
                [(run, f"n{position}", result) for (run, position), _ in group],
            )
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._done, group)
        connection.close()


async def w1(path: Path) -> None:
    """1,000 steps in a row."""
    await _chains(path, 1, 1000)


async def w3(path: Path) -> None:
    """200 chains of 10 steps at once."""
    await _chains(path, 200, 10)


async def _chains(path: Path, runs: int, length: int) -> None:
    writer = BareLoop(path)

    async def one(run: int) -> None:
        for position in range(length):
            await writer.step(run, position)

    await asyncio.gather(*(one(run) for run in range(runs)))
    writer.close()


async def w2(path: Path, width: int = 1000) -> None:
    """One step, then many at once, then one."""
    writer = BareLoop(path)
    await writer.step(0, 0)
    await asyncio.gather(*(writer.step(0, 1 + item) for item in range(width)))
    await writer.step(0, width + 1)
    writer.close()
