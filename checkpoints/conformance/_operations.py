"""Checks of operations and of their submissions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..records import Fate, OperationKey, OperationRecord, OutcomeRef, RequestRef, State, SubmissionKey, Value
from ..view import View
from .examples import (
    LARGE,
    SMALL,
    StoreFactory,
    look,
    make_change,
    make_operation,
    make_run,
    make_scope,
    make_step,
    make_submission,
    same,
)

_OPERATION = OperationKey(scope=0, node="ask", item=0)
_RUNNING = make_change("ask", state=State.RUNNING)


async def keeps_an_operation_from_intent_to_outcome(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(
            store,
            "one",
            at=10.0,
            activations=(_RUNNING,),
            operations=(
                make_operation(
                    _OPERATION,
                    state=State.SUBMITTING,
                    submission=1,
                    trying_since=10.0,
                    sent_at=99.5,
                    request=SMALL,
                ),
            ),
            submissions=(make_submission(_OPERATION, fate="sent"),),
        )
        [intent] = await look(store, lambda view: view.operations(run.key))
        same((intent.run, intent.key, intent.path), (run.key, _OPERATION, ()), "where it is")
        same(
            (intent.state, intent.submission, intent.unknown, intent.trying_since, intent.sent_at),
            (State.SUBMITTING, 1, 0, 10.0, 99.5),
            "what the intent says",
        )
        same((intent.started_at, intent.updated_at, intent.wake_at), (10.0, 10.0, None), "since when")
        [sent] = await look(store, lambda view: view.submissions(run.key))
        same(
            (sent.run, sent.key, sent.path), (run.key, (_OPERATION, 1), ()), "a submission has its operation"
        )
        same(
            (sent.fate, sent.handle, sent.source, sent.sent_at, sent.updated_at),
            ("sent", None, None, 10.0, 10.0),
            "nothing is known of it yet",
        )
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                at=20.0,
                operations=(
                    make_operation(
                        _OPERATION, state=State.WAITING, trying_since=None, wake_at=20.3, token=b"token"
                    ),
                ),
                submissions=(make_submission(_OPERATION, fate="accepted", handle="resp_1", source="reply"),),
            )
        )
        [waiting] = await look(store, lambda view: view.operations(run.key))
        same(
            waiting,
            intent._replace(
                state=State.WAITING,
                updated_at=20.0,
                trying_since=None,
                wake_at=20.3,
                token=b"token",
            ),
            "columns that a transition leaves out stay; None clears one",
        )
        await store.commit(
            make_step(
                run.key,
                position=run.position + 1,
                at=30.0,
                operations=(
                    make_operation(
                        _OPERATION,
                        state=State.SUCCEEDED,
                        unknown=2,
                        wake_at=None,
                        detail="run",
                        outcome=LARGE,
                        error=b"late",
                    ),
                ),
                submissions=(make_submission(_OPERATION, fate="accepted", usage=b"usage", error=b"why"),),
            )
        )
        [done] = await look(store, lambda view: view.operations(run.key))
        same(
            (done.state, done.unknown, done.wake_at, done.detail, done.error, done.token, done.has_outcome),
            (State.SUCCEEDED, 2, None, "run", b"late", b"token", True),
            "its end",
        )
        [submission] = await look(store, lambda view: view.submissions(run.key))
        same(
            submission,
            sent._replace(
                fate="accepted",
                handle="resp_1",
                source="reply",
                updated_at=30.0,
                usage=b"usage",
                error=b"why",
            ),
            "a submission's columns stay likewise",
        )
        same(await look(store, lambda v: v.value(run.key, RequestRef(_OPERATION))), SMALL, "its request")
        same(await look(store, lambda v: v.value(run.key, OutcomeRef(_OPERATION))), LARGE, "its outcome")
        nowhere = _OPERATION._replace(attempt=2)
        same(
            await look(store, lambda v: v.value(run.key, RequestRef(nowhere))),
            None,
            "no request of no operation",
        )
        same(await look(store, lambda v: v.value(run.key, OutcomeRef(nowhere))), None, "and no outcome")


async def inserts_operations_in_any_state(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        run = await make_run(store, "one", activations=(_RUNNING,))
        keys = {_OPERATION._replace(number=number): state for number, state in enumerate(State)}
        changes = [make_operation(key, state=state) for key, state in keys.items()]
        await store.commit(make_step(run.key, position=run.position, operations=changes))
        await store.commit(make_step(run.key, position=run.position + 1, operations=changes))
        found = await look(store, lambda view: view.operations(run.key))
        same({one.key: one.state for one in found}, keys, "the states")
        same({(one.submission, one.unknown) for one in found}, {(0, 0)}, "the counts begin so")
        ended = {key for key, state in keys.items() if state.terminal}
        _, live = await look(store, lambda view: view.live([run.key]))
        same({one.key for one in live}, keys.keys() - ended, "the live ones are those that have not ended")
        unended = await look(store, lambda view: view.open_operations())
        same({one.key for one in unended}, keys.keys() - ended, "so are the open ones")
        fates: tuple[Fate, ...] = ("sent", "accepted", "refused", "unknown", "stray", "stray_cancelled")
        sendings = [make_submission(_OPERATION, number, fate=fate) for number, fate in enumerate(fates, 1)]
        await store.commit(make_step(run.key, position=run.position + 2, submissions=sendings))
        await store.commit(make_step(run.key, position=run.position + 3, submissions=sendings))
        submissions = await look(store, lambda view: view.submissions(run.key))
        same(
            [(one.key.submission, one.fate) for one in submissions], [*enumerate(fates, 1)], "fates likewise"
        )


async def keeps_requests_and_outcomes_of_any_size(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number, value in enumerate((Value(b""), SMALL, LARGE, Value(bytes(3_000_000)))):
            run = await make_run(store, f"run-{number}", activations=(_RUNNING,))
            change = make_operation(_OPERATION, state=State.SUCCEEDED, request=value, outcome=value)
            await store.commit(make_step(run.key, position=run.position, operations=(change,)))

            def values(view: View, run: int = run.key) -> tuple[Value | None, Value | None]:
                return view.value(run, RequestRef(_OPERATION)), view.value(run, OutcomeRef(_OPERATION))

            same(await look(store, values), (value, value), f"{value}")
            [found] = await look(store, _operations(run.key))
            same(found.has_outcome, True, "an outcome is there however small")
            clear = make_operation(_OPERATION, state=State.READY, request=None, outcome=None)
            await store.commit(make_step(run.key, position=run.position + 1, operations=(clear,)))
            same(await look(store, values), (None, None), "cleared ones are gone")


async def orders_operations_by_key(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        keys = [
            OperationKey(0, "ask", 0, 2, "", 0),
            OperationKey(0, "ask", 0, 1, "chain", 0),
            OperationKey(1, "map", 10, 1, "", 0),
            OperationKey(1, "map", 9, 1, "", 1),
            OperationKey(1, "map", 9, 1, "", 0),
            OperationKey(0, "ask", 0, 1, "", 0),
        ]
        run = await make_run(store, "one", activations=(_RUNNING,))
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                scopes=(make_scope(1, path=(7,), size=11),),
                activations=[make_change("map", scope=1, item=item, state=State.RUNNING) for item in (10, 9)],
                operations=[make_operation(key, state=State.WAITING) for key in keys],
                submissions=[make_submission(key, n, fate="sent") for key in keys for n in (2, 1)],
            )
        )
        found = await look(store, lambda view: view.operations(run.key))
        same([one.key for one in found], sorted(keys), "operations by key")
        same(
            {(one.key.node, one.path) for one in found},
            {("ask", ()), ("map", (7, 9)), ("map", (7, 10))},
            "an operation has its activation's path",
        )
        submissions = await look(store, lambda view: view.submissions(run.key))
        same(
            [(one.key.operation, one.key.submission) for one in submissions],
            [(key, number) for key in sorted(keys) for number in (1, 2)],
            "submissions by key",
        )
        same({one.path for one in submissions}, {(), (7, 9), (7, 10)}, "with their paths")
        some = [(run.key, keys[1]), (run.key, keys[0]._replace(attempt=9)), (4711, keys[1])]
        by_key = await look(store, lambda view: view.operations_by_key(some))
        same([one.key for one in by_key], [keys[1]], "by key, those that are gone left out")


async def finds_open_operations_of_all_runs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        runs = [
            await make_run(
                store,
                f"run-{number}",
                at=100.0 - number,
                activations=(_RUNNING,),
                operations=(
                    make_operation(_OPERATION, state=State.WAITING),
                    make_operation(_OPERATION._replace(number=1), state=State.FAILED),
                ),
            )
            for number in range(3)
        ]
        found = await look(store, lambda view: view.open_operations())
        same([one.run for one in found], [run.key for run in reversed(runs)], "oldest first")
        keys = [runs[2].key, runs[0].key]
        _, live = await look(store, lambda view: view.live(keys))
        same([one.run for one in live], sorted(keys), "or those of some runs, by run")


async def finds_submissions_by_handle(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()
        for number in range(3):
            await make_run(
                store,
                f"run-{number}",
                activations=(_RUNNING,),
                operations=(make_operation(_OPERATION, state=State.WAITING),),
                submissions=(
                    make_submission(_OPERATION, 1, fate="unknown"),
                    make_submission(_OPERATION, 2, fate="accepted", handle=f"resp_{number % 2}"),
                ),
            )
        found = await look(store, lambda view: view.submissions_by_handle("resp_0"))
        same([(one.run, one.key.submission) for one in found], [(1, 2), (3, 2)], "in all runs")
        same(await look(store, lambda view: view.submissions_by_handle("resp_9")), [], "or none")


async def loads_the_operations_that_a_recovery_needs(factory: StoreFactory) -> None:
    async with factory() as store:
        await store.register()

        def key(node: str, *, scope: int = 0, attempt: int = 1, number: int = 0) -> OperationKey:
            return OperationKey(scope, node, 0, attempt, "", number)

        wanted = {
            key("second", attempt=2): State.WAITING,
            key("turns", number=0): State.SUCCEEDED,
            key("turns", number=1): State.SUBMITTING,
            key("failed"): State.FAILED,
            key("mapped", scope=1): State.WAITING,
            key("done", number=1): State.CANCELLING,  # its cancel is not acknowledged
        }
        rest = {
            key("second", attempt=1): State.FAILED,
            key("done"): State.SUCCEEDED,
            key("mapped", scope=2): State.LOST,
        }
        run = await make_run(store, "one")
        strays = [
            make_submission(key("second", attempt=1), 1, fate="stray", handle="resp_1", token=b"token"),
            make_submission(key("done"), 1, fate="stray", handle="resp_2"),
            make_submission(key("done"), 2, fate="stray_cancelled", handle="resp_3"),
            make_submission(key("done"), 3, fate="accepted", handle="resp_4"),
            make_submission(key("second", attempt=2), 1, fate="unknown"),
            make_submission(key("second", attempt=2), 2, fate="accepted", handle="resp_5"),
            make_submission(key("failed"), 1, fate="accepted", handle="resp_6"),
        ]
        await store.commit(
            make_step(
                run.key,
                position=run.position,
                scopes=(make_scope(1, size=1), make_scope(2, size=1)._replace(open=False)),
                activations=(
                    make_change("second", state=State.RUNNING, attempt=2),
                    make_change("turns", state=State.RUNNING),
                    make_change("failed", state=State.FAILED),
                    make_change("done", state=State.SUCCEEDED),
                    make_change("mapped", scope=1, state=State.RUNNING),
                    make_change("mapped", scope=2, state=State.FAILED),
                ),
                operations=[make_operation(key, state=state) for key, state in (wanted | rest).items()],
                submissions=strays,
            )
        )
        bare = await make_run(store, "bare")
        loaded, empty = await look(store, lambda view: view.load([run.key, 4711, bare.key]))
        same(
            [(one.key, one.state) for one in loaded.operations],
            sorted(wanted.items()),
            "those of open scopes, of current attempts, of what has not succeeded",
        )
        same(
            [(one.handle, one.token) for one in loaded.strays],
            [("resp_1", b"token"), ("resp_2", None)],
            "and the strays that are still to be cancelled",
        )
        same(
            [(one.key, one.handle) for one in loaded.handles],
            [
                (SubmissionKey(key("failed"), 1), "resp_6"),
                (SubmissionKey(key("second", attempt=2), 2), "resp_5"),
            ],
            "and what handles of these operations are known",
        )
        same((empty.run, len(empty.operations), len(empty.strays)), (bare, 0, 0), "of each its own")


CHECKS = (
    keeps_an_operation_from_intent_to_outcome,
    inserts_operations_in_any_state,
    keeps_requests_and_outcomes_of_any_size,
    orders_operations_by_key,
    finds_open_operations_of_all_runs,
    finds_submissions_by_handle,
    loads_the_operations_that_a_recovery_needs,
)


def _operations(run: int) -> Callable[[View], Sequence[OperationRecord]]:
    return lambda view: view.operations(run)
