"""The store beside bare sqlite3 on the same disk in the same minute: `python -m benchmarks.store`.

Prints ratios, because the absolute figures move with the machine. The work is that of a chain: each transition
ends one node with a result of 200 bytes and starts the next.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perdure.checkpoints import ActivationState, SQLiteStore, Transition, Value, database
from perdure.checkpoints.conformance_records import make_change, make_run, make_step

ROUNDS = 7
RESULT = Value(os.urandom(200))


def bare(path: Path, *, commits: int, rows: int) -> float:
    """Rows per second of sqlite3 alone, WAL and FULL, so many rows of a result's size in each commit."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE results (result BLOB)")
    started = time.perf_counter()
    for _ in range(commits):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO results VALUES (?)", [(RESULT.data,)] * rows)
        connection.execute("COMMIT")
    taken = time.perf_counter() - started
    connection.close()
    return commits * rows / taken


def transition(run: int, position: int, node: int) -> Transition:
    """The end of one node and the start of the next."""
    return make_step(
        run,
        position=position,
        activations=(
            make_change(f"node_{node}", state=ActivationState.SUCCEEDED, result=RESULT, taken=b"\x91\x00"),
            make_change(f"node_{node + 1}", state=ActivationState.RUNNING, attempt=1),
        ),
    )


def store(path: Path, *, runs: int, nodes: int, extended: bool = True) -> tuple[float, float]:
    """(nodes per second, bytes of database per node) of so many chains at once."""

    async def chain(opened: SQLiteStore, key: int, position: int) -> None:
        for node in range(nodes):
            await opened.commit(transition(key, position + node, node))

    async def work() -> tuple[float, float]:
        async with SQLiteStore(path) as opened:
            await opened.register()
            made = [await make_run(opened, f"run-{number}") for number in range(runs)]
            started = time.perf_counter()
            await asyncio.gather(*(chain(opened, run.key, run.position) for run in made))
            taken = time.perf_counter() - started
            return runs * nodes / taken, (await opened.info()).bytes / (runs * nodes)

    wal = database.WAL_BYTES
    database.WAL_BYTES = wal if extended else 0
    try:
        return asyncio.run(work())
    finally:
        database.WAL_BYTES = wal


def fresh(measure: Callable[[Path], float]) -> float:
    """One measurement in a new folder on the disk of the current one."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return measure(Path(folder) / "bench.db")


def main() -> None:
    """Measure and print. All kinds take turns, so that each ratio is of measurements that stand side by side."""
    kinds: dict[str, Callable[[Path], float]] = {
        "bare": lambda path: bare(path, commits=200, rows=1),
        "bare, 100 rows": lambda path: bare(path, commits=50, rows=100),
        "chain": lambda path: store(path, runs=1, nodes=200)[0],
        "chain, WAL not extended": lambda path: store(path, runs=1, nodes=200, extended=False)[0],
        "100 chains": lambda path: store(path, runs=100, nodes=20)[0],
    }
    rounds = [{kind: fresh(measure) for kind, measure in kinds.items()} for _ in range(ROUNDS)]

    def ratio(kind: str, other: str) -> float:
        return statistics.median(one[kind] / one[other] for one in rounds)

    for kind in kinds:
        print(f"{kind:25} {statistics.median(one[kind] for one in rounds):10,.0f} rows or nodes a second")
    print(f"a chain beside bare commits                  {ratio('chain', 'bare'):6.2f}")
    print(f"100 chains beside one, by sharing commits    {ratio('100 chains', 'chain'):6.2f}")
    print(f"a chain with the WAL extended beside without {ratio('chain', 'chain, WAL not extended'):6.2f}")
    size = fresh(lambda path: store(path, runs=200, nodes=10)[1])
    print(f"database                                     {size:6.0f} bytes a node")


if __name__ == "__main__":
    main()
