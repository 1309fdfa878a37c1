"""Operations of several chains: a function that asks, an agent whose tools are agents.

The properties have these in every course; here is what each of them promises.
"""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress, parse_operation
from perdure.engine.core.commands import Call, CancelCall, CancelRemote, Decode, Submit, Wake
from perdure.engine.core.pending import idle_wakes, pending
from perdure.engine.core.plan import OnFailure
from perdure.engine.core.state import derived

from ..graphs import Sketch
from .play import Play, at
from .refusals import refused

S = State


def asking(*chains: str, on_failure: OnFailure = "cancel", retries: int = 0) -> Play:
    """b runs and has asked in these chains; c runs beside it."""
    sketch = Sketch("a")
    for name in ("b", "c"):
        sketch.edge("a", name)
    sketch.join(("b", "c"), "z")
    sketch.policy("b", retries=retries)
    play = Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()
    play.succeed("a")
    play.ask("b", *chains)
    return play


def lose(play: Play, chain: str) -> None:
    """b asks in this chain, and nobody knows whether that arrived."""
    operation = play.operation("b", chain)
    play.apply(events.SubmissionIntended(play.now, operation))
    play.apply(events.SubmissionUnknown(play.now, operation))


# -- the state -------------------------------------------------------------------------------------------


def test_an_activation_is_what_is_most_urgent_of_it_also_after_a_crash() -> None:
    play = asking("one", "two")
    lose(play, "three")
    assert play.of("b") == "waiting"
    play.apply(events.SubmissionIntended(play.now, play.operation("b", "four")))
    assert play.of("b") == "submitting"
    play.crash()
    found = play.state.find(at("b"))
    assert found is not None
    assert (found.state, found.own) == (S.SUBMITTING, S.RUNNING)
    play.apply(events.Submitted(play.now, play.operation("b", "four")))
    for chain in ("one", "two", "four"):
        play.end("b", chain)
    assert play.of("b") == "submit_unknown"
    play.apply(events.FateDecided(play.now, play.operation("b", "three"), "fail"))
    assert play.of("b") == "running"


def test_the_last_that_moved_does_not_count_nor_the_order_of_the_rows() -> None:
    play = asking("z", "a")
    play.apply(events.GivenUp(play.now, play.operation("b", "a"), "deadline"))
    play.apply(events.TokenAdvanced(play.now, play.operation("b", "z")))
    assert play.of("b") == "cancelling"
    assert play.state.counts[S.CANCELLING] == 1
    assert play.state.counts[S.WAITING] == 0


def test_what_has_ended_is_what_it_is_whatever_its_operations_do() -> None:
    play = asking("one")
    play.succeed("b")
    operation = play.state.operation(play.operation("b", "one"))
    assert operation is not None
    assert operation.state is S.CANCELLING
    for own in S:
        if own.terminal:
            assert derived(own, {("one", 0): operation}) is own


# -- chains ----------------------------------------------------------------------------------------------


def test_chains_are_independent_and_within_one_each_follows_the_one_before() -> None:
    play = asking("one")
    intend = events.SubmissionIntended
    refused(play, intend(play.now, play.operation("b", "one", 1)))  # the one before is open
    refused(play, intend(play.now, play.operation("b", "two", 1)))  # there is none before
    play.ask("b", "two")
    play.end("b", "one", "failed")
    refused(play, intend(play.now, play.operation("b", "one", 2)))
    play.ask("b", "one", number=1)
    assert pending(play.state)[0] == Call(at("b"))
    assert play.of("b") == "waiting"


def test_a_turn_that_ended_with_calls_is_gone_on_from_and_not_an_earlier_one() -> None:
    play = asking()
    play.submit("b")
    play.end("b", "")
    assert play.last(Decode) == ["b"]
    play.ask("b", "call 1")  # an agent as a tool
    play.crash()
    assert Decode(play.operation("b")) in pending(play.state)
    play.end("b", "call 1")
    play.ask("b", "", number=1)
    play.crash()
    assert not [effect for effect in pending(play.state) if isinstance(effect, Decode)]
    second = play.operation("b", "", 1)
    play.apply(events.AttemptFailed(play.now, at("b"), retryable=False, operation=second))
    play.cancelled("c")
    play.retry()
    assert Call(at("b")) in play.commands[-1]  # the last turn failed: nothing is stored of it
    assert play.last(Decode) == []


