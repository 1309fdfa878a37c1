"""A policy belongs to the code that drives a run: it may change between a start and a resume."""

from __future__ import annotations

import asyncio

import pytest
from perdure.checkpoints import RunStatus, State
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.engine.runtime._policies import policies_of, stored_policies
from perdure.nodes import Context, OnUnknownSubmit, SubmissionUnknownError, node

from .batches import Works, batch_node
from .bench import Stores, chain, first, journal, perform, raises, record, rows, state_is, until
from .test_executor_races import Sibling

POLICIES: tuple[OnUnknownSubmit, OnUnknownSubmit] = ("fail", "resubmit")


def shaped(works: Works, *, retries: int = 0) -> tuple[Workflow[str, str], list[int]]:
    """The workflow whose last function succeeds at its third attempt; and its attempts."""
    attempts: list[int] = []

    @node(retries=retries)
    async def act(text: str, ctx: Context) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return text

    return chain("w", first, batch_node("print", works), act), attempts


def test_other_retries_take_effect_at_a_resume_and_are_journaled(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    works.hold = True
    before, _ = shaped(works)
    after, attempts = shaped(works, retries=2)
    assert before.signature == after.signature

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(before, "x", run_id="r")
            await until(lambda: bool(works.batches))
        works.hold = False
        async with Executor(stores(), workflows=[after]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: x1"
            assert attempts == [1, 2, 3]
            assert [line.split()[1] for line in await journal(run)].count("policies_changed") == 1
            changed = [event async for event in run.events() if event.type == "policies_changed"]
            assert changed[0].data["policies"]["act"] == {"retries": 2}

    perform(test())
    assert len(works.batches) == 1


def test_fewer_retries_take_effect_too(stores: Stores, works: Works, quick_backoff: None) -> None:
    works.hold = True
    before, _ = shaped(works, retries=2)
    after, attempts = shaped(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(before, "x", run_id="r")
            await until(lambda: bool(works.batches))
        works.hold = False
        async with Executor(stores(), workflows=[after]) as executor:
            with pytest.raises(RunFailedError, match="not yet"):
                await (await executor.resume("r")).result()
        assert attempts == [1]

    perform(test())


def test_the_start_of_a_known_run_brings_its_policies_too(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    works.hold = True
    before, _ = shaped(works)
    after, attempts = shaped(works, retries=2)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(before, "x", run_id="r")
            await until(lambda: bool(works.batches))
        works.hold = False
        async with Executor(stores()) as executor:
            assert await (await executor.start(after, "x", run_id="r")).result() == "done: x1"
        assert attempts == [1, 2, 3]

    perform(test())


def test_a_retry_brings_other_policies(stores: Stores, works: Works, quick_backoff: None) -> None:
    before, _ = shaped(works)
    after, attempts = shaped(works, retries=5)

    async def test() -> None:
        async with Executor(stores()) as executor:
            with pytest.raises(RunFailedError):
                await (await executor.start(before, "x", run_id="r")).result()
        async with Executor(stores(), workflows=[after]) as executor:
            assert await (await executor.retry("r")).result() == "done: x1"
        assert attempts == [2, 3]

    perform(test())
    assert len(works.batches) == 1


def test_policies_that_stayed_the_same_are_not_journaled(stores: Stores, works: Works) -> None:
    works.hold = True
    workflow, _ = shaped(works, retries=2)
    same, _ = shaped(works, retries=2)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
        for _ in range(2):
            async with Executor(stores(), workflows=[same]) as executor:
                await executor.resume("r")
        async with Executor(stores(), workflows=[same]) as executor:
            run = await executor.resume("r")
            assert await run.status() == RunStatus.WAITING
            events = await executor.start(same, "x", run_id="r")
            seen = [event.type async for event in events.events() if stop(event.position)]
            assert "policies_changed" not in seen

    def stop(position: int) -> bool:
        works.hold = position < 4
        return True

    perform(test())


def mapped(works: Works, concurrency: int | None) -> Workflow[str, str]:
    @node
    async def texts(text: str) -> list[str]:
        return [f"{text}{number}" for number in range(6)]

    @node
    async def gather(lines: list[str]) -> str:
        return " ".join(lines)

    workflow = Workflow[str, str]("w", start=texts, end=gather)
    printed = batch_node("print", works)
    workflow.map(texts, printed, concurrency=concurrency)
    workflow.collect(printed, gather)
    return workflow


def test_a_higher_concurrency_starts_more_items_at_a_resume(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(mapped(works, 1), "x", run_id="r")
            await until(lambda: len(works.batches) == 1)
            await executor.settled()
        async with Executor(stores(), workflows=[mapped(works, 4)]) as executor:
            run = await executor.resume("r")
            await until(lambda: len(works.batches) == 4)
            await executor.settled()
            assert len(works.batches) == 4
            works.hold = False
            assert await run.result() == " ".join(f"done: x{number}" for number in range(6))

    perform(test())


def test_a_lower_concurrency_starts_none_until_there_is_room(stores: Stores, works: Works) -> None:
    works.hold = True
    most = 0

    def count(_: object) -> None:
        nonlocal most
        under_way = [batch for batch in works.batches.values() if batch.status == "in_progress"]
        most = max(most, len(under_way))

    async def test() -> None:
        nonlocal most
        async with Executor(stores()) as executor:
            await executor.start(mapped(works, 3), "x", run_id="r")
            await until(lambda: len(works.batches) == 3)
            await executor.settled()
        works.batches["batch-1"].status = "completed"
        async with Executor(stores(), workflows=[mapped(works, 1)]) as executor:
            run = await executor.resume("r")
            await until(lambda: works.batches["batch-1"].polls > 0 and works.batches["batch-3"].polls > 3)
            assert len(works.batches) == 3  # two are still out
            works.batches["batch-2"].status = works.batches["batch-3"].status = "completed"
            most = 0
            works.polling = count
            works.hold = False
            assert await run.result() == " ".join(f"done: x{number}" for number in range(6))
            assert most == 1

    perform(test())


def test_a_deadline_that_was_set_later_ends_what_waits_already(stores: Stores, works: Works) -> None:
    works.hold = True
    before, after = batch_node("print", works), batch_node("print", works)
    after.deadline = 0.05

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(chain("w", first, before), "x", run_id="r")
            await until(lambda: bool(works.batches))
        async with Executor(stores(), workflows=[chain("w", first, after)]) as executor:
            with raises(RunFailedError, "Run r: print still ran", "its deadline", "perdure retry r"):
                await (await executor.resume("r")).result()
            assert works.one.status == "cancelled"
            assert (await rows(executor, "r"))["print"].attempt == 1

    perform(test())


def test_a_retry_settles_what_is_unknown_by_the_policy_that_it_brings(stores: Stores, works: Works) -> None:
    """A person has changed the policy for this very retry."""
    sibling = Sibling()
    works.after = [SubmissionUnknownError("500")]
    before, after = (
        sibling.beside(batch_node("asked", works, on_unknown_submit=policy, retries=0)) for policy in POLICIES
    )

    async def test() -> None:
        works.gate = asyncio.Event()
        async with Executor(stores()) as executor:
            run = await executor.start(before, "x", run_id="r")
            await until(state_is(executor, "sibling", State.FAILED))
            works.gate.set()
            with pytest.raises(RunFailedError):
                await run.result()
        sibling.broken = False
        async with Executor(stores(), workflows=[after]) as executor:
            run = await executor.retry("r")
            assert await run.result() == "done: x1"
            policies = stored_policies(await record(executor))
            assert policies == policies_of(after)

    perform(test())
    assert len(works.batches) == 2
