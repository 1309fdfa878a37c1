"""Checks of finding and reading: runs, activations, scopes, the log. What they are for stands in `conformance.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .conformance_records import (
    LARGE,
    make_change,
    make_run,
    make_scope,
    make_step,
    raises,
    same,
)
from .errors import (
    AmbiguousRunError,
    RunNotFoundError,
    StoreError,
)
from .records import (
    ActivationKey,
    ActivationState,
    EventRecord,
    RunStatus,
    Value,
)
from .store import StoreFactory


async def reads_results_of_a_map_in_item_order(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        changes = [
            make_change("b", scope=1, item=item, state=ActivationState.SUCCEEDED, result=Value(b"%d" % item))
            for item in (11, 2, 0)
        ]
        changes.append(make_change("b", scope=1, item=1, state=ActivationState.SKIPPED))
        changes.append(make_change("b", scope=2, item=0, state=ActivationState.SUCCEEDED, result=LARGE))
        scopes = [make_scope(1, size=12), make_scope(2, size=1)]
        await store.commit(make_step(run.key, position=run.position, activations=changes, scopes=scopes))
        same(
            await store.results(run.key, 1, "b"),
            [(0, Value(b"0")), (2, Value(b"2")), (11, Value(b"11"))],
            "results are those of succeeded items, ordered as numbers",
        )
        same(await store.results(run.key, 2, "b"), [(0, LARGE)], "of one scope instance")


async def knows_paths_and_open_scopes(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        outer, inner = make_scope(1, size=2), make_scope(2, scope=2, parent=1, path=(1,), size=5)
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                scopes=(outer, inner),
                activations=(
                    make_change("split", state=ActivationState.SUCCEEDED),
                    make_change("chapter", scope=1, item=1, state=ActivationState.SUCCEEDED),
                    make_change("check", scope=2, item=4, state=ActivationState.WAITING),
                ),
            )
        )
        found = {one.key.node: one.path for one in await store.activations(run.key)}
        same(
            found, {"split": (), "chapter": (1,), "check": (1, 4)}, "a path is the scope's path and the item"
        )
        same(await store.scopes(run.key), [outer, inner], "scopes are read as written, by number")
        closed = replace(inner, open=False)
        await store.commit(make_step(run.key, position=run.position + 1, scopes=(closed,)))
        same(await store.scopes(run.key), [outer, closed], "a closed scope is still there")
        same(
            [one.key.node for one in await store.activations(run.key, open_only=True)],
            ["split", "chapter"],
            "activations of open scopes, the root among them",
        )


async def reads_the_scopes_that_a_recovery_needs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        shut = replace(make_scope(1, size=1), open=False)
        inside_shut = replace(make_scope(2, parent=1, path=(0,), size=1), open=False)
        opened = make_scope(3, size=2)
        inside_open = replace(make_scope(4, parent=3, path=(0,), size=1), open=False)
        deep = replace(make_scope(5, parent=4, path=(0, 0), size=1), open=False)
        newest = replace(make_scope(6, parent=4, path=(0, 1), size=1), open=False)
        everything = [shut, inside_shut, opened, inside_open, deep, newest]
        await store.commit(make_step(run.key, position=run.position, scopes=everything))
        same(await store.scopes(run.key), everything, "all scopes, by number")
        same(
            await store.scopes(run.key, open_only=True),
            [shut, opened, inside_open, newest],
            "the open ones, those in an open one or in the root, and the newest",
        )


async def finds_live_activations_of_many_runs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        keys: list[int] = []
        for number in range(3):
            changes = (
                make_change("done", state=ActivationState.SUCCEEDED),
                make_change("out", state=ActivationState.WAITING, wake_at=float(number)),
                make_change("busy", state=ActivationState.RUNNING),
            )
            keys.append((await make_run(store, f"run-{number}", activations=changes)).key)
        live = await store.live([keys[2], keys[0]])
        same(
            [(one.run, one.key.node) for one in live],
            [(keys[0], "busy"), (keys[0], "out"), (keys[2], "busy"), (keys[2], "out")],
            "live ones of exactly these runs, by run",
        )
        same(await store.live([]), [], "of no runs: none")
        waiting = await store.in_state([ActivationState.WAITING])
        same([one.run for one in waiting], keys, "in one state, of all runs, oldest first")
        mixed = await store.in_state([ActivationState.WAITING, ActivationState.SUCCEEDED])
        same(len(mixed), 6, "in several states")
        wanted = [(keys[1], waiting[1].key), (keys[1], ActivationKey(scope=0, node="gone", item=0))]
        same(await store.activations_by_key(wanted), [waiting[1]], "by key, those that are gone left out")


async def finds_runs_by_prefix(factory: StoreFactory) -> None:
    async with factory() as store:
        await raises(RunNotFoundError, store.find("@latest"), "there is no latest yet")
        await store.register()
        for run_id in ("otters-1", "otters-10", "otters-2", "sea_1", "%", "\U0010ffff"):
            await make_run(store, run_id)
        same((await store.find("otters-2")).id, "otters-2", "a full id")
        same((await store.find("otters-1")).id, "otters-1", "a full id that begins another one")
        same((await store.find("s")).id, "sea_1", "a prefix that is unique")
        same((await store.find("%")).id, "%", "a letter is a letter, no pattern")
        same((await store.find("@latest")).id, "\U0010ffff", "the newest")
        for nothing in ("seal", "_", "", "OTTERS"):
            await raises(RunNotFoundError, store.find(nothing), f"no id begins with {nothing!r}")
        error = await raises(AmbiguousRunError, store.find("otters"), "several begin so")
        assert isinstance(error, AmbiguousRunError), "an ambiguous prefix has its own error"
        same(error.candidates, ("otters-1", "otters-10", "otters-2"), "the error holds them")
        await raises(RunNotFoundError, store.run("otters"), "`run` takes full ids only")


async def lists_runs_newest_first(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number in range(4):
            await make_run(store, f"run-{number}", at=100.0 + number, workflow=f"workflow-{number % 2}")
        run = await store.run("run-3")
        await store.commit(make_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))

        async def ids(
            *,
            status: Sequence[RunStatus] = (),
            workflow: str | None = None,
            since: float | None = None,
            limit: int | None = None,
        ) -> list[str]:
            found = await store.runs(status=status, workflow=workflow, since=since, limit=limit)
            return [run.id for run in found]

        same(await ids(), ["run-3", "run-2", "run-1", "run-0"], "newest first")
        same(await ids(limit=2), ["run-3", "run-2"], "at most so many")
        same(await ids(since=101.0), ["run-3", "run-2", "run-1"], "made at that time or later")
        same(await ids(workflow="workflow-0"), ["run-2", "run-0"], "of one workflow")
        same(await ids(status=[RunStatus.SUCCEEDED, RunStatus.FAILED]), ["run-3"], "in one of these states")
        same(await ids(status=[RunStatus.RUNNING], workflow="workflow-1", limit=1), ["run-1"], "all at once")


async def reads_the_log_from_a_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", events=())
        written = [
            EventRecord(position=1, at=1.25, type="a", node=None, path=(), data=b"\x80"),
            EventRecord(position=2, at=1.5, type="b", node="node", path=(1, 4), data=b""),
            EventRecord(position=3, at=1.75, type="c", node="node", path=(0,), data=bytes(5_000)),
        ]
        await store.commit(make_step(run.key, position=0)._replace(events=written))
        same(await store.events(run.key), written, "events are read as written")
        same(await store.events(run.key, after=1), written[1:], "after a position")
        same(await store.events(run.key, after=1, limit=1), written[1:2], "at most so many")
        same(await store.events(run.key, after=3), [], "none yet")
        gap = make_step(run.key, position=3)._replace(events=[written[0]._replace(position=5)])
        await raises(StoreError, store.commit(gap), "the log has no gaps")
        await store.commit(make_step(run.key, position=3, status=RunStatus.WAITING, events=()))
        moved = await store.run("one")
        same((moved.position, moved.status), (3, RunStatus.WAITING), "a transition may have no events")


async def says_what_is_not_there(factory: StoreFactory) -> None:
    async with factory() as store:
        await raises(RunNotFoundError, store.run("nobody"), "there is no such run")
        await raises(StoreError, store.plan("nothing"), "there is no such plan")
        await raises(StoreError, store.claim("nobody"), "who is not registered claims nothing")
        await raises(StoreError, make_run(store, "one"), "nor makes runs")
    await raises(StoreError, store.run("nobody"), "a closed store reads nothing")
    await raises(StoreError, store.commit(make_step(1, position=0)), "nor writes")


CHECKS = (
    reads_results_of_a_map_in_item_order,
    knows_paths_and_open_scopes,
    reads_the_scopes_that_a_recovery_needs,
    finds_live_activations_of_many_runs,
    finds_runs_by_prefix,
    lists_runs_newest_first,
    reads_the_log_from_a_position,
    says_what_is_not_there,
)
