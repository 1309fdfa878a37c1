"""Starting a run, and taking up one that is known: what runs, what does not, and what is refused."""

from __future__ import annotations

import asyncio
import re

import pytest
from perdure.checkpoints import RunNotFoundError, RunStatus, ValueNotStorableError
from perdure.engine import (
    Executor,
    InputMismatchError,
    RunFailedError,
    RunNotRetryableError,
    RunOwnedError,
    Workflow,
    WorkflowChangedError,
    WorkflowFrozenError,
    WorkflowInvalidError,
    WorkflowUnknownError,
)
from perdure.engine.errors import ExecutorStoppedError, RunIdError
from perdure.nodes import node

from .batches import Works, batch_node
from .bench import Stores, chain, first, journal, perform, raises, rows, second, third, until


def test_a_run_gives_the_output_of_its_last_node(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second), "x", run_id="r")
            assert run.id == "r"
            assert await run.result() == "x12"
            assert await run.result() == "x12"
            assert await run.status() == RunStatus.SUCCEEDED
            assert not run.driven_here
            assert not executor.drives("r")

    perform(test())


def test_a_workflow_of_one_node_is_a_workflow(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(Workflow("w", start=first, end=first), "x")
            assert await run.result() == "x1"

    perform(test())


def test_ids_are_made_up_where_none_is_given(stores: Stores) -> None:
    async def test() -> None:
        ids = iter(("one", "two"))
        async with Executor(stores(), new_id=lambda: next(ids)) as executor:
            workflow = chain("w", first, second)
            started = [await executor.start(workflow, "x") for _ in range(2)]
            assert [run.id for run in started] == ["one", "two"]
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x")
            assert re.fullmatch("[0-9a-f]{16}", run.id)
            await run.result()

    perform(test())


def test_a_finished_run_gives_its_result_again_and_runs_nothing(stores: Stores) -> None:
    ran: list[str] = []

    @node
    async def note(text: str) -> str:
        ran.append(text)
        return text.upper()

    async def test() -> None:
        async with Executor(stores()) as executor:
            await (await executor.start(chain("w", first, note), "x", run_id="r")).result()
            again = await executor.start(chain("w", first, note), "x", run_id="r")
            assert await again.result() == "X1"
            assert not again.driven_here
        async with Executor(stores()) as executor:
            later = await executor.start(chain("w", first, note), "x", run_id="r")
            assert await later.result() == "X1"
            assert await (await executor.resume("r")).result() == "X1"
        assert ran == ["x1"]

    perform(test())


def test_a_failed_run_says_so_again_and_runs_nothing(stores: Stores) -> None:
    ran: list[str] = []

    @node
    async def fail(text: str) -> str:
        ran.append(text)
        raise ValueError("no luck")

    async def test() -> None:
        workflow = chain("w", first, fail)
        for _ in range(2):
            async with Executor(stores()) as executor:
                run = await executor.start(workflow, "x", run_id="r")
                with raises(RunFailedError, "r", "fail", "no luck"):
                    await run.result()
        assert ran == ["x1"]

    perform(test())


def test_a_live_run_is_the_same_run(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works))
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            again = await executor.start(workflow, "x", run_id="r")
            assert again.driven_here
            works.hold = False
            assert await again.result() == await run.result() == "done: x1"
            assert works.asked == ["x1"]

    perform(test())


def test_starts_at_the_same_moment_make_one_run(stores: Stores) -> None:
    ran: list[str] = []

    @node
    async def note(text: str) -> str:
        ran.append(text)
        await asyncio.sleep(0.01)
        return text

    async def test() -> None:
        workflow = chain("w", note, second)
        async with Executor(stores()) as executor:
            runs = await asyncio.gather(*(executor.start(workflow, "x", run_id="r") for _ in range(20)))
            assert await asyncio.gather(*(run.result() for run in runs)) == ["x2"] * 20
        assert ran == ["x"]

    perform(test())


