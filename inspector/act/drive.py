"""`perdure resume` and `perdure retry`: driving runs on, until they end, wait for a person, or (`--once`) wait at all.

The result goes to stdout at the end. On a terminal, or with -v, events are printed on stderr as they happen.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...checkpoints.records import RunRecord, RunStatus
from ...checkpoints.sqlite import SQLiteStore
from ...checkpoints.view import View
from ...engine.errors import RunCancelledError, RunFailedError
from ...engine.executor import Executor
from ...engine.run import Run
from ..commands import drive_command
from ..exits import Exit
from ..read.database import find_run, open_view
from ..read.run import read_plan, read_result, read_waits, unpacked
from ..read.waits import Wait
from ..render import states
from ..render.entries import run_entry, wait_commands
from ..render.output import plain_text, say, write_entries, write_entry
from ..render.table import Cell, Column, table
from ..settings import Settings
from ._app import load_app
from ._log import Log
from ._progress import follow

Work: TypeAlias = "Callable[[_Driving], Awaitable[Exit]]"

LOOK = 0.2
"""Seconds between two looks at whether anything can still move."""
LAST_EVENTS = 2.0
"""Seconds to wait for the last events of runs that have ended to be printed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """How far a run was driven: it ended, or it waits, or it can't be driven here (`problem`)."""

    run: RunRecord
    exit: Exit
    problem: str | None = None
    waits: Sequence[Wait] = ()


def resume_run(settings: Settings, name: str, *, app: str | None, once: bool) -> Exit:
    """Drive one run on."""
    run_id = find_run(settings, name)
    return _drive(
        settings, app, run_id, lambda driving: driving.one(run_id, driving.executor.resume, once=once)
    )


def retry_run(settings: Settings, name: str, *, app: str | None) -> Exit:
    """Drive one failed run on from where it failed."""
    run_id = find_run(settings, name)
    return _drive(
        settings, app, run_id, lambda driving: driving.one(run_id, driving.executor.retry, once=False)
    )


def resume_all(settings: Settings, *, app: str | None, once: bool) -> Exit:
    """Drive on all unfinished runs of the app that nobody else drives."""
    open_view(settings).close()  # a database that is not there is said before anything of the app is imported
    return _drive(settings, app, "--all", lambda driving: driving.all(once=once))


def _drive(settings: Settings, app: str | None, what: str, work: Work) -> Exit:
    workflows = load_app(app)
    store = SQLiteStore(settings.db, create=False)
    with Log(settings) as log:

        async def drive() -> Exit:
            async with Executor(store, workflows=workflows) as executor:
                try:
                    return await work(_Driving(settings, store, executor, log))
                except asyncio.CancelledError:
                    say("Stopping. Submissions under way are waited for, so that none is lost ...")
                    raise

        again = f"Everything is committed; go on with: {drive_command(settings, 'resume', what)}"
        try:
            return asyncio.run(drive())
        except KeyboardInterrupt:
            say(f"Interrupted. {again}")
            return Exit.INTERRUPTED
        except SystemExit as stop:
            if stop.code != Exit.TERMINATED:
                raise
            say(f"Terminated. {again}")
            return Exit.TERMINATED


