"""Checks of transitions as a whole: fences, positions, refusals, what is written twice, the journal."""

from __future__ import annotations

import asyncio
import threading

from ..errors import RunNotFoundError, StaleFenceError, StoreError
from ..records import EventRecord, RunStatus, State
from .examples import StoreFactory, look, make_change, make_run, make_step, raises, same

_NONE = type(None)


async def refuses_a_stale_fence_and_a_wrong_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        again = (await store.claim("one")).run
        same(again.fence, run.fence + 1, "each claim raises the fence")
        change = (make_change("a", state=State.RUNNING),)
        late = make_step(run.key, position=run.position, fence=run.fence, activations=change)
        await raises(StaleFenceError, store.commit(late), "a former owner's transition is refused")
        ahead = make_step(run.key, position=run.position + 1, fence=again.fence, activations=change)
        await raises(
            StaleFenceError, store.commit(ahead), "a transition that builds on what is not there is refused"
        )
        same(await look(store, lambda v: v.run("one")), again, "a refused transition changes nothing")
        same(await look(store, lambda v: v.activations(run.key)), [], "and writes nothing")
        gone = make_step(4711, position=0)
        await raises(StaleFenceError, store.commit(gone), "as is one of a run that is not there")


async def refuses_what_builds_on_a_refused_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run, other = await make_run(store, "one"), await make_run(store, "other")
        steps = [
            make_step(run.key, position=run.position),
            make_step(other.key, position=other.position),
            make_step(run.key, position=run.position + 7),  # it was made for another
            make_step(
                run.key, position=run.position + 1, events=()
            ),  # it would fit, were it not for the one before
            make_step(run.key, position=run.position + 2),
            make_step(other.key, position=other.position + 1),
        ]
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        same(
            [type(outcome) for outcome in outcomes],
            [_NONE, _NONE, StaleFenceError, StaleFenceError, StaleFenceError, _NONE],
            "what was refused and what builds on it, and nothing else",
        )
        found = {run.id: run.position for run in await look(store, lambda view: view.runs())}
        same(
            found,
            {"one": run.position + 1, "other": other.position + 2},
            "the others' work is kept, of each run in order",
        )
        await store.commit(make_step(run.key, position=run.position + 1))


async def a_former_owner_harms_not_the_new_one(factory: StoreFactory) -> None:
    """What both write in one moment is in one group."""
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        owned = (await store.claim("one")).run
        outcomes = await asyncio.gather(
            store.commit(make_step(run.key, position=run.position, fence=run.fence)),
            store.commit(make_step(run.key, position=owned.position, fence=owned.fence)),
            return_exceptions=True,
        )
        same([type(outcome) for outcome in outcomes], [StaleFenceError, _NONE], "the owner's is written")


async def refuses_what_waits_behind_a_refused_transition(factory: StoreFactory) -> None:
    """They are called while the refused one is under way, so they are in another group."""
    async with factory() as store:
        await store.register()
        run, other = await make_run(store, "one"), await make_run(store, "other")
        free = threading.Event()
        busy = asyncio.ensure_future(store.read(lambda view: free.wait(10)))  # nothing is written meanwhile
        await asyncio.sleep(0)
        refused = asyncio.ensure_future(store.commit(make_step(run.key, position=run.position + 7)))
        await asyncio.sleep(0.01)  # it is under way
        behind = [
            asyncio.ensure_future(store.commit(make_step(run.key, position=run.position, events=()))),
            asyncio.ensure_future(store.commit(make_step(other.key, position=other.position))),
        ]
        await asyncio.sleep(0.01)  # they wait
        free.set()
        await busy
        outcomes = await asyncio.gather(refused, *behind, return_exceptions=True)
        same(
            [type(outcome) for outcome in outcomes],
            [StaleFenceError, StaleFenceError, _NONE],
            "what waits behind is refused as well, other runs go on",
        )


