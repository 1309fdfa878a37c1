"""`@timer`: a wait that is committed once as an absolute time, and what can't be one."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any, assert_type

import pytest
from perdure.nodes import Context, NodeDefinitionError, OperationError, TimerNode, timer
from perdure.nodes.operations import (
    Cancellable,
    Cancelled,
    ContinuationToken,
    Json,
    Local,
    Operation,
    Paced,
    Running,
    Succeeded,
    TimerOperation,
    operation_for,
)

if TYPE_CHECKING:
    from datetime import datetime as hidden_datetime

START = 1_800_000_000.0


class Clock:
    """The wall clock, set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def context() -> Context:
    def load(node: object, default: object) -> object:
        raise AssertionError("a timer reads no outputs here")

    return Context(run_id="r", node="n", path=(), attempt=1, idempotency_key="k", load=load)


@timer
def cool_down(draft: list[str]) -> timedelta:
    """Let it rest."""
    return timedelta(minutes=len(draft))


@timer(name="until.friday")
def friday(_: int) -> datetime:
    return datetime(2027, 1, 15, 8, 0, tzinfo=timezone(timedelta(hours=2)))


@timer
def either(soon: bool, ctx: Context) -> Annotated[datetime | timedelta, "when"]:
    return timedelta(seconds=1) if soon else datetime.fromtimestamp(START + ctx.attempt, UTC)


def test_it_passes_its_input_on() -> None:
    assert_type(cool_down, TimerNode[list[str]])
    assert_type(friday, TimerNode[int])
    assert_type(either, TimerNode[bool])
    assert isinstance(cool_down, TimerNode)
    assert (cool_down.kind, cool_down.passes_on) == ("timer", True)
    assert cool_down.input == cool_down.output == list[str]
    assert (cool_down.name, cool_down.__doc__) == ("cool_down", "Let it rest.")
    assert friday.name == "until.friday"
    assert friday.named("again").name == "again"


def test_a_duration_is_counted_from_its_beginning_and_a_time_is_taken_as_it_is() -> None:
    assert cool_down.request(["a", "b"], context()) == {"after": 120.0}
    assert friday.request(1, context()) == {"until": datetime(2027, 1, 15, 6, 0, tzinfo=UTC).timestamp()}
    assert either.request(True, context()) == {"after": 1.0}
    assert either.request(False, context()) == {"until": START + 1}


def test_the_absolute_time_is_in_the_token() -> None:
    operation = TimerOperation()
    token = operation.open({"after": 90.0}, "key", START)
    assert token == ContinuationToken(
        provider="perdure.timer", handle={"until": START + 90}, created_at=START
    )
    assert operation.open({"until": START - 5}, "key", START).handle == {"until": START - 5}


def test_it_is_due_when_the_wall_clock_says_so() -> None:
    clock = Clock()
    operation = TimerOperation(clock=clock)
    token = operation.open({"after": 100.0}, "key", START)

    def poll() -> object:
        return asyncio.run(operation.poll(token))

    assert operation.poll_after(token) == 30.0
    assert poll() == Running(
        token=token, retry_after=30.0, status="waiting"
    )  # the clock may be set meanwhile
    clock.now = START + 95.5
    assert poll() == Running(token=token, retry_after=4.5, status="waiting")
    clock.now = START - 1000  # set back
    assert poll() == Running(token=token, retry_after=30.0, status="waiting")
    clock.now = START + 100
    assert poll() == Succeeded(value=None)
    clock.now = START + 1e6  # set forward, or nobody was there
    assert poll() == Succeeded(value=None)
    assert operation.poll_after(token) == 0.0


def test_a_timer_that_is_cancelled_has_nobody_to_tell() -> None:
    clock = Clock()
    operation = TimerOperation(clock=clock)
    token = operation.open({"after": 100.0}, "key", START)
    assert isinstance(asyncio.run(operation.cancel(token)), Cancelled)
    clock.now = START + 100
    assert asyncio.run(operation.cancel(token)) == Succeeded(value=None)


def test_what_it_can_do_is_seen_by_the_engine() -> None:
    operation = operation_for("perdure.timer")
    assert isinstance(operation, TimerOperation)
    assert isinstance(operation, Operation)
    assert isinstance(operation, Local)
    assert isinstance(operation, Cancellable)
    assert isinstance(operation, Paced)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"after": -1.0},
        {"after": math.nan},
        {"after": math.inf},
        {"after": True},
        {"after": "1"},
        {"until": math.nan},
        {"until": -math.inf},
        {"until": None},
        {"after": 1.0, "until": 2.0},
    ],
)
def test_a_request_without_a_usable_time_is_refused(request_: dict[str, Json]) -> None:
    with pytest.raises(OperationError, match=r"no request of a timer.*'until'") as caught:
        TimerOperation().open(request_, "key", START)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("provider", "handle"), [("openai.responses", {"until": 1.0}), ("perdure.timer", {"id": "resp_1"})]
)
def test_a_token_of_something_else_is_refused(provider: str, handle: dict[str, Json]) -> None:
    token = ContinuationToken(provider=provider, handle=handle, created_at=START)
    with pytest.raises(OperationError, match="Pass the token that the timer gave"):
        asyncio.run(TimerOperation().poll(token))


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (timedelta(seconds=-1), r"less than no time.*timedelta\(0\)"),
        (datetime(2027, 1, 1), r"no zone.*datetime\.now\(UTC\)"),  # that is the point
        (3.5, r"it returned 3\.5; return a datetime with a zone or a timedelta"),
        (None, "it returned None; return a datetime with a zone or a timedelta"),
    ],
)
def test_a_wait_that_is_none_names_the_function_and_the_fix(wait: Any, words: str) -> None:
    @timer
    def pause(_: str) -> timedelta | datetime:
        return wait

    with pytest.raises(NodeDefinitionError, match=rf"pause \(.*test_timer\.py:\d+\).*{words}"):
        pause.request("x", context())


def seconds(_: str) -> float:
    return 1.0


def maybe(_: str) -> timedelta | None:
    return None


def silent(_: str):  # type: ignore[no-untyped-def]
    return timedelta(0)


def open_ended(value) -> timedelta:  # type: ignore[no-untyped-def]
    return timedelta(0)


async def awaited(_: str) -> timedelta:
    return timedelta(0)


def unseen(_: str) -> hidden_datetime:
    return datetime.now(UTC)


def of_nothing() -> timedelta:
    return timedelta(0)


def of_the_context(ctx: Context) -> timedelta:
    return timedelta(seconds=ctx.attempt)


NO_TIMERS: list[tuple[Any, str]] = [
    (seconds, "returns `datetime` .with a zone. or `timedelta`, not float"),
    (maybe, "returns `datetime` .with a zone. or `timedelta`, not NoneType"),
    (silent, "does not say what it returns"),
    (open_ended, "'value' has no annotation"),
    (awaited, "write `def`"),
    (of_nothing, "takes one as its first parameter. Add it"),
    (of_the_context, "takes one as its first parameter. Add it"),
    (unseen, "can't be read at run time"),
    (cool_down, "is a node already"),
]


@pytest.mark.parametrize(("fn", "words"), NO_TIMERS)
def test_what_can_not_say_a_time_is_refused_where_it_is_declared(fn: Any, words: str) -> None:
    with pytest.raises(NodeDefinitionError, match=words):
        timer(fn)
