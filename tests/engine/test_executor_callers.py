"""Callers that leave: whatever is cancelled, and wherever, nothing leaks, hangs, or is committed and then forgotten."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from perdure.checkpoints import RunStatus, SQLiteView, StoreError
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.engine.errors import ExecutorStoppedError
from perdure.nodes import SubmissionUnknownError, node

from .batches import Works, batch_node
from .bench import Stores, chain, first, perform, raises, read, record, runtime, until
from .interruptions import When, interrupted

WHEN: list[When] = ["waiting", "returning"]
Alone: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def alone() -> Alone:
    """Wait for the test's threads that are ending; one that was forgotten never does."""
    before = set(threading.enumerate())

    async def wait() -> None:
        await until(lambda: before.issuperset(threading.enumerate()))

    return wait


def lock_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.lock"))


def registered(file: Path) -> int:
    """How many executors the database knows."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT count(*) FROM executors").fetchone()[0]


@pytest.mark.parametrize("when", WHEN)
def test_entering_an_executor_can_be_cancelled_anywhere_and_nothing_is_left(
    when: When, files: Stores, tmp_path: Path, alone: Alone
) -> None:
    async def enter() -> None:
        async with Executor(files()):
            pass

    async def test() -> int:
        await enter()  # the file is there
        await alone()
        for number in range(200):
            if not await interrupted(enter(), number, when):
                return number
            assert lock_files(tmp_path) == []
            await alone()
            assert registered(tmp_path / "perdure.db") == 0
        raise AssertionError("it never goes through")

    assert perform(test()) > 3


def fragile(broken: list[bool]) -> Workflow[str, str]:
    @node(name="fragile")
    async def act(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        return text

    return chain("w", first, act)


def held(works: Works) -> Workflow[str, str]:
    return chain("w", first, batch_node("print", works, on_unknown_submit="hold"))


async def at_each_turn(
    verb: Callable[[str], Coroutine[Any, Any, Any]], prepare: Callable[[str], Coroutine[Any, Any, None]]
) -> list[str]:
    """Cancel the verb, each time for another run, a turn of the loop later than before. Those that were cut short."""
    cut: list[str] = []
    for turns in range(40):
        run_id = f"r{turns}"
        await prepare(run_id)
        task = asyncio.ensure_future(verb(run_id))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            cut.append(run_id)
    assert cut, "no caller was cancelled"
    return cut


async def ended(executor: Executor, run_id: str, status: RunStatus) -> None:
    async def done() -> bool:
        return (await record(executor, run_id)).status is status

    await until(done)


def test_a_resume_whose_caller_leaves_drives_the_run_or_leaves_it_to_the_next(
    files: Stores, works: Works
) -> None:
    workflow = held(works)

    async def test() -> None:
        works.hold = True
        async with Executor(files()) as executor:
            for turns in range(40):
                await executor.start(workflow, "x", run_id=f"r{turns}")
            await until(lambda: len(works.batches) == 40)
        works.hold = False

        async def nothing(_: str) -> None: ...

        async with Executor(files(), workflows=[workflow]) as executor:
            await at_each_turn(executor.resume, nothing)
            for turns in range(40):
                await (await executor.resume(f"r{turns}")).result()
            assert not runtime(executor).drivers
        assert len(works.batches) == 40

    perform(test())


def test_a_cancel_whose_caller_leaves_counts_once_it_has_begun(files: Stores, works: Works) -> None:
    workflow = held(works)

    async def test() -> None:
        works.hold = True
        async with Executor(files()) as executor:

            async def begin(run_id: str) -> None:
                await executor.start(workflow, "x", run_id=run_id)

            await at_each_turn(executor.cancel, begin)
            await executor.settled()
            for turns in range(1, 40):  # the first was cancelled before it began
                await ended(executor, f"r{turns}", RunStatus.CANCELLED)

    perform(test())


def test_a_retry_whose_caller_leaves_retries_the_run_once_it_has_begun(files: Stores) -> None:
    broken = [True]
    workflow = fragile(broken)

    async def test() -> None:
        async with Executor(files()) as executor:
            for turns in range(40):
                with pytest.raises(RunFailedError):
                    await (await executor.start(workflow, "x", run_id=f"r{turns}")).result()
            broken.clear()

            async def nothing(_: str) -> None: ...

            await at_each_turn(executor.retry, nothing)
            for turns in range(1, 40):
                await ended(executor, f"r{turns}", RunStatus.SUCCEEDED)

    perform(test())


def test_an_answer_whose_caller_leaves_counts_once_it_has_begun(files: Stores, works: Works) -> None:
    workflow = held(works)

    async def test() -> None:
        async with Executor(files()) as executor:
            begun: list[str] = []

            async def begin(run_id: str) -> None:
                for before in begun[
                    1:
                ]:  # else its resubmission would meet the error that is meant for this one
                    await ended(executor, before, RunStatus.SUCCEEDED)
                begun.append(run_id)
                works.before = [SubmissionUnknownError("503")]
                await executor.start(workflow, "x", run_id=run_id)
                await until(lambda: not works.before)
                await executor.settled()

            async def answer(run_id: str) -> None:
                await executor.decide(run_id, "print", "resubmit")

            await at_each_turn(answer, begin)
            for run_id in begun[1:]:
                await ended(executor, run_id, RunStatus.SUCCEEDED)
            assert len(begun) == 40

    perform(test())


def test_a_resume_all_whose_caller_leaves_is_done_to_its_end(files: Stores, works: Works) -> None:
    workflow = held(works)

    async def test() -> None:
        works.hold = True
        async with Executor(files()) as executor:
            for turns in range(20):
                await executor.start(workflow, "x", run_id=f"r{turns}")
            await until(lambda: len(works.batches) == 20)
        works.hold = False
        for turns in range(1, 20):
            works.hold = True
            async with Executor(files(), workflows=[workflow]) as executor:
                task = asyncio.ensure_future(executor.resume_all())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                await until(lambda: executor.drives("r0"))  # awaited at once
                assert all(executor.drives(f"r{number}") for number in range(20))
        works.hold = False
        async with Executor(files(), workflows=[workflow]) as executor:
            runs = (await executor.resume_all()).runs
            assert [await run.result() for run in runs] == ["done: x1"] * 20
        assert len(works.batches) == 20

    perform(test())


@pytest.mark.parametrize("verb", ["start", "resume", "retry", "cancel", "answer", "resume_all"])
def test_an_executor_can_be_left_at_any_turn_of_a_verb(
    verb: str, files: Stores, tmp_path: Path, alone: Alone, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    """The verb has been done, or says that the executor stopped; the run goes on with the next executor."""
    broken = [True]
    breaks = fragile(broken)
    workflow = held(works)
    name = "fails" if verb == "retry" else "r"

    def begin(executor: Executor) -> Coroutine[Any, Any, Any]:
        match verb:
            case "start":
                return executor.start(workflow, "x", run_id="r")
            case "answer":
                return executor.decide("r", "print", "fail")
            case "resume_all":
                return executor.resume_all()
            case _:
                return getattr(executor, verb)(name)

    async def test() -> None:
        works.before = [SubmissionUnknownError("503")]
        async with Executor(files(), workflows=[workflow]) as executor:
            with pytest.raises(RunFailedError):
                await (await executor.start(breaks, "x", run_id="fails")).result()
            if verb != "start":
                await executor.start(workflow, "x", run_id="r")
                await until(lambda: not works.before)
                await executor.settled()
        await alone()
        for turns in range(0, 60, 3):
            async with Executor(files(), workflows=[workflow, breaks], grace=5) as executor:
                task = asyncio.ensure_future(begin(executor))
                for _ in range(turns):
                    await asyncio.sleep(0)
            await asyncio.wait([task])
            error = task.exception()
            if error is not None and not isinstance(error, ExecutorStoppedError | StoreError):
                assert verb in ("answer", "retry"), error  # done already
                break
            await alone()
            assert lock_files(tmp_path) == []
        async with Executor(files(), workflows=[workflow, breaks]) as executor:
            open_runs = await read(executor, lambda view: view.unfinished())
            taken = {run.id for run in (await executor.resume_all()).runs}
            assert {run.id for run in open_runs} == taken
        with SQLiteView.open(tmp_path / "perdure.db") as view:
            assert [run.owner for run in view.runs()] == [None] * len(view.runs())

    perform(test())
    assert "Task exception was never retrieved" not in caplog.text


def test_a_verb_that_takes_longer_than_the_grace_is_cancelled_and_its_caller_told(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.hold = True

    async def test() -> None:
        store = stores()
        async with Executor(store, grace=0.05) as executor:
            await executor.start(held(works), "x", run_id="r")
            await until(lambda: bool(works.batches))
            begun = asyncio.Event()

            async def hang(*_: Any) -> int:
                begun.set()
                await asyncio.Event().wait()
                return 0

            monkeypatch.setattr(store, "signal", hang)
            task = asyncio.ensure_future(executor.cancel("r"))
            await begun.wait()
        with raises(ExecutorStoppedError, "stopped before that was done"):
            await task
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert {each for each in others if "wait_for" not in repr(each)} == set()

    perform(test())


def test_what_fails_when_its_caller_has_gone_is_logged(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    works.hold = True

    async def test() -> None:
        store = stores()
        async with Executor(store) as executor:
            await executor.start(held(works), "x", run_id="r")
            await until(lambda: bool(works.batches))
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def fail(*_: Any) -> int:
                begun.set()
                await go_on.wait()
                raise StoreError("run r: the disk is full")

            monkeypatch.setattr(store, "signal", fail)
            task = asyncio.ensure_future(executor.cancel("r"))
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])
            go_on.set()
            await until(lambda: "executor.cancel" in caplog.text)

    with caplog.at_level(logging.ERROR):
        perform(test())
    assert (
        "executor.cancel, whose caller has gone, failed: StoreError: run r: the disk is full" in caplog.text
    )
