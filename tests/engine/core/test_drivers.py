"""Two drivers on one core: the executor with its event loop and its store, and the one of `driver.py` in memory.

They play the same scenarios, and come to the same journal, word by word, and to the same outputs, byte by byte. That is
what makes the core a core: everything that is decided is decided in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from perdure.checkpoints import MemoryStore, SQLiteStore, Store
from perdure.checkpoints.records import ActivationKey, RunStatus, State
from perdure.engine import Executor, RunCancelledError, RunFailedError, Workflow
from perdure.engine.core import events
from perdure.engine.core.addresses import Address
from perdure.engine.core.policy import Policies
from perdure.engine.runtime._policies import policies_of
from perdure.nodes import Context, node
from perdure.nodes.operation_node import OperationNode
from perdure.nodes.operations.timers import TimerOperation
from perdure.nodes.operations.tokens import Json
from perdure.nodes.timer_node import TimerNode

from .driver import Driver
from .play import Play
from .works import Works
from .workshop import Workshop

PATIENCE = 20.0


@dataclass
class Played:
    """What a driver made of a scenario."""

    words: list[str]
    outputs: dict[ActivationKey, bytes]
    status: RunStatus
    accepted: list[Json]
    operations: int


@dataclass
class Scenario:
    """A workflow, what its provider does, and what people do: each once, when it is time for it."""

    build: Callable[[Works, Callable[[], float]], Workflow[Any, Any]]
    value: object = "x"
    replies: list[str] = field(default_factory=list[str])
    polls: list[str] = field(default_factory=list[str])
    cancels: list[str] = field(default_factory=list[str])
    answers: list[str] = field(default_factory=list[str])
    """Given to b, whenever it is held."""
    retries: int = 0
    cancel_after: int | None = None
    """The cancel comes after so many polls."""
    status: RunStatus = RunStatus.SUCCEEDED
    expected: list[str] = field(default_factory=list[str])
    """Words that the journal has, in this order, among others."""

    def works(self) -> Works:
        return Works(replies=[*self.replies], polls=[*self.polls], cancels=[*self.cancels])


# -- nodes -----------------------------------------------------------------------------------------------


@node
async def a(text: str) -> str:
    return f"{text}a"


@node
async def z(text: str) -> str:
    return f"{text}z"


@node
async def letters(text: str) -> list[str]:
    return [f"{text}{index}" for index in range(4)]


@node
async def both(pair: tuple[str, str]) -> str:
    return " & ".join(pair)


@node
async def together(texts: list[str]) -> str:
    return " ".join(texts)


@node
async def tail(text: str | None) -> str:
    return f"{text}!"


def flaky(retries: int) -> Any:
    """Fails twice."""

    @node(name="b", retries=retries)
    async def b(text: str, ctx: Context) -> str:
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return f"{text}b{ctx.attempt}"

    return b


def asks(works: Works, **policy: Any) -> OperationNode[str, str]:
    """Has a text worked on by the provider."""

    def request(text: str, _context: Context) -> dict[str, Json]:
        return {"text": text}

    def finish(value: Json) -> str:
        assert isinstance(value, dict)
        return str(value["text"])

    return OperationNode[str, str](
        "b", input=str, output=str, operation=works, request=request, finish=finish, **policy
    )


def chain(*nodes: Any) -> Workflow[Any, Any]:
    workflow = Workflow[Any, Any]("w", start=nodes[0], end=nodes[-1])
    for source, target in pairwise(nodes):
        workflow.edge(source, target)
    return workflow


def agent(**policy: Any) -> Callable[[Works, Callable[[], float]], Workflow[Any, Any]]:
    return lambda works, clock: chain(a, asks(works, **policy), z)


def mapped(works: Works, clock: Callable[[], float]) -> Workflow[Any, Any]:
    workflow = Workflow[Any, Any]("w", start=letters, end=together)
    workflow.map(letters, a, concurrency=2)
    workflow.edge(a, z)
    workflow.collect(z, together)
    return workflow


def mapped_operation(works: Works, clock: Callable[[], float]) -> Workflow[Any, Any]:
    b = asks(works)
    workflow = Workflow[Any, Any]("w", start=letters, end=together)
    workflow.map(letters, b, concurrency=1)
    workflow.collect(b, together)
    return workflow


def joined(works: Works, clock: Callable[[], float]) -> Workflow[Any, Any]:
    first = node(name="first")(lambda_async("1"))
    workflow = Workflow[Any, Any]("w", start=first, end=both)
    workflow.edge(first, a)
    workflow.edge(first, z)
    workflow.join((z, a), both)
    return workflow


def lambda_async(mark: str) -> Callable[[str], Coroutine[Any, Any, str]]:
    async def act(text: str) -> str:
        return f"{text}{mark}"

    return act


def conditional(works: Works, clock: Callable[[], float]) -> Workflow[Any, Any]:
    workflow = Workflow[Any, Any]("w", start=a, end=tail)
    no = node(name="no")(lambda_async("n"))
    yes = node(name="yes")(lambda_async("y"))

    def short(text: str) -> bool:
        return len(text) < 2

    workflow.edge(a, no, when=short)
    workflow.edge(a, yes, otherwise=True)
    workflow.edge(no, tail)
    workflow.edge(yes, tail)
    return workflow


def timed(works: Works, clock: Callable[[], float]) -> Workflow[Any, Any]:
    def cool_down(text: str) -> timedelta:
        return timedelta(seconds=0.05)

    return chain(a, TimerNode(cool_down, operation=TimerOperation(clock=clock)), z)


SCENARIOS: dict[str, Scenario] = {
    "chain": Scenario(lambda works, clock: chain(a, node(name="b")(lambda_async("b")), z)),
    "map and collect": Scenario(mapped),
    "a map of operations": Scenario(mapped_operation, polls=["moved"]),
    "join": Scenario(joined),
    "conditional": Scenario(conditional, expected=["succeeded yes", "succeeded tail"]),
    "an operation": Scenario(
        agent(),
        polls=["running", "moved", "running"],
        expected=["submission_intended b", "submitted b", "token_advanced b", "succeeded b"],
    ),
    "an unknown fate": Scenario(
        agent(),
        replies=["lost", "lost"],
        expected=["submission_unknown b", "submission_intended b", "submission_unknown b", "submitted b"],
    ),
    "a fate unknown three times, and a person": Scenario(
        agent(),
        replies=["lost", "lost", "lost"],
        answers=["resubmit"],
        expected=["submission_unknown b"] * 3 + ["fate_decided b", "submission_intended b", "submitted b"],
    ),
    "a handle that a person knows": Scenario(
        agent(on_unknown_submit="hold"),
        replies=["lost"],
        answers=["1"],
        expected=["submission_unknown b", "handle_found b", "succeeded b"],
    ),
    "a person gives up": Scenario(
        agent(on_unknown_submit="hold"),
        replies=["lost"],
        answers=["fail"],
        status=RunStatus.FAILED,
        expected=["submission_unknown b", "fate_decided b"],
    ),
    "a busy provider": Scenario(
        agent(retries=0),
        replies=["busy", "busy", "busy"],
        expected=["submission_refused b"] * 3 + ["submitted b"],
    ),
    "a refusal": Scenario(agent(), replies=["refused"], status=RunStatus.FAILED),
    "a failure worth another attempt": Scenario(
        agent(retries=1), polls=["failed"], expected=["attempt_failed b", "backoff_ended b", "submitted b"]
    ),
    "a failure for good, and a retry": Scenario(
        agent(retries=3),
        polls=["hopeless", "running", "expired", "incomplete"],
        retries=3,
        expected=["attempt_failed b", "run_retried"] * 3 + ["succeeded b"],
    ),
    "a function that fails twice": Scenario(
        lambda works, clock: chain(a, flaky(2), z), expected=["attempt_failed b", "backoff_ended b"] * 2
    ),
    "a function that fails for good, and retries": Scenario(
        lambda works, clock: chain(a, flaky(0), z),
        retries=2,
        expected=["attempt_failed b", "run_retried"] * 2,
    ),
    "a cancel": Scenario(
        agent(),
        polls=["running"] * 1_000,
        cancels=["running", "running"],
        cancel_after=2,
        status=RunStatus.CANCELLED,
        expected=["submitted b", "cancel_requested", "cancelled b"],
    ),
    "a timer": Scenario(timed, expected=["opened cool_down", "succeeded cool_down", "succeeded z"]),
}


# -- the drivers -----------------------------------------------------------------------------------------


class DiedError(Exception):
    """The process is dead."""


def in_memory(scenario: Scenario, *, crash_at: int | None = None, uncommitted: bool = False) -> Played:
    """Played by the driver without a loop. The process dies after so many commits; `uncommitted`: with the next event
    in its hands, whatever was done for it."""
    works = scenario.works()
    driver: Driver

    def dies(event: events.CoreEvent) -> None:
        nonlocal crash_at
        if uncommitted and crash_at is not None and len(driver.play.journal) >= crash_at:
            crash_at = None
            raise DiedError

    def clock() -> float:
        return driver.play.now

    workflow = scenario.build(works, clock)
    shop = Workshop(workflow, scenario.value)
    driver = Driver(Play(workflow.plan, Policies(_policies(workflow))), shop)
    answers, retries, cancel_after = [*scenario.answers], scenario.retries, scenario.cancel_after
    driver.before_each = dies
    driver.start()
    while True:
        if not uncommitted and crash_at is not None and len(driver.play.journal) >= crash_at:
            crash_at = None
            driver.crash()
        elif cancel_after is not None and works.asked >= cancel_after:
            cancel_after = None
            driver.apply(events.CancelRequested(driver.play.now))
        elif driver.todo:
            with_crashes(driver, driver.do)
        elif driver.finished is RunStatus.FAILED and retries:
            retries -= with_crashes(driver, lambda: driver.apply(events.RunRetried(driver.play.now)))
        elif driver.finished is not None:
            break
        elif driver.wakes:
            first = min(driver.wakes, key=lambda place: driver.wakes[place])
            with_crashes(driver, lambda: driver.wake(first))  # noqa: B023  # called at once
        else:
            reply = answers.pop(0) if answers else "resubmit"
            known = not reply.isdigit() or len(works.accepted) >= int(reply)
            with_crashes(driver, lambda: _answer(driver, shop, reply if known else "resubmit"))  # noqa: B023
    status = driver.play.state.status
    return Played(
        driver.play.words(), shop.outputs, status, works.accepted, len(driver.play.stored.operations)
    )


def with_crashes(driver: Driver, act: Callable[[], object]) -> bool:
    """Do it; where the process dies meanwhile another one goes on. Whether it was done."""
    try:
        act()
    except DiedError:
        driver.crash()
        return False
    return True


def _policies(workflow: Workflow[Any, Any]) -> dict[str, Any]:
    policies = policies_of(workflow)
    return {name.name: policies.of(name.name) for name in workflow.plan.nodes}


def _answer(driver: Driver, shop: Workshop, reply: str) -> None:
    operation, now = driver.held.pop(), driver.play.now
    known = driver.play.state.operation(operation)
    assert known is not None
    decisions: dict[str, Literal["resubmit", "fail"]] = {"resubmit": "resubmit", "fail": "fail"}
    if reply in decisions:
        driver.apply(events.FateDecided(now, operation, decisions[reply]))
        return
    node_ = shop.workflow.node(operation.address.node)
    assert isinstance(node_, OperationNode)
    adapter: Any = node_.operation
    shop.tokens[operation] = adapter.adopt(reply)
    driver.apply(events.HandleFound(now, operation, known.submission, "person"))


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    while True:
        if await done():
            return
        await asyncio.sleep(0.002)


async def by_executor(scenario: Scenario, store: Store) -> Played:
    """Played by the executor."""
    works = scenario.works()
    workflow = scenario.build(works, time.time)
    async with Executor(store, workflows=[workflow]) as executor:
        run = await executor.start(workflow, scenario.value, run_id="run")
        key = (await store.read(lambda view: view.run("run"))).key

        async def held() -> bool:
            rows = await store.read(lambda view: view.operations(key))
            return any(row.state is State.SUBMIT_UNKNOWN and row.detail == "held" for row in rows)

        async def polled() -> bool:
            return works.asked >= (scenario.cancel_after or 0)

        for reply in scenario.answers:
            await until(held)
            await executor.decide("run", "b", reply)
        if scenario.cancel_after is not None:
            await until(polled)
            await executor.cancel("run")
        for _ in range(scenario.retries):
            with suppress(RunFailedError):
                await run.result()
            run = await executor.retry("run")
        with suppress(RunFailedError, RunCancelledError):
            await run.result()
        entries = await store.read(lambda view: view.events(key))
        rows = await store.read(lambda view: view.activations(key))
        values = await store.read(
            lambda view: {row.key: view.value(key, row.key) for row in rows if row.has_result}
        )
        status = (await store.read(lambda view: view.run("run"))).status
        operations = len(await store.read(lambda view: view.operations(key)))
    words = [
        entry.type if entry.node is None else f"{entry.type} {Address(entry.node, entry.path)}"
        for entry in entries
    ]
    outputs = {where: value.data for where, value in values.items() if value is not None}
    return Played(words, outputs, status, works.accepted, operations)


def has_in_order(words: list[str], expected: list[str]) -> bool:
    rest = iter(words)
    return all(word in rest for word in expected)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_drivers_say_the_same(name: str, kind: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "perdure.db")
    first = in_memory(scenario)
    second = asyncio.run(asyncio.wait_for(by_executor(scenario, store), PATIENCE))
    assert first == second
    assert first.status is scenario.status
    assert has_in_order(first.words, scenario.expected)


@pytest.mark.parametrize("uncommitted", [False, True])
@pytest.mark.parametrize(
    "name", [name for name, scenario in SCENARIOS.items() if scenario.cancel_after is None]
)
def test_a_crash_at_any_commit_leads_to_the_same_end(name: str, uncommitted: bool) -> None:
    scenario = SCENARIOS[name]
    uncut = in_memory(scenario)
    unknown = 0
    for position in range(1, len(uncut.words)):
        again = in_memory(scenario, crash_at=position, uncommitted=uncommitted)
        if (
            uncut.status is RunStatus.SUCCEEDED
        ):  # what failed by bad luck may have better luck the second time
            assert (again.outputs, again.status) == (uncut.outputs, uncut.status), f"cut at {position}"
        lost = sum(word.startswith("submission_unknown") for word in again.words)
        assert len(again.accepted) <= again.operations + lost, "paid for twice, silently"
        unknown += lost
    assert unknown or not any(word.startswith("submitted") for word in uncut.words)


class SlowWorks(Works):
    """Honours keys for a moment, and takes longer than that to get ready for another submission."""

    idempotent_for = 0.05

    async def prepare(self) -> None:
        if self.accepted:
            await asyncio.sleep(0.1)


def test_the_executor_sends_nothing_when_the_core_has_decided_otherwise_meanwhile() -> None:
    """The intent comes when the key is honoured no more: a person is asked, and nothing was paid for twice."""
    works, store = SlowWorks(replies=["lost"]), MemoryStore()
    workflow = chain(a, asks(works, on_unknown_submit="hold"), z)

    async def work() -> None:
        async with Executor(store, workflows=[workflow]) as executor:
            run = await executor.start(workflow, "x", run_id="run")
            key = (await store.read(lambda view: view.run("run"))).key

            async def held() -> bool:
                rows = await store.read(lambda view: view.operations(key))
                return any(row.detail == "held" for row in rows)

            await until(held)
            assert works.accepted == ["xa"]
            await executor.decide("run", "b", "1")
            assert await run.result() == "done: xaz"
            assert works.accepted == ["xa"]

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
