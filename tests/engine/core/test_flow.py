"""How values flow: which node starts, when, and with what. One test per rule.

`Play` applies the events and checks after each that rows, oracle and restored state agree; see there.
"""

from __future__ import annotations

import json

import pytest
from perdure.checkpoints.records import RunStatus
from perdure.engine.core.addresses import Address, parse_address
from perdure.engine.core.commands import Call
from perdure.engine.core.plan import Plan

from ..graphs import Sketch
from .play import Play, at


def diamond() -> Sketch:
    """a, then b and c side by side."""
    sketch = Sketch("a")
    sketch.edge("a", "b")
    sketch.edge("a", "c")
    return sketch


# -- chains ----------------------------------------------------------------------------------------------


def test_the_run_begins_with_its_start_node() -> None:
    sketch = Sketch("a")
    play = Play(sketch.plan("a")).begin()
    assert play.states() == {"a": "running"}
    assert play.last(Call) == ["a"]
    play.succeed("a")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_node_starts_when_its_predecessor_has_succeeded() -> None:
    sketch = Sketch("a")
    sketch.chain("a", "b", "c")
    play = Play(sketch.plan("c")).begin()
    play.succeed("a")
    assert play.states() == {"a": "succeeded", "b": "running"}
    play.succeed("b", "c")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_slow_branch_does_not_hold_a_fast_one() -> None:
    sketch = diamond()
    sketch.chain("c", "d", "e")
    sketch.join(("b", "e"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "c", "d")
    assert play.of("b") == "running"
    assert play.of("e") == "running"


def test_the_run_goes_on_until_nothing_of_it_is_live() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z")
    sketch.edge("a", "log")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "z")
    assert play.finished is None
    play.succeed("log")
    assert play.finished is RunStatus.SUCCEEDED


def test_successors_start_in_the_order_in_which_edges_are_declared() -> None:
    sketch = Sketch("a")
    for name in ("d", "b", "c"):
        sketch.edge("a", name)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.last(Call) == ["d", "b", "c"]


# -- conditions and skips --------------------------------------------------------------------------------


