"""The work W1 to W6: what is measured, as workflows and runs of Perdure."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import Node, OperationNode, node
from perdure.nodes.operations import ContinuationToken, Json, Outcome, Running, Succeeded

from .bare import RESULT

T = TypeVar("T")
NOTHING: dict[str, object] = {}
WAIT = 2.0
"""Seconds that the operation of W4 and W5 takes."""


@node
async def step(value: dict[str, object]) -> dict[str, object]:
    return dict(RESULT)


@node
async def spread(value: dict[str, object]) -> list[dict[str, object]]:
    return [dict(RESULT) for _ in range(int(str(value["width"])))]


@node
async def gather(values: list[dict[str, object]]) -> dict[str, object]:
    return {"count": len(values)}


@node
async def hand_on(text: str) -> str:
    return text


class Sleep:
    """An operation at no provider: it has succeeded `wait` seconds after its submission."""

    provider = "benchmark.sleep"

    def __init__(self, wait: float = WAIT) -> None:
        self.wait = wait
        self.submitted = 0
        self._expected = 0
        self._all = asyncio.Event()

    async def all_submitted(self, expected: int) -> None:
        """Wait until so many submissions were made."""
        self._expected = expected
        if self.submitted < expected:
            self._all.clear()
            await self._all.wait()

    async def prepare(self) -> None: ...

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        self.submitted += 1
        if self.submitted == self._expected:
            self._all.set()
        return self.adopt(key)

    def adopt(self, handle: str) -> ContinuationToken:
        return ContinuationToken(provider=self.provider, handle={"id": handle}, created_at=time.time())

    def poll_after(self, token: ContinuationToken) -> float:
        return max(0.0, token.created_at + self.wait - time.time())

    async def poll(self, token: ContinuationToken) -> Outcome:
        rest = token.created_at + self.wait - time.time()
        return Running(token=token, retry_after=rest) if rest > 0 else Succeeded(value="done")


def sleeping(operation: Sleep) -> Workflow[str, str]:
    """One node that waits."""
    wait: OperationNode[str, str] = OperationNode(
        "wait",
        input=str,
        output=str,
        operation=operation,
        request=lambda value, context: {"prompt": value},
        finish=str,
    )
    return Workflow("sleeping", start=wait, end=wait)


def chain(body: Node[T, T], length: int) -> Workflow[T, T]:
    """Nodes in a row."""
    nodes = [body.named(f"n{index}") for index in range(length)]
    workflow = Workflow("chain", start=nodes[0], end=nodes[-1])
    for source, target in pairwise(nodes):
        workflow.edge(source, target)
    return workflow


async def w1(path: Path, length: int = 100, times: int = 20) -> float:
    """Nodes per second of a chain."""
    workflow = chain(step, length).check()
    async with Executor(SQLiteStore(path)) as executor:
        await (await executor.start(workflow, NOTHING)).result()
        begin = time.perf_counter()
        for _ in range(times):
            await (await executor.start(workflow, NOTHING)).result()
        return length * times / (time.perf_counter() - begin)


async def w2(path: Path, width: int = 1000, times: int = 3) -> float:
    """Nodes per second of a fan-out."""
    workflow = Workflow("fan", start=spread, end=gather)
    workflow.map(spread, step)
    workflow.collect(step, gather)
    few: dict[str, object] = {"width": 10}
    many: dict[str, object] = {"width": width}
    async with Executor(SQLiteStore(path)) as executor:
        await (await executor.start(workflow, few)).result()
        begin = time.perf_counter()
        for _ in range(times):
            await (await executor.start(workflow, many)).result()
        return (width + 2) * times / (time.perf_counter() - begin)


async def w3(path: Path, runs: int = 200, length: int = 10) -> tuple[float, float]:
    """Nodes per second of many runs at once, bytes of database per node."""
    workflow = chain(step, length).check()

    async def one(executor: Executor) -> None:
        await (await executor.start(workflow, NOTHING)).result()

    async with Executor(SQLiteStore(path)) as executor:
        await one(executor)
        begin = time.perf_counter()
        await asyncio.gather(*(one(executor) for _ in range(runs)))
        rate = runs * length / (time.perf_counter() - begin)
    return rate, _size(path) / ((runs + 1) * length)


async def w4(path: Path, runs: int) -> tuple[float, float]:
    """Seconds above the wait, KB of memory per waiting run."""
    operation = Sleep()
    workflow = sleeping(operation).check()
    async with Executor(SQLiteStore(path)) as executor:
        await (await executor.start(workflow, "warm")).result()
        before = _memory()
        begin = time.perf_counter()
        started = await asyncio.gather(*(executor.start(workflow, "x") for _ in range(runs)))
        await operation.all_submitted(runs + 1)
        kilobytes = (_memory() - before) / 1024 / runs
        await asyncio.gather(*(run.result() for run in started))
        return time.perf_counter() - begin - WAIT, kilobytes


async def w5_wait(path: Path, runs: int, wait: float) -> None:
    """The process that is killed: start the runs, say when all wait, go on waiting."""
    operation = Sleep(wait)
    workflow = sleeping(operation).check()
    async with Executor(SQLiteStore(path)) as executor:
        await asyncio.gather(*(executor.start(workflow, "x") for _ in range(runs)))
        await operation.all_submitted(runs)
        await executor.settled()
        print(time.time(), flush=True)
        await asyncio.sleep(wait * 10)


async def w5_recover(path: Path, wait: float, last: float) -> tuple[float, int, int]:
    """The process that recovers: seconds above the wait, runs recovered, nodes submitted again."""
    operation = Sleep(wait)
    workflow = sleeping(operation).check()
    begin = time.time()
    async with Executor(SQLiteStore(path), workflows=[workflow]) as executor:
        resumed = await executor.resume_all()
        await asyncio.gather(*(run.result() for run in resumed.runs))
    return time.time() - max(begin, last + wait), len(resumed.runs), operation.submitted


async def w6(path: Path, length: int = 50) -> tuple[float, float]:
    """Nodes per second of a chain that hands on a text of 1 MB, MB of database."""
    workflow = chain(hand_on, length).check()
    text = "otter " * (1024 * 1024 // 6)
    async with Executor(SQLiteStore(path)) as executor:
        begin = time.perf_counter()
        await (await executor.start(workflow, text)).result()
        rate = length / (time.perf_counter() - begin)
    return rate, _size(path) / 1e6


def _size(path: Path) -> int:
    return path.stat().st_size


def _memory() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def memory_of(path: Path, runs: int) -> int:
    """Bytes of this process while so many runs wait for an hour and nobody holds them."""
    operation = Sleep(3600.0)
    workflow = sleeping(operation).check()
    async with Executor(SQLiteStore(path)) as executor:
        for start in range(0, runs, 500):
            await asyncio.gather(*(executor.start(workflow, "x") for _ in range(500)))
            await operation.all_submitted(start + 500)
        await executor.settled()
        gc.collect()
        return _memory()