def test_another_end_of_an_earlier_turn_is_refused() -> None:
    play = asking()
    play.submit("b")
    play.end("b", "")
    play.ask("b", "", number=1)
    first = play.operation("b")
    refused(play, events.Succeeded(play.now, at("b"), operation=first))
    refused(
        play,
        events.AttemptFailed(play.now, at("b"), ending="undecodable", operation=first),
    )


def test_a_run_whose_functions_wait_is_loaded_for_the_function_is_to_be_called() -> None:
    play = asking("one")
    play.submit("b", "c")
    assert idle_wakes(play.stored.status, *play.stored.live()) is not None
    other = asking("one")
    other.submit("c")
    assert idle_wakes(other.stored.status, *other.stored.live()) is None


# -- ends ------------------------------------------------------------------------------------------------


def test_a_success_cancels_what_is_still_open_and_waits_for_nothing_of_it() -> None:
    play = asking("one", "two")
    play.end("b", "one")
    lose(play, "lost")
    play.apply(events.SubmissionIntended(play.now, play.operation("b", "late")))
    play.succeed("c", "b")
    assert play.last(CancelRemote) == ['b (ask "two")']
    assert play.last(Call) == ["z"]
    assert play.stored.operation(play.operation("b", "lost")).state is S.CANCELLED
    play.crash()
    assert CancelRemote(play.operation("b", "two")) in pending(play.state)
    play.apply(events.Submitted(play.now, play.operation("b", "late")))
    assert play.last(CancelRemote) == ['b (ask "late")']
    play.succeed("z")
    play.end("b", "two", "cancelled")
    assert play.finished is None  # else nobody would send the last cancel after a crash
    play.end("b", "late", "succeeded")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_scope_stays_open_for_what_is_being_cancelled_in_it_and_holds_nothing_up() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b", concurrency=1)
    sketch.collect("b", "z")
    play = Play(sketch.plan("z"), sketch.policies).begin()
    play.succeed("a", items=2)
    play.ask("b[0]", "one")
    play.succeed("b[0]")
    assert play.last(Call) == ["b[1]"]
    play.succeed("b[1]")
    assert play.last(Call) == ["z"]
    assert play.stored.scopes[1].open
    play.crash()
    play.end("b[0]", "one", "cancelled")
    assert not play.stored.scopes[1].open
    play.succeed("z")
    assert play.finished is RunStatus.SUCCEEDED


def test_after_a_failure_they_finish_and_then_the_next_attempt_begins() -> None:
    play = asking("one", "two", retries=1)
    play.fail("b", retryable=True)
    assert (play.of("b"), play.last(Wake, CancelRemote)) == ("waiting", [])
    refused(play, events.BackoffEnded(play.now, at("b")))
    play.end("b", "one")
    play.crash()
    play.end("b", "two", "failed")
    assert (play.of("b"), play.last(Wake)) == ("backoff", ["b"])
    play.apply(events.BackoffEnded(play.now, at("b")))
    assert play.last(Call) == ["b"]
    play.ask("b", "two")
    assert play.operation("b", "two").attempt == 2


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
def test_a_run_that_fails_cancels_them_or_lets_them_finish_as_the_workflow_says(
    on_failure: OnFailure,
) -> None:
    play = asking("one", on_failure=on_failure)
    play.fail("b")
    assert play.of("b") == "failed"
    assert play.last(CancelRemote) == (['b (ask "one")'] if on_failure == "cancel" else [])
    play.crash()
    play.cancelled("c") if on_failure == "cancel" else play.succeed("c")
    assert play.finished is None
    play.end("b", "one", "cancelled" if on_failure == "cancel" else "succeeded")
    assert play.finished is RunStatus.FAILED


def test_a_cancel_ends_the_call_and_everything_it_asked() -> None:
    play = asking("one", "two")
    lose(play, "lost")
    play.cancel()
    assert play.last(CancelCall, CancelRemote) == ["b", 'b (ask "one")', 'b (ask "two")', "c"]
    play.cancelled("b", "c")
    play.end("b", "one", "cancelled")
    assert play.finished is None
    play.end("b", "two")  # it was done meanwhile
    assert play.finished is RunStatus.CANCELLED
    assert play.stored.operation(play.operation("b", "two")).state is S.SUCCEEDED


