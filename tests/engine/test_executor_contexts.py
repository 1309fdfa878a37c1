"""Adapters per context: whatever is asked of a provider is asked of the run's own, also for runs that are not in memory.

Each tenant has a ledger, and so has nobody: that of the adapter as the node has it, which must stay empty.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from perdure.checkpoints import State, pack
from perdure.engine import Executor, RunCancelledError, RunFailedError, Workflow
from perdure.engine.runtime import _signal_watch  # pyright: ignore[reportPrivateUsage]
from perdure.nodes import Context, ContinuationToken, ProviderUnavailableError, node
from perdure.nodes.conformance import SMALL_OPERATIONS, Entry, Ledger
from perdure.nodes.operations import Json, Operation

from .bench import (
    Stores,
    chain,
    first,
    perform,
    raises,
    record,
    rows,
    runtime,
    store_of,
    third,
    until,
)
from .small import Small

S = State
TENANTS = ("acme", "globex")


class Tenants(Small):
    """A small operation with an adapter for each tenant; those that are `gone` have none."""

    def __init__(self, kind: str, folder: Path, **options: Any) -> None:
        super().__init__(kind, folder / "nobody", **options)
        self.adapters = {name: SMALL_OPERATIONS[kind](folder / name, **options) for name in TENANTS}
        self.ledgers = {name: Ledger(folder / name) for name in TENANTS}
        self.contexts: list[Context] = []
        self.gone: set[str] = set()

        def in_context(_: Operation, context: Context) -> Operation:
            self.contexts.append(context)
            name = context.labels["tenant"]
            if name in self.gone:
                raise ProviderUnavailableError(f"{name} has no account.", code="no_client")
            return self.adapters[name]

        per_tenant: type[Any] = type("PerTenant", (type(self.operation),), {"in_context": in_context})
        self.operation = per_tenant(folder / "nobody", **options)

    def of(self, tenant: str) -> list[Entry]:
        """All that this tenant's provider has accepted."""
        return self.ledgers[tenant].of(self.operation.provider)

    def assert_nobody_was_asked(self) -> None:
        """Nothing was asked with the adapter that belongs to no run."""
        assert self.entries == []


async def start(executor: Executor, workflow: Workflow[Any, Any], tenant: str) -> Any:
    return await executor.start(workflow, tenant, run_id=tenant, labels={"tenant": tenant})


