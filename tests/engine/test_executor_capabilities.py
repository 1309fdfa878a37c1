"""What only some operations can do, on the real executor: the small operations of the adapters' kit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from perdure.checkpoints import OutcomeRef, State, pack, unpack
from perdure.engine import Executor, RunCancelledError, RunFailedError
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.book import Change
from perdure.engine.runtime._shared import POLLS
from perdure.nodes import Context, ContinuationToken, Polling
from perdure.nodes.conformance import SMALL_OPERATIONS, OnceOperation
from perdure.nodes.operations import Json

from .bench import (
    Stores,
    chain,
    first,
    journal,
    perform,
    raises,
    read,
    record,
    rows,
    runtime,
    state_is,
    store_of,
    third,
    until,
)
from .small import Small

S = State


def words(lines: list[str]) -> list[str]:
    """What happened to the operation, in the journal's words."""
    return [line.split()[1] for line in lines if line.endswith(" print")]


def test_every_kind_is_tried_here() -> None:
    assert set(SMALL_OPERATIONS) == {*PLAIN, "findable", "local", "conversational"}


PLAIN = ["plain", "cancellable", "idempotent", "once", "receiving", "streamable"]


@pytest.mark.parametrize("kind", PLAIN)
def test_it_is_submitted_once_and_waited_for_over_several_processes(
    kind: str, stores: Stores, tmp_path: Path
) -> None:
    small = Small(kind, tmp_path / "ledger")
    workflow = chain("w", first, small.node(request=lambda _: {"takes": 0.4}), third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(small.entries))
        for _ in range(2):
            async with Executor(stores(), workflows=[workflow]) as executor:
                await executor.resume("r")
                await asyncio.sleep(0.05)
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.resume("r")).result() == "Answer: x13"
            (submission,) = (await rows(executor, "r"))["print"].submissions
            assert submission.handle == small.one.handle
            assert submission.usage is not None
            assert unpack(submission.usage) == {"words": 1}

    perform(test())
    assert small.ledger.submitted(small.one.key) == 1


@pytest.mark.parametrize("policy", ["resubmit", "hold", "fail"])
def test_while_the_key_is_honoured_sending_again_needs_no_decision(
    policy: str, stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    small = Small("idempotent", tmp_path / "ledger")
    node = small.node(request=lambda _: {"lose_replies": 3}, on_unknown_submit=policy)  # type: ignore[arg-type]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            assert words(await journal(run)) == [
                *("submission_intended", "submission_unknown") * 3,
                *("submission_intended", "submitted", "succeeded"),
            ]

    perform(test())
    assert small.ledger.submitted(small.one.key) == 4
    assert small.ledger.accepted(small.one.key) == 1


