"""What a killed process does: take up a run, wait for its end, write down how it ended.

A `Job` comes as JSON: from the nursery, which forks a process for it that has everything imported already, or as
the argument of `python -m tests.crash.child`, a fresh interpreter that handles signals as a user's program does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from perdure.checkpoints import RunNotFoundError
from perdure.engine import Executor, Run, Workflow
from perdure.nodes import OnUnknownSubmit

from .desk import Desk, Small
from .kills import KillPlan, Step, WatchedStore
from .pipeline import WORKFLOWS

if TYPE_CHECKING:
    import httpx2

Verb: TypeAlias = Literal["start", "resume", "resume_all", "retry", "cancel", "answer"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What one process is to do. Plain JSON."""

    folder: str
    """Holds the database, the effects and the reports of a run."""
    run: str
    workflow: str
    base_url: str
    api_key: str
    verb: Verb = "start"
    answer: tuple[str, str] = ("", "")
    """Node and reply."""
    steps: tuple[dict[str, Any], ...] = ()
    delay: float = 0.0
    signal: int = 9
    options: dict[str, float] = field(default_factory=dict[str, float])
    on_unknown_submit: OnUnknownSubmit = "resubmit"
    lease: float = 15.0
    busy_timeout: float = 10.0
    wait: bool = True
    """Whether to wait for the run's end."""
    then: Verb | None = None
    """What the process that drives the run does to it itself, once it has committed an event of the type `after`."""
    after: str = ""
    disk_full_before: str = ""
    """From the first commit of an event of this type on, no file may grow."""
    crowd: int = 0
    """How many runs to drive at once, in place of one; their ids are the run's with a number behind it."""
    look_late: bool = False
    """Whether to ask for the result only once the driving has stopped."""
    topic: str = "sea otters"
    small: Small = field(default_factory=Small)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @property
    def database(self) -> Path:
        return Path(self.folder) / "perdure.db"

    @property
    def effects(self) -> Path:
        return Path(self.folder) / "effects.jsonl"

    @property
    def reports(self) -> Path:
        return Path(self.folder) / "reports.jsonl"

    @property
    def log(self) -> Path:
        return Path(self.folder) / "log.txt"


def read_job(line: str) -> Job:
    """What `Job.to_json` wrote."""
    data: dict[str, Any] = json.loads(line)
    data.update(steps=tuple(data["steps"]), answer=tuple(data["answer"]), small=Small(**data["small"]))
    return Job(**data)


def report(job: Job, **facts: object) -> None:
    """Append a line to the reports."""
    with job.reports.open("a") as file:
        file.write(json.dumps({"process": os.getpid(), "at": time.time(), **facts}) + "\n")


def client_of(job: Job, plan: KillPlan) -> AsyncOpenAI:
    """A client that tells the kill plan of each request and each reply."""

    def name(request: httpx2.Request) -> tuple[str, str | None]:
        if request.url.path.endswith("/cancel"):
            return "CANCEL", None
        if request.method != "POST":
            return request.method, None
        return "POST", json.loads(request.content)["metadata"]["node"].partition("[")[0]

    async def sending(request: httpx2.Request) -> None:
        plan.reached("before", *name(request))

    async def answered(response: httpx2.Response) -> None:
        plan.reached("after", *name(response.request))

    http = DefaultAsyncHttpxClient(
        event_hooks={"request": [sending], "response": [answered]}, verify=False, trust_env=False
    )
    return AsyncOpenAI(base_url=job.base_url, api_key=job.api_key, http_client=http)


async def drive_crowd(job: Job, executor: Executor, workflow: Workflow[str, str]) -> None:
    """Start all runs, or take up all of them, and wait for each."""
    if job.verb != "start":
        await executor.resume_all()

    async def drive(run_id: str) -> None:
        run = await executor.start(workflow, job.topic, run_id=run_id)
        report(job, what="result", value=await run.result(), run=run_id)

    await asyncio.gather(*(drive(f"{job.run}.{number}") for number in range(job.crowd)))


async def work(job: Job) -> None:
    """Do the job; reports tell what came of it."""
    began = time.time()
    plan = KillPlan(steps=[Step(**step) for step in job.steps], delay=job.delay, stop=job.signal)
    async with client_of(job, plan) as client:
        store = WatchedStore(str(job.database), plan, lease=job.lease, busy_timeout=job.busy_timeout)
        store.disk_full_before = job.disk_full_before
        desk = Desk(
            client=client,
            effects=job.effects,
            seen=store.seen,
            options=job.options,
            on_unknown_submit=job.on_unknown_submit,
            folder=Path(job.folder),
            small=job.small,
            reached=plan.reached,
        )
        workflow = WORKFLOWS[job.workflow](desk)
        try:
            async with Executor(store, workflows=[workflow]) as executor:
                report(job, what="ready")
                if job.crowd:
                    await drive_crowd(job, executor, workflow)
                    return
                run: Run[Any] | None = None
                match job.verb:
                    case "start":
                        run = await executor.start(workflow, job.topic, run_id=job.run)
                    case "resume":
                        try:
                            run = await executor.resume(job.run)
                        except RunNotFoundError:  # killed before there was a run
                            run = await executor.start(workflow, job.topic, run_id=job.run)
                    case "resume_all":
                        found = await executor.resume_all()
                        if found.runs:
                            run = found.runs[0]
                        else:  # killed before there was a run
                            run = await executor.start(workflow, job.topic, run_id=job.run)
                    case "retry":
                        run = await executor.retry(job.run)
                    case "cancel":
                        await executor.cancel(job.run)
                    case "answer":
                        await executor.decide(job.run, *job.answer)
                report(job, what="taken", after=time.time() - began)
                if job.then is not None:
                    while not store.seen[job.after]:  # noqa: ASYNC110  # the store counts, there is no event
                        await asyncio.sleep(0.01)
                    if job.then == "cancel":
                        await executor.cancel(job.run)
                    else:
                        await executor.decide(job.run, *job.answer)
                if run is None and job.wait:
                    run = await executor.start(workflow, job.topic, run_id=job.run)
                if run is not None and job.look_late:
                    while run.driven_here:  # noqa: ASYNC110  # nobody is to be told yet
                        await asyncio.sleep(0.01)
                if run is not None and job.wait:
                    value = await run.result()
                    report(job, what="result", value=value)
        except BaseException as error:
            store.empty_disk()
            report(job, what="error", type=type(error).__name__, message=str(error))
            raise
        finally:
            moved = store.first_commit
            report(job, what="moved", after=None if moved is None else moved - began)


def run_job(job: Job) -> None:
    """Do the job in this process, with everything that is printed in the log beside the database."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    asyncio.run(work(job))


if __name__ == "__main__":
    run_job(read_job(sys.argv[1]))