def test_another_input_for_a_known_id_is_refused(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, second)
            run = await executor.start(workflow, "x", run_id="r")
            with raises(InputMismatchError, "r", "another input", "another run id"):
                await executor.start(workflow, "y", run_id="r")
            assert await run.result() == "x12"
            with raises(InputMismatchError, "r"):
                await executor.start(workflow, "y", run_id="r")

    perform(test())


def test_another_workflow_for_a_known_id_is_refused(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            await (await executor.start(chain("w", first, second), "x", run_id="r")).result()
            with raises(InputMismatchError, "r", "belongs to workflow w", "not other"):
                await executor.start(chain("other", first, second), "x", run_id="r")

    perform(test())


def test_a_workflow_that_has_changed_is_refused_and_the_changes_are_named(
    stores: Stores, works: Works
) -> None:
    works.hold = True
    before = chain("w", first, batch_node("print", works))
    after = chain("w", first, second, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(before, "x", run_id="r")
            await until(lambda: bool(works.batches))
        async with Executor(stores(), workflows=[after]) as executor:
            with raises(WorkflowChangedError, "w has changed", "r", "node second is new") as caught:
                await executor.start(after, "x", run_id="r")
            assert "edge first -> print (plain) is gone" in caught.value.changes
            with raises(WorkflowChangedError, "node second is new"):
                await executor.resume("r")
            left = await executor.resume_all()
            assert left.runs == ()
            assert "node second is new" in left.left["r"]
        works.hold = False
        async with Executor(stores(), workflows=[before]) as executor:
            assert await (await executor.resume("r")).result() == "done: x1"
        assert works.asked == ["x1"]

    perform(test())


def test_two_objects_of_one_shape_keep_their_own_functions(stores: Stores) -> None:
    def shouting(mark: str) -> Workflow[str, str]:
        @node
        async def shout(text: str) -> str:
            return f"{text}{mark}"

        @node
        def plain(text: str) -> str:
            return f"{text}{mark}"

        workflow = Workflow("w", start=first, end=plain)
        workflow.edge(first, batch)
        workflow.edge(batch, shout)
        workflow.edge(shout, plain)
        return workflow

    batch = batch_node("print", Works())

    async def test() -> None:
        async with Executor(stores(), workflows=[shouting("?")]) as executor:
            loud = await executor.start(shouting("!"), "x")
            quiet = await executor.start(shouting("."), "x")
            assert await loud.result() == "done: x1!!"
            assert await quiet.result() == "done: x1.."

    perform(test())


@pytest.mark.parametrize("run_id", ["", "-x", "two words", "a\nb", "ä", "x" * 201, "@latest", "*"])
def test_what_can_be_no_id_is_refused(run_id: str, stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            with raises(RunIdError, "can't be a run's id", "letters"):
                await executor.start(chain("w", first, second), "x", run_id=run_id)
            with pytest.raises(RunNotFoundError):
                await executor.resume(run_id)

    perform(test())


def test_ids_of_every_permitted_form_work(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, second)
            for run_id in ("7", "nightly/2026-11-22_a.b:c+d=e-f", "x" * 200):
                run = await executor.start(workflow, "x", run_id=run_id)
                assert run.id == run_id
                assert await run.result() == "x12"

    perform(test())


def test_an_input_that_cant_be_stored_starts_nothing(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = Workflow("w", start=total, end=total)
            bad = {"a": [1, 2], "b": [3, object()]}
            with raises(ValueNotStorableError, "input of run r of workflow w", "$") as caught:
                await executor.start(workflow, bad, run_id="r")  # type: ignore[misc]
            assert caught.value.path == "$.b[1]"
            with pytest.raises(RunNotFoundError):
                await executor.resume("r")
            run = await executor.start(workflow, {"a": [1, 2]}, run_id="r")
            assert await run.result() == 3

    perform(test())


@node
async def total(numbers: dict[str, list[int]]) -> int:
    return sum(map(sum, numbers.values()))


def test_a_workflow_is_checked_and_frozen_when_a_run_of_it_starts(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            loose = Workflow("loose", start=first, end=second)
            with raises(WorkflowInvalidError, "loose"):
                await executor.start(loose, "x", run_id="r")
            with pytest.raises(RunNotFoundError):
                await executor.resume("r")
            workflow = chain("w", first, second)
            await executor.start(workflow, "x")
            with raises(WorkflowFrozenError, "'w'"):
                workflow.edge(second, third)
        with raises(WorkflowInvalidError, "loose"):
            Executor(stores(), workflows=[loose])

    perform(test())


def test_an_executor_works_inside_of_its_context_alone(stores: Stores) -> None:
    workflow = chain("w", first, second)

    async def test() -> None:
        executor = Executor(stores(), workflows=[workflow])
        for _ in range(2):  # before and after
            with raises(ExecutorStoppedError, "async with"):
                await executor.start(workflow, "x", run_id="r")
            for use in (executor.resume, executor.retry, executor.cancel):
                with raises(ExecutorStoppedError, "async with"):
                    await use("r")
            with raises(ExecutorStoppedError, "async with"):
                await executor.resume_all()
            with raises(ExecutorStoppedError, "async with"):
                await executor.decide("r", "second", "fail")
            if _ == 0:
                async with executor:
                    await (await executor.start(workflow, "x", run_id="inside")).result()

    perform(test())


def test_an_unknown_run_is_named(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            for use in (executor.resume, executor.retry, executor.cancel):
                with raises(RunNotFoundError, "nobody", "perdure runs"):
                    await use("nobody")
            with raises(RunNotFoundError, "nobody"):
                await executor.decide("nobody", "x", "fail")

    perform(test())


def test_a_run_of_a_workflow_that_is_not_here_is_left_alone(stores: Stores, works: Works) -> None:
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(lambda: bool(works.batches))
        async with Executor(stores(), workflows=[chain("other", first, second)]) as executor:
            with raises(WorkflowUnknownError, "r belongs to workflow w", "it has: other", "--app"):
                await executor.resume("r")
            assert (await executor.resume_all()).left.keys() == {"r"}
            assert not executor.drives("r")

    perform(test())


def test_two_executors_on_one_file_share_runs_but_never_one(files: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(files()) as one, Executor(files(), workflows=[workflow]) as two:
            mine = await one.start(workflow, "x", run_id="r1")
            yours = await two.start(workflow, "y", run_id="r2")
            with raises(RunOwnedError, "r1 is driven by process", "perdure events r1 -f") as caught:
                await two.resume("r1")
            assert caught.value.holder.startswith("process ")
            assert (await two.resume_all()).left == {"r1": f"{caught.value.holder} drives it"}
            seen = await two.start(workflow, "x", run_id="r1")
            assert not seen.driven_here
            works.hold = False
            assert await seen.result() == await mine.result() == "done: x1"
            assert await yours.result() == "done: y1"
            assert (await journal(seen))[-1].endswith("succeeded print")
        assert sorted(works.asked) == ["x1", "y1"]

    perform(test())


def test_what_another_executor_failed_at_is_told_here(files: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(files()) as one, Executor(files()) as two:
            await one.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            seen = await two.start(workflow, "x", run_id="r")
            works.one.status = "hopeless"
            with raises(RunFailedError, "r", "print", "OperationFailedError", "can't be made") as caught:
                await seen.result()
            assert (caught.value.node, caught.value.error_type) == ("print", "OperationFailedError")
            assert caught.value.__cause__ is None

    perform(test())


def test_a_run_that_was_let_go_is_taken_up_at_once(files: Stores, works: Works) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(files(), workflows=[workflow]) as two:
            async with Executor(files()) as one:
                await one.start(workflow, "x", run_id="r")
                await until(lambda: bool(works.batches))
                with pytest.raises(RunOwnedError):
                    await two.resume("r")
            run = await two.resume("r")
            assert run.driven_here
            works.hold = False
            assert await run.result() == "done: x1"
            assert len(await rows(two, "r")) == 2
        assert works.asked == ["x1"]

    perform(test())


def test_only_a_failed_run_can_be_retried(stores: Stores) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, second), "x", run_id="r")
            await run.result()
            with raises(RunNotRetryableError, "r", "only a failed run"):
                await executor.retry("r")

    perform(test())
