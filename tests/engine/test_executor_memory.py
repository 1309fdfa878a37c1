"""What an executor holds of runs that wait: no task, no driver, an entry of the heap. And what it says of them."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from perdure.checkpoints import RunStatus, SQLiteStore
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import ContinuationToken, ProviderUnavailableError, SubmissionUnknownError, node
from perdure.nodes.operations import Outcome, Running

from .batches import BatchOperation, Works, batch_node
from .bench import Stores, chain, first, journal, perform, runtime, third, until


@pytest.mark.usefixtures("evicted")
def test_a_run_that_waits_is_not_in_memory_and_comes_back(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            held = runtime(executor)
            idle = len(asyncio.all_tasks())
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x", run_id="r")
            for _ in range(3):
                await until(lambda: bool(works.batches) and works.one.polls >= 2)
                await until(lambda: not held.drivers)
                assert executor.drives("r")
                assert run.driven_here
                assert len(held.shared.wake_queue) <= 1
            await until(lambda: len(asyncio.all_tasks()) == idle)
            assert held.shared.budget.used == 0
            works.hold = False
            assert await run.result() == "done: x13"
            assert (held.drivers, held.owned, len(held.shared.wake_queue)) == ({}, {}, 0)
            assert held.shared.budget.used == 0

    perform(test())


@pytest.mark.usefixtures("evicted")
def test_a_run_with_something_busy_stays(stores: Stores, works: Works) -> None:
    works.hold = True
    release = asyncio.Event()

    @node
    async def wait(text: str) -> str:
        await release.wait()
        return text

    @node
    async def both(parts: tuple[str, str]) -> str:
        return " ".join(parts)

    workflow = Workflow("w", start=first, end=both)
    print_it = batch_node("print", works)
    workflow.edge(first, print_it)
    workflow.edge(first, wait)
    workflow.join((print_it, wait), both)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x")
            await until(lambda: bool(works.batches) and works.one.polls >= 3)
            assert len(runtime(executor).drivers) == 1
            release.set()
            await until(lambda: not runtime(executor).drivers)
            works.hold = False
            assert await run.result() == "done: x1 x1"

    perform(test())


def test_thousands_of_runs_wait_without_tasks(tmp_path: Path, works: Works) -> None:
    """Every 30 s is often enough; what they are woken for here is that the work was done meanwhile."""
    works.hold = True
    many = 3000
    workflow = chain("w", first, batch_node("print", works, every=0.5))

    async def test() -> None:
        async with Executor(SQLiteStore(tmp_path / "perdure.db", synchronous="NORMAL")) as executor:
            held = runtime(executor)
            idle = len(asyncio.all_tasks())
            runs = await asyncio.gather(*(executor.start(workflow, f"{number}-") for number in range(many)))
            await until(lambda: len(works.batches) == many)
            await executor.settled()
            assert held.drivers == {}
            assert len(held.owned) == len(held.shared.wake_queue) == many
            assert len(asyncio.all_tasks()) == idle
            works.hold = False
            results = [await run.result() for run in runs]
            assert results == [f"done: {number}-1" for number in range(many)]
            assert (held.owned, len(held.shared.wake_queue), held.shared.budget.used) == ({}, 0, 0)
        async with Executor(SQLiteStore(tmp_path / "perdure.db"), workflows=[workflow]) as executor:
            assert (await executor.resume_all()).runs == ()

    perform(test())
    assert len(works.batches) == many


def test_runs_that_only_wait_are_resumed_without_being_loaded(tmp_path: Path, works: Works) -> None:
    works.hold = True
    many = 500
    workflow = chain("w", first, batch_node("print", works, every=60.0))

    async def test() -> None:
        async with Executor(SQLiteStore(tmp_path / "perdure.db", synchronous="NORMAL")) as executor:
            await asyncio.gather(*(executor.start(workflow, f"{number}-") for number in range(many)))
            await until(lambda: len(works.batches) == many)
            await executor.settled()
        async with Executor(SQLiteStore(tmp_path / "perdure.db"), workflows=[workflow]) as executor:
            assert len((await executor.resume_all()).runs) == many
            assert runtime(executor).drivers == {}
            assert len(runtime(executor).shared.wake_queue) == many

    perform(test())


def test_settled_waits_for_what_is_busy_and_due(stores: Stores, works: Works) -> None:
    works.hold = True

    @node
    async def slow(text: str) -> str:
        await asyncio.sleep(0.05)
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.settled()
            workflow = chain("w", first, slow, batch_node("print", works, every=60.0))
            run = await executor.start(workflow, "x")
            await executor.settled()
            assert len(works.batches) == 1
            assert await run.status() == RunStatus.WAITING

    perform(test())


KEY = "sk-secret-4711"


def test_what_is_logged_names_run_and_node_and_holds_no_key(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture, quick_backoff: None
) -> None:
    """Every warning that an adapter can cause, with an adapter that holds a key."""

    class Telling(BatchOperation):
        key = KEY

        def __repr__(self) -> str:
            return f"Telling({self.key})"

        async def poll(self, token: ContinuationToken) -> Outcome:
            if not works.hold:
                return await super().poll(token)
            works.hold = False
            return Running(token=token, retry_after=0.01, problem="503 from the works")

    works.hold = True
    works.after = [SubmissionUnknownError("502 from the works")]
    print_it = batch_node("print", works)
    print_it.operation = Telling(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, print_it), "x", run_id="run-1")
            assert await run.result() == "done: x1"
            works.polling = _refuse
            run = await executor.start(chain("w", first, print_it), "x", run_id="run-2")
            with pytest.raises(ProviderUnavailableError):
                await run.result()

    with caplog.at_level(logging.DEBUG, "perdure"):
        perform(test())
    told = [record.getMessage() for record in caplog.records if record.name == "perdure"]
    assert len(told) == 3
    assert all("run run-1" in line and "print" in line for line in told[:2])
    assert "502 from the works" in told[0]
    assert "503 from the works" in told[1]
    assert told[2] == "run run-2 is not driven on: ProviderUnavailableError: 401 from the works"
    assert KEY not in caplog.text


def _refuse(_batch: object) -> None:
    raise ProviderUnavailableError("401 from the works", code="401")


def test_nothing_that_is_stored_holds_what_only_the_adapter_knows(tmp_path: Path, works: Works) -> None:
    print_it = batch_node("print", works)
    print_it.operation.secret = KEY  # type: ignore[attr-defined]

    @node
    async def fail(text: str) -> str:
        raise ValueError("here")

    async def test() -> None:
        async with Executor(SQLiteStore(tmp_path / "perdure.db")) as executor:
            run = await executor.start(chain("w", first, print_it, fail), "x")
            with pytest.raises(RunFailedError):
                await run.result()
            await journal(run)

    perform(test())
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"works.batches" in stored
    assert KEY.encode() not in stored


def test_an_executor_that_has_nothing_to_do_ends_at_once(stores: Stores) -> None:
    async def test() -> None:
        began = time.monotonic()
        for _ in range(3):
            async with Executor(stores()):
                pass
        assert time.monotonic() - began < 5

    perform(test())


def test_waiting_for_a_run_again_and_again_adds_nothing(stores: Stores, works: Works) -> None:
    """A result that is asked for with a timeout, and a journal that is looked at now and then, by many."""
    works.hold = True

    async def main() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", batch_node("asked", works)), "x")
            waiters = runtime(executor).shared.waiters

            async def follow() -> None:
                async for _ in run.events():
                    pass

            for work in (run.result, follow) * 5:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(work(), 0.02)
            assert waiters.waiting == 0
            works.hold = False
            assert await run.result() == "done: x"

    perform(main())
