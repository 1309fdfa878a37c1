"""Checks of writing: runs, transitions, values. What they are for stands in `conformance.py`."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from .conformance_records import (
    LARGE,
    PLAN,
    SMALL,
    make_change,
    make_run,
    make_step,
    raises,
    same,
)
from .errors import (
    RunExistsError,
    StoreError,
)
from .records import (
    ActivationChange,
    ActivationKey,
    ActivationState,
    NewRun,
    RunStatus,
    Value,
)
from .store import StoreFactory


async def creates_a_run_with_plan_and_first_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        created = await store.create(
            NewRun(id="otters-1", workflow="chain", signature=PLAN.signature, input=SMALL),
            PLAN,
            make_step(
                0,
                position=0,
                at=10.5,
                events=("run_created", "node_started"),
                activations=(make_change("first", state=ActivationState.RUNNING),),
            ),
        )
        same(created.id, "otters-1", "the record that `create` returns is the run's")
        same((created.owner, created.fence), (executor, 1), "a new run is owned by its maker with fence 1")
        same(created.position, 2, "the position is the count of events")
        same((created.created_at, created.updated_at), (10.5, 10.5), "a run is made at its transition's time")
        same(
            (created.finished_at, created.outcome, created.error),
            (None, None, None),
            "nothing is decided yet",
        )
        same(created.status, RunStatus.RUNNING, "a run has its transition's status")
        same(created.input_digest, hashlib.sha256(SMALL.data).digest(), "the input's digest is SHA-256")
        same(await store.run("otters-1"), created, "`run` reads what `create` returned")
        same(await store.runs_by_key([created.key, 4711]), [created], "unknown keys are left out")
        same(await store.plan(PLAN.signature), PLAN, "the plan is stored with its first run")
        same(await store.input(created.key), SMALL, "the input is stored")
        same(
            [(event.position, event.type) for event in await store.events(created.key)],
            [(1, "run_created"), (2, "node_started")],
            "the first events are stored",
        )
        same([one.key.node for one in await store.live([created.key])], ["first"], "so are the activations")


async def refuses_an_id_that_is_taken(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        first = await make_run(store, "one")
        await raises(RunExistsError, make_run(store, "one"), "an id names one run")
        same(await store.runs(), [first], "the refused run is not stored")


async def keeps_what_a_transition_leaves_out(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", activations=(make_change("a", state=ActivationState.READY),))
        key = ActivationKey(scope=0, node="a", item=0)
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                at=20.0,
                activations=(
                    make_change(
                        "a",
                        state=ActivationState.WAITING,
                        attempt=2,
                        submission=3,
                        unknown=1,
                        wake_at=99.5,
                        request=SMALL,
                        token=b"token",
                        usage=b"usage",
                        error=b"error",
                        items=0,
                    ),
                ),
            )
        )
        found = await store.activation(run.key, key)
        assert found is not None, "an activation that was written is there"
        same(
            (found.state, found.attempt, found.submission, found.unknown, found.wake_at),
            (ActivationState.WAITING, 2, 3, 1, 99.5),
            "columns are written",
        )
        same(
            (found.token, found.usage, found.error, found.items),
            (b"token", b"usage", b"error", 0),
            "all of them",
        )
        same((found.has_request, found.has_result, found.taken), (True, False, None), "and no others")
        same(
            (found.started_at, found.updated_at), (run.created_at, 20.0), "started at its insert, updated now"
        )
        await store.commit(
            make_step(
                run.key,
                position=run.position + 1,
                at=30.0,
                activations=(
                    make_change(
                        "a",
                        state=ActivationState.SUCCEEDED,
                        result=SMALL,
                        taken=b"\x90",
                        request=None,
                        wake_at=None,
                        token=None,
                    ),
                ),
            )
        )
        after = await store.activation(run.key, key)
        same(
            after,
            replace(
                found,
                state=ActivationState.SUCCEEDED,
                updated_at=30.0,
                taken=b"\x90",
                wake_at=None,
                token=None,
                has_result=True,
                has_request=False,
            ),
            "columns that a transition leaves out stay; None clears one",
        )


async def inserts_in_any_state(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        changes = [make_change(state.value, state=state) for state in ActivationState]
        await store.commit(make_step(run.key, position=run.position, activations=changes))
        await store.commit(make_step(run.key, position=run.position + 1, activations=changes))
        found = await store.activations(run.key)
        same(
            {one.state.value: one.key.node for one in found},
            {s.value: s.value for s in ActivationState},
            "states",
        )
        same(
            {(one.attempt, one.submission, one.unknown) for one in found}, {(1, 0, 0)}, "the counts begin so"
        )


async def writes_an_activation_twice_in_one_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                activations=(
                    make_change("a", state=ActivationState.RUNNING),
                    make_change("a", state=ActivationState.SUCCEEDED, result=SMALL),
                ),
            )
        )
        found = await store.activation(run.key, ActivationKey(scope=0, node="a", item=0))
        assert found is not None, "an activation that was written is there"
        same((found.state, found.has_result), (ActivationState.SUCCEEDED, True), "the later change wins")


async def returns_values_of_any_size_unchanged(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number, value in enumerate((Value(b""), SMALL, LARGE, Value(bytes(3_000_000)))):
            run = await make_run(store, f"run-{number}", input=value)
            key = ActivationKey(scope=0, node="a", item=0)
            change = make_change("a", state=ActivationState.SUCCEEDED, result=value, request=value)
            await store.commit(make_step(run.key, position=run.position, activations=(change,)))
            same(await store.input(run.key), value, f"an input of {value}")
            same(await store.result(run.key, key), value, f"a result of {value}")
            same(await store.request(run.key, key), value, f"a request of {value}")
            same(store.result_now(run.key, key), value, f"a result of {value}, asked for by a plain function")
            same(
                await asyncio.to_thread(store.result_now, run.key, key),
                value,
                f"a result of {value}, asked for in another thread",
            )
            found = await store.activation(run.key, key)
            assert found is not None, "the activation is there"
            same((found.has_result, found.has_request), (True, True), "a value is there however small")
            clear = make_change("a", state=ActivationState.READY, result=None, request=None)
            await store.commit(make_step(run.key, position=run.position + 1, activations=(clear,)))
            same(await store.result(run.key, key), None, "a cleared result is gone")
            same(await store.request(run.key, key), None, "a cleared request is gone")
        nowhere = ActivationKey(scope=0, node="nowhere", item=0)
        same(await store.result(1, nowhere), None, "there is no result of what is not there")
        same(await store.activation(1, nowhere), None, "nor an activation")


async def one_bad_transition_harms_no_other(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        runs = [await make_run(store, f"run-{number}") for number in range(3)]
        steps = [make_step(run.key, position=run.position) for run in runs]
        bad = ActivationChange(
            key=ActivationKey(scope=0, node="a", item=0),
            columns={"state": ActivationState.READY, "attempt": 2**80},  # more than 64 bits
        )
        steps[1] = steps[1]._replace(activations=(bad,))
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        same(
            [type(outcome) for outcome in outcomes],
            [type(None), StoreError, type(None)],
            "only the guilty one",
        )
        positions = [run.position for run in await store.runs_by_key([run.key for run in runs])]
        same(positions, [run.position + moved for run, moved in zip(runs, (1, 0, 1), strict=True)], "written")


async def a_cancelled_caller_does_not_cancel_the_write(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        caller = asyncio.ensure_future(store.commit(make_step(run.key, position=run.position)))
        await asyncio.sleep(0)  # so that it has called
        caller.cancel()
        await asyncio.wait([caller])
        await store.commit(make_step(run.key, position=run.position + 1))
        same((await store.run("one")).position, run.position + 2, "the transition was written and built upon")


CHECKS = (
    creates_a_run_with_plan_and_first_transition,
    refuses_an_id_that_is_taken,
    keeps_what_a_transition_leaves_out,
    inserts_in_any_state,
    writes_an_activation_twice_in_one_transition,
    returns_values_of_any_size_unchanged,
    one_bad_transition_harms_no_other,
    a_cancelled_caller_does_not_cancel_the_write,
)
