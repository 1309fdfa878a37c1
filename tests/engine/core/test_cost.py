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
from perdure.checkpoints.records import RunStatus, State
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.core.events import (
    AttemptFailed,
    Cancelled,
    CoreEvent,
    RunRetried,
    RunStarted,
    SubmissionIntended,
    Submitted,
    Succeeded,
    TokenAdvanced,
)
from perdure.engine.core.machine import advance
from perdure.engine.core.plan import Plan
from perdure.engine.core.policy import NO_POLICIES, Policies
from perdure.engine.core.state import RunState

from ..graphs import Sketch

CORE = os.path.dirname(advance.__code__.co_filename)


def cost(state: RunState, event: CoreEvent) -> int:
    """How many lines of the core one call of `advance` executes; those of a garbage collector's callbacks, which
    may come at any moment, do not count."""
    lines = 0

    def trace(frame: FrameType, what: str, argument: object) -> Callable[..., Any] | None:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(CORE):
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


def begun(plan: Plan, policies: Policies = NO_POLICIES) -> RunState:
    """A run of the plan, whose indices are made (once per plan, not per event)."""
    state = RunState(plan=plan)
    assert plan.node
    assert plan.outgoing
    assert plan.incoming
    assert plan.collects
    advance(state, RunStarted(0.0, policies))
    return state


def chain(length: int) -> Plan:
    sketch = Sketch("n0")
    sketch.chain(*(f"n{index}" for index in range(length)))
    return sketch.plan(f"n{length - 1}")


def fan(*, concurrency: int | None = None) -> tuple[Plan, Policies]:
    sketch = Sketch("a")
    sketch.map("a", "b", concurrency=concurrency)
    sketch.edge("b", "c")
    sketch.collect("c", "z")
    return sketch.plan("z"), sketch.policies


def test_a_step_of_a_chain_costs_the_same_wherever_it_is() -> None:
    costs: set[int] = set()
    for length in (100, 10_000):
        state = begun(chain(length))
        for index in range(length - 1):
            event = Succeeded(0.0, Address(f"n{index}"))
            if index % (length // 20) == 0:
                costs.add(cost(state, event))
            else:
                advance(state, event)
        advance(state, Succeeded(0.0, Address(f"n{length - 1}")))
        assert state.status is RunStatus.SUCCEEDED
    assert len(costs) == 1
    assert max(costs) < 300


@pytest.mark.parametrize("concurrency", [None, 16])
def test_an_item_costs_the_same_in_a_large_map_as_in_a_small_one(concurrency: int | None) -> None:
    costs: dict[str, set[int]] = {"b": set(), "c": set()}
    opened: dict[int, int] = {}
    closed: dict[int, int] = {}
    for size in (1_000, 10_000):
        state = begun(*fan(concurrency=concurrency))
        opened[size] = cost(state, Succeeded(0.0, Address("a"), items=size))
        for item in range(size):
            for node in ("b", "c"):
                event = Succeeded(0.0, Address(node, (item,)))
                if item in (0, 1, size // 2, size - 20):
                    costs[node].add(cost(state, event))
                elif (node, item) == ("c", size - 1):
                    closed[size] = cost(state, event)
                else:
                    advance(state, event)
        assert list(state.scopes) == [0]
    assert {node: len(found) for node, found in costs.items()} == {"b": 1, "c": 1}
    assert opened[10_000] <= opened[1_000] * (10.1 if concurrency is None else 1)
    assert closed[10_000] <= closed[1_000] * 10.1  # an item is forgotten with its scope, once


def test_a_skip_runs_through_ten_thousand_nodes_in_one_step() -> None:
    lines: dict[int, int] = {}
    for length in (1_000, 10_000):
        sketch = Sketch("a")
        sketch.edge("a", "n0", when=True)
        sketch.chain(*(f"n{index}" for index in range(length)))
        sketch.edge("a", "z")
        state = begun(sketch.plan("z"))
        lines[length] = cost(state, Succeeded(0.0, Address("a")))
        assert state.counts[State.SKIPPED] == length
        advance(state, Succeeded(0.0, Address("z")))
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
        advance(state, Succeeded(0.0, Address("a"), items=size))
        for outer in range(size - 1):
            steps = (
                Succeeded(0.0, Address("b", (outer,)), items=2),
                Succeeded(0.0, Address("c", (outer, 0))),
                Succeeded(0.0, Address("c", (outer, 1))),
                Succeeded(0.0, Address("d", (outer,))),
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
        state = begun(*fan())
        advance(state, Succeeded(0.0, Address("a"), items=size))
        failed[size] = cost(state, AttemptFailed(0.0, Address("b", (0,))))
        for item in range(1, size):
            advance(state, Cancelled(0.0, Address("b", (item,))))
        retried[size] = cost(state, RunRetried(0.0))
        assert state.counts[State.RUNNING] == size
    assert failed[10_000] < failed[1_000] * 10.1
    assert retried[10_000] < retried[1_000] * 10.1


def test_the_events_of_an_operation_cost_the_same_beside_ten_or_ten_thousand_others() -> None:
    costs: set[tuple[int, ...]] = set()
    for size in (10, 10_000):
        state = begun(*fan())
        advance(state, Succeeded(0.0, Address("a"), items=size))
        for item in range(size):
            address = Address("b", (item,))
            operation = OperationAddress(address)
            steps = (
                SubmissionIntended(0.0, operation),
                Submitted(0.0, operation),
                TokenAdvanced(0.0, operation),
                Succeeded(0.0, address, operation=operation),
            )
            if item in (1, size // 2, size - 2):
                costs.add(tuple(cost(state, step) for step in steps))
            else:
                for step in steps[:-1]:
                    advance(state, step)
    assert len(costs) == 1
