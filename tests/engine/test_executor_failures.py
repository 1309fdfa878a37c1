"""What can go wrong in the user's code: every message names the run, the node and the fix, and a retry goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Never

import pytest
from perdure.checkpoints import RunStatus, State, ValueNotStorableError, unpack
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import Context, OperationNode, SubmissionRejectedError, SubmissionUnknownError, node
from perdure.nodes.operations import Found, Json, Unavailable

from .batches import BatchOperation, Works, batch_node
from .bench import (
    Stores,
    chain,
    first,
    journal,
    perform,
    raises,
    record,
    rows,
    second,
    state_is,
    states,
    third,
    until,
)

S = State


class UnspeakableError(Exception):
    """An exception that can't be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Outside(BaseException):
    """One that `except Exception` does not see."""


def stop() -> Never:
    next(iter(()))
    raise AssertionError


def leave() -> Never:
    sys.exit(3)


def throw(error: BaseException) -> Callable[[], Never]:
    def thrower() -> Never:
        raise error

    return thrower


ACCIDENTS: dict[str, tuple[Callable[[], Never], str]] = {
    "value": (throw(ValueError("bad")), "ValueError: bad."),
    "sentence": (throw(ValueError("It is bad!")), "ValueError: It is bad! When"),
    "wordless": (throw(ValueError()), "ValueError: ValueError."),
    "unspeakable": (throw(UnspeakableError()), "UnspeakableError: "),
    "surrogates": (throw(OSError("caf\udce9")), "OSError: caf\udce9."),
    "cancelled": (throw(asyncio.CancelledError("mine")), "CancelledError: mine."),
    "timeout": (throw(TimeoutError("mine")), "TimeoutError: mine."),
    "stop": (stop, "RuntimeError: "),
    "async stop": (throw(StopAsyncIteration("mine")), "Stop"),
    "group": (throw(ExceptionGroup("many", [ValueError("one")])), "ExceptionGroup: many (1 sub-exception)."),
    "exit": (leave, "SystemExit: 3."),
    "outside": (throw(Outside("mine")), "Outside: mine."),
    "memory": (throw(MemoryError()), "MemoryError: MemoryError."),
    "deep": (throw(RecursionError("too deep")), "RecursionError: too deep."),
}


@pytest.mark.parametrize("kind", ["async", "plain"])
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_whatever_a_function_raises_is_its_failure_and_a_retry_goes_on(
    accident: str, kind: str, stores: Stores
) -> None:
    broken = True
    happen, said = ACCIDENTS[accident]

    @node(name="act")
    async def act(text: str) -> str:
        if broken:
            happen()
        return text

    @node(name="act")
    def act_plainly(text: str) -> str:
        if broken:
            happen()
        return text

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            workflow = chain("w", first, act if kind == "async" else act_plainly, third)
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, f"Run r failed at act: {said}", "executor.retry('r')") as caught:
                await run.result()
            assert caught.value.run_id == "r"
            assert caught.value.node == "act"
            assert caught.value.__cause__ is not None
            kept = (await rows(executor, "r"))["act"].error
            assert kept is not None
            assert "in act" in unpack(kept)["traceback"]
            assert (await journal(run))[-1] == "3 attempt_failed act"
            broken = False
            assert await (await executor.retry("r")).result() == "x13"

    perform(test())


