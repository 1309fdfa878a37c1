"""Checks of deleting runs: all that is stored of a run goes, and nothing that another run needs."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import RunNotDeletableError, RunNotFoundError, StaleFenceError
from ..records import (
    ActivationKey,
    OperationKey,
    OutcomeRef,
    RequestRef,
    RunRecord,
    RunStatus,
    State,
    Value,
    ValueRef,
)
from ..store import Store
from ..view import DatabaseInfo, View
from .examples import (
    PLAN,
    StoreFactory,
    look,
    look_raises,
    make_change,
    make_operation,
    make_run,
    make_scope,
    make_step,
    make_submission,
    raises,
    same,
)

_ASK = OperationKey(0, "ask", 0)
_SHARED = Value(b"shared" * 1_000)


async def deletes_all_of_a_run(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        gone, kept = await _make(store, "gone"), await _make(store, "kept")
        await store.signal(gone.key, "of a later version", None, (), b"")
        await store.signal(kept.key, "of a later version", None, (), b"")
        before = await look(store, lambda view: view.info())
        await store.delete(gone.key)
        await look_raises(RunNotFoundError, store, lambda view: view.run("gone"), "the run is gone")
        await look_raises(RunNotFoundError, store, lambda view: view.find("gone"), "it is not found")
        same([run.id for run in await look(store, lambda view: view.runs())], ["kept"], "nor listed")
        for what, found in (
            ("activations", await look(store, lambda view: view.activations(gone.key))),
            ("operations", await look(store, lambda view: view.operations(gone.key))),
            ("submissions", await look(store, lambda view: view.submissions(gone.key))),
            ("scopes", await look(store, lambda view: view.scopes(gone.key))),
            ("events", await look(store, lambda view: view.events(gone.key))),
            ("claims", await look(store, lambda view: view.claims(gone.key))),
            ("signals", await look(store, lambda view: view.signals([gone.key]))),
        ):
            same(found, [], f"its {what} are gone")
        same(_halved(before), _counts(await look(store, lambda view: view.info())), "the other run's are not")
        same(await look(store, lambda view: view.check()), [], "the database is sound")
        same(await look(store, lambda view: view.plan(PLAN.signature)), PLAN, "the plan stays")


async def keeps_the_blobs_that_other_runs_need(factory: StoreFactory) -> None:
    """A blob may be one run's input and another one's output, request or outcome."""
    async with factory() as store:
        await store.register()
        gone = await _make(store, "gone", own=_SHARED)
        as_input = await make_run(store, "input", input=_SHARED)
        as_result = await make_run(
            store, "result", activations=[make_change("ask", state=State.SUCCEEDED, result=_SHARED)]
        )
        running = [make_change("ask", state=State.RUNNING)]
        as_request = await make_run(
            store,
            "request",
            activations=running,
            operations=[make_operation(_ASK, state=State.WAITING, request=_SHARED)],
        )
        as_outcome = await make_run(
            store,
            "outcome",
            activations=running,
            operations=[make_operation(_ASK, state=State.WAITING, outcome=_SHARED)],
        )
        await store.delete(gone.key)
        users: tuple[tuple[RunRecord, ValueRef], ...] = (
            (as_input, "input"),
            (as_result, ActivationKey(0, "ask", 0)),
            (as_request, RequestRef(_ASK)),
            (as_outcome, OutcomeRef(_ASK)),
        )
        for number, (run, ref) in enumerate(users, start=1):
            same(
                await look(store, _value(run.key, ref)),
                _SHARED,
                f"the {run.id} is still there",
            )
            await store.commit(make_step(run.key, position=run.position, status=RunStatus.CANCELLED))
            await store.delete(run.key)
            left = (await look(store, lambda view: view.info())).blobs
            same(left, int(number < len(users)), "the last run that needs it takes it away")


async def uses_no_key_twice(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        gone = await _make(store, "one")
        await store.delete(gone.key)
        again = await make_run(store, "one")
        same(again.key > gone.key, True, "the id is free again, the key is not")
        late = make_step(gone.key, position=gone.position, status=RunStatus.CANCELLED)
        await raises(StaleFenceError, store.commit(late), "what comes late of a deleted run is refused")
        same(await look(store, lambda view: view.run("one")), again, "and meets no other run")
        await raises(RunNotFoundError, store.delete(gone.key), "what is gone can't be deleted")
        await raises(RunNotFoundError, store.signal(gone.key, "cancel", None, (), b""), "nor signalled")


async def deletes_no_run_that_is_not_over(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", activations=[make_change("ask", state=State.RUNNING)])
        await raises(RunNotDeletableError, store.delete(run.key), "it is under way")
        await store.release([run])
        await raises(RunNotDeletableError, store.delete(run.key), "also while nobody drives it")
        same((await store.claim("one")).granted, True, "it is there still")
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                fence=2,
                status=RunStatus.FAILED,
                operations=[make_operation(_ASK, state=State.FAILED)],
                submissions=[make_submission(_ASK, fate="stray", handle="resp_1")],
            )
        )
        await raises(RunNotDeletableError, store.delete(run.key), "a submission is still to be cancelled")
        await store.commit(
            make_step(
                run.key,
                position=run.position + 1,
                fence=2,
                status=RunStatus.FAILED,
                submissions=[make_submission(_ASK, fate="stray_cancelled")],
            )
        )
        handle = await store.signal(run.key, "handle", "ask", (), b"resp_2")
        await raises(RunNotDeletableError, store.delete(run.key), "a handle came that nobody has acted on")
        await store.commit(
            make_step(run.key, position=run.position + 2, fence=2, status=RunStatus.FAILED, signals=(handle,))
        )
        same((await store.claim("one", failed=True)).granted, True, "a failed run is taken to retry it")
        await raises(RunNotDeletableError, store.delete(run.key), "and is not deleted meanwhile")
        same(len(await look(store, lambda view: view.submissions(run.key))), 1, "nothing was deleted")
        await store.unregister()
        await store.delete(run.key)
        same(await look(store, lambda view: view.runs()), [], "when all is over anybody can delete it")


async def _make(store: Store, name: str, *, own: Value | None = None) -> RunRecord:
    """A run that has ended, with rows of every kind, and large values that are its own."""
    own = own or Value(name.encode() * 1_000)
    run = await make_run(store, name, input=own)
    await store.commit(
        make_step(
            run.key,
            position=run.position,
            status=RunStatus.SUCCEEDED,
            activations=[make_change("ask", state=State.SUCCEEDED, result=own)],
            operations=[make_operation(_ASK, state=State.SUCCEEDED, request=own, outcome=own)],
            submissions=[make_submission(_ASK, fate="accepted", handle=f"resp_{name}")],
            scopes=[make_scope(1, size=3)],
        )
    )
    return await store.read(lambda view: view.run(name))


def _counts(info: DatabaseInfo) -> tuple[int, ...]:
    return (info.runs, info.activations, info.operations, info.events, info.blobs, info.signals)


def _halved(info: DatabaseInfo) -> tuple[int, ...]:
    return tuple(count // 2 for count in _counts(info))


CHECKS = (
    deletes_all_of_a_run,
    keeps_the_blobs_that_other_runs_need,
    uses_no_key_twice,
    deletes_no_run_that_is_not_over,
)


def _value(run: int, ref: ValueRef) -> Callable[[View], Value | None]:
    return lambda view: view.value(run, ref)
