"""Recovery: what becomes of the live activations of a run that was claimed.

Nothing is folded and no history is read: the rows of live activations say where everything stands. A run of
which everything waits is not even loaded; its activations go to the poller's heap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..checkpoints import ActivationRecord, ActivationState, Message, RunRecord, RunStatus, unpack
from ..nodes import Cancellable, ContinuationToken, OperationNode, operation, operation_for
from .commands import Settle
from .errors import AnswerError
from .events import Address, CancelRequested, RunRetried

if TYPE_CHECKING:
    from .driver import Driver
    from .runtime import Runtime

log = logging.getLogger("perdure")
S = ActivationState
IDLE = frozenset({S.WAITING, S.BACKOFF})
"""States in which an activation only waits for its time."""


async def recover(runtime: Runtime, records: Sequence[RunRecord]) -> None:
    """Drive on these claimed runs from where they stand."""
    keys = [record.key for record in records]
    live: dict[int, list[ActivationRecord]] = {key: [] for key in keys}
    for activation in await runtime.store.live(keys):
        live[activation.run].append(activation)
    messages: dict[int, list[Message]] = {key: [] for key in keys}
    for message in await runtime.store.messages(keys):
        messages[message.run].append(message)
    busy: list[int] = []
    for record in records:
        runtime.own(record, await runtime.plan(record.signature))
        rows = live[record.key]
        if rows and not messages[record.key] and all(row.state in IDLE for row in rows):
            for row in rows:
                runtime.poller.add(row.wake_at or 0.0, record.key, row.key)
        else:
            busy.append(record.key)
    drivers = await asyncio.gather(*(runtime.driver(key) for key in busy), return_exceptions=True)
    for key, driver in zip(busy, drivers, strict=True):
        if isinstance(driver, BaseException):
            runtime.stop_driving(key, driver)  # this run alone; the others go on
        elif driver is not None:
            driver.spawn(_recover(runtime, driver, live[key], messages[key]))


async def _recover(
    runtime: Runtime, driver: Driver, rows: Sequence[ActivationRecord], messages: Sequence[Message]
) -> None:
    for row in rows:
        if row.state is S.SUBMITTING:
            await runtime.submissions.interrupted(driver, Address(row.key.node, row.path), row)
    answered = {
        Address(message.node, message.path)
        for message in messages
        if message.type == "answer" and message.node
    }
    for message in messages:  # a late handle saves a second submission, so messages come first
        await deal_with(runtime, driver, message)
    for row in rows:
        address = Address(row.key.node, row.path)
        match driver.state_of(address):
            case S.RUNNING:
                driver.spawn(runtime.start(driver, address))
            case S.SUBMIT_UNKNOWN if driver.state.outcome is None and address not in answered:
                driver.spawn(runtime.submissions.settle(driver, address))
            case S.WAITING | S.BACKOFF if row.state in IDLE:
                runtime.poller.add(row.wake_at or 0.0, driver.key, row.key)
            case S.CANCELLING if row.state is S.CANCELLING:
                driver.cancel(address)
            case _:
                pass
    if driver.state.outcome is None:
        for address in list(driver.state.addresses([S.SUCCEEDED])):
            activation = driver.state.find(address)
            if activation is not None and activation.taken is None:
                driver.spawn(driver.decide(address))


async def retried(runtime: Runtime, driver: Driver, messages: Sequence[Message]) -> None:
    """Drive a failed run on, minding what was left for it meanwhile: its cancels are void, its answers count."""
    void = tuple(message.id for message in messages if message.type == "cancel")
    effects = await driver.commit((RunRetried(), {}, {}), messages=void)
    answered: set[Address] = set()
    for message in messages:
        if message.type != "cancel":
            await deal_with(runtime, driver, message)
            if message.node is not None:
                answered.add(Address(message.node, message.path))
    driver.perform(
        effect for effect in effects if not (isinstance(effect, Settle) and effect.address in answered)
    )


async def deal_with(runtime: Runtime, driver: Driver, message: Message) -> None:
    """Act on a message from outside; it is deleted by the transition that records what was done."""
    address = None if message.node is None else Address(message.node, message.path)
    data: dict[str, Any] = unpack(message.data)
    match message.type:
        case "cancel":
            await request_cancel(driver, (message.id,))
        case "late_token" if address is not None:
            token = ContinuationToken.from_dict(data["token"])
            await _late_token(runtime, driver, address, token, message.id)
        case "answer" if address is not None:
            try:
                await answer(runtime, driver, address, data["answer"], (message.id,))
            except AnswerError as error:  # it came too late: nobody is waiting for this exception
                log.warning("%s", error)
                await driver.apply(messages=(message.id,))
        case _:
            await driver.apply(messages=(message.id,))


async def request_cancel(driver: Driver, messages: tuple[int, ...] = ()) -> None:
    """Commit that the run is to end, then cancel what it does, here and at providers."""
    outcome = driver.state.outcome
    if outcome is RunStatus.CANCELLED or (outcome is not None and not driver.state.live):
        await driver.apply(messages=messages)
    else:
        await driver.apply((CancelRequested(), {}, {}), messages=messages)


async def _late_token(
    runtime: Runtime, driver: Driver, address: Address, token: ContinuationToken, message: int
) -> None:
    """A handle that a former owner got too late: adopt it if it is still wanted, else cancel it."""
    if driver.state_of(address) is S.SUBMIT_UNKNOWN:
        await runtime.submissions.adopt(driver, address, token, runtime.clock(), (message,))
        return
    record = await runtime.store.activation(driver.key, driver.state.key(address))
    known = None if record is None or record.token is None else unpack(record.token)
    if known is None or known["handle"] != dict(
        token.handle
    ):  # else it is the one in use: the provider knew the key
        node = driver.workflow.node(address.node) if driver.workflow is not None else None
        adapter = node.operation if isinstance(node, OperationNode) else operation_for(token.provider)
        if adapter is None:
            return  # the message stays for a process that has the workflow
        if isinstance(adapter, Cancellable) and isinstance(await adapter.cancel(token), operation.Running):
            return  # not acknowledged: the message stays, and is dealt with again
    await driver.apply(messages=(message,))


async def answer(
    runtime: Runtime, driver: Driver, address: Address, reply: str, messages: tuple[int, ...] = ()
) -> None:
    """Do what a person decided of a submission of unknown fate: `resubmit`, `fail`, or a handle to adopt.

    Raises `AnswerError` when the activation waits for no answer.
    """
    state = driver.state_of(address)
    node = driver.node(address)
    if state is not S.SUBMIT_UNKNOWN or not isinstance(node, OperationNode):
        raise AnswerError(
            f"Run {driver.run_id}: {address} waits for no answer; it is {state or 'not there'}. "
            f"perdure show {driver.run_id} tells what waits.",
            run_id=driver.run_id,
        )
    match reply:
        case "resubmit":
            record = await runtime.store.activation(driver.key, driver.state.key(address))
            unknown = 0 if record is None else record.unknown
            driver.spawn(runtime.submissions.resubmit(driver, address, node, unknown, messages))
        case "fail":
            await runtime.submissions.give_up(driver, address, messages)
        case handle:
            token = node.operation.adopt(handle)
            await runtime.submissions.adopt(driver, address, token, runtime.clock(), messages)