class _Driving:
    """One executor at work for one command."""

    def __init__(self, settings: Settings, store: SQLiteStore, executor: Executor, log: Log) -> None:
        self.executor = executor
        self._settings = settings
        self._store = store
        self._log = log

    async def one(self, run_id: str, begin: Callable[[str], Awaitable[Run[Any]]], *, once: bool) -> Exit:
        """Drive one run, begun so, and show its result."""
        positions = {run_id: (await self._run(run_id)).position}
        (end,) = await self._ends([await begin(run_id)], positions, once=once)
        result = await self._result(end.run)
        shown = plain_text(result) if end.run.status is RunStatus.SUCCEEDED else ()
        write_entry(self._settings, {**run_entry(end.run), "result": result}, shown)
        self._tell(end)
        return end.exit

    async def all(self, *, once: bool) -> Exit:
        """Drive all that can be driven, and show how each ended."""
        unfinished = await self._store.read(lambda view: view.unfinished())
        positions = {run.id: run.position for run in unfinished}
        resumed = await self.executor.resume_all()
        for run_id, reason in sorted(resumed.left.items()):
            say(f"Left alone: run {run_id}: {reason}")
        if not resumed.runs:
            say("There is nothing to resume.")
        ends = await self._ends(resumed.runs, positions, once=once, named=True) if resumed.runs else []
        entries = [{**run_entry(end.run), "result": await self._result(end.run)} for end in ends]
        lines = table(
            (Column("RUN", least=16), Column("WORKFLOW", least=10), Column("STATUS")),
            [[Cell(end.run.id, "bold"), Cell(end.run.workflow), states.cell(end.run.status)] for end in ends],
            width=self._settings.width(sys.stdout),
            colour=self._settings.colour(sys.stdout),
        )
        write_entries(self._settings, entries, lines if ends else ())
        for end in ends:
            self._tell(end)
        gravest = (Exit.ERROR, Exit.FAILED, Exit.WAITS, Exit.CANCELLED)
        return next((code for code in gravest if any(end.exit is code for end in ends)), Exit.OK)

    async def _ends(
        self, runs: Sequence[Run[Any]], positions: Mapping[str, int], *, once: bool, named: bool = False
    ) -> list[_End]:
        """Wait until all runs have ended or nothing moves any more; print what happens after these positions."""
        results = {run.id: asyncio.create_task(run.result()) for run in runs}
        followers = [
            asyncio.create_task(follow(self._settings, run, after=positions.get(run.id, 0), named=named))
            for run in runs
        ]
        standstill = asyncio.create_task(self._standstill(runs, results, once=once))
        everything = asyncio.gather(*results.values(), return_exceptions=True)
        try:
            waited: list[asyncio.Future[Any]] = [everything, standstill]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if standstill.done():
                standstill.result()  # raises what it raised
            else:
                await asyncio.wait(followers, timeout=LAST_EVENTS)
            return [await self._end(run.id, results[run.id]) for run in runs]
        finally:
            tasks = [*results.values(), *followers, standstill]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _standstill(
        self, runs: Sequence[Run[Any]], results: dict[str, asyncio.Task[Any]], *, once: bool
    ) -> None:
        """Return when nothing moves: all that is live waits for a person or, with `once`, for whatever."""
        keys = [(await self._run(run.id)).key for run in runs]
        while True:
            await self.executor.settled()
            only_people = await self._store.read(lambda view: _only_people_move(view, keys))
            lost = [run for run in runs if not run.driven_here and not results[run.id].done()]
            if once or only_people or (lost and len(lost) == len(runs)):
                await asyncio.sleep(0)
                return
            await asyncio.sleep(LOOK)

    async def _end(self, run_id: str, result: asyncio.Task[Any]) -> _End:
        problem: str | None = None
        error = result.exception() if result.done() else None
        run = await self._run(run_id)
        match error:
            case None | RunCancelledError():
                pass
            case RunFailedError():
                problem = self._failure(error)
            case _:
                told = str(error)
                if run_id not in told:
                    told = f"Run {run_id} is not driven on: {told}"
                return _End(run=run, exit=Exit.ERROR, problem=told)
        match run.status:
            case RunStatus.SUCCEEDED:
                return _End(run=run, exit=Exit.OK)
            case RunStatus.CANCELLED:
                return _End(run=run, exit=Exit.CANCELLED, problem=f"Run {run_id} was cancelled.")
            case RunStatus.FAILED:
                return _End(run=run, exit=Exit.FAILED, problem=problem)
            case _:
                waits, live = await self._store.read(lambda view: _waits(view, run))
                problem = None
                if error is not None or not live:
                    problem = f"Run {run_id} is not driven on. {self._log.errors()}"
                return _End(run=run, exit=Exit.WAITS, problem=problem, waits=waits if live else ())

    def _failure(self, error: RunFailedError) -> str:
        """Why the run failed, and the command that goes on."""
        again = drive_command(self._settings, "retry", error.run_id)
        where = f" at {error.node}" if error.node else ""
        return (
            f"Run {error.run_id} failed{where}: {error.error_type}: {error.error}\n"
            f"When the cause is gone, go on with (what succeeded is kept): {again}"
        )

    async def _run(self, run_id: str) -> RunRecord:
        return await self._store.read(lambda view: view.run(run_id))

    async def _result(self, run: RunRecord) -> Any:
        """The output as plain data, None where there is none."""

        def read(view: View) -> Any:
            result = read_result(view, run, read_plan(view, run))
            return None if result is None else unpacked(run, f"output of {result[0]}", result[1])

        return await self._store.read(read)

    def _tell(self, end: _End) -> None:
        """Say how it ended and what to do next, where that is not plain."""
        if end.problem is not None:
            say(end.problem)
        if not end.waits or end.exit is not Exit.WAITS:
            return
        for wait in end.waits:
            if wait.on == "person":
                commands = "".join(f"\n  {line}" for line in wait_commands(self._settings, end.run.id, wait))
                say(
                    f"Run {end.run.id} waits for you: the provider may have accepted the submission of {wait.operation}. "
                    f"Decide with one of:{commands}"
                )
            elif wait.fate is not None:
                say(f"Run {end.run.id}: what you decided for {wait.operation} ({wait.fate}) is kept.")
        away = [wait for wait in end.waits if wait.on in ("provider", "time")]
        if away:
            names = ", ".join(f"{wait.address} ({wait.provider or 'a later time'})" for wait in away[:4])
            more = f" and {len(away) - 4} more" if len(away) > 4 else ""
            say(f"Run {end.run.id} waits on {names}{more}.")
        say(f"Go on with: {drive_command(self._settings, 'resume', end.run.id)}")


def _waits(view: View, run: RunRecord) -> tuple[list[Wait], bool]:
    """What the run waits on once this process has left it, and whether anything in it can go on at all."""
    with view.snapshot():
        activations, _ = view.live([run.key])
        return read_waits(view, run, holder=None), bool(activations)


def _only_people_move(view: View, keys: Sequence[int]) -> bool:
    """Whether all that is live in these runs waits for a person."""
    activations, operations = view.live(keys)
    held = {
        (operation.run, operation.key.activation, operation.key.attempt)
        for operation in operations
        if operation.detail == "held"
    }
    return bool(activations) and all(
        (activation.run, activation.key, activation.attempt) in held for activation in activations
    )
