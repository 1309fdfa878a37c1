"""What users' code and adapters should not do, and what then becomes of their run and of the others."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from perdure.engine import Executor, Workflow
from perdure.engine.runtime._policies import stored_policies
from perdure.nodes import node

from .bench import Stores, perform, record


def test_each_workflow_brings_its_own_policies_also_where_another_has_gone(stores: Stores) -> None:
    """Made anew for each run, as a function would: Python gives a new object the place of one that is gone."""

    def made(retries: int) -> Workflow[str, str]:
        @node(retries=retries)
        async def tried(text: str) -> str:
            return text

        return Workflow[str, str]("made", start=tried, end=tried)

    async def main() -> list[int]:
        found: list[int] = []
        async with Executor(stores()) as executor:
            for retries in range(1, 21):
                run = await executor.start(made(retries), "x")
                await run.result()
                found.append(stored_policies(await record(executor, run.id)).of("tried").retries)
                del run
                gc.collect()
        return found

    assert perform(main()) == list(range(1, 21))
