"""Handles that come late, and submissions that nobody needs: adopted, or cancelled until that is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from perdure.checkpoints import MemoryStore, RunStatus, Signal, State, StoreError, pack
from perdure.engine import Executor, Workflow
from perdure.engine.errors import HandleNotCommittedError
from perdure.engine.runtime import _signal_watch  # pyright: ignore[reportPrivateUsage]
from perdure.nodes import ContinuationToken, ProviderUnavailableError, SubmissionUnknownError
from perdure.nodes.operations import Json, Outcome

from .batches import BatchOperation, Works, batch_node
from .bench import Stores, chain, perform, read, record, rows, second, states, store_of, until

S = State


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals are looked for every few hundredths of a second."""
    monkeypatch.setattr(_signal_watch, "INTERVAL", 0.05)


class Honouring(BatchOperation):
    """A provider that honours keys for a minute. `gate` holds the reply to any submission but the first."""

    idempotent_for = 60.0

    def __init__(self, works: Works) -> None:
        super().__init__(works)
        self.sent = 0
        self.gate = asyncio.Event()

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        self.sent += 1
        known = next((batch for batch in self.works.batches.values() if batch.key == key), None)
        batch = known or self.works.accept(request, key)
        if self.sent == 1:
            raise SubmissionUnknownError("The reply is lost.", retry_after=0.0)
        await self.gate.wait()
        return self._token(batch.id)


class Unwilling(BatchOperation):
    """A provider that answers cancels with this for as long as it is set."""

    def __init__(self, works: Works) -> None:
        super().__init__(works)
        self.error: BaseException | None = ProviderUnavailableError("401", code="401")
        self.cancels = 0

    async def cancel(self, token: ContinuationToken) -> Outcome:
        self.cancels += 1
        if self.error is not None:
            raise self.error
        return await super().cancel(token)


def late(batch: str, works: Works, *, submission: int = 1) -> bytes:
    """What a former owner leaves of a handle."""
    token = BatchOperation(works).adopt(batch).to_dict()
    return pack({"token": token, "operation": [1, "", 0], "submission": submission})


def asking(works: Works, adapter: BatchOperation | None = None) -> Workflow[Any, Any]:
    """`asked`, and a function behind it."""
    asked = batch_node("asked", works)
    if adapter is not None:
        asked.operation = adapter
    return chain("w", asked, second)


async def signals(executor: Executor) -> list[Signal]:
    return await read(executor, lambda view: view.signals())


async def fates(executor: Executor) -> dict[str | None, str]:
    return {row.handle: row.fate for row in (await rows(executor, "r"))["asked"].submissions}


async def leave(executor: Executor, data: bytes) -> None:
    await store_of(executor).signal((await record(executor)).key, "handle", "asked", (), data)


def test_the_handle_of_an_operation_is_not_cancelled_while_its_key_is_honoured(
    stores: Stores, works: Works
) -> None:
    """Submission 1 is of unknown fate, 2 is under way, 1's handle comes, and the reply to 2 brings the same."""

    async def main() -> None:
        adapter = Honouring(works)
        async with Executor(stores()) as executor:
            run = await executor.start(asking(works, adapter), "x", run_id="r")
            await until(lambda: adapter.sent == 2)
            assert (await states(executor, "r"))["asked"] is S.SUBMITTING
            await leave(executor, late("batch-1", works))
            await asyncio.sleep(0.2)  # some looks
            assert len(await signals(executor)) == 1  # it can't be said yet what it means
            works.hold = True
            adapter.gate.set()

            async def dealt_with() -> bool:
                return await signals(executor) == []

            await until(dealt_with)
            works.hold = False
            assert await run.result() == "done: x2"
            assert await fates(executor) == {"batch-1 file-of-batch-1": "accepted"}

    perform(main())
    assert works.one.cancels == 0


