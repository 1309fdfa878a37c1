"""Checks of fences, claims, the ends of runs and the inbox. What they are for stands in `conformance.py`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from .conformance_records import (
    PLAN,
    make_change,
    make_run,
    make_step,
    raises,
    same,
)
from .errors import (
    RunNotFoundError,
    StaleFenceError,
    StoreError,
)
from .records import (
    ActivationState,
    RunStatus,
)
from .store import StoreFactory


async def refuses_a_stale_fence_and_a_wrong_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        again = (await store.claim("one")).run
        same(again.fence, run.fence + 1, "each claim raises the fence")
        change = (make_change("a", state=ActivationState.RUNNING),)
        late = make_step(run.key, position=run.position, fence=run.fence, activations=change)
        await raises(StaleFenceError, store.commit(late), "a former owner's transition is refused")
        ahead = make_step(run.key, position=run.position + 1, fence=again.fence, activations=change)
        await raises(
            StaleFenceError, store.commit(ahead), "a transition that builds on what is not there is refused"
        )
        same(await store.run("one"), again, "a refused transition changes nothing")
        same(await store.activations(run.key), [], "and writes nothing")
        gone = make_step(4711, position=0)
        await raises(StaleFenceError, store.commit(gone), "as is one of a run that is not there")


async def refuses_what_builds_on_a_refused_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run, other = await make_run(store, "one"), await make_run(store, "other")
        steps = [
            make_step(run.key, position=run.position),
            make_step(other.key, position=other.position),
            make_step(run.key, position=run.position + 1, fence=0),
            make_step(run.key, position=run.position + 2),
            make_step(other.key, position=other.position + 1),
        ]
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        same(
            [type(outcome) for outcome in outcomes],
            [type(None), type(None), StaleFenceError, StaleFenceError, type(None)],
            "what was refused and what builds on it, and nothing else",
        )
        same((await store.run("one")).position, run.position + 1, "the others' work is kept")
        same((await store.run("other")).position, other.position + 2, "of each run in order")


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
        failed = await store.run("one")
        same(
            (failed.status, failed.outcome, failed.error, failed.finished_at, failed.owner),
            (RunStatus.FAILED, RunStatus.FAILED, b"why", 50.0, None),
            "a finished run says when and why, and has no owner",
        )
        claim = await store.claim("one")
        same(
            (claim.granted, claim.holder, claim.run), (False, None, failed), "a finished run is never granted"
        )
        same(await store.claim_all([PLAN.signature]), [], "nor is it among the unfinished")
        await store.commit(
            make_step(
                run.key, position=failed.position, at=60.0, status=RunStatus.FAILED, outcome=RunStatus.FAILED
            )
        )
        same((await store.run("one")).finished_at, 50.0, "what comes late does not finish it again")
        await store.commit(make_step(run.key, position=failed.position + 1, at=70.0))
        reopened = await store.run("one")
        same(
            (reopened.status, reopened.outcome, reopened.error, reopened.finished_at),
            (RunStatus.RUNNING, None, None, None),
            "a retried run is unfinished",
        )
        same((await store.claim("one")).granted, True, "and can be claimed")


async def grants_a_failed_run_to_who_retries_it(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        for run_id, status in (("failed", RunStatus.FAILED), ("done", RunStatus.SUCCEEDED)):
            run = await make_run(store, run_id)
            await store.commit(make_step(run.key, position=run.position, status=status))
        same((await store.claim("done", failed=True)).granted, False, "a run that succeeded is never granted")
        claim = await store.claim("failed", failed=True)
        same(
            (claim.granted, claim.run.owner, claim.run.fence),
            (True, executor, 2),
            "a failed one is, if asked for",
        )
        same(claim.run.status, RunStatus.FAILED, "it has failed until a transition says otherwise")
        await store.commit(make_step(claim.run.key, position=claim.run.position, fence=2))
        again = await store.run("failed")
        same(
            (again.status, again.owner, again.finished_at),
            (RunStatus.RUNNING, executor, None),
            "then it is ours",
        )


async def releases_and_claims(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        same(await store.register(), executor, "registering twice is registering once")
        one, two = await make_run(store, "one"), await make_run(store, "two")
        holder = await store.holder(one)
        assert holder, "a run that is driven has a holder with a name"
        same(await store.claim_all([PLAN.signature]), [], "claim_all leaves our own runs alone")
        await store.release([one, replace(two, fence=two.fence - 1)])
        same((await store.run("one")).owner, None, "a released run has no owner")
        same((await store.run("two")).owner, executor, "one whose fence moved on is left alone")
        same(await store.holder(one), None, "and no holder")
        same(await store.claim_all(["another signature"]), [], "claim_all takes runs of these workflows only")
        claims = await store.claim_all([PLAN.signature, "another signature"])
        same([(claim.run.id, claim.granted) for claim in claims], [("one", True)], "those that nobody owns")
        taken = claims[0].run
        same((taken.owner, taken.fence, claims[0].taken_over), (executor, 2, None), "with the next fence")
        await raises(RunNotFoundError, store.claim("three"), "there is nothing to claim")
        await store.unregister()
        await store.unregister()
        owners = [run.owner for run in await store.runs()]
        same(owners, [None, None], "who leaves gives all runs back; leaving twice is safe")
        await raises(
            StoreError, store.commit(make_step(two.key, position=two.position)), "who left writes nothing"
        )


async def keeps_messages_until_they_are_dealt_with(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        one, two = await make_run(store, "one"), await make_run(store, "two")
        first = await store.post(one.key, "answer", "approve", (1, 4), b"yes")
        second = await store.post(two.key, "cancel", None, (), b"")
        found = await store.messages()
        same(
            [(m.id, m.run, m.type, m.node, m.path, m.data) for m in found],
            [
                (first, one.key, "answer", "approve", (1, 4), b"yes"),
                (second, two.key, "cancel", None, (), b""),
            ],
            "messages of all runs that we own, oldest first",
        )
        same([m.id for m in await store.messages([two.key])], [second], "or of some runs")
        await store.release([two])
        same([m.id for m in await store.messages()], [first], "not those of runs that we do not own")
        refused = make_step(one.key, position=one.position, fence=0, messages=(first,))
        await raises(StaleFenceError, store.commit(refused), "a stale fence is refused")
        same(len(await store.messages()), 1, "a refused transition deals with nothing")
        await store.commit(make_step(one.key, position=one.position, messages=(first,)))
        same(await store.messages(), [], "what was dealt with is gone")
        third = await store.post(one.key, "cancel", None, (), b"")
        same(third > second, True, "an id is never used again")
        await raises(RunNotFoundError, store.post(4711, "cancel", None, (), b""), "there is no such run")
        await store.unregister()
        await store.post(one.key, "cancel", None, (), b"")  # needs no registration
        same(await store.messages(), [], "who drives nothing has no messages")
        same(len(await store.messages([one.key])), 2, "but can read those of a run")


CHECKS = (
    refuses_a_stale_fence_and_a_wrong_position,
    refuses_what_builds_on_a_refused_transition,
    finishes_and_reopens_a_run,
    grants_a_failed_run_to_who_retries_it,
    releases_and_claims,
    keeps_messages_until_they_are_dealt_with,
)
