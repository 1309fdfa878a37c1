"""What is kept of each attempt: its error with where it was raised, its usage, its result, and how often it failed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never

import pytest
from perdure.checkpoints import OutcomeRef, State, unpack
from perdure.engine import Executor, Run, RunFailedError
from perdure.nodes import Context, OperationFailedError, node
from perdure.nodes.operations import Json

from .batches import Batch, Works, batch_node
from .bench import Stores, chain, first, perform, raises, read, record, rows, third, until
from .small import Small

S = State


async def errors(run: Run[Any], type_: str = "attempt_failed") -> list[Mapping[str, Any]]:
    """What the journal tells of each attempt that failed."""
    return [event.data["error"] async for event in run.events() if event.type == type_]


# -- errors ----------------------------------------------------------------------------------------------


def fall(depth: int, secret: str) -> Never:
    """Raise, so many calls deep."""
    if depth == 0:
        raise ValueError("the bottom")
    fall(depth - 1, secret)


def test_each_attempt_keeps_its_own_error_with_its_traceback(stores: Stores, quick_backoff: None) -> None:
    @node(retries=2)
    async def act(text: str, ctx: Context) -> str:
        if ctx.attempt == 1:
            raise KeyError("the first")
        fall(3, text)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            told = await errors(run)
            assert [one["type"] for one in told] == ["KeyError", "ValueError", "ValueError"]
            assert "in act" in told[0]["traceback"]
            assert "fall" not in told[0]["traceback"]
            assert told[1]["traceback"].count("in fall") == 4
            assert told[1]["traceback"].rstrip().endswith('raise ValueError("the bottom")')

    perform(test())


@pytest.mark.parametrize("depth", [0, 200, 900])
def test_a_traceback_is_cut_and_holds_no_local_variable_and_no_absolute_path(
    depth: int, stores: Stores
) -> None:
    @node
    async def act(text: str) -> str:
        fall(depth, "sk-local-4711")

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            (told,) = await errors(run)
            text: str = told["traceback"]
            frames = [line for line in text.splitlines() if line.startswith('  File "')]
            assert 1 <= len(frames) <= 20
            assert len(text.encode()) <= 8_000
            assert "the bottom" in text  # the end is what is kept
            assert "sk-local-4711" not in text
            assert not [line for line in frames if line.startswith('  File "/')]
            assert f'  File "{Path("tests/engine") / Path(__file__).name}"' in text

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(Path(__file__).parents[2])
        perform(test())


def test_a_traceback_tells_the_causes_too(stores: Stores) -> None:
    @node
    async def act(text: str) -> str:
        try:
            fall(1, text)
        except ValueError as error:
            raise RuntimeError("above") from error

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            (told,) = await errors(run)
            cause, last = told["traceback"].split("ValueError: the bottom\n")
            assert cause.count("in fall") == 2
            assert 'raise RuntimeError("above")' in last

    perform(test())


@pytest.mark.parametrize("lines", [1, 400])
def test_a_wide_traceback_is_cut_by_bytes(lines: int, stores: Stores, tmp_path: Path) -> None:
    """Twenty frames of long lines are more than is kept."""
    long = "x = " + " + ".join(["1"] * lines)
    source = "\n".join(
        [
            *(f"def f{n}():\n    return f{n - 1}(), '{long}'" for n in range(1, 30)),
            "def f0():\n    raise ValueError('ö')",
        ]
    )
    (tmp_path / "wide_module.py").write_text(source, encoding="utf-8")

    @node
    async def act(text: str) -> str:
        import wide_module  # type: ignore[import-not-found]

        return wide_module.f29()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, act), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            (told,) = await errors(run)
            assert len(told["traceback"].encode()) <= 8_000
            assert "raise ValueError('ö')" in told["traceback"]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "path", [str(tmp_path), *sys.path])
        try:
            perform(test())
        finally:
            sys.modules.pop("wide_module", None)


# -- usage -----------------------------------------------------------------------------------------------


def test_usage_adds_up_over_attempts(stores: Stores, tmp_path: Path, quick_backoff: None) -> None:
    """Each submission keeps what the provider counted for it; nothing overwrites it."""
    small = Small("plain", tmp_path / "ledger")

    def request(context: Context) -> Mapping[str, Json]:
        return {"fails": "busy", "retryable": True} if context.attempt < 3 else {}

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, small.node(request=request, retries=5))
            run = await executor.start(workflow, "two words", run_id="r")
            assert await run.result() == "Answer: two words1"
            row = (await rows(executor, "r"))["print"]
            counted = [unpack(each.usage)["words"] for each in row.submissions if each.usage is not None]
            assert counted == [2, 2, 2]
            assert [each.key.operation.attempt for each in row.submissions] == [1, 2, 3]

    perform(test())
    assert len(small.entries) == 3


def test_usage_of_a_result_that_could_not_be_decoded_counts_once(stores: Stores, tmp_path: Path) -> None:
    small = Small("plain", tmp_path / "ledger")
    broken = True

    def finish(value: Json) -> str:
        if broken:
            raise ValueError("not this shape")
        return "fine"

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, small.node(finish=finish)), "x", run_id="r")
            with pytest.raises(RunFailedError):
                await run.result()
            broken = False
            assert await (await executor.retry("r")).result() == "fine"
            (submission,) = (await rows(executor, "r"))["print"].submissions
            assert submission.usage is not None
            assert unpack(submission.usage) == {"words": 1}

    perform(test())


# -- results that can't be decoded -----------------------------------------------------------------------


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_was_paid_for_is_decoded_again_and_not_submitted_again(
    elsewhere: bool, stores: Stores, works: Works
) -> None:
    broken = True
    decoded: list[Json] = []

    def finish(value: Json) -> str:
        decoded.append(value)
        if broken:
            raise OperationFailedError("This is no text.", code="misfit")
        return "fine"

    workflow = chain("w", first, batch_node("print", works, retries=3, finish=finish), third)

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at print: OperationFailedError: This is no text."):
                await run.result()
            key = (await record(executor)).key
            row = (await rows(executor, "r"))["print"]
            assert (row.state, row.operation.state, row.operation.has_outcome) == (
                S.FAILED,
                S.SUCCEEDED,
                True,
            )
            kept = await read(executor, lambda view: view.value(key, OutcomeRef(row.operation.key)))
            assert kept is not None
            assert unpack(kept.data) == {"lines": ["done: x1"]}
            with raises(RunFailedError, "This is no text."):  # and once more
                await (await executor.retry("r")).result()
            broken = False
            if not elsewhere:
                assert await (await executor.retry("r")).result() == "fine3"
        if elsewhere:
            async with Executor(stores(), workflows=[workflow]) as executor:
                assert await (await executor.retry("r")).result() == "fine3"
        assert decoded == [{"lines": ["done: x1"]}] * 3

    perform(test())
    assert (len(works.batches), works.one.polls) == (1, 1)


# -- failures --------------------------------------------------------------------------------------------


def test_a_retry_by_hand_gives_an_operation_all_its_attempts_again(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    def fail(batch: Batch) -> None:
        batch.status = "failed" if len(works.batches) < 5 else "completed"

    works.polling = fail

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(
                chain("w", first, batch_node("print", works, retries=1)), "x", run_id="r"
            )
            for attempts in (2, 4):
                with raises(RunFailedError, "The batch broke down."):
                    await run.result()
                row = (await rows(executor, "r"))["print"]
                assert (row.attempt, row.activation.failures) == (attempts, 2)
                assert len(works.batches) == attempts
                run = await executor.retry("r")
            assert await run.result() == "done: x1"
            row = (await rows(executor, "r"))["print"]
            assert (row.attempt, row.activation.failures) == (5, 0)

    perform(test())


def test_failures_count_on_over_a_resume(stores: Stores) -> None:
    attempts: list[int] = []

    @node(retries=1)
    async def fail(text: str, ctx: Context) -> str:
        attempts.append(ctx.attempt)
        raise ValueError("no")

    workflow = chain("w", first, fail)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(attempts))
        async with Executor(stores(), workflows=[workflow]) as executor:
            with pytest.raises(RunFailedError):
                await (await executor.resume("r")).result()
            assert (await rows(executor, "r"))["fail"].activation.failures == 2
        assert attempts == [1, 2]

    perform(test())
