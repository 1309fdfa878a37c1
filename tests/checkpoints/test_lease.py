"""Who may drive a run: real processes that die, stop, fork and race."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from perdure.checkpoints import RunStatus, SQLiteStore, SQLiteView, StaleFenceError
from perdure.checkpoints.conformance.examples import PLAN, make_run, make_step
from perdure.checkpoints.sqlite._lease import Health, Lease, boot_id, health

from .children import child

pytestmark = pytest.mark.crash


def lock_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.lock"))


def test_a_killed_owners_run_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def take_over(pid: int) -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            started = time.monotonic()
            claim = await store.claim("one")
            assert time.monotonic() - started < 1.0  # the lease of the dead one ran for 15 s
            assert (claim.granted, claim.taken_over, claim.run.fence) == (True, f"process {pid}", 2)
            await store.commit(make_step(claim.run.key, position=claim.run.position, fence=2))
            lost, ours = await store.read(lambda view: view.claims(claim.run.key))
            assert (lost.pid, lost.end, lost.ended_at) == (pid, "lost", ours.claimed_at)
            assert (ours.pid, ours.fence, ours.end) == (os.getpid(), 2, None)

    with child(path) as owner:
        owner.ask("register")
        owner.ask("create", "one")
        owner.kill()
        with SQLiteView.open(path) as view:
            [claim] = view.claims(1)
            assert (claim.pid, claim.end) == (owner.pid, None), "nobody has noticed its death yet"
        asyncio.run(take_over(owner.pid))


def test_a_living_owner_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def try_to_take(pid: int) -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            claim = await store.claim("one")
            assert (claim.granted, claim.holder, claim.taken_over) == (False, f"process {pid}", None)
            assert claim.run.fence == 1
            [claim] = await store.claim_all([PLAN.signature])
            assert (claim.granted, claim.holder) == (False, f"process {pid}")
            assert await store.read(lambda view: view.holder(claim.run)) == f"process {pid}"

    with child(path, lease=0.9) as owner:
        owner.ask("register")
        owner.ask("create", "one")
        time.sleep(1.2)  # longer than the lease, which is renewed meanwhile
        asyncio.run(try_to_take(owner.pid))
        assert owner.ask("commit", 1, 1, 1) is None


def test_an_owner_that_is_stopped_past_its_lease_is_fenced(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def take_over(pid: int) -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            assert not (await store.claim("one")).granted
            os.kill(pid, signal.SIGSTOP)
            assert not (await store.claim("one")).granted, "its lease has not run out yet"
            await asyncio.sleep(1.2)
            assert await store.read(lambda view: view.holder(view.run("one"))) is None
            claim = await store.claim("one")
            assert (claim.granted, claim.taken_over) == (True, f"process {pid}")
            await store.commit(make_step(claim.run.key, position=claim.run.position, fence=claim.run.fence))

    with child(path, lease=0.9) as owner:
        owner.ask("register")
        owner.ask("create", "one")
        asyncio.run(take_over(owner.pid))
        owner.signal(signal.SIGCONT)
        refused = owner.ask("commit", 1, 1, 1)
        assert refused["error"] == StaleFenceError.__name__
        assert "another executor took it over" in refused["message"]
        assert owner.ask("create", "two") == 2, "it goes on with what is its own"


def test_a_stopped_executor_is_not_forgotten(tmp_path: Path) -> None:
    """Else a run that it makes when it goes on would belong to nobody."""
    path = tmp_path / "a.db"

    async def look() -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            assert not (await store.claim("late")).granted

    with child(path, lease=0.3) as stopped:
        stopped.ask("register")
        stopped.signal(signal.SIGSTOP)
        time.sleep(0.5)
        with child(path) as other:
            other.ask("register")  # clears away what dead ones left
        stopped.signal(signal.SIGCONT)
        stopped.ask("create", "late")
        asyncio.run(look())


def test_a_fork_of_a_dead_owner_does_not_keep_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with child(path) as owner:
        owner.ask("register")
        owner.ask("create", "one")
        orphan = owner.ask("fork")
        try:
            owner.kill()
            with child(path) as heir:
                heir.ask("register")
                claim = heir.ask("claim", "one")
                assert (claim["granted"], claim["from"]) == (True, f"process {owner.pid}")
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_of_two_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with child(path) as dead:
        dead.ask("register")
        for number in range(10):
            dead.ask("create", f"run-{number}")
        dead.kill()
    with child(path) as one, child(path) as two:
        for process in (one, two):
            process.ask("register")
        for number in range(10):
            for process in (one, two):
                process.tell("claim", f"run-{number}")
            answers = [one.answer(), two.answer()]
            winner, loser = (0, 1) if answers[0]["granted"] else (1, 0)
            assert (answers[winner]["from"], answers[winner]["fence"]) == (f"process {dead.pid}", 2)
            assert not answers[loser]["granted"]
            assert answers[loser]["holder"] == f"process {(one, two)[winner].pid}"


def test_of_two_that_claim_all_at_once_each_run_goes_to_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with child(path) as dead:
        dead.ask("register")
        ids = {f"run-{number}" for number in range(30)}
        for run_id in ids:
            dead.ask("create", run_id)
        dead.kill()
    with child(path) as one, child(path) as two:
        for process in (one, two):
            process.ask("register")
        for process in (one, two):
            process.tell("claim_all")
        first, second = set(one.answer()), set(two.answer())
        assert first | second == ids
        assert not first & second


def test_who_leaves_gives_its_runs_back(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with child(path) as owner, child(path) as other:
        owner.ask("register")
        owner.ask("create", "one")
        assert len(lock_files(tmp_path)) == 1
        owner.leave()
        assert lock_files(tmp_path) == []
        other.ask("register")
        assert other.ask("claim", "one") == {"granted": True, "holder": None, "from": None, "fence": 2}


def test_who_is_cancelled_while_it_registers_leaves_nothing(tmp_path: Path) -> None:
    """The registration goes on in its thread: neither its lease nor its row is kept for the life of the process."""

    async def cancelled() -> None:
        async with SQLiteStore(tmp_path / "a.db") as store:
            registering = asyncio.create_task(store.register())
            await asyncio.sleep(0)
            registering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await registering
        assert lock_files(tmp_path) == []
        with closing(sqlite3.connect(tmp_path / "a.db")) as database:
            assert database.execute("SELECT id FROM executors").fetchall() == []

    asyncio.run(cancelled())


def test_claim_all_takes_what_dead_ones_left_and_tells_who_drives_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def take_over(dead: int, living: int) -> None:
        async with SQLiteStore(path) as store:
            await store.register()
            await make_run(store, "ours")
            claims = await store.claim_all([PLAN.signature], exclude=[4])
            found = [(claim.run.id, claim.granted, claim.taken_over, claim.holder) for claim in claims]
            assert found == [
                ("left-1", True, f"process {dead}", None),
                ("driven", False, None, f"process {living}"),
            ]
            with store.view() as view:
                ends = {run.id: [claim.end for claim in view.claims(run.key)] for run in view.runs()}
            assert ends == {
                "left-1": ["lost", None],
                "driven": [None],
                "done": ["finished"],
                "left-2": [None],
                "ours": [None],
            }

    with child(path) as dead, child(path) as living:
        dead.ask("register")
        living.ask("register")
        assert dead.ask("create", "left-1") == 1
        assert living.ask("create", "driven") == 2
        assert dead.ask("create", "done") == 3
        assert dead.ask("create", "left-2") == 4
        dead.ask("finish", 3, 1, 1)
        dead.kill()
        asyncio.run(take_over(dead.pid, living.pid))


def test_two_stores_of_one_process_are_two_executors(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as one, SQLiteStore(tmp_path / "a.db") as two:
            await one.register()
            await two.register()
            run = await make_run(one, "one")
            claim = await two.claim("one")
            assert (claim.granted, claim.holder) == (False, f"process {os.getpid()}")
            await two.release([run])
            assert await one.read(lambda view: view.run("one")) == run, "nobody gives back what is another's"
            assert [claim.end for claim in await one.read(lambda view: view.claims(run.key))] == [None]
            # Asking did not cost the lock: another process sees it still.
            with child(tmp_path / "a.db") as other:
                other.ask("register")
                assert not other.ask("claim", "one")["granted"]
            await one.unregister()
            claim = await two.claim("one")
            assert (claim.granted, claim.taken_over) == (True, None)
            await one.register()
            with pytest.raises(StaleFenceError):
                await one.commit(make_step(run.key, position=run.position, fence=run.fence))

    asyncio.run(work())


def test_what_dead_executors_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def executors() -> int:
        async with SQLiteStore(path) as store:
            await store.register()
            assert len(lock_files(tmp_path)) == 1
            assert (await store.claim("one")).taken_over == f"process {pids[0]}"
            return await store._call(  # pyright: ignore[reportPrivateUsage] no public way to ask
                lambda connection: connection.execute("SELECT count(*) FROM executors").fetchone()[0]
            )

    pids: list[int] = []
    for number in range(3):
        with child(path) as dead:
            pids.append(dead.pid)
            dead.ask("register")
            if number == 0:
                dead.ask("create", "one")
            dead.kill()
    assert asyncio.run(executors()) == 2, "the owner of an unfinished run is kept until that is taken"
    assert lock_files(tmp_path) == []


def test_a_boot_of_long_ago_is_dead(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as one, SQLiteStore(tmp_path / "a.db") as two:
            await one.register()
            await two.register()
            await make_run(one, "one")
            await two._call(  # pyright: ignore[reportPrivateUsage] nobody can boot in a test
                lambda connection: connection.execute("UPDATE executors SET boot = 'long ago'")
            )
            assert (await two.claim("one")).granted

    asyncio.run(work())


def test_a_finished_run_is_nobodys(tmp_path: Path) -> None:
    async def work() -> None:
        async with SQLiteStore(tmp_path / "a.db") as one, SQLiteStore(tmp_path / "a.db") as two:
            await one.register()
            await two.register()
            run = await make_run(one, "one")
            await one.commit(make_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))
            claim = await two.claim("one")
            assert (claim.granted, claim.holder) == (False, None)

    asyncio.run(work())


def test_health(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    assert health(path) is Health.DEAD
    lease = Lease(path, seconds=0.3)
    assert health(path) is Health.WELL
    time.sleep(0.5)
    assert health(path) is Health.WELL, "it is renewed"
    with pytest.raises(FileExistsError):
        Lease(path, seconds=1)
    assert health(path) is Health.WELL
    lease.release()
    lease.release()
    assert health(path) is Health.DEAD
    assert not Path(path).exists()
    Path(path).write_text("not a number")
    assert health(path) is Health.DEAD, "nobody holds it"
    assert boot_id() == boot_id()
    assert boot_id()


def test_a_forked_child_does_not_take_its_parents_lease_for_its_own(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    lease = Lease(path, seconds=5)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of forking with threads, which is just what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child_pid = os.fork()
    if child_pid == 0:
        os.write(writing, health(path).value.encode())  # asks the kernel: the table of our own leases is void
        lease.release()  # the parent's: nothing happens
        os._exit(0)
    os.close(writing)
    os.waitpid(child_pid, 0)
    assert os.read(reading, 100) == b"well"
    os.close(reading)
    assert Path(path).exists()
    assert health(path) is Health.WELL
    lease.release()


def test_a_registration_whose_caller_was_cancelled_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def give_up(store: SQLiteStore) -> None:
        registering = asyncio.ensure_future(store.register())
        await asyncio.sleep(0)  # its work is with the store's thread now
        registering.cancel()
        await asyncio.wait([registering])
        assert registering.cancelled()

    async def leave() -> None:
        async with SQLiteStore(path) as store:
            await give_up(store)

    async def register_again() -> None:
        async with SQLiteStore(path) as store:
            await give_up(store)
            await store.register()
            assert len(lock_files(tmp_path)) == 1

    for use in (leave, register_again):
        asyncio.run(use())
        assert lock_files(tmp_path) == []
        assert "perdure-lease" not in [thread.name for thread in threading.enumerate()]


def test_an_opening_whose_caller_was_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    async def give_up() -> None:
        opening = asyncio.ensure_future(SQLiteStore(tmp_path / "a.db").__aenter__())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()

    asyncio.run(give_up())
    for thread in threading.enumerate():  # it may be about to end
        if "connection" in thread.name:
            thread.join(30)
            assert not thread.is_alive()
