"""Maps: scopes that open, their items, what collects them, and how many are under way. One test per rule."""

from __future__ import annotations

import pytest
from perdure.checkpoints.records import RunStatus
from perdure.engine.core import events
from perdure.engine.core.commands import Call, SaveScope
from perdure.engine.core.plan import OnFailure
from perdure.engine.core.policy import Policies, Policy

from ..graphs import Sketch
from .play import Play, at


def mapped(*, concurrency: int | None = None) -> Sketch:
    """a, then b per item, then z with the list."""
    sketch = Sketch("a")
    sketch.map("a", "b", concurrency=concurrency)
    sketch.collect("b", "z")
    return sketch


# -- items -----------------------------------------------------------------------------------------------


def test_each_item_gets_an_activation_and_the_list_is_in_item_order() -> None:
    play = Play(mapped().plan("z")).begin()
    play.succeed("a", items=3)
    assert play.last(Call) == ["b[0]", "b[1]", "b[2]"]
    play.succeed("b[2]", "b[0]")
    assert play.of("z") is None
    play.succeed("b[1]")
    assert play.got[at("z")] == ((at("b[0]"), at("b[1]"), at("b[2]")),)
    play.succeed("z")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_map_of_one_item_collects_a_list_of_one() -> None:
    play = Play(mapped().plan("z")).begin()
    play.succeed("a", items=1)
    play.succeed("b[0]")
    assert play.got[at("z")] == ((at("b[0]"),),)


def test_a_map_of_nothing_collects_the_empty_list_at_once() -> None:
    play = Play(mapped().plan("z")).begin()
    play.succeed("a", items=0)
    assert play.last(Call) == ["z"]
    assert play.got[at("z")] == ((),)