def test_when_the_key_is_not_honoured_any_more_the_policy_decides(
    stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    small = Small("idempotent", tmp_path / "ledger", idempotent_for=0.0)
    node = small.node(request=lambda _: {"lose_replies": 1}, on_unknown_submit="hold")

    async def test() -> None:
        async with Executor(stores()) as executor:
            await executor.start(chain("w", first, node), "x", run_id="r")
            await until(state_is(executor, "print", S.SUBMIT_UNKNOWN))
            await asyncio.sleep(0.1)
            row = (await rows(executor, "r"))["print"]
            assert (row.state, row.operation.detail) == (S.SUBMIT_UNKNOWN, "held")

    perform(test())
    assert small.ledger.submitted(small.one.key) == 1


@pytest.mark.parametrize("policy", ["resubmit", "hold", "fail"])
def test_what_can_be_found_is_adopted_and_not_submitted_again(
    policy: str, stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    small = Small("findable", tmp_path / "ledger", settles_within=0.3, submit_takes=0.1)
    node = small.node(request=lambda _: {"lose_replies": 1, "listing_fails": 1}, on_unknown_submit=policy)  # type: ignore[arg-type]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            told = words(await journal(run))
            assert told[:2] == ["submission_intended", "submission_unknown"]
            assert told[-2:] == ["handle_found", "succeeded"]
            assert set(told[2:-2]) <= {"nothing_found"}
            (submission,) = (await rows(executor, "r"))["print"].submissions
            assert (submission.fate, submission.source) == ("accepted", "found")
            assert submission.handle == small.one.handle

    perform(test())
    assert small.ledger.submitted(small.one.key) == 1
    assert small.ledger.found(small.one.key) >= 2


def test_what_is_not_there_when_a_look_up_is_to_be_believed_is_submitted_again(
    stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    """The listing never has it, as if it had not been accepted."""
    small = Small("findable", tmp_path / "ledger", settles_within=0.1, submit_takes=0.1)
    small.ledger.listed = lambda *_, **__: []  # type: ignore[method-assign]
    small.operation.ledger = small.ledger  # type: ignore[attr-defined]
    node = small.node(request=lambda _: {"lose_replies": 1})

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            sent, again = [e.at.timestamp() async for e in run.events() if e.type == "submission_intended"]
            assert again - sent >= 0.2  # not before the look-up was to be believed

    perform(test())
    assert small.ledger.submitted(small.entries[0].key) == 2


def test_of_several_that_are_found_one_is_adopted_and_the_others_are_cancelled_and_counted(
    stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    small = Small("findable", tmp_path / "ledger", settles_within=0.05, submit_takes=0.05)
    node = small.node(request=lambda _: {"lose_replies": 1, "doubles": 2, "takes": 1.0})

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            found = (await rows(executor, "r"))["print"].submissions
            assert [each.fate for each in found] == ["accepted", "stray_cancelled", "stray_cancelled"]
            assert {each.handle for each in found} == {entry.handle for entry in small.entries}
            assert [each.usage is not None for each in found] == [True] * 3

    perform(test())
    first_one, *others = small.entries
    assert small.ledger.submitted(first_one.key) == 1
    assert [entry.cancelled_at is not None for entry in (first_one, *others)] == [False, True, True]


def test_a_cancel_is_sent_until_it_is_acknowledged(stores: Stores, tmp_path: Path) -> None:
    small = Small("cancellable", tmp_path / "ledger")
    node = small.node(request=lambda _: {"takes": 60, "cancels_in": 0.2})

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            await until(lambda: bool(small.entries))
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            row = (await rows(executor, "r"))["print"]
            assert row.state is S.CANCELLED
            usage = row.submissions[0].usage
            assert usage is not None
            assert unpack(usage) == {"words": 1}  # what was cancelled is counted too

    perform(test())
    assert small.ledger.cancelled(small.one.handle) >= 2


def test_what_cant_be_cancelled_is_told_and_ends_here(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = Small("plain", tmp_path / "ledger")
    node = small.node(request=lambda _: {"takes": 60})

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            await until(lambda: bool(small.entries))
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()

    perform(test())
    assert "run r: print can't be cancelled at conformance.plain and runs on there" in caplog.text


def test_a_second_submission_that_cant_be_cancelled_is_told(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = Small("plain", tmp_path / "ledger")
    node = small.node(request=lambda _: {"takes": 1.5})

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            await until(state_is(executor, "print", S.WAITING))
            token = await small.operation.submit({"text": "late"}, "another")
            late = pack({"token": token.to_dict(), "operation": [1, "", 0], "submission": 1})
            await store_of(executor).signal((await record(executor)).key, "handle", "print", (), late)
            assert await run.result() == "Answer: x1"

    perform(test())
    assert "a second submission of print (op_2) can't be cancelled at its provider and runs on" in caplog.text


def test_a_result_that_can_be_had_once_is_fetched_once_and_committed_before_it_is_read(
    stores: Stores, tmp_path: Path
) -> None:
    small = Small("once", tmp_path / "ledger")

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, small.node()), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            assert words(await journal(run)) == [
                *("submission_intended", "submitted", "fetch_started", "fetched", "succeeded"),
            ]
            key = (await record(executor)).key
            operation = (await rows(executor, "r"))["print"].operation.key
            raw = await read(executor, lambda view: view.value(key, OutcomeRef(operation)))
            assert raw is not None
            assert unpack(raw.data) == {"status": "done", "text": "Answer: x1", "usage": {"words": 1}}

    perform(test())
    assert small.ledger.fetched(small.one.handle) == 1


def test_a_result_that_was_fetched_once_is_read_again_after_a_decoder_failed(
    stores: Stores, tmp_path: Path
) -> None:
    small = Small("once", tmp_path / "ledger")
    broken = True

    def finish(value: Json) -> str:
        if broken:
            raise ValueError("not this shape")
        assert isinstance(value, dict)
        return str(value["text"])

    workflow = chain("w", first, small.node(finish=finish))

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            with raises(RunFailedError, "r failed at print: ValueError: not this shape"):
                await (await executor.start(workflow, "x", run_id="r")).result()
        broken = False
        async with Executor(stores(), workflows=[workflow]) as executor:
            assert await (await executor.retry("r")).result() == "Answer: x1"

    perform(test())
    assert small.ledger.fetched(small.one.handle) == 1
    assert small.ledger.submitted(small.one.key) == 1


def test_a_result_that_was_lost_while_it_was_fetched_is_asked_for_by_nobody(
    stores: Stores, tmp_path: Path
) -> None:
    """The process ended between the provider's handing out and our commit: only a person submits it again."""
    small = Small("once", tmp_path / "ledger")
    assert isinstance(small.operation, OnceOperation)
    fetch = small.operation.fetch

    async def never_come_back(token: ContinuationToken) -> Any:
        await fetch(token)
        await asyncio.Event().wait()

    workflow = chain("w", first, small.node(retries=3))

    async def test() -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(small.operation, "fetch", never_come_back)
            async with Executor(stores(), grace=0.05) as executor:
                await executor.start(workflow, "x", run_id="r")
                await until(lambda: bool(small.entries) and small.ledger.fetched(small.one.handle) == 1)
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            with raises(RunFailedError, "r failed at print: OperationError", "hands its result out once"):
                await run.result()
            assert (await rows(executor, "r"))["print"].operation.state is S.LOST
            assert small.ledger.fetched(small.one.handle) == 1
            assert small.ledger.submitted(small.one.key) == 1
            assert await (await executor.retry("r")).result() == "Answer: x1"
            assert len(small.entries) == 2

    perform(test())


def test_a_result_that_only_waits_to_be_fetched_is_not_lost(stores: Stores, tmp_path: Path) -> None:
    """The executor is left while no place is free: nothing was asked, so it is fetched by the next one."""
    small = Small("once", tmp_path / "ledger")
    workflow = chain("w", first, small.node())

    async def test() -> None:
        async with Executor(stores(), grace=0.05) as executor:
            for _ in range(POLLS):
                runtime(executor).shared.polls.take()
            await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "print", S.WAITING))
            await asyncio.sleep(0.1)  # longer than until its first poll
            assert (await rows(executor, "r"))["print"].operation.detail is None
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "Answer: x1"
            assert words(await journal(run)).count("fetch_started") == 1

    perform(test())
    assert small.ledger.fetched(small.one.handle) == 1


def test_a_fetch_that_follows_from_any_transition_is_carried_out(stores: Stores, tmp_path: Path) -> None:
    small = Small("once", tmp_path / "ledger")
    workflow = chain("w", first, small.node(polling=Polling(first=3600, cap=3600)))

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(state_is(executor, "print", S.WAITING))
            shared = runtime(executor).shared
            for _ in range(POLLS):
                shared.polls.take()
            driver = await runtime(executor).driver((await record(executor)).key)
            assert driver is not None
            operation = OperationAddress(Address("print"), 1)
            await driver.apply(Change(events.FetchStarted(time.time(), operation)))
            await asyncio.sleep(0.05)
            assert small.ledger.fetched(small.one.handle) == 0
            for _ in range(POLLS):
                shared.polls.give_back()
            assert await run.result() == "Answer: x1"
            assert all(shared.polls.take() is None for _ in range(POLLS)), "all places are free again"

    perform(test())
    assert small.ledger.fetched(small.one.handle) == 1


CONVERSATIONS: dict[str, tuple[Mapping[str, Json], str, str]] = {
    "calls": ({"calls": [["search", {"q": "otters"}], ["sum", {}]]}, "needs_calls", "search, sum"),
    "a question": ({"asks": "Which otters?"}, "needs_input", "Which otters?"),
}


@pytest.mark.parametrize("kind", CONVERSATIONS)
def test_a_conversation_that_the_node_cant_hold_fails_it_and_says_so(
    kind: str, stores: Stores, tmp_path: Path
) -> None:
    small = Small("conversational", tmp_path / "ledger")
    turn, code, said = CONVERSATIONS[kind]

    def request(_: Context) -> Mapping[str, Json]:
        return {"turns": [dict(turn)]}

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, small.node(request=request, retries=3))
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at print: OperationError: The provider", said):
                await run.result()
            error = (await rows(executor, "r"))["print"].error
            assert error is not None
            assert unpack(error)["code"] == code

    perform(test())
    assert small.ledger.submitted(small.one.key) == 1  # another attempt would end in the same way


def test_a_refusal_that_may_pass_uses_up_no_attempt(stores: Stores, tmp_path: Path) -> None:
    small = Small("plain", tmp_path / "ledger")
    node = small.node(request=lambda _: {"refuse": 4}, retries=0)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            assert await run.result() == "Answer: x1"
            row = (await rows(executor, "r"))["print"]
            assert (row.attempt, row.activation.failures, row.operation.refused) == (1, 0, 4)
            assert [each.fate for each in row.submissions] == ["refused"] * 4 + ["accepted"]

    perform(test())
    assert small.ledger.submitted(small.one.key) == 5


def test_refusals_end_when_the_time_for_submissions_is_over(stores: Stores, tmp_path: Path) -> None:
    small = Small("plain", tmp_path / "ledger")
    node = small.node(request=lambda _: {"refuse": 10_000})
    node.submit_timeout = 0.1

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, node), "x", run_id="r")
            with raises(
                RunFailedError, "r failed at print: SubmissionRejectedError: The ledger accepts nothing"
            ):
                await run.result()
            assert len((await rows(executor, "r"))["print"].submissions) >= 2

    perform(test())
    assert small.entries == []