def test_a_cancel_that_the_provider_refuses_stops_no_run_and_is_sent_after_its_end_and_a_restart(
    files: Stores, works: Works
) -> None:
    works.after = [SubmissionUnknownError("The reply is lost.", retry_after=0.0)]
    works.hold = True
    adapter = Unwilling(works)
    workflow = asking(works, adapter)

    async def first() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(works.batches) == 2 and works.batches["batch-2"].polls > 0)
            await leave(executor, late("batch-1", works))
            await until(lambda: adapter.cancels >= 2)  # bounded: it is not given up, and holds nothing up
            assert executor.drives("r")
            works.hold = False
            assert await run.result() == "done: x2"
            asked = adapter.cancels
            await asyncio.wait_for(executor.settled(), 0.5)
            await until(lambda: adapter.cancels > asked)  # the run has ended, its cancel is open
            assert await fates(executor) == {
                "batch-1 file-of-batch-1": "stray",
                "batch-2 file-of-batch-2": "accepted",
            }

    async def after_a_restart() -> None:
        adapter.error = None
        async with Executor(files(), workflows=[workflow]) as executor:
            assert (await executor.resume_all()).runs == ()

            async def acknowledged() -> bool:
                return "stray_cancelled" in (await fates(executor)).values()

            await until(acknowledged)
            run = await executor.resume("r")
            assert await run.status() == RunStatus.SUCCEEDED
            assert await read(executor, lambda view: view.unsettled()) == []

    perform(first())
    perform(after_a_restart())
    assert works.batches["batch-1"].status == "cancelled"


def test_a_late_handle_of_a_run_that_has_ended_is_followed_by_whoever_knows_its_workflow(
    files: Stores, works: Works
) -> None:
    works.after = [SubmissionUnknownError("The reply is lost.", retry_after=0.0)]
    workflow = asking(works)

    async def main() -> None:
        async with Executor(files()) as executor:
            assert await (await executor.start(workflow, "x", run_id="r")).result() == "done: x2"
        async with Executor(files(), workflows=[workflow]) as executor:  # it drives nothing
            await leave(executor, late("batch-1", works))
            await until(lambda: works.batches["batch-1"].status == "cancelled")

            async def acknowledged() -> bool:
                return "stray_cancelled" in (await fates(executor)).values()

            await until(acknowledged)
            assert await signals(executor) == []
            await leave(executor, late("batch-2", works, submission=2))  # it is the one that counted

            async def dealt_with() -> bool:
                return await signals(executor) == []

            await until(dealt_with)

    perform(main())
    assert works.batches["batch-2"].cancels == 0


def test_a_handle_of_a_submission_that_was_never_made_is_neither_cancelled_nor_thrown_away(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    works.hold = True

    async def main() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(asking(works), "x", run_id="r")
            await until(lambda: bool(works.batches) and works.one.polls > 0)
            works.accept({"text": "of somebody else"}, "another key")
            await leave(executor, late("batch-2", works, submission=2))
            await until(lambda: "it has no such submission" in caplog.text)
            works.hold = False
            assert await run.result() == "done: x2"
            assert [signal.kind for signal in await signals(executor)] == ["handle"]

    perform(main())
    assert works.batches["batch-2"].cancels == 0


class Unwritable(MemoryStore):
    """A store that can't be written for a while."""

    broken = False

    async def commit(self, transition: Any) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        await super().commit(transition)

    async def signal(self, run: int, kind: str, node: str | None, path: tuple[int, ...], data: bytes) -> int:
        if self.broken:
            raise StoreError("the disk is full")
        return await super().signal(run, kind, node, path, data)


def test_a_handle_that_can_not_be_written_is_tried_again_for_as_long_as_the_process_lives(
    works: Works,
) -> None:
    works.gate = asyncio.Event()
    workflow = asking(works)

    async def main() -> None:
        store = Unwritable()
        async with Executor(store) as executor:
            assert works.gate is not None
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            store.broken = True
            works.gate.set()
            with pytest.raises(HandleNotCommittedError, match="batch-1"):
                await run.result()
            await asyncio.wait_for(executor.settled(), 0.5)
            await asyncio.sleep(1.5)  # a try that comes to nothing
            store.broken = False

            async def left() -> bool:
                return len(await signals(executor)) == 1

            await until(left)
            assert await (await executor.resume("r")).result() == "done: x2"

    perform(main())
    assert works.one.status == "completed"


def test_a_handle_that_could_not_be_written_is_written_by_the_stop_where_it_can_be(works: Works) -> None:
    works.gate = asyncio.Event()
    workflow = asking(works)

    async def main() -> None:
        store = Unwritable()
        async with Executor(store) as executor:
            assert works.gate is not None
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            store.broken = True
            works.gate.set()
            with pytest.raises(HandleNotCommittedError, match="batch-1"):
                await run.result()
            store.broken = False
        async with store:
            assert [signal.kind for signal in await store.read(lambda view: view.signals())] == ["handle"]

    perform(main())