async def one_bad_transition_harms_no_other(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        runs = [await make_run(store, f"run-{number}") for number in range(3)]
        steps = [make_step(run.key, position=run.position) for run in runs]
        bad = make_change("a", state=State.READY, attempt=2**80)  # more than 64 bits
        steps[1] = make_step(runs[1].key, position=runs[1].position, activations=(bad,))
        steps.append(make_step(runs[1].key, position=runs[1].position, events=()))
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        same(
            [type(outcome) for outcome in outcomes],
            [_NONE, StoreError, _NONE, StoreError],
            "only the guilty one, and what follows in its run",
        )
        found = await look(store, lambda view: view.runs_by_key([run.key for run in runs]))
        positions = [run.position for run in found]
        same(positions, [run.position + moved for run, moved in zip(runs, (1, 0, 1), strict=True)], "written")


async def takes_a_commit_that_is_tried_again_for_done(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        change = make_change("a", state=State.RUNNING)
        steps = [
            make_step(run.key, position=run.position, events=("a", "b"), activations=(change,)),
            make_step(run.key, position=run.position + 2, events=("c",)),
        ]
        for step in steps:
            await store.commit(step)
        before = await look(store, lambda view: view.run("one"))
        await asyncio.gather(*map(store.commit, steps))  # as if no answer had come
        same(await look(store, lambda view: view.run("one")), before, "nothing is written twice")
        same(
            [event.type for event in await look(store, lambda view: view.events(run.key))],
            ["run_created", "a", "b", "c"],
            "nor does the journal hold anything twice",
        )
        twice = make_step(run.key, position=before.position)
        await asyncio.gather(store.commit(twice), store.commit(twice))  # in one group
        same(len(await look(store, lambda v: v.events(run.key))), 5, "nor in one group")
        other = make_step(run.key, position=run.position, events=("a", "x"))
        await raises(StaleFenceError, store.commit(other), "another transition at that position is refused")
        later = steps[0]._replace(events=[e._replace(at=e.at + 1) for e in steps[0].events])
        await raises(StaleFenceError, store.commit(later), "so is one whose events differ in their time")
        await store.claim("one")
        await raises(StaleFenceError, store.commit(steps[1]), "and all of them once the fence has moved on")


async def a_cancelled_caller_does_not_cancel_the_write(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        caller = asyncio.ensure_future(store.commit(make_step(run.key, position=run.position)))
        await asyncio.sleep(0)  # so that it has called
        caller.cancel()
        await asyncio.wait([caller])
        await store.commit(make_step(run.key, position=run.position + 1))
        found = await look(store, lambda view: view.run("one"))
        same(found.position, run.position + 2, "the transition was written and built upon")


async def reads_the_journal_from_a_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", events=())
        written = [
            EventRecord(position=1, at=1.25, type="a", node=None, path=(), data=b"\x80"),
            EventRecord(position=2, at=1.5, type="b", node="node", path=(1, 4), data=b""),
            EventRecord(position=3, at=1.75, type="c", node="node", path=(0,), data=bytes(5_000)),
        ]
        await store.commit(make_step(run.key, position=0)._replace(events=written))
        same(await look(store, lambda v: v.events(run.key)), written, "events are read as written")
        same(await look(store, lambda v: v.events(run.key, after=1)), written[1:], "after a position")
        same(
            await look(store, lambda v: v.events(run.key, after=1, limit=1)), written[1:2], "at most so many"
        )
        same(await look(store, lambda v: v.events(run.key, after=3)), [], "none yet")
        gap = make_step(run.key, position=3)._replace(events=[written[0]._replace(position=5)])
        await raises(StoreError, store.commit(gap), "the journal has no gaps")
        await store.commit(make_step(run.key, position=3, status=RunStatus.WAITING, events=()))
        moved = await look(store, lambda v: v.run("one"))
        same((moved.position, moved.status), (3, RunStatus.WAITING), "a transition may have no events")


async def refuses_a_change_without_a_state(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        nameless = make_step(run.key, position=run.position, activations=(make_change("a", attempt=2),))
        await raises(StoreError, store.commit(nameless), "a change names the state")
        same((await look(store, lambda v: v.run("one"))).position, run.position, "nothing was written")
        await raises(RunNotFoundError, store.claim("two"), "and the store goes on")


CHECKS = (
    refuses_a_stale_fence_and_a_wrong_position,
    refuses_what_builds_on_a_refused_transition,
    a_former_owner_harms_not_the_new_one,
    refuses_what_waits_behind_a_refused_transition,
    one_bad_transition_harms_no_other,
    takes_a_commit_that_is_tried_again_for_done,
    a_cancelled_caller_does_not_cancel_the_write,
    reads_the_journal_from_a_position,
    refuses_a_change_without_a_state,
)
