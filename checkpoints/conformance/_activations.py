"""Checks of activations and of the values that they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..records import ActivationKey, ActivationRecord, State, Value, ValueRef
from ..view import View
from .examples import LARGE, SMALL, StoreFactory, look, make_change, make_run, make_scope, make_step, same

_A = ActivationKey(scope=0, node="a", item=0)


async def keeps_columns_that_a_transition_leaves_out(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", activations=(make_change("a", state=State.READY),))
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                at=20.0,
                activations=(
                    make_change(
                        "a",
                        state=State.BACKOFF,
                        attempt=2,
                        failures=1,
                        wake_at=99.5,
                        error=b"error",
                        items=0,
                    ),
                ),
            )
        )
        [found] = await look(store, lambda view: view.activations(run.key))
        same((found.run, found.key, found.path), (run.key, _A, ()), "where it is")
        same(
            (found.state, found.attempt, found.failures, found.wake_at, found.error, found.items),
            (State.BACKOFF, 2, 1, 99.5, b"error", 0),
            "columns are written",
        )
        same((found.has_result, found.taken), (False, None), "and no others")
        same(
            (found.started_at, found.updated_at), (run.created_at, 20.0), "started at its insert, updated now"
        )
        await store.commit(
            make_step(
                run.key,
                position=run.position + 1,
                at=30.0,
                activations=(make_change("a", state=State.SUCCEEDED, result=SMALL, taken=(), wake_at=None),),
            )
        )
        [after] = await look(store, lambda view: view.activations(run.key))
        same(
            after,
            found._replace(
                state=State.SUCCEEDED,
                updated_at=30.0,
                taken=(),
                wake_at=None,
                has_result=True,
            ),
            "columns that a transition leaves out stay; None clears one",
        )


async def inserts_in_any_state(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        changes = [make_change(state.value, state=state) for state in State]
        await store.commit(make_step(run.key, position=run.position, activations=changes))
        await store.commit(make_step(run.key, position=run.position + 1, activations=changes))
        found = await look(store, lambda view: view.activations(run.key))
        same(
            {one.key.node: one.state for one in found}, {state.value: state for state in State}, "the states"
        )
        same({(one.attempt, one.failures) for one in found}, {(1, 0)}, "the counts begin so")


async def writes_an_activation_twice_in_one_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                activations=(
                    make_change("a", state=State.RUNNING),
                    make_change("a", state=State.SUCCEEDED, result=SMALL),
                ),
            )
        )
        [found] = await look(store, lambda view: view.activations(run.key))
        same((found.state, found.has_result), (State.SUCCEEDED, True), "the later change wins")


async def returns_results_of_any_size_unchanged(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number, value in enumerate((Value(b""), SMALL, LARGE, Value(bytes(3_000_000)))):
            run = await make_run(store, f"run-{number}", input=value)
            change = make_change("a", state=State.SUCCEEDED, result=value)
            await store.commit(make_step(run.key, position=run.position, activations=(change,)))
            same(await look(store, _value(run.key, "input")), value, f"input {value}")
            same(await look(store, _value(run.key, _A)), value, f"a result of {value}")
            [found] = await look(store, _activations(run.key))
            same(found.has_result, True, "a value is there however small")
            clear = make_change("a", state=State.READY, result=None)
            await store.commit(make_step(run.key, position=run.position + 1, activations=(clear,)))
            same(await look(store, _value(run.key, _A)), None, "a cleared one is gone")
        nowhere = ActivationKey(scope=0, node="nowhere", item=0)
        same(await look(store, lambda v: v.value(1, nowhere)), None, "nothing of what is not there")


async def reads_outputs_of_a_map_in_item_order(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        changes = [
            make_change("b", scope=1, item=item, state=State.SUCCEEDED, result=Value(b"%d" % item))
            for item in (11, 2, 0)
        ]
        changes.append(make_change("b", scope=1, item=1, state=State.SKIPPED))
        changes.append(make_change("b", scope=1, item=3, state=State.FAILED, result=SMALL))
        changes.append(make_change("b", scope=2, item=0, state=State.SUCCEEDED, result=LARGE))
        scopes = [make_scope(1, size=12), make_scope(2, size=1)]
        await store.commit(make_step(run.key, position=run.position, activations=changes, scopes=scopes))
        same(
            await look(store, lambda view: view.outputs(run.key, 1, "b")),
            [(0, Value(b"0")), (2, Value(b"2")), (11, Value(b"11"))],
            "outputs are those of succeeded items, ordered as numbers",
        )
        same(await look(store, lambda v: v.outputs(run.key, 2, "b")), [(0, LARGE)], "of one scope instance")


async def lists_activations_by_scope_node_and_item(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run, other = await make_run(store, "one"), await make_run(store, "other")
        keys = [(1, "b", 10), (0, "b", 0), (1, "a", 3), (1, "b", 9), (0, "a", 0)]
        changes = [make_change(node, scope=scope, item=item, state=State.READY) for scope, node, item in keys]
        scopes = [make_scope(1, size=12)]
        for key in (run.key, other.key):
            await store.commit(make_step(key, position=1, activations=changes, scopes=scopes))
        found = await look(store, lambda view: view.activations(run.key))
        same([tuple(one.key) for one in found], sorted(keys), "a run's own, in order")


CHECKS = (
    keeps_columns_that_a_transition_leaves_out,
    inserts_in_any_state,
    writes_an_activation_twice_in_one_transition,
    returns_results_of_any_size_unchanged,
    reads_outputs_of_a_map_in_item_order,
    lists_activations_by_scope_node_and_item,
)


def _value(run: int, ref: ValueRef) -> Callable[[View], Value | None]:
    return lambda view: view.value(run, ref)


def _activations(run: int) -> Callable[[View], Sequence[ActivationRecord]]:
    return lambda view: view.activations(run)
