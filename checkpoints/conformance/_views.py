"""Checks of views as such: what they see and when, snapshots, what is known of the database."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from ..errors import StoreError
from ..records import State, Value
from ..view import View
from .examples import LARGE, StoreFactory, make_change, make_run, make_step, raises, same


async def a_view_sees_each_commit_that_has_returned(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        with store.view() as view, store.view() as other:
            for number in range(5):
                await make_run(store, f"run-{number}")
                same(len(view.runs()), number + 1, "at once")
                same(len(other.runs()), number + 1, "in every view")
                same(await store.read(lambda view: len(view.runs())), number + 1, "and in the store itself")


async def a_snapshot_is_of_one_moment(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        with store.view() as view:
            with view.snapshot():
                # A store may hold the writer up meanwhile, so nobody waits for it in here.
                writing = asyncio.ensure_future(store.commit(make_step(run.key, position=run.position)))
                await asyncio.sleep(0.05)
                same(view.run("one"), run, "what is written meanwhile is not seen")
                same(view.load([run.key])[0].run, run, "by anything that is read")
                live, operations = view.live([run.key])
                same((len(live), len(operations)), (0, 0), "in several statements or in one")
                try:
                    with view.snapshot():
                        pass
                except StoreError:
                    pass
                else:
                    raise AssertionError("a snapshot does not nest")
            await writing
            same(view.run("one").position, run.position + 1, "it is afterwards")

        def inside(view: View) -> int:
            with view.snapshot():
                return view.run("one").position

        same(await store.read(inside), run.position + 1, "the store's own view has snapshots too")


async def a_snapshot_that_fails_leaves_the_view_as_it_was(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        await make_run(store, "one")
        with store.view() as view:
            try:
                with view.snapshot():
                    view.run("nobody")
            except StoreError:
                pass
            await make_run(store, "two")
            same(len(view.runs()), 2, "the next read is of its own moment")

        view = store.view()
        with view.snapshot():
            view.close()

        def forget(view: View) -> None:
            kept.append(view.snapshot())
            kept[0].__enter__()  # and never left

        kept: list[AbstractContextManager[None]] = []
        await store.read(forget)
        await make_run(store, "three")
        kept.clear()
        same(await store.read(lambda view: len(view.runs())), 3, "nor is the store held up by one")


async def a_view_tells_that_something_has_changed(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one")
        with store.view() as view:
            seen = view.changes()
            same(view.changes(), seen, "nothing has changed")
            await store.commit(make_step(run.key, position=run.position))
            after = view.changes()
            assert after != seen, "a commit changes the number"
            same(view.changes(), after, "once")
            await store.signal(run.key, "cancel", None, (), b"")
            assert view.changes() != after, "a signal does, too"


async def a_closed_view_reads_nothing(factory: StoreFactory) -> None:
    async with factory() as store:
        view = store.view()
        view.close()
        view.close()
        try:
            view.runs()
        except StoreError:
            pass
        else:
            raise AssertionError("a closed view raises StoreError")
        kept: list[View] = []
        await store.read(kept.append)
        await raises(
            StoreError, store.read(lambda _: kept[0].runs()), "a view is not to be kept after `read`"
        )


async def what_work_raises_reaches_its_caller(factory: StoreFactory) -> None:
    async with factory() as store:

        def fail(view: View) -> None:
            raise LookupError("mine")

        try:
            await store.read(fail)
        except LookupError as error:
            same(str(error), "mine", "the error itself")
        else:
            raise AssertionError("an error in `work` is raised")


async def says_what_the_database_holds(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", input=LARGE)
        change = make_change("a", state=State.SUCCEEDED, result=Value(bytes(3_000)))
        await store.commit(make_step(run.key, position=run.position, activations=(change,)))
        await store.signal(run.key, "cancel", None, (), b"")
        with store.view() as view:
            info = view.info()
            same(
                (info.runs, info.activations, info.operations, info.events, info.signals),
                (1, 1, 0, 2, 1),
                "how much there is",
            )
            same((info.blobs, info.blob_bytes), (2, len(LARGE.data) + 3_000), "and how large")
            assert info.size > 0, "the size is in bytes"
            same(view.check(), [], "a sound database has no damage")


CHECKS = (
    a_view_sees_each_commit_that_has_returned,
    a_snapshot_is_of_one_moment,
    a_snapshot_that_fails_leaves_the_view_as_it_was,
    a_view_tells_that_something_has_changed,
    a_closed_view_reads_nothing,
    what_work_raises_reaches_its_caller,
    says_what_the_database_holds,
)