def test_ctrl_c_in_a_function_ends_the_process_and_leaves_the_run(stores: Stores) -> None:
    interrupted = False

    @node
    async def act(text: str) -> str:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt
        return text

    workflow = chain("w", first, act, third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await run.result()

    with pytest.raises(KeyboardInterrupt):
        perform(test())

    async def go_on() -> None:
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "x13"

    perform(go_on())


def test_a_plain_function_that_returns_an_awaitable_is_told_to_be_async(stores: Stores) -> None:
    async def later(text: str) -> str:
        return text

    @node
    def act(text: str) -> str:
        return later(text)  # type: ignore[return-value]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with raises(RunFailedError, "r failed at act", "async def"):
                await run.result()

    perform(test())


# -- outputs ---------------------------------------------------------------------------------------------


def test_an_output_that_cant_be_stored_names_the_place_and_a_retry_goes_on(stores: Stores) -> None:
    broken = True

    @node
    async def act(text: str) -> dict[str, list[str]]:
        return {"good": ["x"], "bad": ["x", object()]} if broken else {"good": ["x"]}  # type: ignore[list-item]

    @node
    async def last(found: dict[str, list[str]]) -> str:
        return " ".join(found)

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act, last), "x", run_id="r")
            with raises(RunFailedError, "r failed at act: ValueNotStorableError: ", "$.bad[1]") as caught:
                await run.result()
            assert isinstance(caught.value.__cause__, ValueNotStorableError)
            assert caught.value.__cause__.path == "$.bad[1]"
            broken = False
            assert await (await executor.retry("r")).result() == "good"

    perform(test())


@pytest.mark.parametrize("output", [None, 1, b"x", ["x"]])
def test_an_output_of_another_type_than_the_annotation_is_refused(output: object, stores: Stores) -> None:
    @node
    async def act(text: str) -> str:
        return output  # type: ignore[return-value]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act, third), "x", run_id="r")
            with raises(RunFailedError, "r failed at act: ValueNotStorableError: ", "str"):
                await run.result()

    perform(test())


# -- retries and timeouts --------------------------------------------------------------------------------


def test_attempts_and_backoffs_are_committed(stores: Stores) -> None:
    seen: list[tuple[int, str]] = []

    @node(retries=2)
    def act(text: str, ctx: Context) -> str:
        seen.append((ctx.attempt, ctx.idempotency_key))
        if ctx.attempt < 3:
            raise ValueError(f"attempt {ctx.attempt}")
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act, third), "x", run_id="r")
            delays: list[float] = []
            async for event in run.events():
                if event.type == "attempt_failed":
                    row = (await rows(executor, "r"))["act"]
                    assert (row.state, row.attempt) == (S.BACKOFF, len(delays) + 1)
                    assert row.activation.wake_at == event.data["wake_at"]
                    assert row.error is not None
                    assert unpack(row.error)["message"] == f"attempt {row.attempt}"
                    assert event.data["error"] == unpack(row.error)
                    assert event.data["error"]["type"] == "ValueError"
                    delays.append(event.data["wake_at"] - event.at.timestamp())
                    assert await run.status() == RunStatus.WAITING
            assert await run.result() == "x13"
            assert 0.2 < delays[0] < 0.55
            assert 0.45 < delays[1] < 1.05
            row = (await rows(executor, "r"))["act"]
            assert (row.state, row.attempt, row.activation.wake_at) == (S.SUCCEEDED, 3, None)
            assert [attempt for attempt, _ in seen] == [1, 2, 3]
            assert len({key for _, key in seen}) == 1

    perform(test())


def test_a_backoff_goes_on_in_another_executor(stores: Stores) -> None:
    attempts: list[int] = []

    @node(retries=1)
    async def act(text: str, ctx: Context) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("again")
        return text

    workflow = chain("w", first, act)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "act", S.BACKOFF))
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "x1"
        assert attempts == [1, 2]

    perform(test())


def test_a_timeout_is_an_attempt_that_failed(stores: Stores, quick_backoff: None) -> None:
    cleaned: list[int] = []

    @node(retries=1, timeout=0.05)
    async def act(text: str, ctx: Context) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(ctx.attempt)
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with raises(RunFailedError, "r failed at act: NodeTimeoutError: Run r: act", "0.05 s") as caught:
                await run.result()
            assert isinstance(caught.value.__cause__, TimeoutError)
            assert cleaned == [1, 2]

    perform(test())


