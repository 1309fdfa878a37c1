"""Runs whose driving stops or that were lost: verbs still do what they promise, and errors say how to go on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from perdure.checkpoints import RunStatus, SQLiteView, State, StoreError
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.engine.core.policy import Policy, poll_interval
from perdure.engine.runtime import _recovery, _signal_watch  # pyright: ignore[reportPrivateUsage]
from perdure.nodes import ProviderUnavailableError, SubmissionUnknownError, node
from perdure.nodes.polling import Polling

from .batches import Batch, BatchOperation, Works, batch_node
from .bench import Stores, chain, first, perform, raises, record, second, state_is, until


def lose(file: Path, run_id: str = "r") -> None:
    """Another executor has taken the run, and has died since."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE runs SET owner = 'somebody', fence = fence + 1 WHERE id = ?", (run_id,))


async def status_is(executor: Executor, status: RunStatus, run_id: str = "r") -> None:
    async def done() -> bool:
        return (await record(executor, run_id)).status is status

    await until(done)


# -- verbs -----------------------------------------------------------------------------------------------


def test_a_run_that_was_lost_unnoticed_is_cancelled_all_the_same(
    files: Stores, tmp_path: Path, works: Works
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works, every=60.0))

    async def test() -> None:
        async with Executor(files()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.settled()
            lose(tmp_path / "perdure.db")
            assert executor.drives("r"), "it has noticed nothing yet"
            await executor.cancel("r")
            assert (await record(executor)).status in (RunStatus.CANCELLING, RunStatus.CANCELLED)
            await until(lambda: works.one.cancels > 0)

    perform(test())


def test_a_run_that_was_lost_unnoticed_is_answered_all_the_same(
    files: Stores, tmp_path: Path, works: Works
) -> None:
    works.before = [SubmissionUnknownError("503")]
    workflow = chain("w", first, batch_node("print", works, on_unknown_submit="hold"))

    async def test() -> None:
        async with Executor(files()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "print", State.SUBMIT_UNKNOWN))
            await executor.settled()
            lose(tmp_path / "perdure.db")
            await executor.decide("r", "print", "resubmit")
            await status_is(executor, RunStatus.SUCCEEDED)
        assert works.asked == ["x1"]

    perform(test())


@pytest.mark.usefixtures("evicted")
def test_a_run_whose_load_fails_once_is_cancelled_all_the_same(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works, every=60.0))
    load: Callable[[SQLiteView, Sequence[int]], Any] = SQLiteView.load
    failed: list[bool] = []

    def fail_once(view: SQLiteView, keys: Sequence[int]) -> Any:
        if not failed:
            failed.append(True)
            raise StoreError("the disk can't be read now")
        return load(view, keys)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.settled()
            monkeypatch.setattr(SQLiteView, "load", fail_once)
            await executor.cancel("r")
            assert (await record(executor)).status in (RunStatus.CANCELLING, RunStatus.CANCELLED)
        assert failed

    perform(test())


@pytest.mark.usefixtures("evicted")
def test_a_run_that_can_never_be_loaded_is_no_silent_success(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel is in the database all the same: the next owner acts on it."""
    works.hold = True
    workflow = chain("w", first, batch_node("print", works, every=60.0))

    def fail(*_: Any) -> Any:
        raise StoreError("the disk can't be read now")

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.settled()
            with monkeypatch.context() as patch:
                patch.setattr(SQLiteView, "load", fail)
                with raises(StoreError, "Run r", "can't be read now", "perdure resume r"):
                    await executor.cancel("r")
            assert not executor.drives("r")
        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.resume("r")
            await until(lambda: works.one.cancels > 0)

    perform(test())


def test_two_answers_at_once_are_not_both_said_to_count(stores: Stores, works: Works) -> None:
    works.before = [SubmissionUnknownError("503")]
    works.hold = True
    workflow = chain("w", first, batch_node("print", works, on_unknown_submit="hold"))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "print", State.SUBMIT_UNKNOWN))
            told = await asyncio.gather(
                executor.decide("r", "print", "fail"),
                executor.decide("r", "print", "resubmit"),
                return_exceptions=True,
            )
            assert [type(each).__name__ for each in told] == ["NoneType", "AnswerError"]

    perform(test())


def test_a_run_that_is_being_given_back_holds_no_verb_of_another_run(stores: Stores) -> None:
    """Run a can't be given back before its submission has an answer; a resume of it waits for that, and nobody else."""
    slow, odd = Works(), Works()
    slow.gate = asyncio.Event()
    odd.hold = True

    @node
    async def both(pair: tuple[str, str]) -> str:
        return "".join(pair)

    asked, watched = batch_node("asked", slow), batch_node("watched", odd)
    workflow = Workflow[str, str]("w", start=first, end=both)
    workflow.edge(first, asked)
    workflow.edge(first, watched)
    workflow.join((asked, watched), both)

    async def test() -> None:
        assert slow.gate is not None
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="a")
            await until(lambda: bool(slow.batches) and bool(odd.batches))

            def stumble(_: Batch) -> None:
                raise KeyError("status")

            odd.polling = stumble
            with pytest.raises(KeyError):
                await run.result()
            odd.polling = None
            await executor.start(chain("v", first, batch_node("print", odd)), "y", run_id="b")
            resume = asyncio.ensure_future(executor.resume("a"))
            await asyncio.sleep(0.05)
            await asyncio.wait_for(executor.cancel("b"), 10)
            assert not resume.done()
            slow.gate.set()
            odd.hold = False
            assert await (await resume).result() == "done: x1done: x1"
        assert len(slow.batches) == 1

    perform(test())


