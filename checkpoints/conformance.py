"""What every store must do, as checks that anyone can run on a store of their own.

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_store(check): asyncio.run(check(MyStore))

or `await check_store(MyStore)` for all of them. Each check makes its stores with the factory it is given; a
failure is an `AssertionError` that says what was promised. Locks, crashes and several processes are beyond
these checks: what they mean depends on the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, Unpack

from .errors import (
    AmbiguousRunError,
    PerdureError,
    RunExistsError,
    RunNotFoundError,
    StaleFenceError,
    StoreError,
)
from .records import (
    INLINE_LIMIT,
    ActivationChange,
    ActivationColumns,
    ActivationKey,
    ActivationState,
    EventRecord,
    NewRun,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    Transition,
    Value,
)
from .store import Store, StoreFactory

StoreCheck: TypeAlias = Callable[[StoreFactory], Awaitable[None]]

_PLAN = PlanRecord(signature="0123456789abcdef", workflow="chain", plan=b"\x80")
_SMALL = Value(b"s" * INLINE_LIMIT)
_LARGE = Value(b"l" * (INLINE_LIMIT + 1))


async def check_store(factory: StoreFactory) -> None:
    """Run all checks. Raises the first failure."""
    for check in STORE_CHECKS:
        await check(factory)


async def creates_a_run_with_plan_and_first_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        created = await store.create(
            NewRun(id="otters-1", workflow="chain", signature=_PLAN.signature, input=_SMALL),
            _PLAN,
            _step(
                0,
                position=0,
                at=10.5,
                events=("run_created", "node_started"),
                activations=(_change("first", state=ActivationState.RUNNING),),
            ),
        )
        _same(created.id, "otters-1", "the record that `create` returns is the run's")
        _same((created.owner, created.fence), (executor, 1), "a new run is owned by its maker with fence 1")
        _same(created.position, 2, "the position is the count of events")
        _same(
            (created.created_at, created.updated_at), (10.5, 10.5), "a run is made at its transition's time"
        )
        _same(
            (created.finished_at, created.outcome, created.error),
            (None, None, None),
            "nothing is decided yet",
        )
        _same(created.status, RunStatus.RUNNING, "a run has its transition's status")
        _same(created.input_digest, hashlib.sha256(_SMALL.data).digest(), "the input's digest is SHA-256")
        _same(await store.run("otters-1"), created, "`run` reads what `create` returned")
        _same(await store.runs_by_key([created.key, 4711]), [created], "unknown keys are left out")
        _same(await store.plan(_PLAN.signature), _PLAN, "the plan is stored with its first run")
        _same(await store.input(created.key), _SMALL, "the input is stored")
        _same(
            [(event.position, event.type) for event in await store.events(created.key)],
            [(1, "run_created"), (2, "node_started")],
            "the first events are stored",
        )
        _same([one.key.node for one in await store.live([created.key])], ["first"], "so are the activations")


async def refuses_an_id_that_is_taken(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        first = await _create(store, "one")
        await _raises(RunExistsError, _create(store, "one"), "an id names one run")
        _same(await store.runs(), [first], "the refused run is not stored")


async def keeps_what_a_transition_leaves_out(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one", activations=(_change("a", state=ActivationState.READY),))
        key = ActivationKey(scope=0, node="a", item=0)
        await store.commit(
            _step(
                run.key,
                position=run.position,
                at=20.0,
                activations=(
                    _change(
                        "a",
                        state=ActivationState.WAITING,
                        attempt=2,
                        submission=3,
                        unknown=1,
                        wake_at=99.5,
                        request=_SMALL,
                        token=b"token",
                        usage=b"usage",
                        error=b"error",
                        items=0,
                    ),
                ),
            )
        )
        found = await store.activation(run.key, key)
        assert found is not None, "an activation that was written is there"
        _same(
            (found.state, found.attempt, found.submission, found.unknown, found.wake_at),
            (ActivationState.WAITING, 2, 3, 1, 99.5),
            "columns are written",
        )
        _same(
            (found.token, found.usage, found.error, found.items),
            (b"token", b"usage", b"error", 0),
            "all of them",
        )
        _same((found.has_request, found.has_result, found.taken), (True, False, None), "and no others")
        _same(
            (found.started_at, found.updated_at), (run.created_at, 20.0), "started at its insert, updated now"
        )
        await store.commit(
            _step(
                run.key,
                position=run.position + 1,
                at=30.0,
                activations=(
                    _change(
                        "a",
                        state=ActivationState.SUCCEEDED,
                        result=_SMALL,
                        taken=b"\x90",
                        request=None,
                        wake_at=None,
                        token=None,
                    ),
                ),
            )
        )
        after = await store.activation(run.key, key)
        _same(
            after,
            replace(
                found,
                state=ActivationState.SUCCEEDED,
                updated_at=30.0,
                taken=b"\x90",
                wake_at=None,
                token=None,
                has_result=True,
                has_request=False,
            ),
            "columns that a transition leaves out stay; None clears one",
        )


async def inserts_in_any_state(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        changes = [_change(state.value, state=state) for state in ActivationState]
        await store.commit(_step(run.key, position=run.position, activations=changes))
        await store.commit(_step(run.key, position=run.position + 1, activations=changes))
        found = await store.activations(run.key)
        _same(
            {one.state.value: one.key.node for one in found},
            {s.value: s.value for s in ActivationState},
            "states",
        )
        _same(
            {(one.attempt, one.submission, one.unknown) for one in found}, {(1, 0, 0)}, "the counts begin so"
        )


async def writes_an_activation_twice_in_one_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        await store.commit(
            _step(
                run.key,
                position=run.position,
                activations=(
                    _change("a", state=ActivationState.RUNNING),
                    _change("a", state=ActivationState.SUCCEEDED, result=_SMALL),
                ),
            )
        )
        found = await store.activation(run.key, ActivationKey(scope=0, node="a", item=0))
        assert found is not None, "an activation that was written is there"
        _same((found.state, found.has_result), (ActivationState.SUCCEEDED, True), "the later change wins")


async def returns_values_of_any_size_unchanged(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number, value in enumerate((Value(b""), _SMALL, _LARGE, Value(bytes(3_000_000)))):
            run = await _create(store, f"run-{number}", input=value)
            key = ActivationKey(scope=0, node="a", item=0)
            change = _change("a", state=ActivationState.SUCCEEDED, result=value, request=value)
            await store.commit(_step(run.key, position=run.position, activations=(change,)))
            _same(await store.input(run.key), value, f"an input of {value}")
            _same(await store.result(run.key, key), value, f"a result of {value}")
            _same(await store.request(run.key, key), value, f"a request of {value}")
            _same(
                store.result_now(run.key, key), value, f"a result of {value}, asked for by a plain function"
            )
            _same(
                await asyncio.to_thread(store.result_now, run.key, key),
                value,
                f"a result of {value}, asked for in another thread",
            )
            found = await store.activation(run.key, key)
            assert found is not None, "the activation is there"
            _same((found.has_result, found.has_request), (True, True), "a value is there however small")
            clear = _change("a", state=ActivationState.READY, result=None, request=None)
            await store.commit(_step(run.key, position=run.position + 1, activations=(clear,)))
            _same(await store.result(run.key, key), None, "a cleared result is gone")
            _same(await store.request(run.key, key), None, "a cleared request is gone")
        nowhere = ActivationKey(scope=0, node="nowhere", item=0)
        _same(await store.result(1, nowhere), None, "there is no result of what is not there")
        _same(await store.activation(1, nowhere), None, "nor an activation")


async def reads_results_of_a_map_in_item_order(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        changes = [
            _change("b", scope=1, item=item, state=ActivationState.SUCCEEDED, result=Value(b"%d" % item))
            for item in (11, 2, 0)
        ]
        changes.append(_change("b", scope=1, item=1, state=ActivationState.SKIPPED))
        changes.append(_change("b", scope=2, item=0, state=ActivationState.SUCCEEDED, result=_LARGE))
        scopes = [_scope(1, size=12), _scope(2, size=1)]
        await store.commit(_step(run.key, position=run.position, activations=changes, scopes=scopes))
        _same(
            await store.results(run.key, 1, "b"),
            [(0, Value(b"0")), (2, Value(b"2")), (11, Value(b"11"))],
            "results are those of succeeded items, ordered as numbers",
        )
        _same(await store.results(run.key, 2, "b"), [(0, _LARGE)], "of one scope instance")


async def knows_paths_and_open_scopes(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        outer, inner = _scope(1, size=2), _scope(2, scope=2, parent=1, path=(1,), size=5)
        await store.commit(
            _step(
                run.key,
                position=run.position,
                scopes=(outer, inner),
                activations=(
                    _change("split", state=ActivationState.SUCCEEDED),
                    _change("chapter", scope=1, item=1, state=ActivationState.SUCCEEDED),
                    _change("check", scope=2, item=4, state=ActivationState.WAITING),
                ),
            )
        )
        found = {one.key.node: one.path for one in await store.activations(run.key)}
        _same(
            found, {"split": (), "chapter": (1,), "check": (1, 4)}, "a path is the scope's path and the item"
        )
        _same(await store.scopes(run.key), [outer, inner], "scopes are read as written, by number")
        closed = replace(inner, open=False)
        await store.commit(_step(run.key, position=run.position + 1, scopes=(closed,)))
        _same(await store.scopes(run.key, open_only=True), [outer], "a closed scope is not open")
        _same(await store.scopes(run.key), [outer, closed], "but still there")
        _same(
            [one.key.node for one in await store.activations(run.key, open_only=True)],
            ["split", "chapter"],
            "activations of open scopes, the root among them",
        )


async def finds_live_activations_of_many_runs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        keys: list[int] = []
        for number in range(3):
            changes = (
                _change("done", state=ActivationState.SUCCEEDED),
                _change("out", state=ActivationState.WAITING, wake_at=float(number)),
                _change("busy", state=ActivationState.RUNNING),
            )
            keys.append((await _create(store, f"run-{number}", activations=changes)).key)
        live = await store.live([keys[2], keys[0]])
        _same(
            [(one.run, one.key.node) for one in live],
            [(keys[0], "busy"), (keys[0], "out"), (keys[2], "busy"), (keys[2], "out")],
            "live ones of exactly these runs, by run",
        )
        _same(await store.live([]), [], "of no runs: none")
        waiting = await store.in_state([ActivationState.WAITING])
        _same([one.run for one in waiting], keys, "in one state, of all runs, oldest first")
        mixed = await store.in_state([ActivationState.WAITING, ActivationState.SUCCEEDED])
        _same(len(mixed), 6, "in several states")
        wanted = [(keys[1], waiting[1].key), (keys[1], ActivationKey(scope=0, node="gone", item=0))]
        _same(await store.activations_by_key(wanted), [waiting[1]], "by key, those that are gone left out")


async def refuses_a_stale_fence_and_a_wrong_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        again = (await store.claim("one")).run
        _same(again.fence, run.fence + 1, "each claim raises the fence")
        change = (_change("a", state=ActivationState.RUNNING),)
        late = _step(run.key, position=run.position, fence=run.fence, activations=change)
        await _raises(StaleFenceError, store.commit(late), "a former owner's transition is refused")
        ahead = _step(run.key, position=run.position + 1, fence=again.fence, activations=change)
        await _raises(
            StaleFenceError, store.commit(ahead), "a transition that builds on what is not there is refused"
        )
        _same(await store.run("one"), again, "a refused transition changes nothing")
        _same(await store.activations(run.key), [], "and writes nothing")
        gone = _step(4711, position=0)
        await _raises(StaleFenceError, store.commit(gone), "as is one of a run that is not there")


async def refuses_what_builds_on_a_refused_transition(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run, other = await _create(store, "one"), await _create(store, "other")
        steps = [
            _step(run.key, position=run.position),
            _step(other.key, position=other.position),
            _step(run.key, position=run.position + 1, fence=0),
            _step(run.key, position=run.position + 2),
            _step(other.key, position=other.position + 1),
        ]
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        _same(
            [type(outcome) for outcome in outcomes],
            [type(None), type(None), StaleFenceError, StaleFenceError, type(None)],
            "what was refused and what builds on it, and nothing else",
        )
        _same((await store.run("one")).position, run.position + 1, "the others' work is kept")
        _same((await store.run("other")).position, other.position + 2, "of each run in order")


async def one_bad_transition_harms_no_other(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        runs = [await _create(store, f"run-{number}") for number in range(3)]
        steps = [_step(run.key, position=run.position) for run in runs]
        bad = ActivationChange(
            key=ActivationKey(scope=0, node="a", item=0),
            columns={"state": ActivationState.READY, "attempt": 2**80},  # more than 64 bits
        )
        steps[1] = replace(steps[1], activations=(bad,))
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        _same(
            [type(outcome) for outcome in outcomes],
            [type(None), StoreError, type(None)],
            "only the guilty one",
        )
        positions = [run.position for run in await store.runs_by_key([run.key for run in runs])]
        _same(
            positions, [run.position + moved for run, moved in zip(runs, (1, 0, 1), strict=True)], "written"
        )


async def finishes_and_reopens_a_run(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        await store.commit(
            _step(
                run.key,
                position=run.position,
                at=50.0,
                status=RunStatus.FAILED,
                outcome=RunStatus.FAILED,
                error=b"why",
            )
        )
        failed = await store.run("one")
        _same(
            (failed.status, failed.outcome, failed.error, failed.finished_at, failed.owner),
            (RunStatus.FAILED, RunStatus.FAILED, b"why", 50.0, None),
            "a finished run says when and why, and has no owner",
        )
        claim = await store.claim("one")
        _same(
            (claim.granted, claim.holder, claim.run), (False, None, failed), "a finished run is never granted"
        )
        _same(await store.claim_all([_PLAN.signature]), [], "nor is it among the unfinished")
        await store.commit(
            _step(
                run.key, position=failed.position, at=60.0, status=RunStatus.FAILED, outcome=RunStatus.FAILED
            )
        )
        _same((await store.run("one")).finished_at, 50.0, "what comes late does not finish it again")
        await store.commit(_step(run.key, position=failed.position + 1, at=70.0))
        reopened = await store.run("one")
        _same(
            (reopened.status, reopened.outcome, reopened.error, reopened.finished_at),
            (RunStatus.RUNNING, None, None, None),
            "a retried run is unfinished",
        )
        _same((await store.claim("one")).granted, True, "and can be claimed")


async def releases_and_claims(factory: StoreFactory) -> None:
    async with factory() as store:
        executor = await store.register()
        _same(await store.register(), executor, "registering twice is registering once")
        one, two = await _create(store, "one"), await _create(store, "two")
        holder = await store.holder(one)
        assert holder, "a run that is driven has a holder with a name"
        _same(await store.claim_all([_PLAN.signature]), [], "claim_all leaves our own runs alone")
        await store.release([one, replace(two, fence=two.fence - 1)])
        _same((await store.run("one")).owner, None, "a released run has no owner")
        _same((await store.run("two")).owner, executor, "one whose fence moved on is left alone")
        _same(await store.holder(one), None, "and no holder")
        _same(
            await store.claim_all(["another signature"]), [], "claim_all takes runs of these workflows only"
        )
        claims = await store.claim_all([_PLAN.signature, "another signature"])
        _same([(claim.run.id, claim.granted) for claim in claims], [("one", True)], "those that nobody owns")
        taken = claims[0].run
        _same((taken.owner, taken.fence, claims[0].taken_over), (executor, 2, None), "with the next fence")
        await _raises(RunNotFoundError, store.claim("three"), "there is nothing to claim")
        await store.unregister()
        await store.unregister()
        owners = [run.owner for run in await store.runs()]
        _same(owners, [None, None], "who leaves gives all runs back; leaving twice is safe")
        await _raises(
            StoreError, store.commit(_step(two.key, position=two.position)), "who left writes nothing"
        )


async def keeps_messages_until_they_are_dealt_with(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        one, two = await _create(store, "one"), await _create(store, "two")
        first = await store.post(one.key, "answer", "approve", (1, 4), b"yes")
        second = await store.post(two.key, "cancel", None, (), b"")
        found = await store.messages()
        _same(
            [(m.id, m.run, m.type, m.node, m.path, m.data) for m in found],
            [
                (first, one.key, "answer", "approve", (1, 4), b"yes"),
                (second, two.key, "cancel", None, (), b""),
            ],
            "messages of all runs that we own, oldest first",
        )
        _same([m.id for m in await store.messages([two.key])], [second], "or of some runs")
        await store.release([two])
        _same([m.id for m in await store.messages()], [first], "not those of runs that we do not own")
        refused = _step(one.key, position=one.position, fence=0, messages=(first,))
        await _raises(StaleFenceError, store.commit(refused), "a stale fence is refused")
        _same(len(await store.messages()), 1, "a refused transition deals with nothing")
        await store.commit(_step(one.key, position=one.position, messages=(first,)))
        _same(await store.messages(), [], "what was dealt with is gone")
        third = await store.post(one.key, "cancel", None, (), b"")
        _same(third > second, True, "an id is never used again")
        await _raises(RunNotFoundError, store.post(4711, "cancel", None, (), b""), "there is no such run")
        await store.unregister()
        await store.post(one.key, "cancel", None, (), b"")  # needs no registration
        _same(await store.messages(), [], "who drives nothing has no messages")
        _same(len(await store.messages([one.key])), 2, "but can read those of a run")


async def finds_runs_by_prefix(factory: StoreFactory) -> None:
    async with factory() as store:
        await _raises(RunNotFoundError, store.find("@latest"), "there is no latest yet")
        await store.register()
        for run_id in ("otters-1", "otters-10", "otters-2", "sea_1", "%", "\U0010ffff"):
            await _create(store, run_id)
        _same((await store.find("otters-2")).id, "otters-2", "a full id")
        _same((await store.find("otters-1")).id, "otters-1", "a full id that begins another one")
        _same((await store.find("s")).id, "sea_1", "a prefix that is unique")
        _same((await store.find("%")).id, "%", "a letter is a letter, no pattern")
        _same((await store.find("@latest")).id, "\U0010ffff", "the newest")
        for nothing in ("seal", "_", "", "OTTERS"):
            await _raises(RunNotFoundError, store.find(nothing), f"no id begins with {nothing!r}")
        error = await _raises(AmbiguousRunError, store.find("otters"), "several begin so")
        assert isinstance(error, AmbiguousRunError), "an ambiguous prefix has its own error"
        _same(error.candidates, ("otters-1", "otters-10", "otters-2"), "the error holds them")
        await _raises(RunNotFoundError, store.run("otters"), "`run` takes full ids only")


async def lists_runs_newest_first(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number in range(4):
            await _create(store, f"run-{number}", at=100.0 + number, workflow=f"workflow-{number % 2}")
        run = await store.run("run-3")
        await store.commit(_step(run.key, position=run.position, status=RunStatus.SUCCEEDED))

        async def ids(
            *,
            status: Sequence[RunStatus] = (),
            workflow: str | None = None,
            since: float | None = None,
            limit: int | None = None,
        ) -> list[str]:
            found = await store.runs(status=status, workflow=workflow, since=since, limit=limit)
            return [run.id for run in found]

        _same(await ids(), ["run-3", "run-2", "run-1", "run-0"], "newest first")
        _same(await ids(limit=2), ["run-3", "run-2"], "at most so many")
        _same(await ids(since=101.0), ["run-3", "run-2", "run-1"], "made at that time or later")
        _same(await ids(workflow="workflow-0"), ["run-2", "run-0"], "of one workflow")
        _same(await ids(status=[RunStatus.SUCCEEDED, RunStatus.FAILED]), ["run-3"], "in one of these states")
        _same(await ids(status=[RunStatus.RUNNING], workflow="workflow-1", limit=1), ["run-1"], "all at once")


async def reads_the_log_from_a_position(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one", events=())
        written = [
            EventRecord(position=1, at=1.25, type="a", node=None, path=(), data=b"\x80"),
            EventRecord(position=2, at=1.5, type="b", node="node", path=(1, 4), data=b""),
            EventRecord(position=3, at=1.75, type="c", node="node", path=(0,), data=bytes(5_000)),
        ]
        await store.commit(replace(_step(run.key, position=0), events=written))
        _same(await store.events(run.key), written, "events are read as written")
        _same(await store.events(run.key, after=1), written[1:], "after a position")
        _same(await store.events(run.key, after=1, limit=1), written[1:2], "at most so many")
        _same(await store.events(run.key, after=3), [], "none yet")
        gap = replace(_step(run.key, position=3), events=[replace(written[0], position=5)])
        await _raises(StoreError, store.commit(gap), "the log has no gaps")
        await store.commit(_step(run.key, position=3, status=RunStatus.WAITING, events=()))
        moved = await store.run("one")
        _same((moved.position, moved.status), (3, RunStatus.WAITING), "a transition may have no events")


async def says_what_is_not_there(factory: StoreFactory) -> None:
    async with factory() as store:
        await _raises(RunNotFoundError, store.run("nobody"), "there is no such run")
        await _raises(StoreError, store.plan("nothing"), "there is no such plan")
        await _raises(StoreError, store.claim("nobody"), "who is not registered claims nothing")
        await _raises(StoreError, _create(store, "one"), "nor makes runs")
    await _raises(StoreError, store.run("nobody"), "a closed store reads nothing")
    await _raises(StoreError, store.commit(_step(1, position=0)), "nor writes")


async def a_cancelled_caller_does_not_cancel_the_write(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await _create(store, "one")
        caller = asyncio.ensure_future(store.commit(_step(run.key, position=run.position)))
        await asyncio.sleep(0)  # so that it has called
        caller.cancel()
        await asyncio.wait([caller])
        await store.commit(_step(run.key, position=run.position + 1))
        _same(
            (await store.run("one")).position, run.position + 2, "the transition was written and built upon"
        )


STORE_CHECKS: tuple[StoreCheck, ...] = (
    creates_a_run_with_plan_and_first_transition,
    refuses_an_id_that_is_taken,
    keeps_what_a_transition_leaves_out,
    inserts_in_any_state,
    writes_an_activation_twice_in_one_transition,
    returns_values_of_any_size_unchanged,
    reads_results_of_a_map_in_item_order,
    knows_paths_and_open_scopes,
    finds_live_activations_of_many_runs,
    refuses_a_stale_fence_and_a_wrong_position,
    refuses_what_builds_on_a_refused_transition,
    one_bad_transition_harms_no_other,
    finishes_and_reopens_a_run,
    releases_and_claims,
    keeps_messages_until_they_are_dealt_with,
    finds_runs_by_prefix,
    lists_runs_newest_first,
    reads_the_log_from_a_position,
    says_what_is_not_there,
    a_cancelled_caller_does_not_cancel_the_write,
)
"""One promise each; the name says which."""


# -- what the checks are made of ---------------------------------------------------------------------------


def _same(found: object, promised: object, what: str) -> None:
    assert found == promised, f"{what}: expected {promised!r}, got {found!r}"


async def _raises(error: type[PerdureError], doing: Awaitable[object], what: str) -> PerdureError:
    try:
        got = await doing
    except error as raised:
        return raised
    raise AssertionError(f"{what}: expected {error.__name__}, got {got!r}")


def _change(
    node: str, *, scope: int = 0, item: int = 0, **columns: Unpack[ActivationColumns]
) -> ActivationChange:
    return ActivationChange(key=ActivationKey(scope=scope, node=node, item=item), columns=columns)


def _scope(
    number: int, *, scope: int = 1, parent: int = 0, path: tuple[int, ...] = (), size: int
) -> ScopeRecord:
    return ScopeRecord(number=number, scope=scope, parent=parent, path=path, size=size, open=True)


def _step(
    run: int,
    *,
    position: int,
    fence: int = 1,
    at: float = 1.0,
    status: RunStatus = RunStatus.RUNNING,
    outcome: RunStatus | None = None,
    error: bytes | None = None,
    events: Sequence[str] = ("step",),
    activations: Sequence[ActivationChange] = (),
    scopes: Sequence[ScopeRecord] = (),
    messages: Sequence[int] = (),
) -> Transition:
    return Transition(
        run=run,
        fence=fence,
        position=position,
        at=at,
        status=status,
        outcome=outcome,
        error=error,
        events=[
            EventRecord(position=position + number, at=at, type=type_, node=None, path=(), data=b"\x80")
            for number, type_ in enumerate(events, start=1)
        ],
        activations=activations,
        scopes=scopes,
        messages=messages,
    )


async def _create(
    store: Store,
    run_id: str,
    *,
    at: float = 1.0,
    workflow: str = "chain",
    input: Value = _SMALL,  # noqa: A002 the record's name
    events: Sequence[str] = ("run_created",),
    activations: Sequence[ActivationChange] = (),
) -> RunRecord:
    return await store.create(
        NewRun(id=run_id, workflow=workflow, signature=_PLAN.signature, input=input),
        _PLAN,
        _step(0, position=0, at=at, events=events, activations=activations),
    )