def test_a_timeout_that_is_not_reached_does_nothing(stores: Stores) -> None:
    @node(timeout=20)
    async def quick(text: str) -> str:
        await asyncio.sleep(0)
        return text

    @node(timeout=20)
    async def raising(text: str) -> str:
        raise TimeoutError("of its own")

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(chain("w", first, quick), "x")).result() == "x1"
            run = await executor.start(chain("v", first, raising), "x")
            with raises(RunFailedError, "raising: TimeoutError: of its own"):
                await run.result()

    perform(test())


# -- edges -----------------------------------------------------------------------------------------------


def branching(when: Callable[[str], bool], *, dropped: bool = False) -> Workflow[str, str | None]:
    @node
    async def last(text: str) -> str | None:
        return f"{text}!"

    workflow = Workflow("w", start=first, end=last)
    workflow.edge(first, second)
    workflow.edge(second, last, when=when)
    if dropped:
        workflow.discard(second)
    return workflow


def test_a_condition_that_raises_fails_the_edge_and_keeps_the_result(stores: Stores) -> None:
    broken = True
    asked: list[str] = []

    def when(text: str) -> bool:
        asked.append(text)
        if broken:
            raise KeyError("nothing like it")
        return True

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(branching(when), "x", run_id="r")
            for retry in (False, True):  # a retry evaluates the edge alone
                if retry:
                    run = await executor.retry("r")
                with raises(
                    RunFailedError,
                    "Run r failed at second",
                    "the condition of the edge from second to last raised KeyError: 'nothing like it'",
                    "result of second is kept",
                    "retry run r",
                ):
                    await run.result()
                assert (await rows(executor, "r"))["second"].state is S.SUCCEEDED
            broken = False
            assert await (await executor.retry("r")).result() == "x12!"
            lines = [line.split(" ", 1)[1] for line in await journal(run)]
            assert lines.count("succeeded second") == 1
            assert asked == ["x12"] * 3

    perform(test())


def test_no_edge_taken_is_an_error_that_tells_both_mends(stores: Stores) -> None:
    taken = False

    async def test() -> None:
        nonlocal taken
        async with Executor(stores()) as executor:
            run = await executor.start(branching(lambda text: taken), "x", run_id="r")
            with raises(
                RunFailedError,
                "r failed at second: NoEdgeTakenError: second succeeded",
                "last",
                "edge(second, …, otherwise=True)",
                "discard(second)",
                "retry run r",
            ):
                await run.result()
            taken = True
            assert await (await executor.retry("r")).result() == "x12!"

    perform(test())


def test_an_end_that_is_skipped_fails_the_run_and_names_the_deciding_edge(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(branching(lambda text: False, dropped=True), "x", run_id="r")
            with raises(
                RunFailedError, "r", "last, the end of workflow w, was skipped", "from second to last was not"
            ):
                await run.result()
            found = await rows(executor, "r")
            assert found["last"].state is S.SKIPPED

    perform(test())


def alternatives(one: bool, other: bool) -> Workflow[str, str]:
    """Both conditions may be true, which nobody can see before."""

    @node
    async def left(text: str) -> str:
        return f"{text} left"

    @node
    async def right(text: str) -> str:
        return f"{text} right"

    workflow = Workflow("w", start=first, end=third)
    workflow.edge(first, left, when=lambda text: one)
    workflow.edge(first, right, when=lambda text: other)
    workflow.edge(first, second, otherwise=True)
    for source in (left, right, second):
        workflow.edge(source, third)
    return workflow


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [(True, False, "x1 left3"), (False, True, "x1 right3"), (False, False, "x123")],
)
def test_the_edge_that_is_taken_leads_on(one: bool, other: bool, result: str, stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(alternatives(one, other), "x")).result() == result

    perform(test())


