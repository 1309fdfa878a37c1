"""Checks of runs: making, finding, listing, finishing them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ..errors import AmbiguousRunError, RunExistsError, RunNotFoundError, StoreError
from ..records import NO_LABELS, NewRun, RunRecord, RunStatus, State
from ..view import View
from .examples import (
    LARGE,
    PLAN,
    SMALL,
    StoreFactory,
    look,
    look_raises,
    make_change,
    make_run,
    make_step,
    raises,
    same,
)


async def creates_a_run_with_plan_and_first_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        created = await store.create(
            NewRun(id="otters-1", workflow="chain", signature=PLAN.signature, nonce="n0", input=SMALL),
            PLAN,
            make_step(
                0,
                position=0,
                at=10.5,
                events=("run_created", "node_started"),
                activations=(make_change("first", state=State.RUNNING),),
                policies=b"\x80",
            ),
        )
        same((created.id, created.nonce), ("otters-1", "n0"), "the record that `create` returns is the run's")
        same((created.owner, created.fence), (executor, 1), "a new run is owned by its maker with fence 1")
        same(created.position, 2, "the position is the count of events")
        same((created.created_at, created.updated_at), (10.5, 10.5), "a run is made at its transition's time")
        same(
            (created.finished_at, created.outcome, created.error),
            (None, None, None),
            "nothing is decided yet",
        )
        same((created.status, created.policies), (RunStatus.RUNNING, b"\x80"), "what the transition says")
        same(created.input_digest, hashlib.sha256(SMALL.data).digest(), "the input's digest is SHA-256")
        same(await look(store, lambda view: view.run("otters-1")), created, "`run` reads what was created")
        same(
            await look(store, lambda view: view.runs_by_key([created.key, 4711])),
            [created],
            "unknown keys are left out",
        )
        same(await look(store, lambda view: view.plan(PLAN.signature)), PLAN, "the plan is stored with it")
        same(await look(store, lambda view: view.value(created.key, "input")), SMALL, "the input is stored")
        same(
            [(event.position, event.type) for event in await look(store, lambda v: v.events(created.key))],
            [(1, "run_created"), (2, "node_started")],
            "the first events are stored",
        )
        live, _ = await look(store, lambda view: view.live([created.key]))
        same([one.key.node for one in live], ["first"], "so are the activations")
        other = await make_run(store, "otters-2", input=LARGE)
        same(await look(store, lambda view: view.value(other.key, "input")), LARGE, "an input of any size")
        same(await look(store, lambda view: view.value(4711, "input")), None, "there is no run: no input")


async def refuses_an_id_that_is_taken(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        first = await make_run(store, "one")
        await raises(RunExistsError, make_run(store, "one"), "an id names one run")
        same(await look(store, lambda view: view.runs()), [first], "the refused run is not stored")


async def keeps_policies_until_a_transition_sets_them(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        same(run.policies, None, "there are none")
        await store.commit(make_step(run.key, position=run.position, policies=b"first"))
        await store.commit(make_step(run.key, position=run.position + 1))
        same((await look(store, lambda v: v.run("one"))).policies, b"first", "they stay")
        await store.commit(make_step(run.key, position=run.position + 2, policies=b"second"))
        same((await look(store, lambda v: v.run("one"))).policies, b"second", "until the next ones")


async def finishes_and_reopens_a_run(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                at=50.0,
                status=RunStatus.FAILED,
                outcome=RunStatus.FAILED,
                error=b"why",
            )
        )
        failed = await look(store, lambda view: view.run("one"))
        same(
            (failed.status, failed.outcome, failed.error, failed.finished_at, failed.owner),
            (RunStatus.FAILED, RunStatus.FAILED, b"why", 50.0, None),
            "a finished run says when and why, and has no owner",
        )
        same(await look(store, lambda view: view.unfinished()), [], "it is not among the unfinished")
        claim = await store.claim("one")
        same(
            (claim.granted, claim.holder, claim.run), (False, None, failed), "a finished run is never granted"
        )
        same(await store.claim_all([PLAN.signature]), [], "nor taken with the unfinished ones")
        await store.commit(
            make_step(
                run.key, position=failed.position, at=60.0, status=RunStatus.FAILED, outcome=RunStatus.FAILED
            )
        )
        late = await look(store, lambda view: view.run("one"))
        same(late.finished_at, 50.0, "what comes late does not finish it again")
        await store.commit(make_step(run.key, position=failed.position + 1, at=70.0))
        reopened = await look(store, lambda view: view.run("one"))
        same(
            (reopened.status, reopened.outcome, reopened.error, reopened.finished_at),
            (RunStatus.RUNNING, None, None, None),
            "a retried run is unfinished",
        )
        same(await look(store, lambda view: view.unfinished()), [reopened], "and is among the unfinished")
        same((await store.claim("one")).granted, True, "and can be claimed")


async def finds_runs_by_prefix(factory: StoreFactory) -> None:
    async with factory() as store:
        await look_raises(RunNotFoundError, store, lambda v: v.find("@latest"), "there is no latest yet")
        await store.register()
        for run_id in ("otters-1", "otters-10", "otters-2", "sea_1", "%", "\U0010ffff"):
            await make_run(store, run_id)
        for prefix, run_id, what in (
            ("otters-2", "otters-2", "a full id"),
            ("otters-1", "otters-1", "a full id that begins another one"),
            ("s", "sea_1", "a prefix that is unique"),
            ("%", "%", "a letter is a letter, no pattern"),
            ("@latest", "\U0010ffff", "the newest"),
        ):
            same((await look(store, _find(prefix))).id, run_id, what)
        for nothing in ("seal", "_", "", "OTTERS"):
            await look_raises(
                RunNotFoundError,
                store,
                _find(nothing),
                f"no id begins with {nothing!r}",
            )
        error = await look_raises(AmbiguousRunError, store, lambda v: v.find("otters"), "several begin so")
        assert isinstance(error, AmbiguousRunError), "an ambiguous prefix has its own error"
        same(error.candidates, ("otters-1", "otters-10", "otters-2"), "the error holds them")
        await look_raises(RunNotFoundError, store, lambda v: v.run("otters"), "`run` takes full ids only")


async def lists_runs_newest_first(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number in range(4):
            await make_run(store, f"run-{number}", at=100.0 + number, workflow=f"workflow-{number % 2}")
        run = await store.read(lambda view: view.run("run-3"))
        await store.commit(make_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))
        with store.view() as view:
            for found, ids, what in (
                (view.runs(), "3210", "newest first"),
                (view.runs(limit=2), "32", "at most so many"),
                (view.runs(since=101.0), "321", "made at that time or later"),
                (view.runs(workflow="workflow-0"), "20", "of one workflow"),
                (view.runs(status=[RunStatus.SUCCEEDED, RunStatus.FAILED]), "3", "in one of these states"),
                (
                    view.runs(status=[RunStatus.RUNNING], workflow="workflow-1", limit=1),
                    "1",
                    "all at once",
                ),
                (view.unfinished(), "012", "the unfinished ones, oldest first"),
                (view.runs_by_key([3, 1]), "02", "by key"),
            ):
                same([run.id for run in found], [f"run-{number}" for number in ids], what)
        same(await look(store, lambda v: v.fences([run.key, 4711])), {run.key: 1}, "the fences of some runs")


async def keeps_labels_and_finds_runs_by_them(factory: StoreFactory) -> None:
    odd = {'quo"te\\': "π \n'", "empty": ""}
    async with factory() as store:
        await store.register()
        plain = await make_run(store, "plain", at=100.0)
        same((plain.labels, plain.code), (NO_LABELS, None), "there are none unless they are given")
        made = await make_run(
            store, "acme-1", at=101.0, labels={"tenant": "acme", "kind": "report"}, code="0123"
        )
        same(
            (made.labels, made.code),
            ({"tenant": "acme", "kind": "report"}, "0123"),
            "given, they are kept",
        )
        same(await look(store, lambda view: view.run("acme-1")), made, "and read")
        await make_run(store, "acme-2", at=102.0, workflow="other", labels={"tenant": "acme"})
        await make_run(store, "umbrella", at=103.0, labels={"tenant": "umbrella", "acme": "tenant"})
        same((await make_run(store, "odd", at=104.0, labels=odd)).labels, odd, "any text is a label")
        await store.commit(make_step(made.key, position=made.position, status=RunStatus.SUCCEEDED))
        same((await look(store, lambda v: v.run("acme-1"))).labels, made.labels, "a transition leaves them")
        with store.view() as view:
            for found, ids, what in (
                (view.runs(labels={}), "odd umbrella acme-2 acme-1 plain", "no label asked for: all"),
                (view.runs(labels={"tenant": "acme"}), "acme-2 acme-1", "those that have the label"),
                (view.runs(labels={"tenant": "acme", "kind": "report"}), "acme-1", "all labels are wanted"),
                (view.runs(labels={"kind": "acme"}), "", "key and value belong together"),
                (view.runs(labels={"tenant": "ac"}), "", "values are compared whole"),
                (view.runs(labels=odd), "odd", "any text"),
                (view.runs(labels={"empty": ""}), "odd", "an empty one too"),
                (view.runs(labels={"tenant": "acme"}, limit=1), "acme-2", "with a limit"),
                (view.runs(labels={"tenant": "acme"}, workflow="chain"), "acme-1", "with a workflow"),
                (view.runs(labels={"tenant": "acme"}, since=102.0), "acme-2", "with a time"),
                (
                    view.runs(labels={"tenant": "acme"}, status=[RunStatus.SUCCEEDED]),
                    "acme-1",
                    "with a state",
                ),
            ):
                same([run.id for run in found], ids.split(), what)


async def says_what_is_not_there(factory: StoreFactory) -> None:
    async with factory() as store:
        await look_raises(RunNotFoundError, store, lambda v: v.run("nobody"), "there is no such run")
        await look_raises(StoreError, store, lambda v: v.plan("nothing"), "there is no such plan")
        await raises(StoreError, store.claim("nobody"), "who is not registered claims nothing")
        await raises(StoreError, store.claim_all([PLAN.signature]), "nor all")
        await raises(StoreError, make_run(store, "one"), "nor makes runs")
    await raises(StoreError, store.read(lambda v: v.runs()), "a closed store reads nothing")
    await raises(StoreError, store.commit(make_step(1, position=0)), "nor writes")


CHECKS = (
    creates_a_run_with_plan_and_first_transition,
    refuses_an_id_that_is_taken,
    keeps_policies_until_a_transition_sets_them,
    finishes_and_reopens_a_run,
    finds_runs_by_prefix,
    lists_runs_newest_first,
    keeps_labels_and_finds_runs_by_them,
    says_what_is_not_there,
)


def _find(prefix: str) -> Callable[[View], RunRecord]:
    return lambda view: view.find(prefix)
