"""Running function nodes: async ones as cancellable bodies on the loop, plain ones in threads."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..checkpoints import ActivationState, StoreError, Value
from ..nodes import Context, FunctionNode
from . import backoff
from .errors import NodeTimeoutError
from .events import Address, Cancelled

if TYPE_CHECKING:
    from ..nodes import Node
    from .driver import Driver
    from .runtime import Runtime

S = ActivationState
THREADS = 32
"""How many plain functions may run at once."""


def idempotency_key(run_id: str, address: Address) -> str:
    """The same for every attempt and after every crash of an activation, different for all others."""
    text = f"{run_id}\0{address.node}\0{','.join(map(str, address.path))}"
    return f"perdure-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def context(driver: Driver, address: Address) -> Context:
    """What the activation's function may ask of its run."""
    activation = driver.state.find(address)
    assert activation is not None

    def load(node: Node[Any, Any], default: object, /) -> object:
        return driver.values.output_now(address, node, default)

    return Context(
        run_id=driver.run_id,
        node=address.node,
        path=address.path,
        attempt=activation.attempt,
        idempotency_key=idempotency_key(driver.run_id, address),
        load=load,
    )


def encode(node: Node[Any, Any], output: object, given: Value | None) -> Value:
    """The output, encoded. One that equals the input to the byte is the same `Value`: stored and hashed once."""
    data = node.output_codec.encode(output)
    return given if given is not None and given.data == data else Value(data)


class Functions:
    """Runs the functions of an executor."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._threads: ThreadPoolExecutor | None = None
        self.in_threads: dict[tuple[int, Address], asyncio.Task[Any]] = {}
        """Plain functions that run now, as (run, address), with the tasks that wait for them."""

    async def run(self, driver: Driver, address: Address, node: FunctionNode[Any, Any]) -> Address | None:
        """One attempt: give it its input, call it, commit what came of it. Returns what is to start next."""
        task = asyncio.current_task()
        assert task is not None
        if driver.state_of(address) is not S.RUNNING:
            return None
        variables = contextvars.copy_context()
        try:
            if node.is_async:
                driver.bodies[address] = task
            try:
                value, given = await driver.values.input(address)
                if driver.state_of(address) is not S.RUNNING:  # cancelled while its input was read
                    return None
                output = await self._call(driver, address, node, value)
                encoded = encode(node, output, given)
            finally:
                driver.bodies.pop(address, None)
        except asyncio.CancelledError as error:
            if driver.state_of(address) is S.CANCELLING:
                task.uncancel()
                await driver.apply((Cancelled(address), {}, {}))
            elif task.cancelling():
                raise
            else:  # the function raised it by itself
                await self._failed(driver, address, node, error)
        except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
            raise
        except StoreError:  # its input could not be read: no fault of the node's
            raise
        except BaseException as error:  # noqa: BLE001  # the boundary: every error of a node is committed,
            # a SystemExit too: else one node that exits would end all other runs, again after each resume
            await self._failed(driver, address, node, error)
        else:
            if contextvars.copy_context() == variables:
                return await driver.succeed(address, encoded)
            # Context variables that the function set are its own: after a crash its successors would not see them.
            driver.spawn(self._succeed(driver, address, encoded), variables)
        return None

    async def _succeed(self, driver: Driver, address: Address, encoded: Value) -> None:
        following = await driver.succeed(address, encoded)
        if following is not None:
            driver.spawn(self._runtime.start(driver, following))

    async def _call(
        self, driver: Driver, address: Address, node: FunctionNode[Any, Any], value: Any
    ) -> object:
        about = context(driver, address) if node.wants_context else None
        if not node.is_async:
            return await self._in_thread(driver, address, node, value, about)
        coroutine: Any = node.invoke(value, about)
        if node.timeout is None:
            return await coroutine
        limit = asyncio.timeout(node.timeout)
        try:
            async with limit:
                return await coroutine
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NodeTimeoutError(
                f"{address} took longer than its timeout of {node.timeout:g} s."
            ) from error

    async def _in_thread(
        self,
        driver: Driver,
        address: Address,
        node: FunctionNode[Any, Any],
        value: Any,
        about: Context | None,
    ) -> object:
        """A thread can't be stopped: whoever wants the run to end waits for the function to return."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="perdure-node")
        variables = contextvars.copy_context()
        task = asyncio.current_task()
        assert task is not None

        def call() -> tuple[object, BaseException | None]:
            # What is raised is handed over by hand: a future can't hold a StopIteration, and makes a TimeoutError
            # anew, without its traceback.
            try:
                return variables.run(node.invoke, value, about), None
            except BaseException as error:  # noqa: BLE001  # raised again below
                return None, error

        self.in_threads[driver.key, address] = task
        try:
            output, error = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            del self.in_threads[driver.key, address]
        if error is not None:
            raise error
        return output

    async def _failed(
        self, driver: Driver, address: Address, node: FunctionNode[Any, Any], error: BaseException
    ) -> None:
        activation = driver.state.find(address)
        if activation is None:
            return
        if driver.state.outcome is None and backoff.retries_left(activation.attempt, node.retries):
            failures = activation.attempt % (node.retries + 1)
            wake_at = self._runtime.clock() + backoff.delay(failures, self._runtime.random)
            await self._runtime.back_off(driver, address, wake_at, error)
        else:
            await driver.fail(address, error)

    def close(self) -> None:
        """Start no function any more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
