"""Maps with `each`, switches and several ends, as an executor performs them: evaluated once, kept, restored."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from perdure.checkpoints import State
from perdure.checkpoints.codec import unpack
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.engine.core.journal import from_journal
from perdure.engine.core.machine import fold
from perdure.engine.core.policy import Policies
from perdure.engine.core.restore import restore
from perdure.nodes import Context, node

from .batches import Works, batch_node
from .bench import Stores, first, perform, raises, read, record, second, states, third, until

S = State


@node
async def gather(found: list[str]) -> str:
    return " ".join(found)


async def check_restored(executor: Executor, workflow: Workflow[Any, Any]) -> None:
    """The journal, folded, is what the rows say."""
    run = await record(executor)
    journal = await read(executor, lambda view: view.events(run.key))
    events = [
        from_journal(entry.type, entry.at, entry.node, entry.path, unpack(entry.data)) for entry in journal
    ]
    (loaded,) = await read(executor, lambda view: view.load([run.key]))
    policies = Policies({}) if run.policies is None else Policies.from_plain(unpack(run.policies))
    assert fold(workflow.plan, events) == restore(workflow.plan, policies, loaded)


# -- each ------------------------------------------------------------------------------------------------


def test_each_is_evaluated_once_whatever_happens_to_the_process(stores: Stores, works: Works) -> None:
    works.hold = True
    evaluated: Counter[str] = Counter()

    def words(text: str) -> list[str]:
        evaluated[text] += 1
        return text.split("-")

    ask = batch_node("ask", works)
    workflow = Workflow("w", start=first, end=gather)
    workflow.map(first, ask, each=words, concurrency=2)
    workflow.collect(ask, gather)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x-y-", run_id="r")
            await until(lambda: len(works.batches) == 2)
            assert (await states(executor, "r"))["ask.items"] is S.SUCCEEDED
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: x done: y done: 1"
            await check_restored(executor, workflow)
        assert evaluated == {"x-y-1": 1}

    perform(test())


@pytest.mark.parametrize("gives", ["nothing", "text", "numbers"])
def test_an_each_that_fails_keeps_the_result_and_is_evaluated_again_by_a_retry(
    gives: str, stores: Stores
) -> None:
    ran: Counter[str] = Counter()
    broken = True

    @node
    async def source(text: str) -> str:
        ran["source"] += 1
        return text

    @node
    async def target(word: str, ctx: Context) -> str:
        return f"{word} of {ctx.output(source)!r}"

    def words(text: str) -> Any:
        if not broken:
            return text.split()
        if gives == "text":
            return text
        if gives == "numbers":
            return [1, 2]
        raise KeyError("no words")

    workflow = Workflow("w", start=source, end=gather)
    workflow.map(source, target, each=words)
    workflow.collect(target, gather)
    problem = {
        "nothing": "raised KeyError: 'no words'",
        "text": "gave str, and only a list can be mapped",
        "numbers": "gave a list that can't be stored as list[str]: at $[0]",
    }[gives]

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "a b", run_id="r")
            with raises(
                RunFailedError,
                f"the `each` of the map from source to target {problem}",
                "result of source is kept",
                "retry run r",
            ):
                await run.result()
            broken = False
            assert await (await executor.retry("r")).result() == "a of 'a b' b of 'a b'"
            assert ran == {"source": 1}
            await check_restored(executor, workflow)

    perform(test())


def test_an_each_of_an_empty_list_collects_an_empty_list(stores: Stores) -> None:
    workflow = Workflow("w", start=first, end=gather)
    workflow.map(first, second, each=lambda _: [])
    workflow.collect(second, gather)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, "x")).result() == ""

    perform(test())


# -- switch ----------------------------------------------------------------------------------------------


def switched(keys: Counter[str], works: Works, *, discarded: bool = False) -> Workflow[str, str]:
    """first, then second for "a1" and "b1", then an operation for "c1"."""

    def key(text: str) -> str:
        keys[text] += 1
        return text[0]

    ask = batch_node("ask", works)
    workflow = Workflow("w", start=first, end=third)
    workflow.switch(first, key, {"a": second, "b": second, "c": ask})
    workflow.edge(second, third)
    workflow.edge(ask, third)
    if discarded:
        workflow.discard(first)
    return workflow


def test_one_case_is_taken_and_its_key_evaluated_once(stores: Stores, works: Works) -> None:
    keys: Counter[str] = Counter()
    workflow = switched(keys, works)
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            for value in ("a", "b"):
                assert await (await executor.start(workflow, value)).result() == f"{value}123"
            await executor.start(workflow, "c", run_id="r")
            await until(lambda: bool(works.batches))
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "done: c13"
            assert (await states(executor, "r"))["second"] is S.SKIPPED
            await check_restored(executor, workflow)
        assert keys == {"a1": 1, "b1": 1, "c1": 1}

    perform(test())


def test_a_value_without_a_case_fails_the_run_and_says_what_there_is(stores: Stores, works: Works) -> None:
    workflow = switched(Counter(), works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with raises(
                RunFailedError,
                "no case for 'x'",
                "'a', 'b', 'c'",
                "otherwise=True",
                "discard(first)",
                "run r",
            ):
                await run.result()

    perform(test())


def test_a_value_without_a_case_ends_the_path_where_that_is_meant(stores: Stores, works: Works) -> None:
    workflow = switched(Counter(), works, discarded=True)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "third, the end of workflow w, was skipped"):
                await run.result()
            assert (await states(executor, "r"))["first"] is S.SUCCEEDED

    perform(test())


@pytest.mark.parametrize("raising", [True, False])
def test_a_key_that_raises_or_is_no_value_is_the_conditions_error(raising: bool, stores: Stores) -> None:
    broken = True
    ran: Counter[str] = Counter()

    @node
    async def source(text: str) -> str:
        ran["source"] += 1
        return text

    def key(text: str) -> Any:
        if not broken:
            return text
        if raising:
            raise LookupError("what now")
        return [text]

    workflow = Workflow("w", start=source, end=second)
    workflow.switch(source, key, {"x": second})

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            what = "raised LookupError: what now" if raising else "raised TypeError: unhashable"
            with raises(
                RunFailedError, "the key of the switch after source", what, "result of source is kept"
            ):
                await run.result()
            broken = False
            assert await (await executor.retry("r")).result() == "x2"
            assert ran == {"source": 1}

    perform(test())


# -- several ends ----------------------------------------------------------------------------------------


def two_ends(works: Works) -> Workflow[str, str]:
    """Ends are `ask`, an operation, for texts with an a, and `second` for those with a b."""
    ask = batch_node("ask", works)
    workflow = Workflow("w", start=first, end=(ask, second))
    workflow.edge(first, ask, when=lambda text: "a" in text)
    workflow.edge(first, second, when=lambda text: "b" in text)
    workflow.discard(first)
    return workflow


@pytest.mark.parametrize(
    ("value", "result"), [("a", "done: a1"), ("b", "b12"), ("ab", "done: ab1")], ids=["first", "last", "both"]
)
def test_of_the_ends_that_are_reached_the_first_declared_gives_the_result(
    value: str, result: str, stores: Stores, works: Works
) -> None:
    works.hold = "a" in value
    workflow = two_ends(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, value, run_id="r")
            if works.hold:
                await until(lambda: bool(works.batches))
            else:
                assert await run.result() == result
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.start(workflow, value, run_id="r")
            assert await run.result() == result
            await check_restored(executor, workflow)
        async with Executor(
            stores(), workflows=[workflow]
        ) as executor:  # from the rows of a run that has ended
            assert await (await executor.start(workflow, value, run_id="r")).result() == result

    perform(test())


def test_a_run_all_of_whose_ends_are_skipped_fails_and_says_why(stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(two_ends(works), "x", run_id="r")
            with raises(
                RunFailedError,
                "EndSkipped",
                "the ends of workflow w, ask, second, were all skipped",
                "from first to ask was not taken",
                "from first to second was not taken",
            ):
                await run.result()

    perform(test())