def test_a_retry_that_stumbles_leaves_a_run_that_can_be_taken_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    @node
    async def fragile(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        return text

    def stumble(_: Any) -> Any:
        raise KeyError("a bug of ours")

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, fragile), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken.clear()
            with monkeypatch.context() as patch:
                patch.setattr(_recovery, "pending", stumble)
                with pytest.raises(KeyError, match="a bug of ours"):
                    await (await executor.retry("r")).result()
                assert not executor.drives("r")
            assert await (await executor.resume("r")).result() == "x1"

    perform(test())


# -- what is told ----------------------------------------------------------------------------------------


def test_a_provider_that_will_not_talk_is_told_with_the_run_the_place_and_how_to_go_on(
    stores: Stores, works: Works
) -> None:
    def refuse(_: Batch) -> None:
        raise ProviderUnavailableError("401 from the works", code="unauthorized")

    works.polling = refuse

    @node
    async def split(text: str) -> list[str]:
        return [text] * 3

    @node
    async def joined(texts: list[str]) -> str:
        return ",".join(texts)

    asked = batch_node("asked", works)
    workflow = Workflow[str, str]("w", start=split, end=joined)
    workflow.map(split, asked)
    workflow.collect(asked, joined)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            told = r"^Run r is not driven on here: asked\[\d+\]: 401 from the works\. It stays as it was committed; "
            with pytest.raises(ProviderUnavailableError, match=told) as caught:
                await run.result()
            assert "executor.resume('r') or `perdure resume r`" in str(caught.value)
            assert caught.value.code == "unauthorized"
            assert str(caught.value.__cause__) == "401 from the works"

    perform(test())


def test_a_provider_that_can_not_be_asked_at_all_is_told_with_the_place(stores: Stores, works: Works) -> None:
    """By a task that went on from one node to the next."""
    asked = batch_node("print", works)

    class Unprepared(BatchOperation):
        prepared = 0

        async def prepare(self) -> None:
            self.prepared += 1
            if self.prepared > 1:  # the start has found it usable
                raise ProviderUnavailableError("no key is set")

    asked.operation = Unprepared(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second, asked), "x", run_id="r")
            with pytest.raises(
                ProviderUnavailableError, match=r"^Run r is not driven on here: print: no key is set\. "
            ):
                await run.result()

    perform(test())


def test_a_provider_that_can_not_be_used_is_told_before_a_run_is_committed(
    stores: Stores, works: Works
) -> None:
    asked = batch_node("print", works)

    class Unprepared(BatchOperation):
        async def prepare(self) -> None:
            raise ProviderUnavailableError("no key is set")

    asked.operation = Unprepared(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            with pytest.raises(ProviderUnavailableError, match="no key is set"):
                await executor.start(chain("w", first, second, asked), "x", run_id="r")
            assert await executor.runs() == []

    perform(test())


def test_an_error_with_a_text_of_its_own_gets_a_note(stores: Stores, works: Works) -> None:
    def stumble(_: Batch) -> None:
        raise KeyError("status")

    works.polling = stumble

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            with pytest.raises(KeyError, match="status") as caught:
                await run.result()
            (note,) = caught.value.__notes__
            assert note.startswith("Run r is not driven on here: print. It stays as it was committed; ")
            assert "perdure resume r" in note

    perform(test())


def test_a_run_that_was_taken_over_is_told_where_it_goes_on(
    files: Stores, tmp_path: Path, works: Works
) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            waiter = asyncio.ensure_future(run.result())
            await asyncio.sleep(0)
            lose(tmp_path / "perdure.db")
            works.hold = False
            with raises(StoreError, "un r", "perdure"):
                await waiter

    perform(test())


# -- what it costs ---------------------------------------------------------------------------------------


def test_signals_are_looked_for_by_their_owner_however_many_runs_wait(
    stores: Stores, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.hold = True
    monkeypatch.setattr(_signal_watch, "INTERVAL", 0.02)
    workflow = chain("w", first, batch_node("print", works, every=60.0))
    signals = SQLiteView.signals
    asked: list[tuple[int | None, bool]] = []

    def seen(view: SQLiteView, runs: Sequence[int] | None = None, *, owner: str | None = None) -> Any:
        asked.append((None if runs is None else len(runs), owner is not None))
        return signals(view, runs, owner=owner)

    async def test() -> None:
        async with Executor(stores()) as executor:
            for number in range(20):
                await executor.start(workflow, "x", run_id=f"r{number}")
            await until(lambda: len(works.batches) == 20)
            monkeypatch.setattr(SQLiteView, "signals", seen)
            await until(lambda: len(asked) >= 5)
            assert set(asked) == {(None, True)}
            await executor.cancel("r7")
            await status_is(executor, RunStatus.CANCELLING, "r7")

    perform(test())


@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.5, 0.999])
@pytest.mark.parametrize(
    "polling", [Polling(), Polling(first=0.01, cap=0.02), Polling(first=5, cap=9, jitter=0.5)]
)
def test_the_core_polls_as_polling_says(polling: Polling, jitter: float) -> None:
    policy = Policy(first_poll=polling.first, longest_poll=polling.cap, spread=polling.jitter)
    for age in (-1.0, 0.0, 0.1, 0.3, 0.9, 1.9, 2.0, 3.3, 10.0, 38.0, 40.0, 3600.0, 1e9):
        assert poll_interval(policy, age, jitter) == polling.interval(age, jitter)
