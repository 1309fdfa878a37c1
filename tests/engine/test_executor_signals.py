"""What others leave for a run: each run has a queue of its own, and no signal harms more than itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from perdure.checkpoints import Signal, pack
from perdure.engine import Executor, RunCancelledError, RunFailedError
from perdure.engine.runtime import _signal_watch  # pyright: ignore[reportPrivateUsage]
from perdure.nodes import ContinuationToken, SubmissionUnknownError, node
from perdure.nodes.operations import Outcome

from .batches import BatchOperation, Works, batch_node
from .bench import Stores, chain, first, perform, read, record, store_of, third, until

TOKEN = {
    "provider": "works.batches",
    "handle": {"batch": "batch-9", "output_file": "file-9"},
    "cursor": None,
    "created_at": 1.0,
}
GOOD_FATE = {"operation": [1, "", 0], "reply": "fail"}
GOOD_HANDLE = {"token": TOKEN, "operation": [1, "", 0], "submission": 1}


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals are looked for every few hundredths of a second."""
    monkeypatch.setattr(_signal_watch, "INTERVAL", 0.05)


POISON: dict[str, tuple[str, str | None, bytes]] = {
    "no msgpack": ("handle", "print", b"\xc1"),
    "no dict": ("handle", "print", pack([])),
    "a fate without an address": ("fate", None, pack(GOOD_FATE)),
    "no fate": ("fate", "print", pack({})),
    "a fate that is a number": ("fate", "print", pack({**GOOD_FATE, "reply": 7})),
    "a fate for no operation": ("fate", "print", pack({"reply": "fail"})),
    "a fate for an enormous operation": ("fate", "print", pack({**GOOD_FATE, "operation": [2**63, "", 0]})),
    "a fate for a node that is not there": ("fate", "nobody", pack(GOOD_FATE)),
    "a handle without an address": ("handle", None, pack(GOOD_HANDLE)),
    "a handle for a node that is not there": ("handle", "nobody", pack(GOOD_HANDLE)),
    "no token": ("handle", "print", pack({**GOOD_HANDLE, "token": {"provider": 7}})),
    "no operation": ("handle", "print", pack({**GOOD_HANDLE, "operation": ["x", 0]})),
    "an operation of text": ("handle", "print", pack({**GOOD_HANDLE, "operation": ["1", "", "0"]})),
    "a submission of text": ("handle", "print", pack({**GOOD_HANDLE, "submission": "x"})),
    "a submission of nothing": ("handle", "print", pack({**GOOD_HANDLE, "submission": None})),
    "an enormous submission": ("handle", "print", pack({**GOOD_HANDLE, "submission": 2**63})),
    "an unknown kind": ("telepathy", "print", pack({})),
}
"""Signals that nobody can act on: kind, node, data."""


async def signals(executor: Executor, run: int) -> list[Signal]:
    """What is left for the run."""
    return await read(executor, lambda view: view.signals([run]))


@pytest.mark.parametrize("poison", POISON)
def test_a_signal_that_cant_be_acted_on_stops_nothing(
    poison: str, stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the run that it is for, nor the signals behind it, nor the run's next owner."""
    works.hold = True
    workflow = chain("w", first, batch_node("print", works), third)
    kind, about, data = POISON[poison]

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches) and works.one.polls > 0)
            key = (await record(executor)).key
            await store_of(executor).signal(key, kind, about, (), data)
            await until(lambda: "signal" in caplog.text or "waits for no answer" in caplog.text)
            assert executor.drives("r")
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "done: x13"
        assert len(works.batches) == 1

    perform(test())


@pytest.mark.parametrize("poison", ["no msgpack", "a submission of text", "an unknown kind"])
def test_a_signal_behind_one_that_cant_be_acted_on_is_acted_on(
    poison: str, stores: Stores, works: Works
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))
    kind, about, data = POISON[poison]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            key = (await record(executor)).key
            await store_of(executor).signal(key, kind, about, (), data)
            await store_of(executor).signal(key, "cancel", None, (), pack({}))
            with pytest.raises(RunCancelledError):
                await run.result()
            (left,) = await signals(executor, key)
            assert (left.kind, left.data) == (kind, data)  # it stays, for a person to look at

    perform(test())
    assert works.one.status == "cancelled"


def test_a_signal_of_an_unknown_kind_stays_and_is_told_once(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            key = (await record(executor)).key
            await store_of(executor).signal(key, "telepathy", None, (), pack({"thought": "otters"}))
            await until(lambda: "telepathy" in caplog.text)
            await asyncio.sleep(0.2)  # some more looks
            works.hold = False
            assert await run.result() == "done: x1"
            (left,) = await signals(executor, key)
            assert left.kind == "telepathy"

    perform(test())
    (told,) = [one.getMessage() for one in caplog.records if one.name == "perdure"]
    assert "run r" in told
    assert "'telepathy'" in told


class SlowToCancel(BatchOperation):
    """A provider that takes its time to answer a cancel."""

    def __init__(self, works: Works) -> None:
        super().__init__(works)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def cancel(self, token: ContinuationToken) -> Outcome:
        self.asked.set()
        await self.answer.wait()
        return await super().cancel(token)


def test_no_signal_waits_for_the_provider_that_cancels_a_late_handle(stores: Stores, works: Works) -> None:
    """Neither those of another run, nor those behind it in its own."""
    works.hold = True
    works.after = [SubmissionUnknownError("The reply is lost.", retry_after=0.0)]

    async def test() -> None:
        slow = SlowToCancel(works)
        print_ = batch_node("print", works)
        workflow = chain("w", first, print_)
        async with Executor(stores()) as executor:
            runs = [await executor.start(workflow, name, run_id=name) for name in "ab"]
            await until(lambda: len(works.batches) == 3)
            await executor.settled()
            print_.operation = slow
            one, other = [(await record(executor, run.id)).key for run in runs]
            late: Mapping[str, object] = {**GOOD_HANDLE, "token": slow.adopt("batch-1").to_dict()}
            store = store_of(executor)
            await store.signal(one, "handle", "print", (), pack(late))
            await slow.asked.wait()
            await store.signal(one, "cancel", None, (), pack({}))
            await store.signal(other, "cancel", None, (), pack({}))

            async def dealt_with() -> bool:
                return await signals(executor, one) == await signals(executor, other) == []

            await until(dealt_with)
            assert works.batches["batch-1"].cancels == 0
            slow.answer.set()
            for run in runs:
                with pytest.raises(RunCancelledError):
                    await run.result()
            await until(lambda: works.batches["batch-1"].status == "cancelled")

    perform(test())


def test_a_retry_holds_no_other_verb_while_a_provider_is_asked(stores: Stores, works: Works) -> None:
    """A late handle that was left for a failed run is cancelled at a slow provider; other runs are taken up meanwhile."""
    broken = True

    @node
    async def breaks(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        return text

    async def test() -> str:
        nonlocal broken
        later = batch_node("later", works)
        later.operation = slow = SlowToCancel(works)
        works.after = [SubmissionUnknownError("The reply is lost.", retry_after=0.0)]
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", later, breaks), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken = False
            late: Mapping[str, object] = {**GOOD_HANDLE, "token": slow.adopt("batch-1").to_dict()}
            await store_of(executor).signal((await record(executor)).key, "handle", "later", (), pack(late))
            retried = asyncio.create_task(executor.retry("r"))
            await slow.asked.wait()
            await executor.resume_all()
            slow.answer.set()
            return await (await retried).result()

    assert perform(test()) == "done: x"
