"""A run that is given up here takes all of its work with it, whoever began that: the wake queue, a poll, a successor."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from perdure.checkpoints.records import ActivationKey
from perdure.engine import Executor, Workflow
from perdure.engine.errors import DrivingInterruptedError
from perdure.engine.runtime._shared import SUBMISSIONS
from perdure.nodes import Node, OperationNode, SubmissionRejectedError, node

from .batches import Batch, BatchOperation, Works, batch_node
from .bench import Stores, chain, first, perform, runtime, second, until


@node
async def both(pair: tuple[str, str]) -> str:
    return "".join(pair)


def diamond(left: list[Node[str, str]], right: Node[str, str]) -> Workflow[str, str]:
    """Two branches that begin together and are joined."""
    workflow = Workflow[str, str]("w", start=first, end=both)
    workflow.edge(first, left[0])
    workflow.edge(first, right)
    for source, target in pairwise(left):
        workflow.edge(source, target)
    workflow.join((left[-1], right), both)
    return workflow


def stumble(_: Batch) -> None:
    raise KeyError("status")


def on(works: Works, kind: Callable[[Works], BatchOperation], finish: Callable[[Any], str]) -> Node[str, str]:
    """A node whose adapter is one of the test's own."""

    def request(text: str, _: object) -> Mapping[str, str]:
        return {"text": text}

    return OperationNode[str, str](
        "print", input=str, output=str, operation=kind(works), request=request, finish=finish
    )


def line(value: Any) -> str:
    return str(value["lines"][0])


def test_a_resubmission_under_way_is_waited_for_before_the_run_goes_on_elsewhere(stores: Stores) -> None:
    slow, odd = Works(), Works(hold=True)
    slow.before = [SubmissionRejectedError("429", retryable=True, retry_after=0.02)]
    workflow = diamond([batch_node("asked", slow)], batch_node("watched", odd))

    async def test() -> None:
        slow.gate = asyncio.Event()
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(slow.batches) and bool(odd.batches))
            odd.polling = stumble
            with pytest.raises(KeyError):
                await run.result()
            odd.polling, odd.hold = None, False
            resuming = asyncio.ensure_future(executor.resume("r"))
            await asyncio.sleep(0.3)
            assert not resuming.done(), "a submission is in flight"
            slow.gate.set()
            assert await (await resuming).result()

    perform(test())
    assert len(slow.batches) == 1


def test_a_plain_function_under_way_is_waited_for_before_the_run_goes_on_elsewhere(stores: Stores) -> None:
    quick, odd = Works(), Works(hold=True)
    begun: list[str] = []
    active: list[int] = []
    most: list[int] = []
    gate = threading.Event()

    @node
    def work(text: str) -> str:
        begun.append(text)
        active.append(1)
        most.append(len(active))
        gate.wait(10)
        time.sleep(0.02)
        active.pop()
        return text

    workflow = diamond([batch_node("asked", quick), work], batch_node("watched", odd))

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(begun) and bool(odd.batches))
            odd.polling = stumble
            with pytest.raises(KeyError):
                await run.result()
            odd.polling, odd.hold = None, False
            resuming = asyncio.ensure_future(executor.resume("r"))
            await asyncio.sleep(0.3)
            gate.set()
            assert await (await resuming).result()

    perform(test())
    assert max(most) == 1


def test_an_async_function_of_a_run_that_is_given_up_is_cancelled(stores: Stores) -> None:
    quick, odd = Works(), Works(hold=True)
    begun: list[str] = []
    ended: list[str] = []

    @node
    async def work(text: str) -> str:
        begun.append(text)
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return text

    workflow = diamond([batch_node("asked", quick), work], batch_node("watched", odd))

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(begun) and bool(odd.batches))
            odd.polling = stumble
            with pytest.raises(KeyError):
                await run.result()
            await until(lambda: ended == ["cancelled"])

    perform(test())


@dataclass(frozen=True)
class FrozenError(Exception):
    """Takes neither a note nor another cause."""

    code: str = "a"


