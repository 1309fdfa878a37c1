"""`make bench`: the work W1 to W6 beside the bare loop of the same run, as medians, with the goals.

Machines are noisy, so the shares of the bare loop are what to compare; the absolute figures show the size of things.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from . import agents, bare, work

W5_RUNS, W5_WAIT = 1000, 6.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--passes", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument(
        "--memory", action="store_true", help="also the memory of 20,000 and 40,000 waiting runs"
    )
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: here)")
    parser.add_argument("--w5", nargs=2, help=argparse.SUPPRESS)  # the child that is killed, or that recovers
    options = parser.parse_args()
    if options.w5 is not None:
        child(Path(options.w5[0]), options.w5[1])
        return
    with tempfile.TemporaryDirectory(dir=options.folder or Path.cwd(), prefix="bench-") as folder:
        bench(Path(folder), options.passes, memory=options.memory)


def bench(folder: Path, passes: int, *, memory: bool) -> None:
    """All of it."""
    count = 0

    def database() -> Path:
        nonlocal count
        count += 1
        return folder / f"{count}.db"

    def seconds(work: Callable[[Path], Awaitable[None]]) -> float:
        begin = time.perf_counter()
        asyncio.run(_done(work(database())))
        return time.perf_counter() - begin

    def row(name: str, figure: str, goal: str) -> None:
        print(f"{name:<34} {figure:<34} goal {goal}", flush=True)

    print(f"Perdure, synchronous=FULL, {os.cpu_count()} cores, medians of {passes} passes\n")
    for name, goal, ours, yardstick, nodes in (
        ("W1 chain of 100", "1,800/s = 0.67 of bare", work.w1, bare.w1, 1000),
        ("W2 fan-out to 1,000", "12,000/s = 0.22", work.w2, bare.w2, 1002),
        ("W3 200 runs of 10", "12,000/s = 0.22", w3_rate, bare.w3, 2000),
    ):
        pairs = [(asyncio.run(ours(database())), nodes / seconds(yardstick)) for _ in range(passes)]
        rate, base = (statistics.median(figures) for figures in zip(*pairs, strict=True))
        share = statistics.median(one / other for one, other in pairs)
        row(name, f"{rate:,.0f} nodes/s, {share:.2f} of {base:,.0f}", goal)
    bytes_per_node = asyncio.run(work.w3(database()))[1]
    row("W3 database", f"{bytes_per_node:.0f} bytes/node", "600")
    for runs, goal in ((1000, "0.1 s"), (5000, "0.5 s")):
        over = statistics.median(asyncio.run(work.w4(database(), runs))[0] for _ in range(passes))
        row(f"W4 {runs:,} waiting runs", f"{over:.2f} s over", goal)
    row("W5 1,000 runs killed, recovered", w5(folder, database()), "0.3 s, none again")
    rates = [asyncio.run(work.w6(database())) for _ in range(passes)]
    rate, size = (statistics.median(figures) for figures in zip(*rates, strict=True))
    row("W6 50 nodes hand on 1 MB", f"{rate:,.0f} nodes/s, {size:.2f} MB", "1,500/s, 1.3 MB")
    took = statistics.median(asyncio.run(agents.agents_in_a_row(database())) for _ in range(passes))
    row("four agents of 0.3 s in a row", f"{took:.2f} s", "3 s")
    row("import perdure.engine", f"{start_up('-c', 'from perdure.engine import Executor'):.0f} ms", "250 ms")
    row("perdure --help", f"{start_up('-m', 'perdure.inspector', '--help'):.0f} ms", "150 ms")
    row("python, doing nothing", f"{start_up('-c', 'pass'):.0f} ms", "-")
    if memory:
        small, large = (slope(folder, runs) for runs in (20_000, 40_000))
        row("W4 memory of a waiting run", f"{(large - small) / 20_000 / 1024:.2f} KB (slope)", "2 KB")


async def w3_rate(path: Path) -> float:
    """Nodes per second of W3."""
    return (await work.w3(path))[0]


def w5(folder: Path, path: Path) -> str:
    """Kill a process whose runs wait; recover them in a new one."""
    command = [sys.executable, "-m", "benchmarks", "--w5", str(path)]
    with subprocess.Popen([*command, "wait"], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        last = waiting.stdout.readline().strip()
        waiting.send_signal(signal.SIGKILL)
    told = subprocess.run([*command, last], check=True, capture_output=True, text=True)
    over, runs, again = told.stdout.split()
    return f"{float(over):.2f} s over, {runs} recovered, {again} again"


def child(path: Path, what: str) -> None:
    """One of W5's processes."""
    if what == "wait":
        asyncio.run(work.w5_wait(path, W5_RUNS, W5_WAIT))
    elif what.startswith("memory="):
        print(asyncio.run(work.memory_of(path, int(what.removeprefix("memory=")))))
    else:
        over, runs, again = asyncio.run(work.w5_recover(path, W5_WAIT, float(what)))
        print(over, runs, again)


def slope(folder: Path, runs: int) -> int:
    """Bytes of a process in which so many runs wait."""
    path = folder / f"memory-{runs}.db"
    command = [sys.executable, "-m", "benchmarks", "--w5", str(path), f"memory={runs}"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def start_up(*arguments: str) -> float:
    """Milliseconds of a new process, the median of seven."""
    times: list[float] = []
    for _ in range(8):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:]) * 1000


async def _done(work: Awaitable[None]) -> None:
    await work


if __name__ == "__main__":
    main()
