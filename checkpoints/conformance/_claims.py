"""Checks of ownership: claiming, releasing, and the record of who drove a run."""

from __future__ import annotations

import os

from ..errors import RunNotFoundError, StoreError
from ..records import RunStatus
from .examples import PLAN, StoreFactory, look, make_run, make_step, raises, same


async def releases_and_claims(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        same(await store.register(), executor, "registering twice is registering once")
        one, two = await make_run(store, "one"), await make_run(store, "two")
        holder = await look(store, lambda view: view.holder(one))
        assert holder, "a run that is driven has a holder with a name"
        same(await store.claim_all([PLAN.signature]), [], "claim_all leaves our own runs alone")
        await store.release([one, two._replace(fence=two.fence - 1)])
        same((await look(store, lambda v: v.run("one"))).owner, None, "a released run has no owner")
        same((await look(store, lambda v: v.run("two"))).owner, executor, "one whose fence moved on keeps it")
        same(await look(store, lambda v: v.holder(one)), None, "and no holder")
        same(await store.claim_all(["another signature"]), [], "claim_all takes runs of these workflows only")
        same(await store.claim_all([PLAN.signature], exclude={one.key}), [], "and none that are excluded")
        claims = await store.claim_all([PLAN.signature, "another signature"], exclude=[two.key])
        same([(claim.run.id, claim.granted) for claim in claims], [("one", True)], "those that nobody owns")
        taken = claims[0].run
        same((taken.owner, taken.fence, claims[0].taken_over), (executor, 2, None), "with the next fence")
        same(await look(store, lambda v: v.run("one")), taken, "as the store has it")
        await raises(RunNotFoundError, store.claim("three"), "there is nothing to claim")
        await store.unregister()
        await store.unregister()
        owners = [run.owner for run in await look(store, lambda v: v.runs())]
        same(owners, [None, None], "who leaves gives all runs back; leaving twice is safe")
        await raises(
            StoreError, store.commit(make_step(two.key, position=two.position)), "who left writes nothing"
        )


async def grants_a_failed_run_to_who_retries_it(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        for run_id, status in (
            ("failed", RunStatus.FAILED),
            ("done", RunStatus.SUCCEEDED),
            ("cancelled", RunStatus.CANCELLED),
        ):
            run = await make_run(store, run_id)
            await store.commit(make_step(run.key, position=run.position, status=status))
        for run_id in ("done", "cancelled"):
            same(
                (await store.claim(run_id, failed=True)).granted,
                False,
                "a run that did not fail is not granted",
            )
        same((await store.claim("failed")).granted, False, "nor a failed one unasked")
        claim = await store.claim("failed", failed=True)
        same(
            (claim.granted, claim.run.owner, claim.run.fence),
            (True, executor, 2),
            "a failed one is, if asked for",
        )
        same(claim.run.status, RunStatus.FAILED, "it has failed until a transition says otherwise")
        same(await look(store, lambda v: v.unfinished()), [], "so it is finished")
        await store.commit(make_step(claim.run.key, position=claim.run.position, fence=2))
        again = await look(store, lambda v: v.run("failed"))
        same(
            (again.status, again.owner, again.finished_at),
            (RunStatus.RUNNING, executor, None),
            "then it is ours",
        )


async def records_who_drove_a_run(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        run = await make_run(store, "one", at=10.0)
        [first] = await look(store, lambda view: view.claims(run.key))
        same(
            (first.run, first.fence, first.executor, first.pid, first.claimed_at),
            (run.key, 1, executor, os.getpid(), 10.0),
            "who made a run drives it",
        )
        assert first.host, "a claim says on which machine"
        same((first.ended_at, first.end), (None, None), "it lasts")

        async def ends() -> list[tuple[int, str | None]]:
            found = await look(store, lambda view: view.claims(run.key))
            for one in found:
                same(one.ended_at is None, one.end is None, "an end has a time")
            return [(one.fence, one.end) for one in found]

        await store.release([run])
        same(await ends(), [(1, "released")], "given back")
        claimed = (await store.claim("one")).run
        await store.claim("one")
        same(await ends(), [(1, "released"), (2, "released"), (3, None)], "claimed twice")
        await store.release([claimed])
        same((await ends())[-1], (3, None), "a stale release ends no claim")
        await store.commit(
            make_step(run.key, position=run.position, fence=3, at=50.0, status=RunStatus.FAILED)
        )
        found = await look(store, lambda view: view.claims(run.key))
        same((found[-1].end, found[-1].ended_at), ("finished", 50.0), "the end of the run ends the claim")
        late = make_step(run.key, position=run.position + 1, fence=3, at=60.0, status=RunStatus.FAILED)
        await store.commit(late)
        same(await look(store, lambda v: v.claims(run.key)), found, "what comes late changes nothing of it")
        await store.claim("one", failed=True)
        await store.unregister()
        same((await ends())[-1], (4, "released"), "who leaves gives back")
        await store.register()
        await store.commit(make_step(run.key, position=run.position + 2, fence=4))
        [granted] = await store.claim_all([PLAN.signature])
        same((await ends())[-1], (granted.run.fence, None), "claim_all is recorded as well")
        same(await look(store, lambda view: view.claims(4711)), [], "there is nothing of what is not there")


CHECKS = (releases_and_claims, grants_a_failed_run_to_who_retries_it, records_who_drove_a_run)
