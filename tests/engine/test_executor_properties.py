"""Random workflows of functions, run by the real executor on real files, come to what the oracle says.

Afterwards the journal, folded, and the rows, restored, are one and the same state.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from perdure.checkpoints import RunStatus, SQLiteStore, State, unpack
from perdure.engine import Executor, RunFailedError, WorkflowInvalidError
from perdure.engine.core import policy
from perdure.engine.core.addresses import Address
from perdure.engine.core.events import Succeeded
from perdure.engine.core.journal import from_journal
from perdure.engine.core.machine import fold
from perdure.engine.core.plan import Plan
from perdure.engine.core.policy import Policies
from perdure.engine.core.restore import restore

from .bench import perform, read, record
from .core.test_properties import pace
from .enact import Behaviour, Enacted, Expected
from .graphs import Choices, draw_plan, draw_policies
from .oracle import Verdict

S = State


def draw(choices: Choices, *, failing: bool) -> Enacted:
    """A random workflow that passes the checks, as about two of three do: the others are refused with reason."""
    seed = choices.number(0, 2**16)
    plan = draw_plan(choices, nodes=6, depth=2)
    enacted = Enacted(plan, draw_policies(choices, plan), Behaviour(seed, failing))
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
    if expected.skipped:
        assert found is None or found in stops
    else:
        assert found in stops


async def check_stored(executor: Executor, plan: Plan, expected: Expected, enacted: Enacted) -> None:
    """The rows are what the oracle says, the values those that it computes, and the journal says the same."""
    run = await record(executor)
    assert run.status is (RunStatus.SUCCEEDED if expected.completed else RunStatus.FAILED)
    for row in await read(executor, lambda view: view.activations(run.key)):
        address = Address(row.key.node, row.path)
        if row.state is S.SUCCEEDED:
            value = await read(executor, lambda view: view.value(run.key, row.key))  # noqa: B023  # awaited at once
            assert value is not None
            decoded = enacted.workflow.node(address.node).output_codec.decode(value.data)
            assert decoded == expected.values[address]
        elif expected.completed:
            assert row.state is S.SKIPPED
            assert expected.oracle.verdict(address) is Verdict.SKIPPED
    journal = await read(executor, lambda view: view.events(run.key))
    events = [
        from_journal(entry.type, entry.at, entry.node, entry.path, unpack(entry.data)) for entry in journal
    ]
    succeeded = [event.address for event in events if isinstance(event, Succeeded)]
    assert len(succeeded) == len(set(succeeded))
    if expected.completed:
        assert set(succeeded) == set(expected.values)
    (loaded,) = await read(executor, lambda view: view.load([run.key]))
    policies = Policies({}) if run.policies is None else Policies.from_plain(unpack(run.policies))
    assert fold(plan, events) == restore(plan, policies, loaded)


@pace(25)
@given(st.data())
def test_any_workflow_comes_to_what_the_oracle_says(data: st.DataObject) -> None:
    enacted = draw(Choices(data), failing=False)
    plan = enacted.workflow.plan
    expected = Expected(plan, enacted.behaviour)

    async def test(folder: Path) -> None:
        async with Executor(SQLiteStore(folder / "perdure.db", synchronous="NORMAL")) as executor:
            check_outcome(await outcome(executor, enacted), expected)
            await check_stored(executor, plan, expected, enacted)
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
            await check_stored(executor, plan, expected, enacted)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(policy, "FIRST_BACKOFF", 0.002)
        perform(test(Path(folder)))
