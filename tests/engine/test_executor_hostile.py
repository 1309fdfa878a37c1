"""What users' code and adapters should not do, and what then becomes of their run and of the others."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from perdure.checkpoints import PerdureError, State
from perdure.engine import Executor, Run, RunCancelledError, RunFailedError, Workflow
from perdure.engine.errors import DrivingInterruptedError
from perdure.engine.runtime._policies import stored_policies
from perdure.nodes import ContinuationToken, node
from perdure.nodes.operations import Json, Outcome, Running

from .batches import BatchOperation, Works, batch_node
from .bench import Stores, chain, first, perform, record, state_is, until


def test_each_workflow_brings_its_own_policies_also_where_another_has_gone(stores: Stores) -> None:
    """Made anew for each run, as a function would: Python gives a new object the place of one that is gone."""

    def made(retries: int) -> Workflow[str, str]:
        @node(retries=retries)
        async def tried(text: str) -> str:
            return text

        return Workflow[str, str]("made", start=tried, end=tried)

    async def main() -> list[int]:
        found: list[int] = []
        async with Executor(stores()) as executor:
            for retries in range(1, 21):
                run = await executor.start(made(retries), "x")
                await run.result()
                found.append(stored_policies(await record(executor, run.id)).of("tried").retries)
                del run
                gc.collect()
        return found

    assert perform(main()) == list(range(1, 21))


class Rude(BaseException):
    """What no library's code expects, as some test frameworks and task libraries raise it."""


class Unruly(BatchOperation):
    """An adapter that raises this where it is told to."""

    def __init__(self, works: Works, where: str, error: type[BaseException]) -> None:
        super().__init__(works)
        self.where = where
        self.error = error

    def _may_raise(self, where: str) -> None:
        if where == self.where:
            raise self.error

    async def prepare(self) -> None:
        self._may_raise("prepare")

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        self._may_raise("submit")
        return await super().submit(request, key)

    async def poll(self, token: ContinuationToken) -> Outcome:
        self._may_raise("poll")
        return await super().poll(token)

    async def cancel(self, token: ContinuationToken) -> Outcome:
        self._may_raise("cancel")
        return await super().cancel(token)


@node
async def patient(text: str) -> str:
    await asyncio.sleep(0.2)
    return text


ERRORS = [asyncio.CancelledError, SystemExit, Rude]


async def beside(executor: Executor, run: Run[Any]) -> BaseException:
    """What the run comes to, beside another run, which is none the worse."""
    other = await executor.start(chain("other", patient), "x")
    with pytest.raises(PerdureError) as told:
        await run.result()
    assert await other.result() == "x"
    await until(lambda: not executor.drives(run.id))
    return told.value


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("where", ["prepare", "poll", "cancel"])
def test_whatever_an_adapter_raises_stops_its_own_run_alone(
    where: str, error: type[BaseException], files: Stores, works: Works
) -> None:
    """Whoever waits is told, the run is given back, and goes on once the adapter is repaired."""
    works.hold = True
    asked = batch_node("asked", works)
    asked.operation = unruly = Unruly(works, "", error)
    workflow = chain("w", asked, first)

    async def main() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            unruly.where = where
            if where == "cancel":
                await until(state_is(executor, "asked", State.WAITING))
                await executor.cancel("r")
            told = await beside(executor, run)
            assert error.__name__ in str(told)
            assert "esume the run" in str(told)
            unruly.where, works.hold = "", False
            run = await executor.resume("r")
            if where == "cancel":
                with pytest.raises(RunCancelledError):
                    await run.result()
            else:
                assert await run.result() == "done: x1"

    perform(main())


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_submission_raises_leaves_its_fate_unknown(
    error: type[BaseException], files: Stores, works: Works
) -> None:
    asked = batch_node("asked", works, on_unknown_submit="fail")
    asked.operation = Unruly(works, "submit", error)

    async def main() -> None:
        async with Executor(files()) as executor:
            told = await beside(executor, await executor.start(chain("w", asked), "x"))
            assert isinstance(told, RunFailedError)
            assert told.error_type == "SubmissionUnknownError"

    perform(main())


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("where", ["request", "finish", "when", "node"])
def test_whatever_the_users_code_raises_is_the_failure_of_its_node(
    where: str, error: type[BaseException], files: Stores, works: Works
) -> None:
    def may_raise(here: str) -> None:
        if where == here:
            raise error

    def ask(text: str) -> Mapping[str, Json]:
        may_raise("request")
        return {"text": text}

    def finish(_value: Json) -> str:
        may_raise("finish")
        return "x"

    def when(_text: str) -> bool:
        may_raise("when")
        return True

    @node
    async def last(text: str) -> str:
        may_raise("node")
        return text

    asked = batch_node("asked", works, request=ask, finish=finish, retries=0)
    workflow = Workflow[str, str]("w", start=asked, end=last)
    workflow.edge(asked, last, when=when)

    async def main() -> None:
        async with Executor(files()) as executor:
            told = await beside(executor, await executor.start(workflow, "x"))
            assert isinstance(told, RunFailedError)
            assert told.node == ("last" if where == "node" else "asked")

    perform(main())


