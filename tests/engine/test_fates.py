"""Which operation a person means, by the name that is typed: read from rows of several chains."""

from __future__ import annotations

import pytest
from perdure.checkpoints.conformance.examples import (
    make_change,
    make_operation,
    make_run,
    make_scope,
    make_step,
)
from perdure.checkpoints.records import OperationKey, RunRecord, State, Transition
from perdure.checkpoints.store import Store
from perdure.engine.core.addresses import Address, OperationAddress
from perdure.engine.errors import AnswerError
from perdure.engine.fates import undecided_operation

from .bench import Stores, perform

LOST = (
    OperationKey(0, "plan", 0, 2, "", 0),
    OperationKey(0, "write", 0, 1, "", 1),
    OperationKey(0, "write", 0, 1, "prices", 0),
    OperationKey(1, "check", 2, 1, "", 0),
    OperationKey(1, "check", 2, 1, 'the "size"', 3),
)


def lost(run: RunRecord) -> Transition:
    """What became of all these submissions is not known."""
    return make_step(
        run.key,
        position=run.position,
        scopes=(make_scope(1, size=3),),
        activations=tuple(
            make_change(key.node, scope=key.scope, item=key.item, state=State.RUNNING, attempt=key.attempt)
            for key in LOST
        ),
        operations=tuple(make_operation(key, state=State.SUBMIT_UNKNOWN) for key in LOST),
    )


async def meant(store: Store, *texts: str) -> list[OperationAddress]:
    await store.register()
    run = await make_run(store, "r")
    await store.commit(lost(run))
    return await store.read(lambda view: [undecided_operation(view, run, text) for text in texts])


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("plan", OperationAddress(Address("plan"), 2)),
        ("write (turn 1)", OperationAddress(Address("write"), 1, "", 1)),
        ('write (ask "prices")', OperationAddress(Address("write"), 1, "prices")),
        ("check[2]", OperationAddress(Address("check", (2,)))),
        (
            ' check[2] (ask "the \\"size\\"", turn 3) ',
            OperationAddress(Address("check", (2,)), 1, 'the "size"', 3),
        ),
    ],
)
def test_an_operation_is_meant_by_its_name(text: str, operation: OperationAddress, stores: Stores) -> None:
    async def test() -> None:
        async with stores() as store:
            assert await meant(store, text) == [operation]

    perform(test())


@pytest.mark.parametrize(
    ("text", "what_does"),
    [
        ("write", 'write (turn 1), write (ask "prices")'),
        ("write (turn 2)", 'write (turn 1), write (ask "prices")'),
        ("check", 'check[2], check[2] (ask "the \\"size\\"", turn 3)'),
        ('check (ask "prices")', 'check[2], check[2] (ask "the \\"size\\"", turn 3)'),
        ("plan[0]", "plan"),
    ],
)
def test_a_name_that_several_or_none_could_have_is_refused_with_those_that_wait(
    text: str, what_does: str, stores: Stores
) -> None:
    async def test() -> None:
        async with stores() as store:
            with pytest.raises(AnswerError) as caught:
                await meant(store, text)
            assert str(caught.value) == f"Run r: {text} waits for no answer. What does: {what_does}."

    perform(test())
