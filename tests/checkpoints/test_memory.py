"""What is the memory store's own: who shares its database, and for how long it lives."""

from __future__ import annotations

import asyncio
import gc

import pytest
from perdure.checkpoints import DatabaseCorruptError, MemoryStore
from perdure.checkpoints.conformance.examples import make_run, make_step


def test_each_store_has_a_database_of_its_own() -> None:
    async def work() -> None:
        async with MemoryStore() as one, MemoryStore() as two:
            await one.register()
            await make_run(one, "one")
            assert await two.read(lambda view: view.runs()) == []
            with two.view() as view:
                assert view.runs() == []

    asyncio.run(work())


def test_views_outlive_a_use_of_the_store() -> None:
    async def work() -> None:
        store = MemoryStore()
        with pytest.raises(DatabaseCorruptError, match="it holds no runs"):
            store.view()
        async with store:
            await store.register()
            await make_run(store, "one")
            view = store.view()
        assert view.run("one").owner is None
        with store.view() as later:
            assert later.runs() == view.runs()
        async with store:
            await store.register()
            await make_run(store, "two")
            assert len(view.runs()) == 2
        view.close()

    asyncio.run(work())


def test_the_database_goes_with_the_store() -> None:
    async def work(store: MemoryStore) -> None:
        async with store:
            await store.register()
            await make_run(store, "one")

    def tables() -> int:
        connection = database.connect()
        (count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.close()
        return count

    store = MemoryStore()
    asyncio.run(work(store))
    database = store._database  # pyright: ignore[reportPrivateUsage] no public way to its name
    assert tables() > 10
    del store
    gc.collect()
    assert tables() == 0


def test_a_writer_waits_for_a_snapshot_to_end() -> None:
    async def work() -> None:
        async with MemoryStore() as store:
            await store.register()
            run = await make_run(store, "one")
            with store.view() as view:
                with view.snapshot():
                    writing = asyncio.ensure_future(store.commit(make_step(run.key, position=run.position)))
                    await asyncio.sleep(0.1)
                    assert not writing.done()
                await writing
                assert view.run("one").position == run.position + 1

    asyncio.run(work())
