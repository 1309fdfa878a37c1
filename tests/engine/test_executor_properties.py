"""Random workflows of functions, run by the real executor on real files, come to what the oracle says.

Afterwards the journal, folded, and the rows, restored, are one and the same state.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from perdure.checkpoints import RunStatus, State, SQLiteStore, Store, unpack
from perdure.engine import Executor, RunFailedError, WorkflowInvalidError, backoff
from perdure.engine.events import Address, Succeeded, from_journal
from perdure.engine.plan import Plan
from perdure.engine.restore import restore
from perdure.engine.scheduler import fold

from .bench import perform, store_of
from .enact import Behaviour, Enacted, Expected
from .graphs import Choices, draw_plan
from .oracle import Verdict
from .test_scheduler_properties import pace

S = State


def draw(choices: Choices, *, failing: bool) -> Enacted:
    """A random workflow that passes the checks, as about two of three do: the others are refused with reason."""
    seed = choices.number(0, 2**16)
    enacted = Enacted(draw_plan(choices, nodes=6, depth=2), Behaviour(seed, failing))
    try:
        enacted.workflow.check()
    except WorkflowInvalidError:
        assume(False)
    return enacted


async def outcome(executor: Executor, enacted: Enacted) -> object:
    """The result of the run, or the activation at which it failed; None for a skipped end."""
    run = await executor.start(enacted.workflow, "begin", run_id="r")
    try:
        return await run.result()
    except RunFailedError as error:
        return error.node


def check_outcome(found: object, expected: Expected) -> None:
    """A run that nothing stops ends where the oracle says, any other at what stops it first."""
    if expected.completed:
        assert found == expected.result
        return
    stops = {str(address) for address in expected.stuck}
    if expected.oracle.verdict(Address(expected.plan.end)) is Verdict.SKIPPED:
        assert found is None or found in stops
    else:
        assert found in stops


async def check_stored(store: Store, plan: Plan, expected: Expected, enacted: Enacted) -> None:
    """The rows are what the oracle says, the values those that it computes, and the journal says the same."""
    record = await store.run("r")
    assert record.status is (RunStatus.SUCCEEDED if expected.completed else RunStatus.FAILED)
    for row in await store.activations(record.key):
        address = Address(row.key.node, row.path)
        if row.state is S.SUCCEEDED:
            value = await store.result(record.key, row.key)
            assert value is not None
            decoded = enacted.workflow.node(address.node).output_codec.decode(value.data)
            assert decoded == expected.values[address]
        elif expected.completed:
            assert row.state is S.SKIPPED
            assert expected.oracle.verdict(address) is Verdict.SKIPPED
    journal = await store.events(record.key)
    events = [from_journal(entry.type, entry.node, entry.path, unpack(entry.data)) for entry in journal]
    succeeded = [event.address for event in events if isinstance(event, Succeeded)]
    assert len(succeeded) == len(set(succeeded))
    if expected.completed:
        assert set(succeeded) == set(expected.values)
    restored = restore(
        plan,
        record.outcome,
        await store.scopes(record.key, open_only=True),
        await store.activations(record.key, open_only=True),
    )
    assert fold(plan, events) == restored


@pace(25)
@given(st.data())
def test_any_workflow_comes_to_what_the_oracle_says(data: st.DataObject) -> None:
    enacted = draw(Choices(data), failing=False)
    plan = enacted.workflow.plan
    expected = Expected(plan, enacted.behaviour)

    async def test(folder: Path) -> None:
        async with Executor(SQLiteStore(folder / "perdure.db", synchronous="NORMAL")) as executor:
            check_outcome(await outcome(executor, enacted), expected)
            await check_stored(store_of(executor), plan, expected, enacted)
        assert set(enacted.behaviour.ran.values()) <= {1}

    with tempfile.TemporaryDirectory() as folder:
        perform(test(Path(folder)))


@pace(25)
@given(st.data())
def test_failures_backoffs_and_executors_that_leave_change_nothing_about_it(data: st.DataObject) -> None:
    choices = Choices(data)
    enacted = draw(choices, failing=True)
    plan = enacted.workflow.plan
    expected = Expected(plan, enacted.behaviour)
    leaving = [choices.number(0, 12) for _ in range(choices.number(1, 3))]

    async def test(folder: Path) -> None:
        store = SQLiteStore(folder / "perdure.db", synchronous="NORMAL")
        for commits in leaving:
            async with Executor(store) as executor:
                run = await executor.start(enacted.workflow, "begin", run_id="r")
                if commits:
                    async for event in run.events():
                        if event.position >= commits:
                            break
        async with Executor(store) as executor:
            check_outcome(await outcome(executor, enacted), expected)
            await check_stored(store_of(executor), plan, expected, enacted)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(backoff, "FIRST", 0.002)
        perform(test(Path(folder)))
