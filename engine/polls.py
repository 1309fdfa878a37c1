"""Following long-running operations by their tokens: polls, their ends, and cancels.

A result is committed together with what follows from it. When the process dies after a terminal answer and before
that commit, the provider is asked again and says the same. A cancel is committed before it is sent, and sent until it
is acknowledged; the first end that is committed wins, whatever the provider says later.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, assert_never

from ..checkpoints import ActivationColumns, ActivationRecord, ActivationState, pack, unpack
from ..nodes import (
    Cancellable,
    ContinuationToken,
    OperationError,
    OperationNode,
    operation,
    operation_for,
)
from . import backoff
from .errors import OperationUnknownError
from .events import Address, Cancelled, TokenAdvanced
from .failure import describe, sentence
from .functions import encode

if TYPE_CHECKING:
    from .driver import Driver
    from .runtime import Runtime

log = logging.getLogger("perdure")
S = ActivationState

AT_ONCE = 64
"""How many polls an executor has under way at once."""


class Polls:
    """The polls and cancels of an executor."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places = asyncio.Semaphore(AT_ONCE)

    async def poll(self, record: ActivationRecord, address: Address) -> None:
        """Ask the provider once; commit what is terminal, else ask again later. Needs no driver meanwhile."""
        owned = self._runtime.owned.get(record.run)
        if owned is None or owned.workflow is None or record.token is None:
            return
        node = owned.workflow.node(address.node)
        assert isinstance(node, OperationNode)
        token = ContinuationToken.from_dict(unpack(record.token))
        async with self._places:
            answer = await node.operation.poll(token)
        if isinstance(answer, operation.Running) and answer.token == token:
            if answer.problem is not None:
                log.warning("run %s: polling %s told nothing: %s", owned.run_id, address, answer.problem)
            self._again(record, answer.retry_after)
            return
        driver = await self._runtime.driver(record.run)
        if driver is not None:
            await driver.guard(self.conclude(driver, address, node, record, answer))

    def _again(self, record: ActivationRecord, delay: float) -> None:
        self._runtime.poller.add(self._runtime.clock() + delay, record.run, record.key)

    async def conclude(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        record: ActivationRecord,
        answer: operation.Poll,
    ) -> None:
        """Commit what the provider said, unless the activation has ended meanwhile: the first end wins."""
        activation = driver.state.find(address)
        if activation is None or activation.attempt != record.attempt:
            return  # the answer is about a token of an earlier attempt
        state = activation.state
        if state is not S.WAITING and state is not S.CANCELLING:
            return
        match answer:
            case operation.Running(token=token, retry_after=retry_after):
                columns = ActivationColumns(state=state, token=pack(token.to_dict()))
                await driver.apply((TokenAdvanced(address), columns, {"token": token.to_dict()}))
                self._again(record, retry_after)
            case operation.Succeeded(value=value, usage=usage):
                columns = ActivationColumns(usage=pack(dict(usage)) if usage else None, wake_at=None)
                try:
                    encoded = encode(node, node.finish(value), None)
                except (Exception, SystemExit) as error:  # noqa: BLE001  # the boundary: all of them are committed
                    await driver.fail(address, error, columns)
                else:
                    following = await driver.succeed(address, encoded, columns)
                    if following is not None:
                        driver.spawn(self._runtime.start(driver, following))
            case operation.Failed(error=error, retryable=retryable, usage=usage):
                await self._failed(driver, address, node, error, retryable, dict(usage))
            case operation.Incomplete(error=error, usage=usage):
                await self._failed(driver, address, node, error, False, dict(usage))
            case operation.Cancelled(error=error) | operation.Expired(error=error):
                if driver.state_of(address) is S.CANCELLING:
                    await driver.apply((Cancelled(address), {}, {}))
                else:
                    await self._failed(driver, address, node, error, False, {})
            case operation.NeedsInput(question=question):
                error = OperationError(
                    f"The provider waits for an input, which this node can't give: {question}",
                    code="needs_input",
                )
                await self._failed(driver, address, node, error, False, {})
            case _:
                assert_never(answer)

    async def _failed(
        self,
        driver: Driver,
        address: Address,
        node: OperationNode[Any, Any],
        error: OperationError,
        retryable: bool,
        usage: dict[str, Any],
    ) -> None:
        if driver.state_of(address) is S.CANCELLING:
            await driver.apply((Cancelled(address), {}, {"provider": sentence(describe(error))}))
            return
        activation = driver.state.find(address)
        assert activation is not None
        columns = ActivationColumns(usage=pack(usage) if usage else None)
        if (
            retryable
            and driver.state.outcome is None
            and backoff.retries_left(activation.attempt, node.retries)
        ):
            delay = backoff.delay(activation.attempt % (node.retries + 1), self._runtime.random)
            await self._runtime.back_off(driver, address, self._runtime.clock() + delay, error, columns)
        else:
            await driver.fail(address, error, columns)

    async def cancel(self, driver: Driver, address: Address) -> None:
        """Send the cancel, again and again until it is acknowledged; a function is waited for instead."""
        record = await self._runtime.store.activation(driver.key, driver.state.key(address))
        if driver.state_of(address) is not S.CANCELLING or record is None:
            return
        if record.token is None:
            if not self._runtime.at_work(driver, address):
                await driver.apply((Cancelled(address), {}, {}))
            return
        token = ContinuationToken.from_dict(unpack(record.token))
        node = None if driver.workflow is None else driver.workflow.node(address.node)
        adapter = node.operation if isinstance(node, OperationNode) else operation_for(token.provider)
        if adapter is None:
            raise OperationUnknownError(
                f"Run {driver.run_id}: {address} waits at provider {token.provider!r}, which this process has no "
                "adapter for. Name the workflow with --app, or pass it to the executor.",
                run_id=driver.run_id,
            )
        if not isinstance(adapter, Cancellable):
            log.warning(
                "run %s: %s can't be cancelled at %s and runs on there",
                driver.run_id,
                address,
                token.provider,
            )
            await driver.apply((Cancelled(address), {}, {"provider": "can't be cancelled there; runs on"}))
            return
        answer = await adapter.cancel(token)
        if isinstance(answer, operation.Running):
            if answer.problem is not None:
                log.warning("run %s: cancelling %s: %s", driver.run_id, address, answer.problem)
            self._again(record, answer.retry_after)
        elif isinstance(node, OperationNode):
            await self.conclude(driver, address, node, record, answer)
        elif driver.state_of(address) is S.CANCELLING:
            await driver.apply((Cancelled(address), {}, {}))
