"""Checks of scopes, and of what lives in them: paths, what is live, what a recovery loads."""

from __future__ import annotations

from ..records import RunStatus, State
from .examples import StoreFactory, look, make_change, make_run, make_scope, make_step, same


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
                    make_change("split", state=State.SUCCEEDED),
                    make_change("chapter", scope=1, item=1, state=State.SUCCEEDED),
                    make_change("check", scope=2, item=4, state=State.RUNNING),
                ),
            )
        )
        found = {one.key.node: one.path for one in await look(store, lambda v: v.activations(run.key))}
        same(
            found, {"split": (), "chapter": (1,), "check": (1, 4)}, "a path is the scope's path and the item"
        )
        same(await look(store, lambda v: v.scopes(run.key)), [outer, inner], "read as written, by number")
        closed = inner._replace(open=False, size=6)
        await store.commit(make_step(run.key, position=run.position + 1, scopes=(closed,)))
        same(await look(store, lambda v: v.scopes(run.key)), [outer, closed], "a closed scope is still there")
        [loaded] = await look(store, lambda v: v.load([run.key]))
        same(
            [one.key.node for one in loaded.activations],
            ["split", "chapter"],
            "a recovery loads the activations of open scopes, the root among them",
        )


async def reads_the_scopes_that_a_recovery_needs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        shut = make_scope(1, size=1)._replace(open=False)
        inside_shut = make_scope(2, parent=1, path=(0,), size=1)._replace(open=False)
        opened = make_scope(3, size=2)
        inside_open = make_scope(4, parent=3, path=(0,), size=1)._replace(open=False)
        deep = make_scope(5, parent=4, path=(0, 0), size=1)._replace(open=False)
        newest = make_scope(6, parent=4, path=(0, 1), size=1)._replace(open=False)
        everything = [shut, inside_shut, opened, inside_open, deep, newest]
        await store.commit(make_step(run.key, position=run.position, scopes=everything))
        same(await look(store, lambda view: view.scopes(run.key)), everything, "all scopes, by number")
        [loaded] = await look(store, lambda view: view.load([run.key]))
        same(
            list(loaded.scopes),
            [shut, opened, inside_open, newest],
            "the open ones, those in an open one or in the root, and the newest",
        )


async def finds_live_activations_of_many_runs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        changes = [make_change(state.value, state=state) for state in State]
        keys = [(await make_run(store, f"run-{number}", activations=changes)).key for number in range(3)]
        live, operations = await look(store, lambda view: view.live([keys[2], keys[0]]))
        unended = sorted(state.value for state in State if not state.terminal)
        same(
            [(one.run, one.key.node) for one in live],
            [(key, node) for key in (keys[0], keys[2]) for node in unended],
            "what has not ended, of exactly these runs, by run",
        )
        same(operations, [], "there are no operations")
        live, operations = await look(store, lambda view: view.live([]))
        same((len(live), len(operations)), (0, 0), "of no runs: none")


async def loads_many_runs_in_the_order_of_their_keys(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        runs = [
            await make_run(store, f"run-{n}", activations=(make_change(f"node-{n}", state=State.READY),))
            for n in range(3)
        ]
        await store.commit(
            make_step(runs[1].key, position=1, status=RunStatus.FAILED, outcome=RunStatus.FAILED)
        )
        loaded = await look(store, lambda view: view.load([runs[1].key, 4711, runs[0].key]))
        same(
            [(one.run.id, [a.key.node for a in one.activations]) for one in loaded],
            [("run-0", ["node-0"]), ("run-1", ["node-1"])],
            "each with its own, ended runs too, unknown ones left out",
        )


CHECKS = (
    knows_paths_and_open_scopes,
    reads_the_scopes_that_a_recovery_needs,
    finds_live_activations_of_many_runs,
    loads_many_runs_in_the_order_of_their_keys,
)