def test_what_waited_for_another_try_and_its_ask_too_is_not_told_to_go_on_by_the_end_of_that_ask() -> None:
    play = asking(retries=1)
    one = play.operation("b", "one")
    play.apply(events.SubmissionIntended(play.now, one))
    play.apply(events.SubmissionRefused(play.now, one, passing=True))
    play.fail("b", retryable=True)
    play.fail("c")
    assert (play.of("b"), play.last(Wake), play.last(CancelCall)) == ("cancelled", [], [])
    assert play.finished is RunStatus.FAILED


def test_what_only_waits_for_an_unknown_fate_is_parked_in_a_run_that_fails_and_called_by_a_retry() -> None:
    play = asking(on_failure="finish")
    lose(play, "lost")
    play.fail("c")
    assert play.finished is RunStatus.FAILED
    play.crash()
    play.retry()
    assert play.last(Call) == ["b", "c"]
    assert play.last(Wake) == ['b (ask "lost")']


@pytest.mark.parametrize("kind", [events.SubmissionIntended, events.Opened])
def test_what_runs_on_in_a_run_that_fails_asks_nothing_new(kind: type[events.SubmissionIntended]) -> None:
    play = asking("first", on_failure="finish")
    play.fail("c")
    refused(play, kind(play.now, play.operation("b", "second")))
    play.end("b", "first")
    refused(play, kind(play.now, play.operation("b", "first", 1)))
    assert play.of("b") == "running"
    play.succeed("b")
    assert play.finished is RunStatus.FAILED


def test_an_agent_takes_no_other_turn_in_a_run_that_fails_and_a_retry_goes_on_after_its_last() -> None:
    play = asking(on_failure="finish")
    play.submit("b")
    play.fail("c")
    play.end("b", "")
    assert play.last(Decode) == ["b"]
    turn = events.SubmissionIntended(play.now, play.operation("b", number=1))
    play.apply(turn)
    assert play.of("b") == "ready"
    assert play.finished is RunStatus.FAILED
    play.crash()
    play.retry()
    assert (play.last(Decode), play.last(Call)) == (["b"], ["c"])
    play.apply(turn)
    assert play.last(Submit) == ["b (turn 1)"]


def test_what_it_asked_finishes_after_it_was_held_back() -> None:
    play = asking("first", on_failure="finish")
    play.fail("c")
    play.intend("b")
    assert play.of("b") == "waiting"
    assert play.finished is None
    play.crash()
    play.end("b", "first")
    assert play.of("b") == "ready"
    assert play.finished is RunStatus.FAILED
    play.retry()
    assert play.last(Call) == ["b", "c"]


def test_what_is_held_back_and_what_it_asked_are_cancelled_with_the_run() -> None:
    play = asking("first", on_failure="finish")
    play.fail("c")
    play.intend("b")
    play.cancel()
    assert play.of("b") == "cancelled"
    assert play.last(CancelRemote) == [str(play.operation("b", "first"))]
    assert play.finished is None
    play.end("b", "first", "cancelled")
    assert play.finished is RunStatus.CANCELLED


def test_a_failure_whose_operation_is_of_unknown_fate_is_tried_again_once_that_is_known() -> None:
    play = asking()
    lose(play, "lost")
    play.fail("b")
    play.cancelled("c")
    assert play.finished is RunStatus.FAILED
    play.crash()
    play.retry()
    assert (play.of("b"), play.last(Wake), play.last(Call)) == ("backoff", ['b (ask "lost")'], ["c"])
    play.apply(events.FateDecided(play.now, play.operation("b", "lost"), "fail"))
    assert play.last(Wake) == ["b"]
    play.apply(events.BackoffEnded(play.now, at("b")))
    assert play.last(Call) == ["b"]


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (OperationAddress(Address("a")), "a"),
        (OperationAddress(Address("a", (1, 2)), 3), "a[1, 2]"),
        (OperationAddress(Address("a", (1,)), 1, "", 2), "a[1] (turn 2)"),
        (OperationAddress(Address("a"), 1, "prices"), 'a (ask "prices")'),
        (
            OperationAddress(Address("a", (0,)), 2, 'é "x", (turn 3)\\', 1),
            'a[0] (ask "é \\"x\\", (turn 3)\\\\", turn 1)',
        ),
    ],
)
def test_an_operation_has_a_name_that_can_be_read_back(operation: OperationAddress, text: str) -> None:
    assert str(operation) == text
    assert parse_operation(f" {text} ") == operation._replace(attempt=1)


@pytest.mark.parametrize("text", ["", "a[", 'a (ask "\\x")', "a[x] (turn 1)"])
def test_what_names_no_operation_is_none(text: str) -> None:
    assert parse_operation(text) is None
