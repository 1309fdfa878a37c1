"""The kit of operations: on its own small operations, on timers, and on responses of the simulator."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from perdure.nodes import Context, Polling, SubmissionRejectedError, SubmissionUnknownError
from perdure.nodes.conformance import (
    SMALL_OPERATIONS,
    AdoptableChecks,
    CancellableChecks,
    CancellableOperation,
    ConversationalChecks,
    ConversationalOperation,
    FindableChecks,
    FindableOperation,
    IdempotentChecks,
    IdempotentOperation,
    LocalChecks,
    ManualClock,
    OnceChecks,
    OnceOperation,
    OperationChecks,
    PacedChecks,
    PerContextChecks,
    PlainOperation,
    ReceivingChecks,
    ReceivingOperation,
    StreamableChecks,
    StreamableOperation,
    Subject,
)
from perdure.nodes.conformance._walk import walk
from perdure.nodes.operations import (
    Absent,
    Asks,
    Cancellable,
    Cancelled,
    ContinuationToken,
    Conversational,
    Expired,
    Failed,
    Findable,
    Found,
    Idempotent,
    Json,
    Local,
    Once,
    Operation,
    Receiving,
    ResponsesOperation,
    Running,
    Streamable,
    Succeeded,
    TimerOperation,
    Unavailable,
)
from perdure.nodes.operations.openai import ResponsesPerContext
from perdure.simulator import Answer, Match, Rule, Simulator

REQUEST: Mapping[str, Json] = {"text": "two words", "takes": 1.0}


def small(kind: type[PlainOperation], folder: Path, clock: ManualClock, **fields: Any) -> Subject:
    """A subject on a ledger in this folder, whose time passes at once."""
    options = fields.pop("options", {})

    def process() -> AbstractAsyncContextManager[Operation]:
        return nullcontext(kind(folder, clock=clock, sleep=clock.sleep, **options))

    adapter = kind(folder, clock=clock)
    return Subject(
        process=process,
        request=fields.pop("request", REQUEST),
        accepted=adapter.ledger.accepted,
        now=clock,
        sleep=clock.sleep,
        spacing=0.6,
        **fields,
    )


def fetched_from(folder: Path, clock: ManualClock) -> Callable[[ContinuationToken], int]:
    ledger = OnceOperation(folder, clock=clock).ledger
    return lambda token: ledger.fetched(str(token.handle["id"]))


def add(numbers: Json) -> Json:
    assert isinstance(numbers, list)
    return sum(number for number in numbers if isinstance(number, int))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestPlain(OperationChecks):
    """Each lost reply is on record, also when the process is killed beside it."""

    kills = 2

    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(PlainOperation, tmp_path, clock, troubled={**REQUEST, "refuse": 1, "lose_replies": 1})


class TestCancellable(OperationChecks, CancellableChecks):
    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(CancellableOperation, tmp_path, clock, long_request={"takes": 1e6, "cancels_in": 1.0})


class TestFindable(OperationChecks, CancellableChecks, FindableChecks):
    """Submissions arrive late, are listed later, replies are lost, and one look-up fails: accepted once all the same."""

    kills = 2

    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        troubled = {**REQUEST, "arrives": 1.9, "lose_replies": 1, "listing_fails": 1}
        return small(FindableOperation, tmp_path, clock, troubled=troubled, long_request={"takes": 1e6})


class TestIdempotent(OperationChecks, IdempotentChecks):
    kills = 2

    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(IdempotentOperation, tmp_path, clock, troubled={**REQUEST, "lose_replies": 3})


class TestOnce(OperationChecks, OnceChecks):
    kills = 2

    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(OnceOperation, tmp_path, clock, fetched=fetched_from(tmp_path, clock))


class TestStreamable(OperationChecks, StreamableChecks):
    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(
            StreamableOperation,
            tmp_path,
            clock,
            request={"text": "several words, one by one", "takes": 3.0},
            text=_text,
        )


class TestConversational(OperationChecks, CancellableChecks, ConversationalChecks):
    @pytest.fixture
    def subject(self, tmp_path: Path, clock: ManualClock) -> Subject:
        return small(
            ConversationalOperation,
            tmp_path,
            clock,
            long_request={"takes": 1e6},
            conversation={
                "text": "talk",
                "turns": [
                    {"calls": [["add", [1, 2]], ["add", [3, 4]]]},
                    {"asks": "Which one?"},
                    {"calls": [["add", [5, 6]]]},
                ],
            },
            tools={"add": add},
            answer="the second",
        )


class TestReceiving(OperationChecks, ReceivingChecks):
    @pytest.fixture(params=[True, False], ids=["with the outcome", "bare"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Subject:
        signals = ReceivingOperation(tmp_path, clock=clock).signals
        return small(
            ReceivingOperation, tmp_path, clock, request={**REQUEST, "tells": request.param}, signals=signals
        )


class TestTimer(OperationChecks, LocalChecks, CancellableChecks, PacedChecks):
    kills = 2

    @pytest.fixture
    def subject(self, clock: ManualClock) -> Subject:
        return Subject(
            process=lambda: nullcontext(TimerOperation(clock=clock)),
            request={"after": 70.0},
            long_request={"after": 1e6},
            now=clock,
            sleep=clock.sleep,
        )


class TestResponses(OperationChecks, CancellableChecks, StreamableChecks, PacedChecks, AdoptableChecks):
    """On real HTTP, with a provider in a process of its own."""

    @pytest.fixture
    def subject(self, simulator: Simulator) -> Subject:
        simulator.script(
            Rule(match=Match(contains="Long"), answer=Answer(duration=60)),
            Rule(answer=Answer(text="An answer of several words.", duration=0.1)),
        )

        @asynccontextmanager
        async def process() -> AsyncGenerator[ResponsesOperation, None]:
            async with simulator.client() as client:
                yield ResponsesOperation(client, polling=Polling(first=0.03, cap=0.05))

        def accepted(key: str) -> int:
            requests = simulator.ledger().requests
            return sum(
                request.idempotency_key == key and request.outcome == "accepted" for request in requests
            )

        request: dict[str, Json] = {"model": "m", "input": "Hello", "background": True, "store": True}
        return Subject(
            process=process,
            request=request,
            long_request={**request, "input": "Long"},
            accepted=accepted,
            text=_text,
        )


class TestResponsesPerContext(PerContextChecks):
    @pytest.fixture
    def subject(self, simulator: Simulator) -> Subject:
        simulator.script(Rule(answer=Answer(duration=0.1)))

        @asynccontextmanager
        async def process() -> AsyncGenerator[ResponsesPerContext, None]:
            async with simulator.client() as client:
                clients = {"acme": client}
                yield ResponsesPerContext(lambda context: clients[context.labels["tenant"]])

        return Subject(
            process=process,
            request={"model": "m", "input": "Hello", "background": True, "store": True},
            accepted=lambda key: sum(
                request.idempotency_key == key for request in simulator.ledger().requests
            ),
            context=Context(run_id="r", node="n", path=(), attempt=1, labels={"tenant": "acme"}),
        )


def _text(value: Json) -> str:
    assert isinstance(value, dict)
    return str(value["text"])


# -- the checks can fail ----------------------------------------------------------------------------------


class Careless(FindableOperation):
    """Promises that its listings settle sooner than they do."""

    @property
    def settles_within(self) -> float:
        return 0.5


class Forgetful(IdempotentOperation):
    """Promises to know its keys for longer than it does."""

    @property
    def idempotent_for(self) -> float:
        return 1e6


class Repeating(StreamableOperation):
    """Sends the text from its beginning again."""

    def stream(self, token: Any) -> Any:
        return super().stream(token.at(None))


class Greedy(OnceOperation):
    """Takes the result without keeping what it took."""

    def read(self, raw: Json) -> Any:
        self.ledger.take("op_1")
        return super().read(raw)


class Undiscerning(PlainOperation):
    """Gives adapters that can do more than it says, each with an account of its own, and sends without a context."""

    def __init__(self, folder: str | Path, **times: Any) -> None:
        super().__init__(folder, **times)
        self._folder, self._times = Path(folder), times

    def in_context(self, context: Context) -> Operation:
        return CancellableOperation(self._folder / uuid.uuid4().hex, **self._times)


def test_listings_that_settle_later_than_promised_are_noticed(tmp_path: Path, clock: ManualClock) -> None:
    subject = small(Careless, tmp_path, clock)
    with pytest.raises(AssertionError, match="submitted again instead of found"):
        TestFindable.test_killed_at_any_instant_it_comes_to_the_same_end(TestFindable(), subject)


def test_keys_that_are_forgotten_sooner_than_promised_are_noticed(tmp_path: Path, clock: ManualClock) -> None:
    subject = small(Forgetful, tmp_path, clock, options={"idempotent_for": 5.0})
    with pytest.raises(AssertionError):
        TestIdempotent().test_a_key_that_is_sent_again_is_the_same_operation(subject)


def test_text_that_comes_again_is_noticed(tmp_path: Path, clock: ManualClock) -> None:
    subject = small(Repeating, tmp_path, clock, request={"text": "a b", "takes": 0.5}, text=_text)
    with pytest.raises(AssertionError):
        asyncio.run(asyncio.wait_for(_first_pieces(subject), 5))


async def _first_pieces(subject: Subject) -> None:
    """As the check reads, for as many pieces as there are: a stream that begins again never ends."""
    async with subject.process() as operation:
        token = await operation.submit(subject.request, "key")
    text = ""
    for _ in range(3):
        async with subject.process() as operation:
            assert isinstance(operation, StreamableOperation)
            stream = operation.stream(token)
            piece = await anext(stream)
            await stream.aclose()
        text, token = text + piece.text, piece.token
    assert text == "Answer: a b"


def test_a_result_that_is_taken_twice_is_noticed(tmp_path: Path, clock: ManualClock) -> None:
    subject = small(Greedy, tmp_path, clock, fetched=fetched_from(tmp_path, clock))
    with pytest.raises(AssertionError):
        TestOnce().test_killed_at_any_instant_it_comes_to_the_same_end(subject)


@pytest.mark.parametrize(
    "check",
    [
        PerContextChecks.test_it_can_do_what_the_adapters_can_that_it_gives,
        PerContextChecks.test_another_process_goes_on_in_the_same_context,
        PerContextChecks.test_without_a_context_nothing_is_sent,
    ],
)
def test_an_adapter_for_a_context_that_is_not_that_context_s_is_noticed(
    tmp_path: Path, clock: ManualClock, check: Callable[[PerContextChecks, Subject], None]
) -> None:
    context = Context(run_id="r", node="n", path=(), attempt=1)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(PerContextChecks(), small(Undiscerning, tmp_path, clock, context=context))


def test_a_capability_without_its_checks_is_noticed(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(AssertionError, match="takes the checks of"):
        TestPlain().test_each_of_its_capabilities_is_checked(small(CancellableOperation, tmp_path, clock))
    with pytest.raises(AssertionError, match="takes the checks of"):
        TestCancellable().test_each_of_its_capabilities_is_checked(small(PlainOperation, tmp_path, clock))


# -- what the driver decides ------------------------------------------------------------------------------


def walked(subject: Subject, *kills: int, request: Mapping[str, Json] = REQUEST) -> Any:
    return asyncio.run(walk(subject, request, "key", kills=kills))


def instant(subject: Subject, name: str) -> int:
    """The number of an instant in a walk that is not killed (under a key of its own)."""
    return asyncio.run(walk(subject, REQUEST, "probe")).instants.index(name)


@pytest.mark.parametrize(("downtime", "end", "submissions"), [(58.0, "Succeeded", 2), (61.0, "Held", 1)])
def test_a_key_that_has_expired_is_not_trusted(
    tmp_path: Path, clock: ManualClock, downtime: float, end: str, submissions: int
) -> None:
    """Whoever comes too late with an idempotency key has an unknown fate like any other."""
    ledger = IdempotentOperation(tmp_path, clock=clock).ledger
    subject = small(IdempotentOperation, tmp_path, clock, options={"idempotent_for": 60.0})
    number = instant(subject, "before submitted")
    slept = _with_downtime(subject, clock, downtime)
    walked = asyncio.run(walk(slept, REQUEST, "key", kills=(number,), resubmissions=0))
    assert walked.end["kind"] == end
    assert (ledger.submitted("key"), ledger.accepted("key")) == (submissions, 1)
    assert walked.operations[0]["unknown"] == 1


def test_the_ledger_does_forget_a_key_that_has_expired(tmp_path: Path, clock: ManualClock) -> None:
    """So trusting it would be paid for."""
    operation = IdempotentOperation(tmp_path, clock=clock, idempotent_for=60)
    asyncio.run(operation.submit(REQUEST, "key"))
    clock.now += 61
    asyncio.run(operation.submit(REQUEST, "key"))
    assert operation.ledger.accepted("key") == 2


def _with_downtime(subject: Subject, clock: ManualClock, seconds: float) -> Subject:
    """Between two processes some time passes."""
    starts = 0

    @asynccontextmanager
    async def process() -> AsyncGenerator[Operation, None]:
        nonlocal starts
        starts += 1
        if starts == 2:
            clock.now += seconds
        async with subject.process() as operation:
            yield operation

    return replace(subject, process=process)


def test_of_several_that_are_found_one_is_adopted_and_the_others_are_cancelled(
    tmp_path: Path, clock: ManualClock
) -> None:
    operation = FindableOperation(tmp_path, clock=clock)
    request = {**REQUEST, "takes": 60.0, "doubles": 2, "lose_replies": 1}
    end = walked(small(FindableOperation, tmp_path, clock), request=request)
    assert end.end["kind"] == "Succeeded"
    assert [operation.ledger.cancelled(f"op_{number}") for number in (1, 2, 3)] == [0, 1, 1]
    assert operation.ledger.submitted("key") == 1


def test_absent_counts_only_when_it_is_settled(tmp_path: Path, clock: ManualClock) -> None:
    """It is looked for until nothing that was sent can appear any more, and only then submitted again."""
    operation = FindableOperation(tmp_path, clock=clock, settles_within=5, submit_takes=2)
    subject = small(FindableOperation, tmp_path, clock)
    begun = clock.now
    end = walked(subject, instant(subject, "after intended"))  # nothing was sent
    assert end.operations[0]["submissions"] == 2
    assert end.operations[0]["sent_at"] >= begun + 7
    assert (operation.ledger.accepted("key"), operation.ledger.found("key")) == (1, 2)


def test_who_has_died_while_fetching_has_lost_the_result_and_says_so(
    tmp_path: Path, clock: ManualClock
) -> None:
    subject = small(OnceOperation, tmp_path, clock)
    end = walked(subject, instant(subject, "before fetched"))
    assert end.end == {"kind": "Lost"}
    assert OnceOperation(tmp_path, clock=clock).ledger.accepted("key") == 1
    kept = asyncio.run(walk(subject, REQUEST, "kept", kills=(instant(subject, "after fetched"),)))
    assert kept.end["kind"] == "Succeeded"


def test_what_nobody_can_tell_is_held_in_the_end(tmp_path: Path, clock: ManualClock) -> None:
    end = walked(small(PlainOperation, tmp_path, clock), request={**REQUEST, "lose_replies": 99})
    assert end.end == {"kind": "Held"}
    assert end.operations[0]["unknown"] == 3
    assert PlainOperation(tmp_path, clock=clock).ledger.accepted("key") == 3


# -- the ledger -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("plain", Operation),
        ("cancellable", Cancellable),
        ("conversational", Conversational),
        ("findable", Findable),
        ("idempotent", Idempotent),
        ("local", Local),
        ("once", Once),
        ("receiving", Receiving),
        ("streamable", Streamable),
    ],
)
def test_there_is_a_small_operation_for_each_capability_made_from_a_folder(
    tmp_path: Path, name: str, capability: type
) -> None:
    assert isinstance(SMALL_OPERATIONS[name](tmp_path), capability)
    assert len(SMALL_OPERATIONS) == 9


def test_a_question_can_be_cancelled(tmp_path: Path, clock: ManualClock) -> None:
    async def main() -> None:
        operation = ConversationalOperation(tmp_path, clock=clock)
        token = await operation.submit({"turns": [{"asks": "Sure?"}]}, "key")
        asked = await operation.poll(token)
        assert isinstance(asked, Asks)
        assert Asks.from_dict(asked.to_dict()) == asked
        assert isinstance(await operation.cancel(token), Cancelled)
        assert isinstance(await operation.poll(token), Cancelled)

    asyncio.run(main())


def test_the_ledger_survives_the_process(tmp_path: Path) -> None:
    code = """