REQUESTS: Mapping[str, Mapping[str, Json]] = {
    "plain": {},
    "cancellable": {},
    "idempotent": {"lose_replies": 2},
    "findable": {"lose_replies": 1, "listing_fails": 1},
    "once": {},
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_exchange_is_with_the_run_s_own_provider_over_several_processes(
    kind: str, stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    options = {"settles_within": 0.05, "submit_takes": 0.05} if kind == "findable" else {}
    tenants = Tenants(kind, tmp_path, **options)
    print_ = tenants.node(request=lambda _: {"takes": 0.3, **REQUESTS[kind]})
    workflow = chain("w", first, print_, third)

    async def test() -> None:
        async with Executor(stores()) as executor:
            for tenant in TENANTS:
                await start(executor, workflow, tenant)
            await until(lambda: all(tenants.of(tenant) for tenant in TENANTS))
        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.resume_all()
            for tenant in TENANTS:
                assert await (await executor.resume(tenant)).result() == f"Answer: {tenant}13"
                (context, *_) = [each for each in tenants.contexts if each.run_id == tenant]
                assert (context.node, context.path, context.attempt) == ("print", (), 1)

    perform(test())
    for tenant in TENANTS:
        assert len(tenants.of(tenant)) == 1
    tenants.assert_nobody_was_asked()


def test_what_is_evicted_is_polled_without_being_loaded(
    stores: Stores, tmp_path: Path, evicted: None
) -> None:
    tenants = Tenants("plain", tmp_path)
    workflow = chain("w", first, tenants.node(request=lambda _: {"takes": 60.0}))

    async def test() -> None:
        async with Executor(stores()) as executor:
            for tenant in TENANTS:
                await start(executor, workflow, tenant)
            await until(lambda: all(tenants.of(tenant) for tenant in TENANTS))
            await until(lambda: not runtime(executor).drivers)
            asked = len(tenants.contexts)
            await until(lambda: len(tenants.contexts) >= asked + 4)
            assert not runtime(executor).drivers
            assert {each.run_id for each in tenants.contexts[asked:]} == set(TENANTS)

    perform(test())
    tenants.assert_nobody_was_asked()


def test_items_of_a_map_are_told_apart(stores: Stores, tmp_path: Path) -> None:
    tenants = Tenants("plain", tmp_path)
    print_ = tenants.node()

    @node
    def split(text: str) -> list[str]:
        return [text, text]

    @node
    def count(texts: list[str]) -> int:
        return len(texts)

    workflow = Workflow[str, int]("w", start=split, end=count)
    workflow.map(split, print_)
    workflow.collect(print_, count)

    async def test() -> None:
        async with Executor(stores(), resources=[tenants]) as executor:
            assert await (await start(executor, workflow, "acme")).result() == 2
            assert {each.path for each in tenants.contexts} == {(), (0,), (1,)}  # () before the commit
            assert {each.resource(Tenants) for each in tenants.contexts} == {tenants}

    perform(test())
    tenants.assert_nobody_was_asked()


def test_a_cancel_is_sent_to_the_run_s_own_provider_also_after_a_restart(
    stores: Stores, tmp_path: Path
) -> None:
    tenants = Tenants("cancellable", tmp_path)
    workflow = chain("w", first, tenants.node(request=lambda _: {"takes": 60, "cancels_in": 0.2}))

    async def test() -> None:
        async with Executor(stores()) as executor:
            for tenant in TENANTS:
                await start(executor, workflow, tenant)
            await until(lambda: all(tenants.of(tenant) for tenant in TENANTS))
            await executor.cancel("acme")
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await executor.resume("acme")
            with pytest.raises(RunCancelledError):
                await run.result()

    perform(test())
    assert [entry.cancelled_at is not None for entry in tenants.of("acme")] == [True]
    assert [entry.cancelled_at is not None for entry in tenants.of("globex")] == [False]
    tenants.assert_nobody_was_asked()


def test_without_the_workflow_a_cancel_is_sent_to_nobody(stores: Stores, tmp_path: Path) -> None:
    tenants = Tenants("cancellable", tmp_path)
    workflow = chain("w", first, tenants.node(request=lambda _: {"takes": 60}))

    async def test() -> None:
        async with Executor(stores()) as executor:
            await start(executor, workflow, "acme")
            await until(lambda: bool(tenants.of("acme")))
        async with Executor(stores()) as executor:
            run = await executor.get("acme")
            await executor.cancel("acme")
            await until(lambda: not executor.drives("acme"))
            assert await run.status() == "cancelling"
        async with Executor(stores(), workflows=[workflow]) as executor:
            with pytest.raises(RunCancelledError):
                await (await executor.resume("acme")).result()

    perform(test())
    assert tenants.of("acme")[0].cancelled_at is not None


def test_a_stray_is_cancelled_at_the_run_s_own_provider_after_the_run_s_end(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_signal_watch, "INTERVAL", 0.05)
    tenants = Tenants("cancellable", tmp_path)
    workflow = chain("w", first, tenants.node())

    async def test() -> None:
        async with Executor(stores()) as executor:
            await (await start(executor, workflow, "acme")).result()
            token: ContinuationToken = await tenants.adapters["acme"].submit({"takes": 60}, "another")
            late = pack({"token": token.to_dict(), "operation": [1, "", 0], "submission": 1})
            tenants.gone = {"acme"}
            key = (await record(executor, "acme")).key
            await store_of(executor).signal(key, "handle", "print", (), late)
            asked = len(tenants.contexts)
            await until(lambda: len(tenants.contexts) > asked)  # the missing account is no end of it
            tenants.gone = set()

        async with Executor(stores(), workflows=[workflow]) as executor:
            await executor.resume_all()

            async def cancelled() -> bool:
                found = (await rows(executor, "acme"))["print"].submissions
                return [each.fate for each in found] == ["accepted", "stray_cancelled"]

            await until(cancelled)

    perform(test())
    assert [entry.cancelled_at is not None for entry in tenants.of("acme")] == [False, True]
    tenants.assert_nobody_was_asked()


def test_a_run_without_an_account_is_not_committed_and_others_are(stores: Stores, tmp_path: Path) -> None:
    tenants = Tenants("plain", tmp_path)
    tenants.gone = {"globex"}
    workflow = chain("w", first, tenants.node())

    async def test() -> None:
        async with Executor(stores()) as executor:
            assert await (await start(executor, workflow, "acme")).result() == "Answer: acme1"
            with raises(ProviderUnavailableError, "globex has no account"):
                await start(executor, workflow, "globex")
            with raises(KeyError, "tenant"):  # in its own words
                await executor.start(workflow, "x")
            assert [info.id for info in await executor.runs()] == ["acme"]

    perform(test())


@pytest.mark.parametrize("kind", ["plain", "once"])
def test_an_account_that_is_gone_meanwhile_stops_the_driving_and_loses_nothing(
    kind: str, stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tenants = Tenants(kind, tmp_path)
    workflow = chain("w", first, tenants.node(request=lambda _: {"takes": 0.5}))

    async def test() -> None:
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await start(executor, workflow, "acme")
            await until(lambda: bool(tenants.of("acme")))
            tenants.gone = {"acme"}
            with raises(
                ProviderUnavailableError, "Run acme", "print", "acme has no account", "perdure resume acme"
            ):
                await run.result()
            assert await run.status() == "waiting"
            tenants.gone = set()
            assert await (await executor.resume("acme")).result() == "Answer: acme1"

    with caplog.at_level(logging.CRITICAL):
        perform(test())
    assert len(tenants.of("acme")) == 1


def test_an_account_that_goes_between_the_intent_and_the_submission_leaves_no_unknown_fate(
    stores: Stores, tmp_path: Path, quick_backoff: None
) -> None:
    tenants = Tenants("plain", tmp_path)

    def leave(context: Context) -> Mapping[str, Json]:
        tenants.gone = {"acme"}  # after `prepare`, before the intent
        return {}

    workflow = chain("w", first, tenants.node(request=leave, on_unknown_submit="fail"))

    async def test() -> None:
        async with Executor(stores(), workflows=[workflow]) as executor:
            run = await start(executor, workflow, "acme")
            with raises(ProviderUnavailableError, "acme has no account", "perdure resume acme"):
                await run.result()
            (submission,) = (await rows(executor, "acme"))["print"].submissions
            assert submission.fate == "refused"
            tenants.gone = set()
            assert await (await executor.resume("acme")).result() == "Answer: acme1"

    perform(test())
    assert len(tenants.of("acme")) == 1


def test_what_came_is_decoded_again_without_an_account(stores: Stores, tmp_path: Path) -> None:
    tenants = Tenants("plain", tmp_path)
    broken = True

    def finish(value: Json) -> str:
        if broken:
            raise ValueError("not this shape")
        assert isinstance(value, dict)
        return str(value["text"])

    workflow = chain("w", first, tenants.node(finish=finish))

    async def test() -> None:
        nonlocal broken
        async with Executor(stores(), workflows=[workflow]) as executor:
            with pytest.raises(RunFailedError):
                await (await start(executor, workflow, "acme")).result()
            broken = False
            tenants.gone = {"acme"}
            assert await (await executor.retry("acme")).result() == "Answer: acme1"

    perform(test())
