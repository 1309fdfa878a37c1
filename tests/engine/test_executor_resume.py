"""Going on: runs that were left, runs that failed. What succeeded is kept, what is under way is not done twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter

import pytest
from perdure.checkpoints import State
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import Context, node

from .batches import Works, batch_node
from .bench import Stores, chain, first, journal, perform, raises, rows, second, third, until

S = State


def test_a_run_that_was_left_goes_on_where_it_was(stores: Stores, works: Works) -> None:
    works.hold = True
    ran: Counter[str] = Counter()

    @node
    async def before(text: str) -> str:
        ran["before"] += 1
        return text + "b"

    @node
    def after(text: str) -> str:
        ran["after"] += 1
        return text + "a"

    workflow = chain("w", before, batch_node("print", works), after)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
        for _ in range(2):  # left again, before anything could happen
            async with Executor(stores(), workflows=[workflow]) as executor:
                await executor.resume("r")
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: xba"
        assert works.asked == ["xb"]
        assert ran == {"before": 1, "after": 1}

    perform(test())


def test_resume_all_takes_what_is_ours_and_tells_why_it_left_the_rest(files: Stores, works: Works) -> None:
    works.hold = True
    known = chain("known", first, batch_node("print", works))
    unknown = chain("unknown", second, batch_node("print", works))
    old = chain("changed", first, batch_node("print", works))
    new = chain("changed", second, first, batch_node("print", works))

    async def test() -> None:
        async with Executor(files()) as executor:
            for name, workflow in (("k1", known), ("k2", known), ("u", unknown), ("c", old)):
                await executor.start(workflow, name, run_id=name)
            await (await executor.start(chain("w", first, second), "x", run_id="done")).result()
            await until(lambda: len(works.batches) == 4)
        async with Executor(files()) as other, Executor(files(), workflows=[known, new]) as executor:
            await other.start(known, "k3", run_id="k3")
            resumed = await executor.resume_all()
            assert {run.id for run in resumed.runs} == {"k1", "k2"}
            assert resumed.left.keys() == {"u", "c", "k3"}
            assert "belongs to workflow unknown" in resumed.left["u"]
            assert "changed has changed" in resumed.left["c"]
            assert "process" in resumed.left["k3"]
            assert (await executor.resume_all()).runs == ()  # they are driven here already
            works.hold = False
            assert sorted([await run.result() for run in resumed.runs]) == ["done: k11", "done: k21"]
        assert Counter(works.asked)["k11"] == 1

    perform(test())


def test_resuming_twice_at_once_drives_the_run_once(stores: Stores) -> None:
    ran: list[str] = []
    release = asyncio.Event()

    @node
    async def slow(text: str) -> str:
        ran.append(text)
        await release.wait()
        return text

    workflow = chain("w", first, slow)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(ran))
        ran.clear()
        async with Executor(stores(), workflows=[workflow]) as executor:
            *runs, resumed = await asyncio.gather(
                executor.resume("r"),
                executor.start(workflow, "x", run_id="r"),
                executor.resume("r"),
                executor.retry("r"),
                executor.resume_all(),
            )
            await until(lambda: bool(ran))
            release.set()
            assert [await run.result() for run in (*runs, *resumed.runs)] == ["x1"] * (4 + len(resumed.runs))
        assert ran == ["x1"]

    perform(test())


def test_a_retry_keeps_what_succeeded(stores: Stores, works: Works) -> None:
    ran: Counter[str] = Counter()
    broken = True

    @node
    async def begin(text: str) -> list[str]:
        ran["begin"] += 1
        return [f"{text}{number}" for number in range(4)]

    @node
    async def check(text: str) -> str:
        ran[f"check {text}"] += 1
        if broken and text == "done: x2":
            raise ValueError("not this one")
        return text

    @node
    def gather(texts: list[str]) -> str:
        ran["gather"] += 1
        return " ".join(texts)

    workflow = Workflow("w", start=begin, end=gather, on_failure="finish")
    print_it = batch_node("print", works)
    workflow.map(begin, print_it)
    workflow.edge(print_it, check)
    workflow.collect(check, gather)

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            for _ in range(2):
                with raises(RunFailedError, "r failed at check[2]: ValueError: not this one. ", "retry('r')"):
                    await run.result()
                run = await executor.retry("r")
        assert ran["check done: x2"] >= 2
        ran.clear()
        broken = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.retry("r")
            assert await run.result() == "done: x0 done: x1 done: x2 done: x3"
            states = [row.state for row in (await rows(executor, "r")).values()]
            assert set(states) == {S.SUCCEEDED}
        assert ran == {"check done: x2": 1, "gather": 1}
        assert len(works.asked) == 4

    perform(test())


def test_retrying_twice_at_once_retries_once(stores: Stores) -> None:
    broken = True
    ran: list[str] = []

    @node
    async def fail(text: str) -> str:
        ran.append(text)
        await asyncio.sleep(0.01)
        if broken:
            raise ValueError("no")
        return text

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, fail), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken = False
            ran.clear()
            runs = await asyncio.gather(*(executor.retry("r") for _ in range(5)))
            assert [await run.result() for run in runs] == ["x1"] * 5
            assert ran == ["x1"]
            assert [line.split()[1] for line in await journal(run)].count("run_retried") == 1

    perform(test())


def test_a_retry_gives_a_function_all_its_attempts_again(stores: Stores, quick_backoff: None) -> None:
    attempts: list[int] = []

    @node(retries=2)
    async def fail(text: str, ctx: Context) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 6:
            raise ValueError("no")
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, fail), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            assert attempts == [1, 2, 3]
            assert await (await executor.retry("r")).result() == "x1"
            assert attempts == [1, 2, 3, 4, 5, 6]
            assert (await rows(executor, "r"))["fail"].attempt == 6

    perform(test())


def test_one_run_failing_leaves_the_others_alone(stores: Stores) -> None:
    @node
    async def maybe(text: str) -> str:
        if text == "b1":
            raise ValueError("b is bad")
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, maybe, second, third)
            runs = [await executor.start(workflow, letter) for letter in "abc"]
            results = await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)
            assert [results[0], results[2]] == ["a123", "c123"]
            assert isinstance(results[1], RunFailedError)

    perform(test())


KEYS = """
import asyncio, sys
from perdure.checkpoints import SQLiteStore
from perdure.engine import Executor, Workflow
from perdure.nodes import Context, node

