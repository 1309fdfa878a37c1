"""Long-running operations of another provider than OpenAI, through the same protocol and the same promises."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

import pytest
from perdure.checkpoints import RequestRef, RunStatus, State, StoreError, unpack
from perdure.engine import AnswerError, Executor, Run, RunCancelledError, RunFailedError, Workflow
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress, submission_key
from perdure.engine.core.book import Change
from perdure.engine.runtime._driver import Driver
from perdure.engine.runtime._shared import SUBMISSIONS
from perdure.nodes import (
    ContinuationToken,
    OnUnknownSubmit,
    OperationExpiredError,
    OperationFailedError,
    OperationNode,
    ProviderUnavailableError,
    SubmissionRejectedError,
    SubmissionUnknownError,
    node,
)
from perdure.nodes.operations import (
    Asks,
    Cancellable,
    Json,
    Operation,
    Outcome,
    Running,
    Streamable,
)

from .batches import Batch, BatchOperation, Works, batch_node
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
    third,
    until,
)

S = State


def words(lines: list[str], about: str) -> list[str]:
    """The types of the events of one node."""
    return [line.split()[1] for line in lines if line.split()[-1] == about]


def test_the_adapter_is_what_the_protocol_asks_for() -> None:
    adapter = BatchOperation(Works())
    typed: Operation = adapter
    cancellable: Cancellable = adapter
    assert isinstance(typed, Operation)
    assert isinstance(cancellable, Cancellable)
    assert not isinstance(adapter, Streamable)


def test_an_operation_is_submitted_once_and_polled_to_its_end(stores: Stores, works: Works) -> None:
    works.polling = lambda batch: setattr(works, "hold", batch.polls < 3)
    works.hold = True

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x", run_id="r")
            assert await run.result() == "done: x13"
            row = (await rows(executor, "r"))["print"]
            assert row.operation.token is not None
            token = ContinuationToken.from_dict(unpack(row.operation.token))
            assert token.provider == "works.batches"
            assert token.handle == {"batch": "batch-1", "output_file": "file-of-batch-1"}
            (submission,) = row.submissions
            assert (submission.handle, submission.source) == ("batch-1 file-of-batch-1", "reply")
            assert submission.usage is not None
            assert unpack(submission.usage) == {"lines": 1}
            assert (row.attempt, row.operation.submission, row.operation.unknown) == (1, 1, 0)
            run_record = await record(executor)
            request = await read(
                executor, lambda view: view.value(run_record.key, RequestRef(row.operation.key))
            )
            assert request is not None
            assert unpack(request.data) == works.one.request == {"text": "x1"}
            assert works.one.polls == 3
            assert works.one.key == submission_key(run_record.nonce, OperationAddress(Address("print")))
            assert works.one.key.endswith("-1")
            assert words(await journal(run), "print") == ["submission_intended", "submitted", "succeeded"]

    perform(test())


def test_a_failure_that_may_pass_is_a_new_attempt_with_a_new_key(
    stores: Stores, works: Works, quick_backoff: None
) -> None:
    def fail_twice(batch: Batch) -> None:
        batch.status = "failed" if len(works.batches) < 3 else "completed"

    works.polling = fail_twice

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            assert await run.result() == "done: x1"
            assert [batch.key.rsplit("-", 1)[1] for batch in works.batches.values()] == ["1", "2", "3"]
            assert len({batch.key for batch in works.batches.values()}) == 3
            assert words(await journal(run), "print") == [
                *("submission_intended", "submitted", "attempt_failed", "backoff_ended") * 2,
                *("submission_intended", "submitted", "succeeded"),
            ]
            row = (await rows(executor, "r"))["print"]
            assert (row.attempt, row.state) == (3, S.SUCCEEDED)

    perform(test())


def test_attempts_end(stores: Stores, works: Works, quick_backoff: None) -> None:
    works.polling = lambda batch: setattr(batch, "status", "failed")

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, retries=2))
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at print: OperationFailedError: The batch broke down."):
                await run.result()
            assert len(works.batches) == 3

    perform(test())


def test_a_backoff_is_committed_with_its_reason_and_its_end(stores: Stores, works: Works) -> None:
    works.polling = lambda batch: setattr(batch, "status", "failed" if batch.id == "batch-1" else "completed")

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works))
            run = await executor.start(workflow, "x", run_id="r")
            async for event in run.events():
                if event.type == "attempt_failed":
                    row = (await rows(executor, "r"))["print"]
                    assert row.state is S.BACKOFF
                    assert row.attempt == 1
                    wake_at = row.activation.wake_at
                    assert wake_at is not None
                    assert 0.2 < wake_at - event.at.timestamp() < 0.6
                    assert event.data["wake_at"] == wake_at
                    assert row.error is not None
                    assert unpack(row.error)["code"] == "breakdown"
                    assert event.data["error"] == unpack(row.error)
                    assert event.data["error"]["message"] == "The batch broke down."
                    assert await run.status() == RunStatus.WAITING
            assert await run.result() == "done: x1"

    perform(test())


@pytest.mark.parametrize(
    ("status", "error", "code", "partial"),
    [
        ("hopeless", "OperationFailedError", "hopeless", None),
        ("incomplete", "OperationIncompleteError", "limit", "done: a"),
        ("cancelled", "OperationCancelledError", "cancelled", None),
    ],
)
def test_other_ends_are_typed_errors_and_submit_nothing_again(
    status: str, error: str, code: str, partial: str | None, stores: Stores, works: Works
) -> None:
    works.polling = lambda batch: setattr(batch, "status", status)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works), third), "x", run_id="r")
            with raises(RunFailedError, "r", "print", error) as caught:
                await run.result()
            assert caught.value.error_type == error
            assert type(caught.value.__cause__).__name__ == error
            found = await rows(executor, "r")
            kept = found["print"].error
            assert kept is not None
            assert unpack(kept)["code"] == code
            assert unpack(kept).get("partial") == partial
            assert "third" not in found
            assert len(works.batches) == 1

    perform(test())


def test_a_handle_that_the_provider_forgot_is_an_error_and_a_retry_submits_anew(
    stores: Stores, works: Works
) -> None:
    works.hold = True
    workflow = chain("w", first, batch_node("print", works))

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: bool(works.batches))
            works.batches.clear()
            with raises(RunFailedError, "No batch batch-1 is known") as caught:
                await run.result()
            assert isinstance(caught.value.__cause__, OperationExpiredError)
            works.hold = False
            assert await (await executor.retry("r")).result() == "done: x1"
            assert works.one.key.endswith("-2")

    perform(test())


def test_a_refusal_is_an_error_that_needs_no_decision(stores: Stores, works: Works) -> None:
    works.before = [SubmissionRejectedError("The text is too long.", code="too_long")]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            with raises(RunFailedError, "print", "SubmissionRejectedError", "The text is too long."):
                await run.result()
            assert not works.batches
            assert words(await journal(run), "print") == ["submission_intended", "submission_refused"]

    perform(test())


def test_a_refusal_that_may_pass_is_told_once(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    again = SubmissionRejectedError("Slow down.", code="429", retryable=True, retry_after=0.01)
    works.before = [again, again]

    async def test() -> None:
        async with Executor(stores()) as executor:
            await (
                await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            ).result()

    perform(test())
    told = [line for line in caplog.messages if "was refused" in line]
    assert len(told) == 1
    assert told[0].startswith("run r: the submission of print was refused, and is tried again: ")
    assert "Slow down." in told[0]


def test_a_refusal_that_may_pass_waits_as_long_as_the_provider_wants(stores: Stores, works: Works) -> None:
    works.before = [SubmissionRejectedError("Slow down.", code="429", retryable=True, retry_after=0.3)]

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            async for event in run.events():
                if event.type == "submission_refused":
                    assert event.data["wake_at"] - event.at.timestamp() == pytest.approx(0.3, abs=0.001)
            assert await run.result() == "done: x1"
            assert works.one.key.endswith("-1")  # nothing was accepted, so it is the same attempt
            assert words(await journal(run), "print") == [
                *("submission_intended", "submission_refused"),
                *("submission_intended", "submitted", "succeeded"),
            ]

    perform(test())


async def refused_and_intended(executor: Executor, works: Works) -> tuple[Run[str], Driver]:
    """Run r, whose submission was refused, and is intended again by a transition that nobody's performer made.

    No place is free for it.
    """
    works.before = [SubmissionRejectedError("Slow down.", code="429", retryable=True, retry_after=3600.0)]
    run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
    await until(state_is(executor, "print", S.BACKOFF))
    await occupy(executor)
    driver = await runtime(executor).driver((await record(executor)).key)
    assert driver is not None
    operation = OperationAddress(Address("print"), 1)
    await driver.apply(Change(events.SubmissionIntended(time.time(), operation)))
    await until(lambda: bool(runtime(executor).shared.shielded))
    return run, driver


def free(executor: Executor) -> None:
    """Have all places for submissions free."""
    for _ in range(SUBMISSIONS):
        runtime(executor).shared.submissions.give_back()


async def occupy(executor: Executor) -> None:
    """Take all places for submissions, none of which is held any more."""
    for _ in range(SUBMISSIONS):
        turn = runtime(executor).shared.submissions.take()
        if turn is not None:
            await turn


def test_a_submission_that_follows_from_any_transition_is_sent_once_there_is_a_place(
    stores: Stores, works: Works
) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run, _ = await refused_and_intended(executor, works)
            await asyncio.sleep(0.05)
            assert not works.batches
            free(executor)
            assert await run.result() == "done: x1"
            assert works.asked == ["x1"]
            assert words(await journal(run), "print") == [
                *("submission_intended", "submission_refused"),
                *("submission_intended", "submitted", "succeeded"),
            ]
            await occupy(executor)

    perform(test())


def test_a_submission_of_a_run_that_was_given_up_meanwhile_is_not_sent(stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run, driver = await refused_and_intended(executor, works)
            driver.abort(StoreError("gone"))
            free(executor)
            with pytest.raises(StoreError):
                await run.result()
            await until(lambda: not runtime(executor).shared.shielded)
            assert not works.batches
            await occupy(executor)

    perform(test())


def test_a_node_that_is_cancelled_before_it_has_a_place_sends_nothing_and_keeps_none(
    stores: Stores, works: Works
) -> None:
    """Its intent is refused when the place comes."""

    async def test() -> None:
        async with Executor(stores()) as executor:
            await occupy(executor)
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            await until(state_is(executor, "print", S.RUNNING))
            await asyncio.sleep(0.05)  # until it waits for its place
            await executor.cancel("r")
            with pytest.raises(RunCancelledError):
                await run.result()
            free(executor)
            await occupy(executor)
            assert not works.batches
            assert "submission_intended" not in words(await journal(run), "print")

    perform(test())


def test_a_submission_that_waits_for_a_place_holds_a_stop_up_only_for_its_grace(
    stores: Stores, works: Works
) -> None:
    async def test() -> None:
        async with Executor(stores(), grace=0.05) as executor:
            await refused_and_intended(executor, works)
        assert not works.batches

    perform(test())


def test_a_submission_of_unknown_fate_is_sent_again_with_the_same_bytes_and_key(
    stores: Stores, works: Works, quick_backoff: None, caplog: pytest.LogCaptureFixture
) -> None:
    works.after = [ConnectionResetError("gone"), SubmissionUnknownError("502", code="502")]
    asked: list[str] = []

    def request(text: str) -> Mapping[str, Json]:
        asked.append(text)
        return {"text": text, "number": len(asked)}

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, request=request))
            run = await executor.start(workflow, "x", run_id="r")
            assert await run.result() == "done: x1"
            assert len(works.batches) == 3
            assert len({batch.key for batch in works.batches.values()}) == 1
            assert [batch.request["number"] for batch in works.batches.values()] == [1, 1, 1]
            row = (await rows(executor, "r"))["print"]
            assert (row.attempt, row.operation.submission, row.operation.unknown) == (1, 3, 2)
            assert [each.fate for each in row.submissions] == ["unknown", "unknown", "accepted"]
            assert words(await journal(run), "print") == [
                *("submission_intended", "submission_unknown") * 2,
                *("submission_intended", "submitted", "succeeded"),
            ]

    with caplog.at_level(logging.WARNING, "perdure"):
        perform(test())
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "run r: the fate of the submission of print is unknown"
    ] * 2


@pytest.mark.parametrize("retries", [0, 5])
def test_resubmissions_end_and_a_person_decides(
    retries: int, stores: Stores, works: Works, quick_backoff: None, caplog: pytest.LogCaptureFixture
) -> None:
    works.after = [ConnectionResetError("gone") for _ in range(9)]

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, retries=retries))
            run = await executor.start(workflow, "x", run_id="r")

            async def held() -> bool:
                row = (await rows(executor, "r")).get("print")
                return row is not None and bool(row.operations) and row.operation.detail == "held"

            await until(held)
            row = (await rows(executor, "r"))["print"]
            assert (row.state, row.operation.unknown) == (S.SUBMIT_UNKNOWN, 3)
            await asyncio.sleep(0.1)  # longer than another backoff
            assert len(works.batches) == 3
            await executor.decide("r", "print", "batch-2")
            assert await run.result() == "done: x1"

    perform(test())
    assert len(works.batches) == 3
    assert "perdure answer r 'print' resubmit|fail|HANDLE" in caplog.text


def test_under_fail_an_unknown_fate_is_an_error(stores: Stores, works: Works) -> None:
    works.after = [ConnectionResetError("gone")]

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, on_unknown_submit="fail"))
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "print", "SubmissionUnknownError", "may have accepted"):
                await run.result()
            assert len(works.batches) == 1

    perform(test())


async def asking(executor: Executor, works: Works, policy: OnUnknownSubmit = "hold") -> Run[str]:
    """A run that waits for a person: three texts are printed, and what became of the second is not known."""

    def lose_the_second(batch: Batch) -> None:
        works.hold = False

    works.polling = lose_the_second

    @node
    async def texts(text: str) -> list[str]:
        return [f"{text}{number}" for number in range(3)]

    @node
    async def gather(lines: list[str]) -> str:
        return "; ".join(lines)

    workflow = Workflow("w", start=texts, end=gather)
    print_it = batch_node("print", works, on_unknown_submit=policy)
    workflow.map(texts, print_it, concurrency=1)
    workflow.collect(print_it, gather)

    is_lost = state_is(executor, "print[1]", S.SUBMIT_UNKNOWN)

    async def lost() -> bool:
        works.after = [ConnectionResetError("gone")] if len(works.batches) == 1 else []
        return await is_lost()

    run = await executor.start(workflow, "x", run_id="r")
    await until(lost)
    works.after = []
    return run


@pytest.mark.usefixtures("evicted")
@pytest.mark.parametrize("reply", ["resubmit", "fail", "batch-2"])
@pytest.mark.parametrize("name", ["print[1]", "print", " print[1] "])
def test_under_hold_a_person_decides(reply: str, name: str, stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await asking(executor, works)
            row = (await rows(executor, "r"))["print[1]"]
            assert (row.operation.wake_at, row.operation.detail) == (None, "held")
            assert runtime(executor).drivers == {}
            await executor.decide("r", name, reply)
            if reply == "fail":
                with raises(
                    RunFailedError, r"print[1]", "SubmissionUnknownError", "a person decided to fail the node"
                ):
                    await run.result()
            else:
                assert await run.result() == "done: x0; done: x1; done: x2"
            assert len(works.batches) == {"resubmit": 4, "fail": 2, "batch-2": 3}[reply]
            with raises(AnswerError, "r", "waits for no answer", "nothing"):
                await executor.decide("r", "print[1]", "fail")

    perform(test())


def test_what_waits_for_no_answer_is_told_with_what_does(stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            await asking(executor, works)
            for name in ("print[0]", "texts", "nobody", "print[1", "", "print[7]"):
                with raises(AnswerError, "r", "waits for no answer", "print[1]"):
                    await executor.decide("r", name, "fail")

    perform(test())


def test_an_answer_is_acted_on_by_the_executor_that_drives_the_run(files: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(files()) as one, Executor(files()) as two:
            run = await asking(one, works)
            await two.decide("r", "print", "resubmit")
            assert await run.result() == "done: x0; done: x1; done: x2"
            assert run.id == "r"
            assert len(works.batches) == 4

    perform(test())


def test_an_answer_for_a_run_that_nobody_drives_takes_it_up(stores: Stores, works: Works) -> None:
    async def test() -> None:
        async with Executor(stores()) as executor:
            await asking(executor, works)
            (workflow,) = runtime(executor).workflows.values()
        async with Executor(stores()) as executor:
            with raises(Exception, "which this executor does not have"):
                await executor.decide("r", "print", "resubmit")
            assert not executor.drives("r")
        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.decide("r", "print", "resubmit")
            assert await (await executor.resume("r")).result() == "done: x0; done: x1; done: x2"
        assert len(works.batches) == 4

    perform(test())


def test_a_provider_that_does_not_talk_to_us_stops_the_driving_and_changes_nothing(
    stores: Stores, works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_batch: Batch) -> None:
        raise ProviderUnavailableError("The key is wrong.", code="401")

    works.polling = refuse
    workflow = chain("w", first, batch_node("print", works), third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            with raises(ProviderUnavailableError, "The key is wrong."):
                await run.result()
            with raises(ProviderUnavailableError, "The key is wrong."):
                await journal(run)
            assert not executor.drives("r")
            assert (await rows(executor, "r"))["print"].state is S.WAITING
            works.polling = None
            assert await (await executor.resume("r")).result() == "done: x13"
        assert len(works.batches) == 1

    with caplog.at_level(logging.WARNING, "perdure"):
        perform(test())
    assert [record.getMessage() for record in caplog.records] == [
        "run r is not driven on: ProviderUnavailableError: The key is wrong."
    ]


def test_a_mistake_in_an_adapter_stops_the_driving_and_loses_nothing(stores: Stores, works: Works) -> None:
    def stumble(_batch: Batch) -> None:
        raise KeyError("status")

    works.polling = stumble

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, batch_node("print", works)), "x", run_id="r")
            with raises(KeyError, "status"):
                await run.result()
            works.polling = None
            assert await (await executor.resume("r")).result() == "done: x1"
        assert len(works.batches) == 1

    perform(test())


def test_what_cant_even_be_prepared_sends_nothing(stores: Stores, works: Works) -> None:
    class Unprepared(BatchOperation):
        ready = True

        async def prepare(self) -> None:
            if not self.ready:
                raise ProviderUnavailableError("There is no key: set WORKS_KEY.", code="no_key")

    print_it = batch_node("print", works)
    print_it.operation = adapter = Unprepared(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, print_it), "x", run_id="r")
            adapter.ready = False
            with raises(ProviderUnavailableError, "WORKS_KEY"):
                await run.result()
            assert (await rows(executor, "r"))["print"].state is S.RUNNING
            adapter.ready = True
            assert await (await executor.resume("r")).result() == "done: x1"
            assert works.one.key.endswith("-1")

    perform(test())


def test_a_request_that_cant_be_made_or_stored_is_the_nodes_error(stores: Stores, works: Works) -> None:
    broken: object = None

    def request(text: str) -> Mapping[str, Json]:
        if broken is None:
            raise ZeroDivisionError("nothing to print")
        return {"text": text, "options": {"colour": broken}}  # type: ignore[dict-item]

    async def test() -> None:
        nonlocal broken
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, request=request))
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at print: ZeroDivisionError: nothing to print"):
                await run.result()
            broken = object()
            with raises(RunFailedError, "r failed at print: ValueNotStorableError", "options.colour"):
                await (await executor.retry("r")).result()
            broken = "red"
            assert await (await executor.retry("r")).result() == "done: x1"
            assert len(works.batches) == 1

    perform(test())


def test_an_answer_that_does_not_fit_is_the_nodes_error_and_its_usage_is_kept(
    stores: Stores, works: Works
) -> None:
    def finish(value: Json) -> str:
        raise OperationFailedError(f"This is no text: {value}", code="misfit")

    async def test() -> None:
        async with Executor(stores()) as executor:
            workflow = chain("w", first, batch_node("print", works, finish=finish))
            run = await executor.start(workflow, "x", run_id="r")
            with raises(RunFailedError, "r failed at print: OperationFailedError: This is no text"):
                await run.result()
            usage = (await rows(executor, "r"))["print"].submissions[0].usage
            assert usage is not None
            assert unpack(usage) == {"lines": 1}
            assert len(works.batches) == 1

    perform(test())


def test_a_token_that_the_provider_moves_is_committed_before_it_is_used(stores: Stores, works: Works) -> None:
    used: list[Json] = []

    class Moving(BatchOperation):
        async def poll(self, token: ContinuationToken) -> Outcome:
            used.append(token.cursor)
            answer = await super().poll(token)
            if isinstance(answer, Running):
                return Running(token=token.at(len(used)), retry_after=0.01)
            return answer

    print_it = batch_node("print", works)
    print_it.operation = Moving(works)
    works.hold = True
    works.polling = lambda batch: setattr(works, "hold", batch.polls < 4)
    workflow = chain("w", first, print_it)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(workflow, "x", run_id="r")
            await until(lambda: len(used) >= 2)
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("r")
            assert await run.result() == "done: x1"
            assert words(await journal(run), "print").count("token_advanced") >= 2
            row = (await rows(executor, "r"))["print"]
            assert row.operation.token is not None
            assert unpack(row.operation.token)["cursor"] == used[-1]
        assert used == sorted(used, key=lambda cursor: -1 if cursor is None else int(str(cursor)))
        assert len(works.batches) == 1

    perform(test())


def test_a_question_of_the_provider_is_an_error_as_long_as_nodes_cant_answer(
    stores: Stores, works: Works
) -> None:
    class Asking(BatchOperation):
        async def poll(self, token: ContinuationToken) -> Outcome:
            return Asks(token=token, question="Which colour?")

    print_it = batch_node("print", works)
    print_it.operation = Asking(works)

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, print_it), "x", run_id="r")
            with raises(RunFailedError, "print", "Which colour?"):
                await run.result()

    perform(test())


def test_a_request_may_ask_its_run(stores: Stores, works: Works) -> None:
    seen: list[tuple[str, str, int]] = []

    def request(_value: str, context: object) -> Mapping[str, Json]:
        from perdure.nodes import Context

        assert isinstance(context, Context)
        seen.append((context.run_id, context.node, context.attempt))
        return {"text": context.output(first)}

    print_it = OperationNode[str, str](
        "print",
        input=str,
        output=str,
        operation=BatchOperation(works),
        request=request,
        finish=lambda value: str(value),
    )

    async def test() -> None:
        async with Executor(stores()) as executor:
            run = await executor.start(chain("w", first, third, print_it), "x", run_id="r")
            assert await run.result() == "{'lines': ['done: x1']}"
        assert seen == [("r", "print", 1)]

    perform(test())
