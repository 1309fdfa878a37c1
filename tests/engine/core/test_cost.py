"""What an event costs: lines of Python that are executed, which no other load on the machine can change.

The promise is O(edges of the node) per event, however large the graph, the map or the history is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from perdure.checkpoints import ActivationState, RunStatus
from perdure.engine.events import Address, Cancelled, Event, Failed, RunRetried, RunStarted, Succeeded
from perdure.engine.plan import Plan
from perdure.engine.scheduler import advance
from perdure.engine.state import State

from .graphs import Sketch

ENGINE = os.path.dirname(advance.__code__.co_filename)


def cost(state: State, event: Event) -> int:
    """How many lines of the engine one call of `advance` executes; those of a garbage collector's callbacks, which
    may come at any moment, do not count."""
    lines = 0

    def trace(frame: FrameType, what: str, argument: object) -> Callable[..., Any] | None:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(ENGINE):
            return None
        lines += what == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        advance(state, event)
    finally:
        sys.settrace(before)
    return lines


def begun(plan: Plan) -> State:
    """A run of the plan, whose indices are made (once per plan, not per event)."""
    state = State(plan=plan)
    assert plan.node
    assert plan.outgoing
    assert plan.incoming
    assert plan.collects
    advance(state, RunStarted())
    return state


def chain(length: int) -> Plan:
    sketch = Sketch("n0")
    sketch.chain(*(f"n{index}" for index in range(length)))
    return sketch.plan(f"n{length - 1}")


def fan(*, limit: int | None = None) -> Plan:
    sketch = Sketch("a")
    sketch.map("a", "b", limit=limit)
    sketch.edge("b", "c")
    sketch.collect("c", "z")
    return sketch.plan("z")


def test_a_step_of_a_chain_costs_the_same_wherever_it_is() -> None:
    costs: set[int] = set()
    for length in (100, 10_000):
        state = begun(chain(length))
        for index in range(length - 1):
            event = Succeeded(Address(f"n{index}"))
            if index % (length // 20) == 0:
                costs.add(cost(state, event))
            else:
                advance(state, event)
        advance(state, Succeeded(Address(f"n{length - 1}")))
        assert state.status is RunStatus.SUCCEEDED
    assert len(costs) == 1
    assert max(costs) < 300


@pytest.mark.parametrize("limit", [None, 16])
def test_an_item_costs_the_same_in_a_large_map_as_in_a_small_one(limit: int | None) -> None:
    costs: dict[str, set[int]] = {"b": set(), "c": set()}
    opened: dict[int, int] = {}
    closed: dict[int, int] = {}
    for size in (1_000, 10_000):
        state = begun(fan(limit=limit))
        opened[size] = cost(state, Succeeded(Address("a"), items=size))
        for item in range(size):
            for node in ("b", "c"):
                event = Succeeded(Address(node, (item,)))
                if item in (0, 1, size // 2, size - 20):
                    costs[node].add(cost(state, event))
                elif (node, item) == ("c", size - 1):
                    closed[size] = cost(state, event)
                else:
                    advance(state, event)
        assert list(state.scopes) == [0]
    assert {node: len(found) for node, found in costs.items()} == {"b": 1, "c": 1}
    assert opened[10_000] <= opened[1_000] * (10.1 if limit is None else 1)
    assert closed[10_000] <= closed[1_000] * 10.1  # an item is forgotten with its scope, once


def test_a_skip_runs_through_ten_thousand_nodes_in_one_step() -> None:
    lines: dict[int, int] = {}
    for length in (1_000, 10_000):
        sketch = Sketch("a")
        sketch.edge("a", "n0", when=True)
        sketch.chain(*(f"n{index}" for index in range(length)))
        sketch.edge("a", "z")
        state = begun(sketch.plan("z"))
        lines[length] = cost(state, Succeeded(Address("a")))
        assert state.counts[ActivationState.SKIPPED] == length
        advance(state, Succeeded(Address("z")))
        assert state.status is RunStatus.SUCCEEDED
    assert lines[10_000] < lines[1_000] * 10.1


def test_a_scope_that_is_entered_often_costs_by_its_items() -> None:
    sketch = Sketch("a")
    sketch.map("a", "b")
    sketch.map("b", "c")
    sketch.collect("c", "d")
    sketch.collect("d", "z")
    plan = sketch.plan("z")
    costs: set[tuple[int, ...]] = set()
    for size in (10, 1_000):
        state = begun(plan)
        advance(state, Succeeded(Address("a"), items=size))
        for outer in range(size - 1):
            steps = (
                Succeeded(Address("b", (outer,)), items=2),
                Succeeded(Address("c", (outer, 0))),
                Succeeded(Address("c", (outer, 1))),
                Succeeded(Address("d", (outer,))),
            )
            if outer in (0, size // 2, size - 2):
                costs.add(tuple(cost(state, step) for step in steps))
            else:
                for step in steps:
                    advance(state, step)
        assert len(state.scopes) == 2
    assert len(costs) == 1


def test_a_failure_and_a_retry_cost_by_what_is_open() -> None:
    failed: dict[int, int] = {}
    retried: dict[int, int] = {}
    for size in (1_000, 10_000):
        state = begun(fan())
        advance(state, Succeeded(Address("a"), items=size))
        failed[size] = cost(state, Failed(Address("b", (0,))))
        for item in range(1, size):
            advance(state, Cancelled(Address("b", (item,))))
        retried[size] = cost(state, RunRetried())
        assert state.counts[ActivationState.RUNNING] == size
    assert failed[10_000] < failed[1_000] * 10.1
    assert retried[10_000] < retried[1_000] * 10.1
