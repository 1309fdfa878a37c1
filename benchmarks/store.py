"""The store beside bare sqlite3 on the same disk in the same minute: `python -m benchmarks.store`.

Prints ratios, because the absolute figures move with the machine. The work is that of a chain. A function's
transition ends one node with a result of 200 bytes and starts the next. An operation takes three: its intent, its
token, its result.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from perdure.checkpoints import OperationKey, SQLiteStore, State, Transition, Value
from perdure.checkpoints.conformance.examples import (
    make_change,
    make_operation,
    make_run,
    make_step,
    make_submission,
)
from perdure.checkpoints.sqlite import _database as database  # pyright: ignore[reportPrivateUsage]

ROUNDS = 7
RESULT = Value(os.urandom(200))
REQUEST = Value(os.urandom(600))
OUTCOME = Value(os.urandom(400))
TOKEN = os.urandom(80)


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


def functions(run: int, position: int, nodes: int) -> Iterator[Transition]:
    """Each the end of one function and the start of the next."""
    for node in range(nodes):
        yield make_step(
            run,
            position=position + node,
            activations=(
                make_change(f"node_{node}", state=State.SUCCEEDED, result=RESULT, taken=(0,)),
                make_change(f"node_{node + 1}", state=State.RUNNING, attempt=1),
            ),
        )


def operations(run: int, position: int, nodes: int) -> Iterator[Transition]:
    """Of each node the intent, the token, the result."""
    for node in range(nodes):
        name, at = f"node_{node}", position + 3 * node
        key = OperationKey(0, name, 0)
        yield make_step(
            run,
            position=at,
            activations=(make_change(name, state=State.RUNNING, attempt=1),),
            operations=(make_operation(key, state=State.SUBMITTING, submission=1, request=REQUEST),),
            submissions=(make_submission(key, fate="sent"),),
        )
        yield make_step(
            run,
            position=at + 1,
            operations=(make_operation(key, state=State.WAITING, token=TOKEN, wake_at=1.5),),
            submissions=(
                make_submission(key, fate="accepted", handle=f"resp_{run:040}_{node}", source="reply"),
            ),
        )
        yield make_step(
            run,
            position=at + 2,
            activations=(make_change(name, state=State.SUCCEEDED, result=RESULT, taken=(0,)),),
            operations=(make_operation(key, state=State.SUCCEEDED, outcome=OUTCOME, wake_at=None),),
            submissions=(make_submission(key, fate="accepted", usage=b"\x80"),),
        )


def store(
    path: Path,
    *,
    runs: int,
    nodes: int,
    extended: bool = True,
    chain: Callable[[int, int, int], Iterator[Transition]] = functions,
) -> tuple[float, float]:
    """(transitions per second, bytes of database per node) of so many chains at once."""

    async def walk(opened: SQLiteStore, key: int, position: int) -> int:
        count = 0
        for transition in chain(key, position, nodes):
            await opened.commit(transition)
            count += 1
        return count

    async def work() -> tuple[float, float]:
        async with SQLiteStore(path) as opened:
            await opened.register()
            made = [await make_run(opened, f"run-{number}") for number in range(runs)]
            started = time.perf_counter()
            counts = await asyncio.gather(*(walk(opened, run.key, run.position) for run in made))
            taken = time.perf_counter() - started
            size = await opened.read(lambda view: view.info().size)
            return sum(counts) / taken, size / (runs * nodes)

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
        "100 chains of operations": lambda path: store(path, runs=100, nodes=7, chain=operations)[0],
    }
    rounds = [{kind: fresh(measure) for kind, measure in kinds.items()} for _ in range(ROUNDS)]

    def ratio(kind: str, other: str) -> float:
        return statistics.median(one[kind] / one[other] for one in rounds)

    for kind in kinds:
        rate = statistics.median(one[kind] for one in rounds)
        print(f"{kind:25} {rate:10,.0f} rows or transitions a second, {1e6 / rate:6.1f} microseconds each")
    print(f"a chain beside bare commits                  {ratio('chain', 'bare'):6.2f}")
    print(f"100 chains beside one, by sharing commits    {ratio('100 chains', 'chain'):6.2f}")
    print(f"a chain with the WAL extended beside without {ratio('chain', 'chain, WAL not extended'):6.2f}")
    for name, chain in (("function", functions), ("operation", operations)):

        def size(path: Path, chain: Callable[[int, int, int], Iterator[Transition]] = chain) -> float:
            return store(path, runs=200, nodes=10, chain=chain)[1]

        print(f"database, {name + 's':10} {fresh(size):6.0f} bytes a node")


if __name__ == "__main__":
    main()