def test_every_edge_that_is_taken_fires_and_the_others_are_skipped() -> None:
    sketch = Sketch("a")
    yes, also = sketch.edge("a", "b", when=True), sketch.edge("a", "c", when=True)
    sketch.edge("a", "d", when=True)
    sketch.join(("b", "c", "d"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", taken=(yes, also))
    assert play.states() == {"a": "succeeded", "b": "running", "c": "running", "d": "skipped"}


def test_otherwise_fires_when_it_is_taken_and_not_by_itself() -> None:
    sketch = Sketch("a")
    yes, no = sketch.edge("a", "b", when=True), sketch.edge("a", "c", otherwise=True)
    sketch.edge("b", "z")
    sketch.edge("c", "z")
    plan = sketch.plan("z")
    first, second = Play(plan).begin(), Play(plan).begin()
    first.succeed("a", taken=(yes,))
    assert (first.of("b"), first.of("c")) == ("running", "skipped")
    second.succeed("a", taken=(no,))
    assert (second.of("b"), second.of("c")) == ("skipped", "running")


def test_an_unconditional_edge_always_fires() -> None:
    sketch = diamond()
    sketch.edge("a", "d", when=True)
    sketch.join(("b", "c"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", taken=())
    assert play.states() == {"a": "succeeded", "b": "running", "c": "running", "d": "skipped"}


def test_a_skip_runs_through_everything_that_depends_on_it_alone() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b", when=True)
    sketch.chain("b", "c", "d")
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.states() == {"a": "succeeded", "b": "skipped", "c": "skipped", "d": "skipped", "z": "running"}
    play.succeed("z")
    assert play.finished is RunStatus.SUCCEEDED


def test_ending_at_a_discarded_node_is_no_failure() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z")
    sketch.edge("a", "b", when=True)
    sketch.edge("b", "c", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", taken=(1,))
    play.succeed("b", "z")
    assert play.of("c") == "skipped"
    assert play.finished is RunStatus.SUCCEEDED


# -- alternatives and joins ------------------------------------------------------------------------------


def test_alternatives_wait_until_each_is_decided_and_deliver_the_one_that_was_taken() -> None:
    sketch = diamond()
    sketch.edge("b", "z", when=True)
    taken = sketch.edge("c", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.succeed("c", taken=(taken,))
    assert play.of("z") is None  # b may still deliver as well
    play.succeed("b")
    assert play.of("z") == "running"
    assert play.got[at("z")] == (at("c"),)


def test_alternatives_that_are_all_skipped_skip_their_target() -> None:
    sketch = diamond()
    sketch.edge("b", "d", when=True)
    sketch.edge("c", "d", when=True)
    sketch.join(("b", "d"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "b", "c")
    assert play.of("d") == "skipped"
    assert play.of("z") == "running"


def test_alternatives_taken_together_reach_the_node_as_several_inputs() -> None:
    sketch = diamond()
    one, two = sketch.edge("b", "z", when=True), sketch.edge("c", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    play.succeed("b", taken=(one,))
    play.succeed("c", taken=(two,))
    assert play.got[at("z")] == (at("b"), at("c"))


def test_a_join_gets_its_sources_in_the_declared_order_whichever_ends_first() -> None:
    sketch = diamond()
    sketch.join(("c", "b"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "b")
    assert play.of("z") is None
    play.succeed("c")
    assert play.got[at("z")] == (at("c"), at("b"))


def test_a_skipped_position_of_a_join_is_none() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b", when=True)
    sketch.edge("a", "c")
    sketch.join(("b", "c"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", "c")
    assert play.got[at("z")] == (None, at("c"))


def test_a_join_without_any_source_taken_is_skipped() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b", when=True)
    sketch.edge("a", "c", when=True)
    sketch.join(("b", "c"), "d")
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.of("d") == "skipped"


def test_a_join_may_name_one_source_twice() -> None:
    sketch = Sketch("a")
    sketch.join(("a", "a"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.got[at("z")] == (at("a"), at("a"))


# -- the end ---------------------------------------------------------------------------------------------


def test_a_skipped_end_fails_the_run() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "z", when=True)
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.of("z") == "skipped"
    assert play.finished is RunStatus.FAILED


@pytest.mark.parametrize("ends", [("y", "z"), ("z", "y")])
def test_one_of_several_ends_is_enough_and_the_first_declared_gives_the_result(
    ends: tuple[str, str],
) -> None:
    sketch = Sketch("a")
    first = sketch.edge("a", "y", when=True)
    last = sketch.edge("a", "z", when=True)
    for taken, end in (((first,), "y"), ((last,), "z"), ((first, last), ends[0])):
        play = Play(sketch.plan(*ends)).begin()
        play.succeed("a", taken=taken)
        for edge in taken:
            assert play.finished is None
            play.succeed(play.state.plan.edges[edge].target)
        assert play.finished is RunStatus.SUCCEEDED
        assert play.state.end == end


def test_a_run_fails_when_the_last_of_its_ends_is_skipped() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "y", when=True)
    sketch.edge("a", "b")
    sketch.edge("b", "z", when=True)
    sketch.edge("b", "c")
    play = Play(sketch.plan("y", "z", on_failure="finish")).begin()
    play.succeed("a")
    assert (play.of("y"), play.of("b"), play.state.outcome) == ("skipped", "running", None)
    play.succeed("b")
    assert (play.of("z"), play.of("c"), play.state.outcome) == ("skipped", "ready", RunStatus.FAILED)
    assert play.finished is RunStatus.FAILED


# -- the core's own promises -----------------------------------------------------------------------------


def test_a_plan_survives_being_written_as_plain_data() -> None:
    sketch = diamond()
    sketch.edge("b", "d", when=True)
    sketch.map("c", "e")
    sketch.collect("e", "f")
    sketch.join(("d", "f"), "z")
    plan = sketch.plan("z", on_failure="finish")
    assert Plan.from_plain(json.loads(json.dumps(plan.to_plain()))) == plan


def test_an_address_reads_as_people_write_it() -> None:
    assert str(Address("plan")) == "plan"
    assert str(Address("check", (1, 4))) == "check[1, 4]"
    assert at("check[1, 4]") == Address("check", (1, 4))


@pytest.mark.parametrize("text", ["", "check[", "check[]", "check[1", "check[-1]", "check[a]", "[1]"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