class CodedError(Exception):
    """Can't be made with another text."""

    def __new__(cls, code: str) -> CodedError:
        assert code == "a"
        return super().__new__(cls, code)

    def __init__(self, code: str) -> None:
        super().__init__(code)


@pytest.mark.parametrize("error", [FrozenError("a"), CodedError("a")], ids=["frozen", "coded"])
def test_an_error_that_cant_be_told_in_other_words_ends_no_other_run(
    stores: Stores, error: Exception
) -> None:
    odd, well = Works(), Works(hold=True)

    def fail(_: Batch) -> None:
        raise error

    odd.polling = fail

    async def test() -> None:
        async with Executor(stores()) as executor:
            healthy = await executor.start(
                chain("h", first, batch_node("asked", well)), "y", run_id="healthy"
            )
            await until(lambda: bool(well.batches))
            run = await executor.start(chain("w", first, batch_node("print", odd)), "x", run_id="r")
            with pytest.raises((CodedError, DrivingInterruptedError)) as caught:
                await run.result()
            told: BaseException = caught.value
            assert error in (told, told.__cause__)
            assert "perdure resume r" in "".join([str(told), *getattr(told, "__notes__", ())])
            well.hold = False
            assert await healthy.result() == "done: y1"

    perform(test())


def test_an_adapter_that_hangs_before_it_submits_holds_up_nobody_else(stores: Stores, works: Works) -> None:
    """`prepare` may ask its provider. It is no submission, and takes none of their places."""
    asked: list[int] = []
    gates: list[asyncio.Event] = []

    class Hanging(BatchOperation):
        async def prepare(self) -> None:
            asked.append(1)
            if len(asked) > 1:  # the first time is before the first run is committed
                await gates[0].wait()

    hanging = chain("h", first, on(Works(), Hanging, line))

    async def test() -> None:
        gates.append(asyncio.Event())
        async with Executor(stores()) as executor:
            for number in range(SUBMISSIONS):
                await executor.start(hanging, "x", run_id=f"h{number}")
            await until(lambda: len(asked) > SUBMISSIONS)
            run = await executor.start(chain("b", first, batch_node("asked", works)), "y", run_id="b")
            assert await run.result() == "done: y1"
            gates[0].set()

    perform(test())


def test_how_values_of_context_variables_compare_is_their_own_affair(stores: Stores) -> None:
    class Array:
        def __eq__(self, other: object) -> bool:
            raise ValueError("The truth value of an array is ambiguous.")

        __hash__ = None  # type: ignore[assignment]

    variable: contextvars.ContextVar[Array] = contextvars.ContextVar("variable")

    @node
    async def sets(text: str) -> str:
        variable.set(Array())
        return text

    async def test() -> None:
        variable.set(Array())
        async with Executor(stores()) as executor:
            assert await (await executor.start(chain("w", first, sets, second), "x")).result() == "x12"

    perform(test())


def test_what_decoding_sets_in_context_variables_is_not_its_successors(stores: Stores, works: Works) -> None:
    """After a crash they would not see it either."""
    variable = contextvars.ContextVar("variable", default="as it was")
    seen: list[str] = []

    def finish(value: Any) -> str:
        variable.set("changed")
        return line(value)

    @node
    async def look(text: str) -> str:
        seen.append(variable.get())
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, on(works, BatchOperation, finish), look)
            await (await executor.start(workflow, "x")).result()

    perform(test())
    assert seen == ["as it was"]


@pytest.mark.usefixtures("evicted")
def test_a_run_that_was_loaded_for_no_more_than_a_look_is_evicted(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(chain("w", first, batch_node("print", works, every=60.0)), "x", run_id="r")
            await until(lambda: bool(works.batches))
            await executor.settled()
            memory = runtime(executor)
            assert not memory.drivers
            (run,) = memory.owned
            memory.shared.wake_queue.add(0.0, run, ActivationKey(0, "print", 0))  # it waits for no backoff
            await executor.settled()
            await until(lambda: not memory.drivers)

    perform(test())
