"""`Workshop`: the world of a driver that runs real nodes, at once, with values as the executor has them: encoded."""

from __future__ import annotations

from typing import Any, assert_never

from perdure.checkpoints.codec import join, split
from perdure.checkpoints.records import ActivationKey, State, Value
from perdure.engine import Workflow
from perdure.engine.core import commands as c
from perdure.engine.core import events
from perdure.engine.core.addresses import Address, OperationAddress, submission_key
from perdure.engine.core.commands import Effect
from perdure.engine.core.events import CoreEvent
from perdure.engine.core.plan import EdgeKind
from perdure.engine.core.sources import Ambiguous, Collected, Item, Joined, RunInput, Whole, given
from perdure.engine.graph.conditions import taken_edges
from perdure.nodes.context import Context
from perdure.nodes.errors import SubmissionRejectedError, SubmissionUnknownError
from perdure.nodes.function import FunctionNode
from perdure.nodes.operation_node import OperationNode
from perdure.nodes.operations.outcomes import Cancelled, Expired, Failed, Incomplete, Running, Succeeded
from perdure.nodes.operations.tokens import ContinuationToken, Json

from .driver import Driver
from .works import at_once


class Workshop:
    """Does what the performers of the executor do, without a loop. All that it knows beyond rows is what was stored."""

    def __init__(self, workflow: Workflow[Any, Any], value: object) -> None:
        self.workflow = workflow
        self.input = workflow.node(workflow.plan.start).input_codec.encode(value)
        self.outputs: dict[ActivationKey, bytes] = {}
        self.requests: dict[OperationAddress, dict[str, Json]] = {}
        self.tokens: dict[OperationAddress, ContinuationToken] = {}

    def perform(self, driver: Driver, effect: Effect) -> CoreEvent | None:
        now = driver.play.now
        match effect:
            case c.Call(address):
                return self._call(driver, address)
            case c.CancelCall(address):
                return events.Cancelled(now, address)
            case c.Resubmit(operation):
                return events.SubmissionIntended(now, operation)
            case c.Submit(operation):
                return self._submit(driver, operation)
            case c.Poll(operation):
                return self._outcome(
                    driver, operation, at_once(self._adapter(operation).poll(self.tokens[operation]))
                )
            case c.CancelRemote(operation):
                outcome = at_once(self._adapter(operation).cancel(self.tokens[operation]))
                if isinstance(outcome, Cancelled):
                    return events.Cancelled(now, operation.address, operation=operation)
                return self._outcome(driver, operation, outcome)
            case c.Decode() | c.EvaluateEdges() | c.Find() | c.Fetch() | c.CancelStray():
                raise AssertionError(f"{effect} is in none of these scenarios")
            case c.Wake() | c.Hold() | c.Finish():
                raise AssertionError(effect)
            case _:
                assert_never(effect)

    # -- nodes -------------------------------------------------------------------------------------------

    def _call(self, driver: Driver, address: Address) -> CoreEvent | None:
        activation = driver.play.state.find(address)
        assert activation is not None
        if activation.state is not State.RUNNING:
            return None
        now, node = driver.play.now, self.workflow.node(address.node)
        value = self._input(driver, address)
        if isinstance(node, FunctionNode):
            try:
                work: Any = node.invoke(value, self._context(address, activation.attempt))
                output: Any = at_once(work)
            except ValueError:
                return events.AttemptFailed(now, address)
            return self._succeeded(driver, address, node.output_codec.encode(output), None)
        assert isinstance(node, OperationNode)
        operation = OperationAddress(address, activation.attempt)
        request = dict(node.request(value, self._context(address, activation.attempt)))
        self.requests[operation] = request
        adapter: Any = node.operation
        if hasattr(adapter, "open"):
            self.tokens[operation] = adapter.open(request, submission_key("nonce", operation), now)
            return events.Opened(now, operation, adapter.poll_after(self.tokens[operation]))
        return events.SubmissionIntended(now, operation)

    def _submit(self, driver: Driver, operation: OperationAddress) -> CoreEvent:
        now, adapter = driver.play.now, self._adapter(operation)
        try:
            token = at_once(adapter.submit(self.requests[operation], submission_key("nonce", operation)))
        except SubmissionRejectedError as error:
            return events.SubmissionRefused(now, operation, 0.0, error.retryable, error.retry_after)
        except SubmissionUnknownError as error:
            return events.SubmissionUnknown(now, operation, retry_after=error.retry_after)
        self.tokens[operation] = token
        return events.Submitted(now, operation, adapter.poll_after(token))

    def _outcome(self, driver: Driver, operation: OperationAddress, outcome: Any) -> CoreEvent | None:
        now, address = driver.play.now, operation.address
        match outcome:
            case Running(token=token, retry_after=after) if token != self.tokens[operation]:
                self.tokens[operation] = token
                return events.TokenAdvanced(now, operation, after or 0.0)
            case Running(retry_after=after):
                driver.wake_at(now + (after or 1.0), (address, operation))
                return None
            case Succeeded(value=value):
                node = self.workflow.node(address.node)
                assert isinstance(node, OperationNode)
                output = self._input(driver, address) if node.passes_on else node.finish(value)
                return self._succeeded(driver, address, node.output_codec.encode(output), operation)
            case Failed(retryable=retryable):
                return events.AttemptFailed(now, address, retryable=retryable, operation=operation)
            case Incomplete():
                return events.AttemptFailed(
                    now, address, ending="incomplete", retryable=False, operation=operation
                )
            case Expired():
                return events.AttemptFailed(
                    now, address, ending="expired", retryable=False, operation=operation
                )
            case Cancelled():
                return events.AttemptFailed(
                    now, address, ending="cancelled", retryable=False, operation=operation
                )
            case _:
                raise AssertionError(outcome)

    def _adapter(self, operation: OperationAddress) -> Any:
        node = self.workflow.node(operation.address.node)
        assert isinstance(node, OperationNode)
        return node.operation

    def _context(self, address: Address, attempt: int) -> Context:
        def load(node: Any, default: object, /) -> object:
            raise AssertionError("no node here asks for another one's output")

        return Context(
            run_id="run",
            node=address.node,
            path=address.path,
            attempt=attempt,
            idempotency_key="key",
            load=load,
        )

    # -- values ------------------------------------------------------------------------------------------

    def _succeeded(
        self, driver: Driver, address: Address, data: bytes, operation: OperationAddress | None
    ) -> CoreEvent:
        self.outputs[driver.play.state.key(address)] = data
        plan = driver.play.plan
        taken = taken_edges(plan, self.workflow, "run", address, Value(data))
        mapped = any(edge.kind is EdgeKind.MAP for edge in plan.outgoing[address.node])
        return events.Succeeded(
            driver.play.now, address, taken, len(split(data)) if mapped else None, operation
        )

    def _decode(self, name: str, data: bytes) -> Any:
        return self.workflow.node(name).output_codec.decode(data)

    def _input(self, driver: Driver, address: Address) -> Any:
        source = given(driver.play.state, address)
        match source:
            case RunInput():
                return self.workflow.node(address.node).input_codec.decode(self.input)
            case Whole(name, key):
                return self._decode(name, self.outputs[key])
            case Item(name, key, index):
                return self._decode(name, join([split(self.outputs[key])[index]]))[0]
            case Collected(name, scope):
                return [
                    self._decode(name, data)
                    for key, data in sorted(self.outputs.items(), key=lambda entry: entry[0].item)
                    if (key.scope, key.node) == (scope, name)
                ]
            case Joined(positions):
                return tuple(
                    None if one is None else self._decode(one.source, self.outputs[one.key])
                    for one in positions
                )
            case Ambiguous():
                raise AssertionError(f"{address} is given too much")
