"""Maps, joins and waiting for no more than needed: limits, order, nothing there, and no barrier."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import Context, Node, node

from .batches import Works, batch_node
from .bench import Stores, first, perform, raises, rows, until


@node
async def numbers(size: int) -> list[int]:
    return list(range(size))


@node
async def gather(found: list[int]) -> list[int]:
    return found


def mapped(inner: Node[int, int], *, concurrency: int | None = None) -> Workflow[int, list[int]]:
    workflow = Workflow("w", start=numbers, end=gather)
    workflow.map(numbers, inner, concurrency=concurrency)
    workflow.collect(inner, gather)
    return workflow


@pytest.mark.parametrize("kind", ["async", "plain"])
@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_is_kept_and_used(limit: int, kind: str, stores: Stores) -> None:
    lock = threading.Lock()
    under_way, most, order = 0, 0, list[int]()

    def enter(number: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            order.append(number)

    def leave() -> None:
        nonlocal under_way
        with lock:
            under_way -= 1

    @node(name="act")
    async def act(number: int) -> int:
        enter(number)
        await asyncio.sleep(0.002)
        leave()
        return number * 10

    @node(name="act")
    def act_plainly(number: int) -> int:
        enter(number)
        threading.Event().wait(0.005)
        leave()
        return number * 10

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = mapped(act if kind == "async" else act_plainly, concurrency=limit)
            run = await executor.start(workflow, 12)
            assert await run.result() == [number * 10 for number in range(12)]
            assert most == limit
            assert sorted(order) == list(range(12))
            if limit == 1:
                assert order == list(range(12))

    perform(test())


def test_a_limit_counts_what_waits_at_a_provider_or_for_its_next_attempt(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    works.hold = True

    @node
    async def texts(size: int) -> list[str]:
        return [str(number) for number in range(size)]

    @node
    async def join_up(found: list[str]) -> str:
        return " ".join(found)

    workflow = Workflow("w", start=texts, end=join_up)
    print_it = batch_node("print", works)
    workflow.map(texts, print_it, concurrency=2)
    workflow.collect(print_it, join_up)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, 5)
            await until(lambda: len(works.batches) == 2)
            await asyncio.sleep(0.1)
            assert len(works.batches) == 2
            works.hold = False
            assert await run.result() == " ".join(f"done: {number}" for number in range(5))

    perform(test())


def test_the_list_is_in_the_order_of_the_items_not_of_their_ends(stores: Stores) -> None:
    @node
    async def act(number: int) -> int:
        await asyncio.sleep(0.03 if number % 2 == 0 else 0)
        return number

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(mapped(act), 6)).result() == list(range(6))

    perform(test())


def test_nothing_to_map_gives_an_empty_list(stores: Stores) -> None:
    @node
    async def act(number: int) -> int:
        raise AssertionError

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(mapped(act), 0, run_id="r")
            assert await run.result() == []
            assert set(await rows(executor, "r")) == {"numbers", "gather"}

    perform(test())


def test_items_that_were_skipped_are_left_out(stores: Stores) -> None:
    @node
    async def look(number: int) -> int:
        return number

    @node
    async def keep(number: int) -> int:
        return number

    workflow = Workflow("w", start=numbers, end=gather)
    workflow.map(numbers, look)
    workflow.edge(look, keep, when=lambda number: number % 3 == 0)
    workflow.discard(look)
    workflow.collect(keep, gather)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, 8)).result() == [0, 3, 6]
            assert await (await executor.start(workflow, 1)).result() == [0]

    perform(test())


def test_maps_in_maps_in_maps(stores: Stores) -> None:
    ran: Counter[tuple[str, tuple[int, ...]]] = Counter()

    def level(name: str) -> Node[int, list[int]]:
        @node(name=name)
        async def spread(number: int, ctx: Context) -> list[int]:
            ran[name, ctx.path] += 1
            return [number * 10 + item for item in range(number)]

        return spread

    @node
    def leaf(number: int, ctx: Context) -> str:
        ran["leaf", ctx.path] += 1
        return f"{number}"

    @node
    async def inner(found: list[str]) -> str:
        return f"({' '.join(found)})"

    @node
    async def outer(found: list[str]) -> str:
        return f"[{' '.join(found)}]"

    one, two = level("one"), level("two")
    workflow = Workflow("w", start=one, end=outer)
    workflow.map(one, two, concurrency=2)
    workflow.map(two, leaf, concurrency=3)
    workflow.collect(leaf, inner)
    workflow.collect(inner, outer)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, 2, run_id="r")
            expected = (
                "["
                + " ".join("(" + " ".join(str(n * 10 + i) for i in range(n)) + ")" for n in (20, 21))
                + "]"
            )
            assert await run.result() == expected
            assert set(ran.values()) == {1}
            assert {path for name, path in ran if name == "leaf"} == {
                (item, inner_item) for item, n in enumerate((20, 21)) for inner_item in range(n)
            }

    perform(test())


def test_a_join_has_none_where_a_branch_was_skipped(stores: Stores) -> None:
    @node
    async def small(number: int) -> str:
        return "small"

    @node
    async def even(number: int) -> str:
        return "even"

    @node
    async def start(number: int) -> int:
        return number

    @node
    async def both(parts: tuple[str | None, int, str | None]) -> str:
        return repr(parts)

    workflow = Workflow("w", start=start, end=both)
    workflow.edge(start, small, when=lambda number: number < 10)
    workflow.edge(start, even, when=lambda number: number % 2 == 0)
    workflow.join((small, start, even), both)

    async def test() -> None:
        async with Executor(stores()) as executor:
            results = [await (await executor.start(workflow, number)).result() for number in (2, 3, 12, 13)]
        assert results == [
            "('small', 2, 'even')",
            "('small', 3, None)",
            "(None, 12, 'even')",
            "(None, 13, None)",
        ]

    perform(test())


def test_a_join_may_reach_into_an_enclosing_scope(stores: Stores) -> None:
    @node
    async def title(size: int) -> str:
        await asyncio.sleep(0.02)  # later than the items
        return f"of {size}"

    @node
    async def begin(size: int) -> int:
        return size

    @node
    async def look(number: int) -> int:
        return number

    @node
    async def name(parts: tuple[int, str]) -> str:
        return f"{parts[0]} {parts[1]}"

    @node
    async def end(names: list[str]) -> str:
        return ", ".join(names)

    workflow = Workflow("w", start=begin, end=end)
    workflow.edge(begin, numbers)
    workflow.edge(begin, title)
    workflow.map(numbers, look)
    workflow.join((look, title), name)
    workflow.collect(name, end)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, 3)).result() == "0 of 3, 1 of 3, 2 of 3"

    perform(test())


def test_a_slow_branch_holds_no_other(stores: Stores) -> None:
    """No barrier: item 1 is through all of its nodes while item 0 is still at its first."""
    last_seen = asyncio.Event()

    @node
    async def begin(number: int) -> int:
        if number == 0:
            await last_seen.wait()
        return number

    @node
    async def middle(number: int) -> int:
        return number

    @node
    async def last(number: int) -> int:
        if number == 1:
            last_seen.set()
        return number

    workflow = Workflow("w", start=numbers, end=gather)
    workflow.map(numbers, begin)
    workflow.edge(begin, middle)
    workflow.edge(middle, last)
    workflow.collect(last, gather)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, 2)).result() == [0, 1]

    perform(test())


def test_a_failure_in_a_map_names_the_item(stores: Stores) -> None:
    @node
    async def act(number: int) -> int:
        if number == 3:
            raise ValueError("not three")
        return number

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(mapped(act), 5, run_id="r")
            with raises(RunFailedError, "r failed at act[3]: ValueError: not three") as caught:
                await run.result()
            assert caught.value.node == "act[3]"

    perform(test())


def test_many_items_are_many_activations(stores: Stores) -> None:
    @node
    async def act(number: int) -> int:
        return number + 1

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(mapped(act), 1000, run_id="r")
            assert sum(await run.result()) == 500_500
            assert len(await rows(executor, "r")) == 1002

    perform(test())


def test_one_output_goes_to_many(stores: Stores) -> None:
    @node
    async def together(parts: tuple[str, ...]) -> str:
        return " ".join(parts)

    workflow = Workflow("w", start=first, end=together)
    twins = tuple(first.named(f"n{number}") for number in range(8))
    for twin in twins:
        workflow.edge(first, twin)
    workflow.join(twins, together)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, "x")).result() == " ".join(["x11"] * 8)

    perform(test())
