"""Values on their way: each consumer gets its own, decoded by the type of who made it, live as after a resume."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from perdure.engine import Executor, RunFailedError, Workflow
from perdure.nodes import Context, Node, OutputUnavailableError, node
from pydantic import BaseModel

from .batches import Works, batch_node
from .bench import Stores, chain, first, perform, raises, runtime, second, until


class Finding(BaseModel):
    """What a model holds."""

    text: str
    score: Decimal
    at: datetime


@dataclass(frozen=True)
class Report:
    """What a dataclass holds, a model in it."""

    id: UUID
    findings: tuple[Finding, ...]
    tags: set[str]


REPORT = Report(
    id=UUID(int=7),
    findings=(Finding(text="otters", score=Decimal("0.10"), at=datetime(2026, 11, 22, tzinfo=UTC)),),
    tags={"sea", "fur"},
)


def test_models_and_dataclasses_go_along_edges_and_come_out(stores: Stores) -> None:
    seen: list[object] = []

    @node
    async def keep(report: Report) -> Report:
        seen.append(report)
        return report

    @node
    def pick(report: Report, ctx: Context) -> list[Finding]:
        seen.append(report)
        seen.append(ctx.output(keep))
        return list(report.findings)

    @node
    async def each(finding: Finding) -> Finding:
        assert isinstance(finding, Finding)
        return finding

    @node
    async def last(findings: list[Finding], ctx: Context) -> Report:
        return Report(id=ctx.output(keep).id, findings=tuple(findings), tags=ctx.output(keep).tags)

    workflow = Workflow("w", start=keep, end=last)
    workflow.edge(keep, pick)
    workflow.map(pick, each)
    workflow.collect(each, last)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, REPORT)
            assert await run.result() == REPORT
            assert await run.result() is not await run.result()
        assert seen == [REPORT] * 3
        assert len({id(value) for value in (*seen, REPORT)}) == 4

    perform(test())


def test_no_consumer_sees_what_another_does_to_its_value(stores: Stores) -> None:
    @node
    async def make(text: str) -> dict[str, list[str]]:
        made = {"list": [text]}
        made_here.append(made)
        return made

    @node
    async def spoil(found: dict[str, list[str]]) -> int:
        found["list"].append("spoiled")
        found["more"] = []
        return len(found)

    @node
    def spoil_too(found: dict[str, list[str]]) -> int:
        found.clear()
        return len(found)

    @node
    async def look(parts: tuple[int, int, dict[str, list[str]]], ctx: Context) -> dict[str, list[str]]:
        mine = ctx.output(make)
        mine["list"].append("mine")
        parts[2]["list"].append("mine too")
        made_here[0]["list"].append("late")
        return ctx.output(make)

    made_here: list[dict[str, list[str]]] = []
    workflow = Workflow("w", start=make, end=look)
    workflow.edge(make, spoil)
    workflow.edge(make, spoil_too)
    workflow.join((spoil, spoil_too, make), look)

    async def test() -> None:
        async with Executor(stores()) as executor:
            given = {"list": ["x"]}
            run = await executor.start(chain("v", copy_of, change), given)
            assert await run.result() == {"list": ["x", "changed"]}
            assert given == {"list": ["x"]}
            assert await (await executor.start(workflow, "x")).result() == {"list": ["x"]}

    perform(test())


@node
async def copy_of(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return found


@node
async def change(found: dict[str, list[str]]) -> dict[str, list[str]]:
    found["list"].append("changed")
    return found


def test_a_retry_is_given_the_value_as_it_was(stores: Stores, quick_backoff: None) -> None:
    @node(retries=2)
    async def act(found: dict[str, list[str]], ctx: Context) -> dict[str, list[str]]:
        found["list"].append("changed")
        if ctx.attempt < 3:
            raise ValueError
        return found

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", act, copy_of), {"list": ["x"]})
            assert await run.result() == {"list": ["x", "changed"]}

    perform(test())


def test_large_values_arrive_whole(stores: Stores) -> None:
    @node
    async def same(text: str) -> str:
        return text

    async def test() -> None:
        async with Executor(stores()) as executor:
            text = "ö" * 1_000_000
            run = await executor.start(chain("w", same, same.named("b"), same.named("c")), text)
            assert await run.result() == text

    perform(test())


# -- asking for outputs ----------------------------------------------------------------------------------


def asking(source: Node[Any, Any], *default: object, plain: bool) -> Node[str, str]:
    """A node that tells what `ctx.output(source)` gives."""

    def ask(ctx: Context) -> str:
        try:
            return repr(ctx.output(source, default=default[0]) if default else ctx.output(source))
        except OutputUnavailableError as error:
            return str(error)

    @node(name="ask")
    async def ask_async(text: str, ctx: Context) -> str:
        return ask(ctx)

    @node(name="ask")
    def ask_plainly(text: str, ctx: Context) -> str:
        return ask(ctx)

    return ask_plainly if plain else ask_async


@node
async def letters(text: str) -> list[str]:
    return list(text)


@node
async def words(text: str) -> list[str]:
    return [text, text + text]


@node
async def glue(texts: list[str]) -> str:
    return " ".join(texts)


@node
async def glue_again(texts: list[str]) -> str:
    return "|".join(texts)


@node
async def shout(text: str) -> str:
    return text.upper()


def nested(ask: Node[str, str]) -> Workflow[str, str]:
    """first → letters → per letter: shout → words → per word: ask → glue → glue_again; aside beside it all."""
    workflow = Workflow("w", start=first, end=glue_again)
    workflow.edge(first, letters)
    workflow.map(letters, shout)
    workflow.edge(shout, words)
    workflow.map(words, ask)
    workflow.collect(ask, glue)
    workflow.collect(glue, glue_again)
    workflow.edge(first, aside)
    workflow.discard(aside)
    return workflow


@node
async def aside(text: str) -> str:
    return text


@pytest.fixture(params=["async", "plain"])
def plain(request: pytest.FixtureRequest) -> bool:
    """Whether the asking function is a plain one."""
    return request.param == "plain"


@pytest.mark.parametrize("forgetful", [False, True])
@pytest.mark.parametrize(
    ("source", "found"),
    [
        (first, "'a1' 'a1'|'a1' 'a1'"),
        (letters, "['a', '1'] ['a', '1']|['a', '1'] ['a', '1']"),
        (shout, "'A' 'A'|'1' '1'"),
        (words, "['A', 'AA'] ['A', 'AA']|['1', '11'] ['1', '11']"),
    ],
    ids=lambda value: value.name if isinstance(value, Node) else "",
)
def test_ancestors_in_enclosing_scopes_are_there(
    source: Node[Any, Any], found: str, forgetful: bool, plain: bool, stores: Stores
) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            if forgetful:  # nothing is kept in memory, so all is read from the store
                runtime(executor).shared.budget.limit = 0
            run = await executor.start(nested(asking(source, plain=plain)), "a")
            assert await run.result() == found

    perform(test())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (aside, ("ask[0, 0] asks for the output of aside", "not upstream", "workflow w", "add an edge")),
        (glue, ("ask[0, 0] asks for the output of glue", "not upstream")),
        (second, ("ask[0, 0] asks for the output of second", "not upstream")),
    ],
    ids=lambda value: value.name if isinstance(value, Node) else "",
)
def test_what_is_not_upstream_is_refused(
    source: Node[Any, Any], said: tuple[str, ...], plain: bool, stores: Stores
) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            result = await (await executor.start(nested(asking(source, plain=plain)), "a")).result()
            for word in said:
                assert word in result
            same = await (await executor.start(nested(asking(source, 7, plain=plain)), "a")).result()
            assert same == result  # a default is for what was skipped

    perform(test())


def test_what_lies_inside_another_map_is_refused(plain: bool, stores: Stores) -> None:
    ask = asking(shout, plain=plain)
    workflow = Workflow("w", start=letters, end=ask)
    workflow.map(letters, shout)
    workflow.collect(shout, glue)
    workflow.edge(glue, ask)

    async def test() -> None:
        async with Executor(stores()) as executor:
            result = await (await executor.start(workflow, "ab")).result()
            for word in ("ask asks for the output of shout", "inside a map that ask is not in", "collect"):
                assert word in result

    perform(test())


@pytest.mark.parametrize(("default", "said"), [((), "was skipped: ask with default"), ((None,), "None")])
def test_what_was_skipped_is_refused_without_a_default(
    default: tuple[object, ...], said: str, plain: bool, stores: Stores
) -> None:
    ask = asking(second, *default, plain=plain)

    @node
    async def either(parts: tuple[str | None, str | None]) -> str:
        assert parts[0] is None
        return parts[1] or ""

    workflow = Workflow("w", start=first, end=ask)
    workflow.edge(first, second, when=lambda text: False)
    workflow.edge(first, shout, otherwise=True)
    workflow.join((second, shout), either)
    workflow.edge(either, ask)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert said in await (await executor.start(workflow, "x")).result()

    perform(test())


def test_an_error_of_asking_is_the_nodes_failure(stores: Stores) -> None:
    @node
    async def ask(text: str, ctx: Context) -> str:
        return ctx.output(aside)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, ask), "x", run_id="r")
            with raises(
                RunFailedError, "r failed at ask: OutputUnavailableError: ask asks for the output of"
            ):
                await run.result()

    perform(test())


def test_outputs_are_there_after_a_resume(stores: Stores, works: Works, plain: bool) -> None:
    works.hold = True
    ask = asking(first, plain=plain)
    workflow = chain("w", first, second, batch_node("print", works), ask)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
        works.hold = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "'x1'"

    perform(test())


# -- context variables and threads -----------------------------------------------------------------------

whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody's")


def test_functions_see_the_context_variables_of_who_started_the_run(stores: Stores) -> None:
    @node
    def plain_one(text: str) -> str:
        return f"{text} {whose.get()}"

    @node
    async def async_one(text: str) -> str:
        return f"{text} {whose.get()}"

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", plain_one, async_one)

            async def begin(owner: str) -> str:
                whose.set(owner)
                return await (await executor.start(workflow, "x")).result()

            assert await asyncio.gather(begin("mine"), begin("yours")) == ["x mine mine", "x yours yours"]

    perform(test())


def test_plain_functions_run_in_threads_and_beside_each_other(stores: Stores) -> None:
    together = threading.Barrier(4, timeout=20)
    loop_thread = threading.get_ident()

    @node
    def meet(text: str) -> str:
        assert threading.get_ident() != loop_thread
        together.wait()
        return text

    @node
    async def stay(texts: list[str]) -> str:
        assert threading.get_ident() == loop_thread
        return "".join(texts)

    workflow = Workflow("w", start=letters, end=stay)
    workflow.map(letters, meet)
    workflow.collect(meet, stay)

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await executor.start(workflow, "abcd")).result() == "abcd"

    perform(test())


def test_a_function_that_asks_the_executor_for_another_run_gets_it(stores: Stores) -> None:
    running: list[Executor] = []
    child = chain("child", first, second)

    @node
    async def begin(text: str, ctx: Context) -> str:
        run = await running[0].start(child, text, run_id=f"{ctx.run_id}/{ctx.node}")
        return await run.result()

    async def test() -> None:
        async with Executor(stores()) as executor:
            running.append(executor)
            runs = [await executor.start(chain("w", begin, shout), letter) for letter in "abc"]
            assert [await run.result() for run in runs] == ["A12", "B12", "C12"]

    perform(test())


MAKERS: dict[str, Callable[[], object]] = {"none": lambda: None, "zero": lambda: 0, "empty": list}


@pytest.mark.parametrize("maker", MAKERS)
def test_empty_outputs_are_outputs(maker: str, stores: Stores) -> None:
    @node
    async def make(text: str) -> list[str] | int | None:
        return MAKERS[maker]()  # type: ignore[return-value]

    @node
    async def look(found: list[str] | int | None, ctx: Context) -> str:
        return f"{found} {ctx.output(make, default='missing')}"

    async def test() -> None:
        async with Executor(stores()) as executor:
            value = MAKERS[maker]()
            assert await (await executor.start(chain("w", make, look), "x")).result() == f"{value} {value}"

    perform(test())


seen_here: contextvars.ContextVar[str] = contextvars.ContextVar("seen_here", default="nothing")


@node
async def sets_a_variable(value: str) -> str:
    seen_here.set("set by the node before")
    return value


@node
async def reads_the_variable(value: str) -> str:
    return seen_here.get()


def test_a_context_variable_that_a_node_sets_is_not_seen_by_the_next_one(stores: Stores) -> None:
    """After a crash between the two it could not be seen, so it never is."""
    workflow = Workflow("variables", start=sets_a_variable, end=reads_the_variable)
    workflow.edge(sets_a_variable, reads_the_variable)

    async def main() -> str:
        async with Executor(stores()) as executor:
            return await (await executor.start(workflow, "x")).result()

    assert asyncio.run(main()) == "nothing"