def test_a_chain_inside_a_map_goes_on_item_by_item() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.chain("b", "c")
    sketch.collect("c", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[1]", "c[1]")
    assert play.of("b[0]") == "running"
    play.succeed("b[0]", "c[0]")
    assert play.got[at("z")] == ((at("c[0]"), at("c[1]")),)


def test_skipped_items_are_left_out_of_the_list() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    good = sketch.edge("b", "c", when=True)
    sketch.edge("b", "d", otherwise=True)
    sketch.collect("c", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=3)
    play.succeed("b[0]", "b[2]", taken=(good,))
    play.succeed("b[1]", taken=(good + 1,))
    play.succeed("c[0]", "c[2]")
    assert play.of("c[1]") == "skipped"
    assert play.got[at("z")] == ((at("c[0]"), at("c[2]")),)


def test_a_list_of_which_every_item_was_skipped_is_empty_and_not_skipped() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.edge("b", "c", when=True)
    sketch.collect("c", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]")
    assert play.got[at("z")] == ((),)


def test_a_skipped_source_skips_what_collects_its_map() -> None:
    sketch = Sketch("a")
    sketch.edge("a", "b", when=True)
    sketch.map("b", "c")
    sketch.collect("c", "d")
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a")
    assert play.states() == {"a": "succeeded", "b": "skipped", "d": "skipped", "z": "running"}


def test_one_map_can_be_collected_twice() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.edge("b", "c")
    sketch.collect("b", "d")
    sketch.collect("c", "e")
    sketch.join(("d", "e"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]")
    assert play.of("d") == "running"  # the second list still grows
    play.succeed("c[0]", "c[1]")
    assert play.got[at("e")] == ((at("c[0]"), at("c[1]")),)


def test_one_list_can_be_mapped_twice() -> None:
    sketch = Sketch("a")
    for inner, target in (("b", "d"), ("c", "e")):
        sketch.map("a", inner)
        sketch.collect(inner, target)
    sketch.join(("d", "e"), "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    assert play.last(Call) == ["b[0]", "b[1]", "c[0]", "c[1]"]
    play.succeed("c[0]", "c[1]")
    assert play.got[at("e")] == ((at("c[0]"), at("c[1]")),)
    assert play.of("d") is None


def test_a_map_need_not_be_collected() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("z", "b[0]")
    assert play.finished is None
    play.succeed("b[1]")
    assert play.finished is RunStatus.SUCCEEDED


# -- nesting ---------------------------------------------------------------------------------------------


def nested() -> Sketch:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c")
    sketch.collect("c", "d")
    sketch.collect("d", "z")
    return sketch


def test_maps_nest_and_each_collect_closes_the_innermost() -> None:
    play = Play(nested().plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", items=2)
    play.succeed("b[1]", items=0)
    assert play.got[at("d[1]")] == ((),)
    play.succeed("c[0, 1]", "c[0, 0]")
    assert play.got[at("d[0]")] == ((at("c[0, 0]"), at("c[0, 1]")),)
    play.succeed("d[1]", "d[0]")
    assert play.got[at("z")] == ((at("d[0]"), at("d[1]")),)


def test_an_inner_map_of_one_item_does_not_wait_for_that_of_another() -> None:
    play = Play(nested().plan("z")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", items=1)
    play.succeed("c[0, 0]", "d[0]")
    assert play.of("b[1]") == "running"
    assert play.of("z") is None


def test_the_rows_of_an_inner_scope_that_closes_with_its_outer_one_can_still_be_written() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c")
    sketch.edge("c", "d", when=True)  # nothing is collected, so the last item closes both scopes
    sketch.edge("a", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("a", items=1)
    play.succeed("b[0]", items=1)
    play.succeed("c[0, 0]")
    assert [command.open for command in play.commands[-1] if isinstance(command, SaveScope)] == [False, False]
    assert play.rows[at("d[0, 0]")].key.scope == play.rows[at("c[0, 0]")].key.scope == 2


def test_a_scope_is_forgotten_when_everything_in_it_is_decided() -> None:
    sketch = nested()
    sketch.edge("z", "end")
    play = Play(sketch.plan("end")).begin()
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]", items=2)
    assert sorted(play.state.scopes) == [0, 1, 2, 3]
    play.succeed("c[0, 0]", "c[0, 1]")
    assert sorted(play.state.scopes) == [0, 1, 3]
    play.succeed("c[1, 0]", "c[1, 1]", "d[0]", "d[1]")
    assert sorted(play.state.scopes) == [0]
    assert play.state.numbers == {(1, ()): 1}


# -- joins over scopes -----------------------------------------------------------------------------------


def briefed() -> Sketch:
    """a is mapped, and beside it runs the root's `brief`, which each item's d wants to have with its c."""
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "brief")
    sketch.map("a", "c")
    sketch.join(("brief", "c"), "d")
    sketch.collect("d", "z")
    return sketch


def test_a_join_takes_a_source_of_the_enclosing_scope_that_was_decided_before() -> None:
    play = Play(briefed().plan("z")).begin()
    play.succeed("s", "brief")
    play.succeed("a", items=2)
    play.succeed("c[1]")
    assert play.got[at("d[1]")] == (at("brief"), at("c[1]"))


def test_a_join_waits_for_a_source_of_the_enclosing_scope_that_is_decided_later() -> None:
    play = Play(briefed().plan("z")).begin()
    play.succeed("s")
    play.succeed("a", items=3)
    play.succeed("c[2]", "c[0]")
    assert play.of("d[0]") is None
    play.succeed("brief")
    assert play.last(Call) == ["d[0]", "d[2]"]
    play.succeed("c[1]")
    assert play.got[at("d[1]")] == (at("brief"), at("c[1]"))


@pytest.mark.parametrize("first", ["brief", "items"])
def test_a_source_of_the_enclosing_scope_that_is_skipped_is_none(first: str) -> None:
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "t")
    sketch.edge("t", "brief", when=True)
    sketch.map("a", "c")
    sketch.join(("brief", "c"), "d")
    sketch.collect("d", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("s")
    if first == "brief":
        play.succeed("t")
    play.succeed("a", items=1)
    play.succeed("c[0]")
    if first == "items":
        play.succeed("t")
    assert play.got[at("d[0]")] == (None, at("c[0]"))


def test_a_join_two_maps_deep_takes_sources_of_every_scope_around_it() -> None:
    sketch = Sketch("s")
    sketch.edge("s", "a")
    sketch.edge("s", "brief")
    sketch.map("a", "b")
    sketch.edge("b", "note")
    sketch.map("b", "c")
    sketch.join(("c", "note", "brief"), "d")
    sketch.collect("d", "e")
    sketch.collect("e", "z")
    play = Play(sketch.plan("z")).begin()
    play.succeed("s")
    play.succeed("a", items=2)
    play.succeed("b[1]", items=1)
    play.succeed("c[1, 0]", "brief")
    assert play.of("d[1, 0]") is None
    play.succeed("note[1]")
    assert play.got[at("d[1, 0]")] == (at("c[1, 0]"), at("note[1]"), at("brief"))


# -- concurrency -----------------------------------------------------------------------------------------


def begun(sketch: Sketch, *, on_failure: OnFailure = "cancel") -> Play:
    """A run of the sketch, with its policies."""
    return Play(sketch.plan("z", on_failure=on_failure), sketch.policies).begin()


def test_items_start_in_order_as_others_end() -> None:
    play = begun(mapped(concurrency=2))
    play.succeed("a", items=4)
    assert play.last(Call) == ["b[0]", "b[1]"]
    play.succeed("b[1]")
    assert play.last(Call) == ["b[2]"]
    play.succeed("b[0]", "b[2]", "b[3]")
    assert play.got[at("z")] == (tuple(at(f"b[{item}]") for item in range(4)),)


def test_an_item_that_waits_or_backs_off_keeps_its_place() -> None:
    sketch = mapped(concurrency=2)
    sketch.policy("b", retries=1)
    play = begun(sketch)
    play.succeed("a", items=3)
    play.submit("b[0]")
    play.back_off("b[1]")
    assert play.of("b[2]") is None
    play.succeed("b[0]")
    assert play.of("b[2]") == "running"


def test_concurrency_counts_the_maps_target_and_not_what_follows_it() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b", concurrency=1)
    sketch.edge("b", "c")
    sketch.collect("c", "z")
    play = begun(sketch)
    play.succeed("a", items=2)
    play.succeed("b[0]")
    assert sorted(play.last(Call)) == ["b[1]", "c[0]"]


def test_concurrency_holds_in_each_entry_into_the_map_by_itself() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c", concurrency=1)
    sketch.collect("c", "d")
    sketch.collect("d", "z")
    play = begun(sketch)
    play.succeed("a", items=2)
    play.succeed("b[0]", "b[1]", items=2)
    assert play.of("c[0, 0]") == play.of("c[1, 0]") == "running"
    assert play.of("c[0, 1]") is play.of("c[1, 1]") is None


def test_a_failure_starts_no_further_item_and_a_retry_goes_on_within_the_concurrency() -> None:
    play = begun(mapped(concurrency=1), on_failure="finish")
    play.succeed("a", items=3)
    play.fail("b[0]")
    assert play.finished is RunStatus.FAILED
    assert play.of("b[1]") is None
    play.retry()
    assert play.last(Call) == ["b[0]"]
    play.succeed("b[0]", "b[1]", "b[2]", "z")
    assert play.finished is RunStatus.SUCCEEDED


def test_a_greater_concurrency_starts_more_items_at_once() -> None:
    play = begun(mapped(concurrency=1))
    play.succeed("a", items=4)
    play.apply(events.PoliciesChanged(play.now, Policies({"b": Policy(concurrency=3)})))
    assert play.last(Call) == ["b[1]", "b[2]"]
    play.apply(events.PoliciesChanged(play.now, Policies({})))
    assert play.last(Call) == ["b[3]"]


def test_new_policies_start_nothing_in_a_run_that_fails() -> None:
    play = begun(mapped(concurrency=2), on_failure="finish")
    play.succeed("a", items=4)
    play.fail("b[0]")
    play.apply(events.PoliciesChanged(play.now, Policies({})))
    assert play.last(Call) == []
    play.succeed("b[1]")
    play.retry()
    assert play.last(Call) == ["b[0]", "b[2]", "b[3]"]
