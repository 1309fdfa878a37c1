"""What is recorded first when a driver goes on with a run: policies, fates that nobody knows, results that are lost."""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import ActivationKey, RunStatus, State
from perdure.engine.core import events
from perdure.engine.core.addresses import OperationAddress
from perdure.engine.core.commands import Call, CancelRemote, Wake
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.pending import backoff_due, idle_wakes, moment, pending
from perdure.engine.core.plan import OnFailure
from perdure.engine.core.policy import NO_POLICIES, Policies, Policy
from perdure.engine.core.recovery import next_event, retried
from perdure.engine.core.requests import cancel_requested, undecided

from ..graphs import Sketch
from .play import Play, at

S = State


def two(*, on_failure: OnFailure = "cancel", retries: int = 0) -> Play:
    """`b` and `c` run beside each other, both joined by z; their results can be had once."""
    sketch = Sketch("a")
    for name in ("b", "c"):
        sketch.edge("a", name)
        sketch.policy(name, once=True, retries=retries)
    sketch.join(("b", "c"), "z")
    play = Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()
    play.succeed("a")
    return play


def fetch(play: Play, which: str, chain: str = "") -> OperationAddress:
    """The result of an operation that waits is being consumed."""
    operation = play.operation(which, chain)
    play.apply(events.FetchStarted(play.now, operation))
    return operation


def recovered(play: Play, policies: Policies | None = None) -> list[CoreEvent]:
    """The process dies; another one records all that is to be recorded first."""
    play.crash()
    policies = play.state.policies if policies is None else policies
    recorded: list[CoreEvent] = []
    while (event := next_event(play.state, play.now, 0.5, policies)) is not None:
        play.apply(event)
        recorded.append(event)
    return recorded


def lost(play: Play, operation: OperationAddress) -> events.AttemptFailed:
    return events.AttemptFailed(play.now, operation.address, 0.5, "lost", False, None, operation)


# -- what nobody can know any more -----------------------------------------------------------------------


def test_nothing_is_recorded_of_a_run_that_waits_and_works() -> None:
    play = two()
    play.submit("b")
    assert recovered(play) == []


def test_every_submission_that_was_under_way_is_of_unknown_fate() -> None:
    play = two()
    asked = [play.operation("b", chain) for chain in ("one", "two")]
    for operation in asked:
        play.apply(events.SubmissionIntended(play.now, operation))
    assert recovered(play) == [events.SubmissionUnknown(play.now, operation, 0.5) for operation in asked]


def test_a_result_of_the_nodes_own_chain_that_was_being_fetched_fails_it_for_good() -> None:
    play = two(retries=3)
    play.submit("b", "c")
    operation = fetch(play, "b")
    assert recovered(play) == [lost(play, operation)]
    assert (play.of("b"), play.stored.operation(operation).state) == ("failed", S.LOST)


def test_a_result_of_an_ask_that_was_being_fetched_is_lost_and_its_function_goes_on() -> None:
    play = two()
    play.ask("b", "one", "two")
    operation = fetch(play, "b", "one")
    assert recovered(play) == [events.OperationEnded(play.now, operation, "lost")]
    assert play.stored.operation(operation).state is S.LOST
    assert play.stored.operation(play.operation("b", "two")).state is S.WAITING
    assert Call(at("b")) in pending(play.state)
    assert recovered(play) == []  # it is settled once
    assert play.finished is None


def test_an_ask_that_is_lost_is_settled_beside_an_own_chain_that_is_lost_too() -> None:
    play = two(on_failure="finish")
    play.submit("c")
    play.ask("b", "one")
    ask, own = fetch(play, "b", "one"), fetch(play, "c")
    assert recovered(play) == [events.OperationEnded(play.now, ask, "lost"), lost(play, own)]


def test_an_ask_that_is_lost_lets_an_activation_in_backoff_begin_again() -> None:
    play = two(retries=1)
    play.ask("b", "one")
    play.fail("b", retryable=True)
    operation = fetch(play, "b", "one")
    assert backoff_due(play.state, play.state.key(at("b")), play.now) is None  # its ask is open
    assert recovered(play) == [events.OperationEnded(play.now, operation, "lost")]
    assert [wake.address for wake in pending(play.state) if isinstance(wake, Wake)] == [at("b")]


def test_the_first_lost_result_has_the_others_cancelled_and_they_are_not_lost() -> None:
    play = two()
    play.submit("b", "c")
    first, second = fetch(play, "b"), fetch(play, "c")
    assert recovered(play) == [lost(play, first)]
    assert (play.of("b"), play.of("c")) == ("failed", "cancelling")
    assert pending(play.state) == [CancelRemote(second)]


def test_where_a_failure_lets_the_others_go_on_each_lost_result_is_recorded() -> None:
    play = two(on_failure="finish")
    play.submit("b", "c")
    operations = [fetch(play, "b"), fetch(play, "c")]
    assert recovered(play) == [lost(play, operation) for operation in operations]
    assert play.finished is RunStatus.FAILED