@node
async def plan(text: str) -> list[str]:
    return [text, text]

@node
async def act(text: str, ctx: Context) -> str:
    if sys.argv[2] == "hang":
        print(ctx.idempotency_key, flush=True)
        await asyncio.Event().wait()
    return ctx.idempotency_key

@node
async def gather(keys: list[str]) -> list[str]:
    return keys

workflow = Workflow("w", start=plan, end=gather)
workflow.map(plan, act)
workflow.collect(act, gather)

async def main():
    async with Executor(SQLiteStore(sys.argv[1]), workflows=[workflow]) as executor:
        run = await executor.start(workflow, "x", run_id="r")
        print(*await run.result())

asyncio.run(main())
"""


def test_idempotency_keys_are_the_same_in_every_attempt_and_process(
    files: Stores, tmp_path_factory: pytest.TempPathFactory, quick_backoff: None
) -> None:
    keys: dict[str, list[str]] = {}

    @node
    async def plan(text: str) -> list[str]:
        return [text, text]

    @node(retries=2)
    async def act(text: str, ctx: Context) -> str:
        keys.setdefault(f"{ctx.run_id} {ctx.node}{ctx.path}", []).append(ctx.idempotency_key)
        if ctx.attempt < 3:
            raise ValueError("again")
        return ctx.idempotency_key

    @node
    def gather(found: list[str]) -> list[str]:
        return found

    workflow = Workflow("w", start=plan, end=gather)
    workflow.map(plan, act)
    workflow.collect(act, gather)

    async def test() -> list[str]:
        async with Executor(files()) as executor:
            await (await executor.start(workflow, "x", run_id="other")).result()
            return await (await executor.start(workflow, "x", run_id="r")).result()

    found = perform(test())
    assert len(set(found)) == 2
    assert [set(seen) for seen in keys.values() if seen[0] in found] == [{key} for key in found]
    assert {len(seen) for seen in keys.values()} == {3}
    assert len({key for seen in keys.values() for key in seen}) == 4
    db = tmp_path_factory.mktemp("keys") / "keys.db"
    hang = [sys.executable, "-c", KEYS, str(db), "hang"]
    with subprocess.Popen(hang, stdout=subprocess.PIPE, text=True) as hung:
        assert hung.stdout is not None
        seen = [hung.stdout.readline().strip() for _ in range(2)]
        hung.kill()
    told = subprocess.run(
        [sys.executable, "-c", KEYS, str(db), "go"], check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == seen
    assert not set(seen) & set(found)  # a run of the same id in another database has other keys