@pytest.mark.parametrize("behind", ["nothing", "an operation", "a backoff"])
def test_a_node_that_cancels_its_task_leaves_nobody_waiting(
    behind: str, files: Stores, works: Works, quick_backoff: None
) -> None:
    """Wherever the task comes from that runs it: from the start, a poll or the end of a backoff."""
    repaired = asyncio.Event()
    failures = [ValueError("not yet")] if behind == "a backoff" else []

    @node(retries=1)
    async def itself(text: str) -> str:
        if failures:
            raise failures.pop()
        if not repaired.is_set():
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0.1)
        return text

    nodes = [batch_node("asked", works), itself] if behind == "an operation" else [itself]

    async def main() -> None:
        async with Executor(files()) as executor:
            told = await beside(executor, await executor.start(chain("w", *nodes), "x", run_id="r"))
            assert isinstance(told, DrivingInterruptedError)
            repaired.set()
            await (await executor.resume("r")).result()

    perform(main())


class Odd(BatchOperation):
    """An adapter that returns what it should not."""

    def __init__(self, works: Works, *, token: Any = None, wait: float = 0.01) -> None:
        super().__init__(works)
        self.token = token
        self.wait = wait

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        token = await super().submit(request, key)
        return token if self.token is None else self.token(token)

    async def poll(self, token: ContinuationToken) -> Outcome:
        outcome = await super().poll(token)
        return replace(outcome, retry_after=self.wait) if isinstance(outcome, Running) else outcome


def text(token: ContinuationToken) -> Any:
    return token.handle["batch"]


def not_plain(token: ContinuationToken) -> Any:
    odd: Any = {"batch": object()}
    return replace(token, handle=odd)


@pytest.mark.parametrize("token", [text, not_plain])
def test_a_handle_that_is_none_is_of_unknown_fate(token: Any, files: Stores, works: Works) -> None:
    """The provider has accepted it, whatever the adapter makes of its answer."""
    asked = batch_node("asked", works, on_unknown_submit="hold")
    asked.operation = Odd(works, token=token)

    async def main() -> None:
        async with Executor(files()) as executor:
            run = await executor.start(chain("w", asked), "x", run_id="r")
            await until(state_is(executor, "asked", State.SUBMIT_UNKNOWN))
            asked.operation.token = None  # type: ignore[attr-defined]
            await executor.decide("r", "asked", "batch-1")
            assert await run.result() == "done: x"

    perform(main())
    assert len(works.batches) == 1


def test_an_adapter_that_cant_say_when_to_poll_loses_no_handle(files: Stores, works: Works) -> None:
    class Timeless(BatchOperation):
        def poll_after(self, token: ContinuationToken) -> float:
            raise LookupError("no clock")

    asked = batch_node("asked", works)
    asked.operation = Timeless(works)

    async def main() -> str:
        async with Executor(files()) as executor:
            return await (await executor.start(chain("w", asked), "x")).result()

    assert perform(main()) == "done: x"
    assert len(works.batches) == 1


def test_a_wait_that_is_no_number_holds_nobody_up(files: Stores, works: Works) -> None:
    works.hold = True
    odd = batch_node("odd", works)
    odd.operation = Odd(works, wait=float("nan"))
    others = Works()

    async def main() -> str:
        async with Executor(files()) as executor:
            await executor.start(chain("odd", odd), "x")
            await until(lambda: bool(works.batches) and works.one.polls > 0)
            other = await executor.start(chain("other", batch_node("asked", others, every=0.05)), "y")
            result = await other.result()
            polls = works.one.polls
            await until(lambda: works.one.polls > polls)
            return result

    assert perform(main()) == "done: y"
