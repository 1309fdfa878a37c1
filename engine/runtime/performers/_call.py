"""`Call`: run a node. Functions are called; nodes with an operation say what to submit."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from ....checkpoints.codec import pack, unpack
from ....checkpoints.errors import StoreError, ValueNotStorableError
from ....checkpoints.records import State, Value
from ....nodes.context import Context
from ....nodes.function import FunctionNode
from ....nodes.node import Node
from ....nodes.operation_node import OperationNode
from ....nodes.operations.capabilities import Local, Paced, has_capability
from ...core import events
from ...core.addresses import Address, OperationAddress, idempotency_key, submission_key
from ...core.book import Change
from ...core.commands import Call
from ...core.state import Activation
from ...errors import NodeTimeoutError, OperationUnknownError
from ...graph.each import EachNode
from .._changes import attempt_failed, encode, succeeded
from .._places import Place
from .._shared import Commit, OwnedRun, Work, ends_the_task
from ._submission import submit


async def perform(owned: OwnedRun, command: Call, commit: Commit) -> Change | None:
    """One attempt of the activation's node."""
    work = await owned.work()
    address = command.address
    activation = None if work is None else work.state.find(address)
    if work is None or activation is None or activation.state is not State.RUNNING:
        return None
    node = owned.node(address.node)
    if isinstance(node, FunctionNode):
        return await _function(owned, work, address, node)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(node, EachNode):
        return await _items(owned, work, address, node)
    if isinstance(node, OperationNode):
        adapter = owned.adapter(OperationAddress(address, activation.attempt))
        await adapter.prepare()  # what it raises stops the driving: nothing was sent, nothing is lost
        if has_capability(adapter, Local):
            return await _open(owned, work, address, activation, node)
        # Its place comes first: nothing is built for those that wait for one.
        async with Place(owned.shared.submissions) as place:
            return await _submit(owned, work, address, activation, node, place, commit)
    raise OperationUnknownError(
        f"Run {owned.run_id}: {address} is a {node.kind}, which this version can't run.", run_id=owned.run_id
    )


def _running(work: Work, address: Address) -> bool:
    activation = work.state.find(address)
    return activation is not None and activation.state is State.RUNNING


def _context(owned: OwnedRun, work: Work, address: Address, attempt: int) -> Context:
    """What the activation's function may ask of its run."""

    def load(node: Node[Any, Any], default: object, /) -> object:
        return work.values.output_now(address, node, default)

    return Context(
        run_id=owned.run_id,
        node=address.node,
        path=address.path,
        attempt=attempt,
        idempotency_key=idempotency_key(work.nonce, address),
        load=load,
        load_input=lambda workflow: work.values.run_input_now(address, workflow),
        labels=owned.labels,
        resources=owned.shared.resources,
    )


# -- functions ---------------------------------------------------------------------------------------------


async def _function(
    owned: OwnedRun, work: Work, address: Address, node: FunctionNode[Any, ..., Any, Any]
) -> Change | None:
    task = asyncio.current_task()
    assert task is not None
    try:
        if node.is_async:
            work.calls[address] = task
        try:
            value, given = await work.values.input(address)
            if not _running(work, address):  # cancelled while its input was read
                return _cancelled(owned, work, address)
            output = await _invoke(owned, work, address, node, value)
            encoded = encode(node, output, given)
        finally:
            work.calls.pop(address, None)
    except asyncio.CancelledError as error:
        if _being_cancelled(work, address):
            task.uncancel()
            return _cancelled(owned, work, address)
        if task.cancelling():
            raise
        return attempt_failed(owned, address, error)  # the function raised it by itself
    except (KeyboardInterrupt, GeneratorExit):  # somebody ends the process, or the event loop itself
        raise
    except StoreError:  # its input could not be read: no fault of the node's
        raise
    except BaseException as error:  # noqa: BLE001  # the boundary: every error of a node is committed,
        # a SystemExit too: else one node that exits would end all other runs, again after each resume
        return attempt_failed(owned, address, error)
    return succeeded(owned, work, address, encoded)


