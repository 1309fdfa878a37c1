"""Recovery from rows: what a store hands out of a run is enough to go on exactly where it was.

`Play` restores the state after each event of every other test too; here is what those can't show.
"""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import RunStatus
from perdure.engine.core import events
from perdure.engine.core.commands import (
    Call,
    CancelRemote,
    CancelStray,
    Decode,
    EvaluateEdges,
    Wake,
)
from perdure.engine.core.errors import IllegalEventError
from perdure.engine.core.pending import idle_wakes, moment, pending
from perdure.engine.core.recovery import next_event
from perdure.engine.core.restore import restore

from ..graphs import Sketch
from .play import Play, at


def nested(*, concurrency: int | None = None) -> Play:
    """s, beside it `brief`; a map over b, in it one over c; each d joins its c with its b's note and `brief`."""
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "brief")
    sketch.map("a", "b")
    sketch.edge("b", "note")
    sketch.map("b", "c", concurrency=concurrency)
    sketch.join(("c", "note", "brief"), "d")
    sketch.collect("d", "e")
    sketch.collect("e", "z")
    return Play(sketch.plan("z"), sketch.policies).begin()


def crashed(play: Play) -> Play:
    """The same run in a process that knows only the rows."""
    play.crash()
    return play


def test_a_run_without_any_scope_is_restored_from_its_activations() -> None:
    sketch = Sketch("a")
    sketch.chain("a", "b", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    crashed(play).succeed("b")
    assert play.last(Call) == ["z"]


def test_a_gate_that_waits_for_its_second_source_still_does() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.join(("b", "c"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "c")
    crashed(play).succeed("b")
    assert play.got[at("z")] == (at("b"), at("c"))


def test_joins_that_wait_for_a_source_outside_of_their_scope_still_do() -> None:
    play = nested()
    play.succeed("s")
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]", items=2)
    play.succeed("note[0]", "note[1]", "c[0, 0]", "c[1, 1]")
    crashed(play).succeed("brief")
    assert play.last(Call) == ["d[0, 0]", "d[1, 1]"]


def test_concurrency_still_counts_what_is_under_way() -> None:
    play = nested(concurrency=2)
    play.succeed("s", "brief")
    play.succeed("a", items=1)
    play.succeed("b[0]", items=4)
    play.submit("c[0, 0]")
    crashed(play).succeed("c[0, 1]")
    assert play.last(Call) == ["c[0, 2]"]
    assert play.of("c[0, 3]") is None


def test_a_new_scope_never_gets_the_number_of_one_that_is_closed() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c")
    sketch.edge("a", "p")
    sketch.map("p", "q")
    sketch.collect("c", "d")
    sketch.collect("q", "r")
    sketch.collect("d", "e")
    sketch.join(("e", "r"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]", items=1)
    play.succeed("c[0, 0]", "c[1, 0]", "d[0]", "d[1]")
    assert {number: record.open for number, record in play.stored.scopes.items()} == {
        1: False,
        2: False,
        3: False,
    }
    crashed(play).succeed("p", items=1)  # the newest instance lies in a closed one
    assert play.rows[at("q[0]")].key.scope == 4


def test_lists_that_were_complete_before_the_crash_are_found_again() -> None:
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "slow")
    sketch.map("a", "b")
    sketch.collect("b", "list")
    sketch.join(("slow", "list"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("s")
    play.succeed("a", items=2)
    play.succeed("b[1]")
    crashed(play).succeed("b[0]")
    crashed(play).succeed("list")
    crashed(play).succeed("slow")
    assert play.got[at("list")] == ((at("b[0]"), at("b[1]")),)
    assert play.got[at("z")] == (at("slow"), at("list"))


@pytest.mark.parametrize("items", [0, 1])
def test_a_collect_beside_an_alternative_that_is_undecided_still_waits_for_it(items: int) -> None:
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "other")
    sketch.map("a", "b")
    sketch.collect("b", "z")
    sketch.edge("other", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed("s")
    play.succeed("a", items=items)
    play.succeed(*(f"b[{item}]" for item in range(items)))
    crashed(play).succeed("other")
    assert play.got[at("z")] == (tuple(at(f"b[{item}]") for item in range(items)),)


def test_the_outcome_on_which_a_run_is_on_its_way_survives() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.join(("b", "c"), "z")
    for user in (False, True):
        play = Play(sketch.plan("z")).begin()
        play.succeed("a")
        play.intend("c")
        play.cancel() if user else play.fail("b")
        crashed(play).accept("c")
        assert play.last(CancelRemote) == ["c"]
        play.cancelled("c", *(["b"] if user else []))
        assert play.finished is (RunStatus.CANCELLED if user else RunStatus.FAILED)


def test_a_failed_run_is_retried_from_its_rows() -> None:
    sketch = Sketch("a")
    for name in ("b", "c", "d", "e"):
        sketch.edge("a", name)
    yes = sketch.edge("d", "f", when=True)
    sketch.join(("b", "c", "f", "e"), "z")
    sketch.policy("e", retries=1)
    play = Play(sketch.plan("z"), sketch.policies).begin()
    play.succeed("a")
    play.lose("c")
    play.back_off("e")
    play.succeed_undecided("d")
    play.cancelled("b")
    assert play.finished is RunStatus.FAILED
    crashed(play).retry()
    assert play.last(Call) == ["b", "e"]
    assert play.last(Wake) == ["c"]
    assert play.last(EvaluateEdges) == ["d"]
    crashed(play).decide("d", taken=(yes,))
    play.intend("c")
    crashed(play).accept("c")
    crashed(play).succeed("b", "c", "e", "f", "z")
    assert play.finished is RunStatus.SUCCEEDED


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_run_that_has_ended_stays_so(end: str) -> None:
    play = Play(Sketch("a").plan("a")).begin()
    match end:
        case "succeeded":
            play.succeed("a")
        case "failed":
            play.fail("a")
        case _:
            play.cancel()
            play.cancelled("a")
    crashed(play)
    with pytest.raises(IllegalEventError):
        play.succeed("a")
    assert play.state.status == end


def test_what_lies_in_closed_scopes_does_no_harm_and_is_not_needed() -> None:
    play = nested()
    play.succeed("s", "brief")
    play.succeed("a", items=2)
    play.succeed("b[0]", items=1)
    play.succeed("note[0]", "c[0, 0]", "d[0, 0]")
    everything, needed = play.stored.loaded(open_only=False), play.stored.loaded()
    assert len(needed.activations) == len(everything.activations) - 2  # c[0, 0] and d[0, 0]
    assert (
        len(needed.scopes) == len(everything.scopes) == 2
    )  # the closed one lies in an open one: e[0] collects it
    assert restore(play.plan, play.policies, everything) == play.state
    assert restore(play.plan, play.policies, needed) == play.state


def test_a_run_that_only_waits_need_not_be_loaded() -> None:
    sketch = Sketch("a")
    for name in ("b", "c", "d"):
        sketch.edge("a", name)
        sketch.policy(name, retries=1)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z"), sketch.policies).begin()
    play.succeed("a")
    play.submit("b")
    play.back_off("c")
    assert idle_wakes(play.stored.status, *play.stored.live()) is None  # d runs
    play.intend("d")
    play.refuse("d", passing=True)
    wakes = idle_wakes(play.stored.status, *play.stored.live())
    assert wakes is not None
    expected = [moment(play.state, wake) for wake in pending(play.state) if isinstance(wake, Wake)]
    assert len(expected) == len(pending(play.state)) == 3
    assert sorted(map(str, wakes)) == sorted(map(str, expected))


def test_edges_that_are_to_be_evaluated_again_are_no_wait() -> None:
    """Else a crash while everything else waits would leave them for ever."""
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    sketch.join(("b", "c"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.succeed_undecided("b")
    play.cancelled("c")
    play.retry()
    play.submit("c")
    assert idle_wakes(play.stored.status, *play.stored.live()) is None
    assert EvaluateEdges(at("b")) in pending(crashed(play).state)


# -- operations ------------------------------------------------------------------------------------------


def test_operations_of_earlier_attempts_do_no_harm_and_are_not_needed() -> None:
    sketch = Sketch("a")
    sketch.policy("a", retries=1)
    play = Play(sketch.plan("a"), sketch.policies).begin()
    play.submit("a")
    play.back_off("a")
    play.apply(events.BackoffEnded(play.now, at("a")))
    play.submit("a")
    everything = play.stored.loaded(open_only=False)
    assert [row.key.attempt for row in everything.operations] == [1, 2]
    assert [row.key.attempt for row in play.stored.loaded().operations] == [2]
    assert restore(play.plan, play.policies, everything) == play.state


def test_what_was_being_submitted_is_named_and_then_of_unknown_fate() -> None:
    play = Play(Sketch("a").plan("a")).begin()
    play.intend("a")
    crashed(play)
    event = next_event(play.state, play.now, 0.5, play.policies)
    assert event is not None
    assert event == events.SubmissionUnknown(play.now, play.operation("a"), 0.5)
    assert pending(play.state) == []
    play.apply(event)
    crashed(play)
    assert next_event(play.state, play.now, 0.5, play.policies) is None
    (wake,) = pending(play.state)
    assert isinstance(wake, Wake)
    assert wake.operation == play.operation("a")


def test_a_result_that_was_fetched_and_not_decoded_is_decoded_after_a_crash() -> None:
    play = Play(Sketch("a").plan("a")).begin()
    play.submit("a")
    play.apply(events.FetchStarted(play.now, play.operation("a")))
    play.apply(events.Fetched(play.now, play.operation("a")))
    assert pending(crashed(play).state) == [Decode(play.operation("a"))]


def test_a_second_submission_is_cancelled_after_a_crash_too_also_when_its_scopes_are_closed() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c")
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=1)
    play.succeed("b[0]", items=1)
    play.lose("c[0, 0]")
    play.submit("c[0, 0]")
    operation = play.operation("c[0, 0]")
    play.succeed("c[0, 0]")
    assert sorted(play.state.scopes) == [0]
    play.apply(events.HandleFound(play.now, operation, 1, "former_owner", "job-1", scope=2))
    stray = CancelStray(operation, 1)
    assert stray in pending(crashed(play).state)
    play.succeed("z")
    assert play.finished is RunStatus.SUCCEEDED
    assert stray in pending(crashed(play).state)
    play.apply(events.StrayCancelled(play.now, operation, 1))
    assert play.finished is RunStatus.SUCCEEDED
    assert play.commands[-1][1:] == []  # the end is not announced again
    assert stray not in pending(crashed(play).state)
    assert [row.fate for row in play.stored.submissions.values()] == ["stray_cancelled", "accepted"]