def test_two_values_for_one_input_are_an_error_that_tells_to_join(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(alternatives(True, True), "x", run_id="r")
            with raises(
                RunFailedError,
                "r failed at third: AmbiguousInputError: Run r: third was given",
                "join((left, right), third)",
            ):
                await run.result()

    perform(test())


# -- what is under way when another node fails --------------------------------------------------------------


class Slow(BatchOperation):
    """Getting ready to submit takes until `ready` is set; whether it can be used at all is said at once."""

    def __init__(self, works: Works) -> None:
        super().__init__(works)
        self.preparing = -1
        self.ready = asyncio.Event()

    async def prepare(self) -> None:
        self.preparing += 1
        if self.preparing:
            await self.ready.wait()


class Listed(BatchOperation):
    """Its batches can be looked for once the listing is `up`."""

    settles_within = 60.0
    submit_takes = 0.0
    up = False
    looked = 0

    async def find(self, request: Mapping[str, Json], key: str) -> Found | Unavailable:
        self.looked += 1
        found = tuple(self._token(batch.id) for batch in self.works.batches.values() if batch.key == key)
        return Found(tokens=found) if self.up else Unavailable(problem="down", retry_after=0.01)


def letting_finish(*operations: BatchOperation, failing: Works) -> Workflow[str, str]:
    """`bad` submits to the failing provider beside one node for each of these; all are joined."""

    @node
    async def last(found: tuple[str, ...]) -> str:
        return ", ".join(found)

    def ask(text: str, _: Context) -> Mapping[str, Json]:
        return {"text": text}

    beside = [
        OperationNode[str, str](
            f"good{number}", input=str, output=str, operation=operation, request=ask, finish=str
        )
        for number, operation in enumerate(operations)
    ]
    nodes = (batch_node("bad", failing), *beside)
    workflow = Workflow("w", start=first, end=last, on_failure="finish")
    for each in nodes:
        workflow.edge(first, each)
    workflow.join(nodes, last)
    return workflow


async def failing(executor: Executor) -> None:
    async def done() -> bool:
        return (await record(executor)).status is RunStatus.FAILING

    await until(done)


@pytest.mark.parametrize("restart", [False, True])
def test_what_gets_ready_to_submit_when_the_run_fails_submits_nothing_before_a_retry(
    restart: bool, stores: Stores
) -> None:
    good, bad = Works(), Works(before=[SubmissionRejectedError("No.", code="400")])

    async def test() -> None:
        slow = Slow(good)
        workflow = letting_finish(slow, failing=bad)
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await failing(executor)
            await until(lambda: slow.preparing == 1)
            if not restart:
                slow.ready.set()
                with raises(RunFailedError, "r failed at bad"):
                    await run.result()
        async with Executor(stores(), workflows=[workflow]) as executor:
            slow.ready.set()
            with raises(RunFailedError, "r failed at bad"):
                await (await executor.resume("r")).result()
            assert good.asked == []
            assert (await states(executor, "r"))["good0"] is S.READY
            await (await executor.retry("r")).result()
            assert (good.asked, bad.asked) == (["x1"], ["x1"])

    perform(test())


@pytest.mark.parametrize("restart", [False, True])
def test_a_run_that_fails_still_looks_for_a_submission_whose_reply_was_lost(
    restart: bool, stores: Stores
) -> None:
    lost, held = Works(after=[SubmissionUnknownError("503", retry_after=0.0)]), Works(hold=True)
    bad = Works(before=[SubmissionRejectedError("No.", code="400")])

    async def test() -> None:
        listed = Listed(lost)
        workflow = letting_finish(listed, BatchOperation(held), failing=bad)
        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.start(workflow, "x", run_id="r")
            await failing(executor)
            await until(lambda: listed.looked > 0)
            if not restart:
                listed.up = True
                await until(state_is(executor, "good0", S.SUCCEEDED))
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            listed.up = True
            await until(state_is(executor, "good0", S.SUCCEEDED))
            assert (await record(executor)).status is RunStatus.FAILING
            held.hold = False
            with raises(RunFailedError, "r failed at bad"):
                await run.result()
            await (await executor.retry("r")).result()
            assert (lost.asked, held.asked, bad.asked) == (["x1"], ["x1"], ["x1"])

    perform(test())
