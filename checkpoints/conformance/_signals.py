"""Checks of signals: left without a fence, read per run, gone once a transition has dealt with them."""

from __future__ import annotations

from ..errors import RunNotFoundError, StaleFenceError
from ..records import Fate, OperationKey, RunRecord, RunStatus, State
from .examples import (
    StoreFactory,
    look,
    make_change,
    make_operation,
    make_run,
    make_step,
    make_submission,
    raises,
    same,
)


async def keeps_signals_until_they_are_dealt_with(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        one, two = await make_run(store, "one"), await make_run(store, "two")
        first = await store.signal(one.key, "fate", "approve", (1, 4), b"fail")
        second = await store.signal(two.key, "cancel", None, (), b"")
        third = await store.signal(one.key, "of a later version", None, (), b"")

        async def ids(runs: list[int] | None = None, owner: str | None = None) -> list[int]:
            return [signal.id for signal in await look(store, lambda view: view.signals(runs, owner=owner))]

        found = await look(store, lambda view: view.signals())
        same(
            [(s.id, s.run, s.kind, s.node, s.path, s.data) for s in found],
            [
                (first, one.key, "fate", "approve", (1, 4), b"fail"),
                (second, two.key, "cancel", None, (), b""),
                (third, one.key, "of a later version", None, (), b""),
            ],
            "signals of all runs, oldest first",
        )
        same(await ids([two.key]), [second], "or of some runs")
        same(await ids(owner=executor), [first, second, third], "or of the runs that an executor owns")
        await store.release([two])
        same(await ids(owner=executor), [first, third], "not of runs that it does not own")
        same(await ids([two.key], executor), [], "both conditions hold")
        same(await ids(owner="nobody"), [], "who drives nothing has no signals")
        refused = make_step(one.key, position=one.position, fence=0, signals=(first,))
        await raises(StaleFenceError, store.commit(refused), "a stale fence is refused")
        same(await ids([one.key]), [first, third], "a refused transition deals with nothing")
        elsewhere = make_step(one.key, position=one.position, signals=(first, second))
        await store.commit(elsewhere)
        same(await ids(), [second, third], "what was dealt with is gone, and of its own run alone")
        fourth = await store.signal(one.key, "cancel", None, (), b"")
        same(fourth > third, True, "an id is never used again")


async def takes_signals_from_anybody(factory: StoreFactory) -> None:
    async with factory() as store:
        await raises(RunNotFoundError, store.signal(4711, "cancel", None, (), b""), "there is no such run")
        await store.register()
        run = await make_run(store, "one")
        await store.commit(make_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))
        await store.unregister()
        left = await store.signal(run.key, "handle", "ask", (), b"resp_1")
        [found] = await look(store, lambda view: view.signals([run.key]))
        same((found.id, found.data), (left, b"resp_1"), "needs no registration, and no run that goes on")


async def finds_ended_runs_of_which_something_is_left(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        operation = OperationKey(0, "ask", 0)

        async def unsettled() -> list[str]:
            return [run.id for run in await look(store, lambda view: view.unsettled())]

        async def make(name: str, fate: Fate, signal: str) -> RunRecord:
            run = await make_run(store, name)
            await store.commit(
                make_step(
                    run.key,
                    position=run.position,
                    activations=(make_change("ask", state=State.SUCCEEDED),),
                    operations=(make_operation(operation, state=State.SUCCEEDED),),
                    submissions=(make_submission(operation, 1, fate=fate),),
                )
            )
            await store.signal(run.key, signal, "ask", (), b"")
            return run

        stray = await make("stray", "stray", "cancel")
        late = await make("late", "accepted", "handle")
        settled = await make("settled", "stray_cancelled", "fate")
        same(await unsettled(), [], "they go on, so their owners see to it")
        for run in (stray, late, settled):
            await store.commit(make_step(run.key, position=run.position + 1, status=RunStatus.SUCCEEDED))
        same(await unsettled(), ["stray", "late"], "a submission to cancel, or a handle that came late")


CHECKS = (
    keeps_signals_until_they_are_dealt_with,
    takes_signals_from_anybody,
    finds_ended_runs_of_which_something_is_left,
)
