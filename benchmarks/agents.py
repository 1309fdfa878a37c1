"""Quick agents in a row: how long a chain of agents takes whose answers are there after 0.3 seconds each."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import Agent
from perdure.simulator import Simulator

ANSWER = 0.3
"""Seconds that an answer takes at the simulator."""
AGENTS = 4


def improve(text: str) -> str:
    return f"Improve: {text[:200]}"


async def agents_in_a_row(path: Path) -> float:
    """Seconds for all of them, from the start of the run to its result."""
    with Simulator(duration=ANSWER) as simulator:
        os.environ.update(simulator.env)
        agent = Agent("improver", model="gpt-5")
        nodes = [agent.node(name=f"improve_{number}")(improve) for number in range(AGENTS)]
        workflow = Workflow("row", start=nodes[0], end=nodes[-1])
        for source, target in pairwise(nodes):
            workflow.edge(source, target)
        async with Executor(SQLiteStore(path)) as executor:
            begin = time.perf_counter()
            await (await executor.start(workflow, "sea otters")).result()
            return time.perf_counter() - begin