async def _items(owned: OwnedRun, work: Work, address: Address, node: EachNode) -> Change | None:
    """The list of a map's `each`: a plain function as conditions are, so on the event loop and not in a thread."""
    try:
        value, given = await work.values.input(address)
        if not _running(work, address):  # cancelled while its input was read
            return _cancelled(owned, work, address)
        items = node.items(value, owned.run_id)
        try:
            encoded = encode(node, items, given)
        except ValueNotStorableError as error:
            raise node.unstorable(error, owned.run_id) from error
    except StoreError:  # its input could not be read: no fault of the node's
        raise
    except BaseException as error:  # the boundary: every error of a node is committed
        if ends_the_task(error):
            raise
        return attempt_failed(owned, address, error, retryable=False)
    return succeeded(owned, work, address, encoded)


def _being_cancelled(work: Work, address: Address) -> bool:
    activation = work.state.find(address)
    return activation is not None and activation.state is State.CANCELLING


def _cancelled(owned: OwnedRun, work: Work, address: Address) -> Change | None:
    if not _being_cancelled(work, address):
        return None
    return Change(events.Cancelled(owned.shared.clock(), address))


async def _invoke(
    owned: OwnedRun, work: Work, address: Address, node: FunctionNode[Any, ..., Any, Any], value: Any
) -> object:
    about = None
    if node.wants_context:
        activation = work.state.find(address)
        assert activation is not None
        about = _context(owned, work, address, activation.attempt)
    if not node.is_async:
        return await _in_thread(owned, address, node, value, about)
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
            f"Run {owned.run_id}: {address} took longer than its timeout of {node.timeout:g} s."
        ) from error


async def _in_thread(
    owned: OwnedRun,
    address: Address,
    node: FunctionNode[Any, ..., Any, Any],
    value: Any,
    about: Context | None,
) -> object:
    variables = contextvars.copy_context()

    def call() -> tuple[object, BaseException | None]:
        # What is raised is handed over by hand: a future can't hold a StopIteration, and makes a TimeoutError anew,
        # without its traceback.
        try:
            return variables.run(node.invoke, value, about), None
        except BaseException as error:  # noqa: BLE001  # raised again below
            return None, error

    output, error = await owned.shared.threads.call(owned.run, address, call)
    if error is not None:
        raise error
    return output


# -- operations --------------------------------------------------------------------------------------------


async def _submit(
    owned: OwnedRun,
    work: Work,
    address: Address,
    activation: Activation,
    node: OperationNode[Any, Any],
    place: Place,
    commit: Commit,
) -> Change | None:
    """Build the request, and submit it."""
    if activation.state is not State.RUNNING:  # cancelled while it waited for its place
        return None
    request = await _request(owned, work, address, activation, node)
    if isinstance(request, Change):
        return request
    if activation.state is State.RUNNING:
        operation = OperationAddress(address, activation.attempt)
        await submit(owned, work, operation, place, commit, Value(request))
    return None


async def _open(
    owned: OwnedRun, work: Work, address: Address, activation: Activation, node: OperationNode[Any, Any]
) -> Change | None:
    """Build the request, and open with it an operation that never leaves the process."""
    request = await _request(owned, work, address, activation, node)
    if isinstance(request, Change):
        return request
    if activation.state is not State.RUNNING:
        return None
    operation = OperationAddress(address, activation.attempt)
    adapter, at = owned.adapter(operation), owned.shared.clock()
    assert has_capability(adapter, Local)
    try:
        token = adapter.open(unpack(request), submission_key(work.nonce, operation), at)
        data = token.to_dict()
        packed = pack(data)  # what can't be kept is no token
        poll_after = float(adapter.poll_after(token)) if has_capability(adapter, Paced) else 0.0
    except BaseException as error:  # the boundary: every error of a node is committed
        if ends_the_task(error):
            raise
        return attempt_failed(owned, address, error, retryable=False)
    return Change(
        events.Opened(at, operation, poll_after),
        operation={"request": Value(request), "token": packed},
        note={"token": data},
    )


async def _request(
    owned: OwnedRun, work: Work, address: Address, activation: Activation, node: OperationNode[Any, Any]
) -> bytes | Change:
    """The request, as it is committed; or that it could not be built."""
    adapter = owned.adapter(OperationAddress(address, activation.attempt))
    await adapter.prepare()  # what it raises stops the driving: nothing was sent, nothing is lost
    try:
        value, _ = await work.values.input(address)
        return pack(dict(node.request(value, _context(owned, work, address, activation.attempt))))
    except StoreError:  # its input could not be read: no fault of the node's
        raise
    except BaseException as error:  # the boundary, as above
        if ends_the_task(error):
            raise
        return attempt_failed(owned, address, error, retryable=False)