import asyncio, os, signal, sys
from perdure.nodes.conformance import OnceOperation
assert "pytest" not in sys.modules
asyncio.run(OnceOperation(sys.argv[1]).submit({"text": "hi"}, "key"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -9
    assert OnceOperation(tmp_path).ledger.accepted("key") == 1


def test_the_ledger_does_what_the_request_says(tmp_path: Path, clock: ManualClock) -> None:
    async def main() -> None:
        findable = FindableOperation(tmp_path, clock=clock, settles_within=5)
        with pytest.raises(SubmissionRejectedError) as refused:
            await findable.submit({"refuse": 1, "lose_replies": 1}, "key")
        assert refused.value.retryable
        with pytest.raises(SubmissionUnknownError):
            await findable.submit({"refuse": 1, "lose_replies": 1, "listing_fails": 1}, "key")
        clock.now += 4.9
        assert isinstance(await findable.find({}, "key"), Unavailable)
        assert isinstance(await findable.find({}, "key"), Absent)
        clock.now += 0.2
        assert isinstance(await findable.find({}, "key"), Found)

        failing = await findable.submit({"fails": "boom", "retryable": True}, "failing")
        failed = await findable.poll(failing)
        assert isinstance(failed, Failed)
        assert (failed.error.code, failed.retryable) == ("boom", True)

        slow = await findable.submit({"text": "x", "takes": 10, "cancels_in": 3}, "slow")
        assert isinstance(await findable.cancel(slow), Running)
        clock.now += 3
        assert isinstance(await findable.poll(slow), Cancelled)

        done = await findable.submit({"text": "one two"}, "done")
        assert await findable.poll(done) == Succeeded(value={"text": "Answer: one two"}, usage={"words": 2})
        gone = await findable.poll(type(done)(provider=done.provider, handle={"id": "op_99"}, created_at=0.0))
        assert isinstance(gone, Expired)

    asyncio.run(main())
