"""A process of `kill_everywhere`: `python -m perdure.testing._kill_child JOB`, where the file JOB holds a `Job`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perdure.engine.executor import Executor
from perdure.engine.graph import Workflow

from ._durable_fakes import with_fakes
from ._kill_job import Job, read_job
from ._kill_store import KillStore


async def work(job: Job) -> None:
    """Begin the run, or go on with it, and write the commits down when it has ended."""
    workflow: Workflow[Any, Any] = job.workflow.load()
    workflow = with_fakes(workflow, job.fakes, job.asked)
    value = workflow.node(workflow.plan.start).input_codec.decode(bytes.fromhex(job.input))
    store = KillStore(job.database, job.kill)
    async with Executor(store, workflows=[workflow]) as executor:
        run = await executor.start(workflow, value, run_id=job.run)
        await run.result()
    job.commits.write_text(json.dumps([asdict(commit) for commit in store.commits]), encoding="utf-8")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    asyncio.run(work(read_job(Path(sys.argv[1]).read_text(encoding="utf-8"))))