# -- the order -------------------------------------------------------------------------------------------


def test_policies_come_before_unknown_fates_and_these_before_lost_results() -> None:
    """Both are decided by the policies of the code that goes on, and a fate may end what was being fetched."""
    play = two(on_failure="finish")
    play.submit("b")
    fetched = fetch(play, "b")
    play.intend("c")
    others = Policies({"b": Policy(once=True), "c": Policy(once=True, on_unknown_submit="fail")})
    assert recovered(play, others) == [
        events.PoliciesChanged(play.now, others),
        events.SubmissionUnknown(play.now, play.operation("c"), 0.5),
        lost(play, fetched),
    ]
    assert play.of("c") == "failed"


def test_an_unknown_fate_that_fails_the_run_has_what_was_being_fetched_cancelled() -> None:
    play = two()
    play.submit("b")
    fetched = fetch(play, "b")
    play.intend("c")
    others = Policies({"c": Policy(on_unknown_submit="fail")})
    recorded = recovered(play, others)
    assert [type(event) for event in recorded] == [events.PoliciesChanged, events.SubmissionUnknown]
    assert pending(play.state) == [CancelRemote(fetched)]


def test_nothing_is_recorded_of_a_run_that_has_ended() -> None:
    play = two()
    play.fail("b")
    play.cancelled("c")
    assert play.finished is RunStatus.FAILED
    assert recovered(play, Policies({"b": Policy(retries=2)})) == []


def test_a_retry_says_by_which_policies_only_where_they_are_others() -> None:
    play = two()
    play.fail("b")
    play.cancelled("c")
    assert retried(play.state, 7.0, play.state.policies) == events.RunRetried(7.0)
    assert retried(play.state, 7.0, NO_POLICIES) == events.RunRetried(7.0, NO_POLICIES)


# -- moments ---------------------------------------------------------------------------------------------


def test_the_moment_of_an_activation_means_that_its_backoff_is_over_and_nothing_when_it_comes_late() -> None:
    play = two(retries=1)
    play.back_off("b")
    key = play.state.key(at("b"))
    event = backoff_due(play.state, key, play.now)
    assert event is not None
    assert event == events.BackoffEnded(play.now, at("b"))
    play.apply(event)
    assert backoff_due(play.state, key, play.now) is None
    assert backoff_due(play.state, ActivationKey(9, "b", 0), play.now) is None  # a scope that is closed


def test_the_moment_of_an_activation_inside_a_map_is_found_by_its_row() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.collect("b", "z")
    sketch.policy("b", retries=1)
    play = Play(sketch.plan("z"), sketch.policies).begin()
    play.succeed("a", items=2)
    play.back_off("b[1]")
    key = play.state.key(at("b[1]"))
    assert play.state.address(key) == at("b[1]")
    assert backoff_due(play.state, key, play.now) == events.BackoffEnded(play.now, at("b[1]"))


def test_a_backoff_that_waits_for_an_ask_is_not_woken_before_that_has_ended() -> None:
    play = two(retries=1)
    play.ask("b", "one")
    play.fail("b", retryable=True)
    play.submit("c")
    wakes = idle_wakes(play.stored.status, *play.stored.live())
    expected = [moment(play.state, wake) for wake in pending(play.state) if isinstance(wake, Wake)]
    keys = [play.state.operation_key(play.operation(*which)) for which in (("b", "one"), ("c", ""))]
    assert wakes is not None
    assert sorted(wakes) == sorted(expected)
    assert sorted(key for _, key in wakes) == sorted(keys)


# -- what people ask of it -------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [False, True])
def test_a_run_is_cancelled_once_and_not_after_its_end(failing: bool) -> None:
    play = two()
    if failing:
        play.fail("b")
    event = cancel_requested(play.state, play.now)
    assert event is not None
    assert event == events.CancelRequested(play.now)
    play.apply(event)
    assert cancel_requested(play.state, play.now) is None
    play.cancelled("c") if failing else play.cancelled("b", "c")
    assert play.finished is RunStatus.CANCELLED
    assert cancel_requested(play.state, play.now) is None


def test_a_failed_run_is_not_cancelled_any_more() -> None:
    play = two()
    play.fail("b")
    play.cancelled("c")
    assert cancel_requested(play.state, play.now) is None


def test_a_fate_can_be_decided_while_it_is_unknown() -> None:
    play = two()
    play.intend("b")
    operation = play.operation("b")
    assert undecided(play.state, operation) is None
    play.apply(events.SubmissionUnknown(play.now, operation))
    assert undecided(play.state, operation) is play.state.operation(operation)
    assert undecided(play.state, operation._replace(attempt=2)) is None
    assert undecided(play.state, operation._replace(chain="prices")) is None
    assert undecided(play.state, OperationAddress(at("nobody"))) is None
    play.submit("b")
    assert undecided(play.state, operation) is None
