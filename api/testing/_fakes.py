"""Nodes whose provider is this process. Everything else of them is real: the prompt, the policy, the way to the output."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from perdure.engine.graph import Workflow
from perdure.nodes.errors import (
    OperationCancelledError,
    OperationError,
    OperationExpiredError,
    OperationFailedError,
    OperationIncompleteError,
    OutputInvalidError,
    ProviderUnavailableError,
    SubmissionRejectedError,
    SubmissionUnknownError,
)
from perdure.nodes.node import Node
from perdure.nodes.operation_node import OperationNode
from perdure.nodes.operations.capabilities import Local, has_capability
from perdure.nodes.operations.outcomes import Cancelled, Expired, Failed, Incomplete, Outcome, Succeeded
from perdure.nodes.operations.protocol import Operation
from perdure.nodes.operations.tokens import ContinuationToken, Json

from ._answers import Answers
from .errors import FakeError
from .finished_run import NodeOrName, name_of

PROVIDER = "perdure.testing"
"""The name that tokens of fakes carry."""


def agents_of(workflow: Workflow[Any, Any]) -> dict[str, OperationNode[Any, Any]]:
    """The nodes whose work is done outside of the process, by name. Timers are not among them."""
    nodes = {node.name: workflow.node(node.name) for node in workflow.plan.nodes}
    return {
        name: node
        for name, node in nodes.items()
        if isinstance(node, OperationNode) and not has_capability(node.operation, Local)
    }


def given_by_name(workflow: Workflow[Any, Any], given: Mapping[Any, object]) -> dict[str, object]:
    """The fakes by the names of their nodes. Raises `FakeError` for one that fakes no agent of the workflow."""
    agents = agents_of(workflow)
    fakes: dict[str, object] = {}
    for key, answer in given.items():
        node: NodeOrName = key
        name = name_of(node)
        if name not in agents:
            there = ", ".join(agents) or "none"
            raise FakeError(
                f"{name!r} is no agent's node of workflow {workflow.name!r} and can't be faked. Its agents' nodes: {there}."
            )
        fakes[name] = answer
    return fakes


def faked(
    node: OperationNode[Any, Any], operation: Operation, finish: Callable[[Json], Any]
) -> Node[Any, Any]:
    """The node with another provider behind it."""
    return OperationNode[Any, Any](
        node.name,
        input=node.input,
        output=node.output,
        operation=operation,
        request=node.request,
        finish=finish,
        retries=node.retries,
        deadline=node.deadline,
        on_unknown_submit=node.on_unknown_submit,
        submit_timeout=node.submit_timeout,
        polling=node.polling,
    )


def prompt_of(request: Mapping[str, Json]) -> Json:
    """What an agent is asked; of another operation, the whole request."""
    return request.get("input", dict(request))


def succeeded(answer: bytes) -> Succeeded:
    """An encoded answer as a provider's result, for `finish_with`."""
    return Succeeded(value={"answer": base64.b64encode(answer).decode()})


def finish_with(node: Node[Any, Any]) -> Callable[[Json], Any]:
    """The function that reads the node's output out of `succeeded`."""

    def finish(value: Json) -> Any:
        match value:
            case {"answer": str() as text}:
                return node.output_codec.decode(base64.b64decode(text))
            case {"invalid": str() as text}:
                raise OutputInvalidError(text)
            case _:
                raise AssertionError(f"{value!r} is no answer of a fake")

    return finish


class FakeAgents:
    """The fakes of one run, what they were asked, and what was wrong with one of them."""

    def __init__(self, workflow: Workflow[Any, Any], given: Mapping[Any, object]) -> None:
        """Raises `FakeError`."""
        fakes, agents = given_by_name(workflow, given), agents_of(workflow)
        self.prompts: dict[str, list[Any]] = {name: [] for name in agents}
        self.problem: BaseException | None = None
        """The first error that is the test's own: it is raised in place of the run's."""
        self._numbers = itertools.count(1)
        self.workflow = workflow.with_nodes(list(self._nodes(agents, fakes)))

    def _nodes(
        self, agents: Mapping[str, OperationNode[Any, Any]], fakes: Mapping[str, object]
    ) -> Iterator[Node[Any, Any]]:
        for name, node in agents.items():
            answers = Answers(node, fakes[name]) if name in fakes else None
            operation = FakeOperation(name, answers, self.prompts[name], self._numbers, self._blame)
            yield faked(node, operation, finish_with(node))

    def _blame(self, problem: BaseException) -> None:
        self.problem = self.problem or problem


class FakeOperation:
    """The provider of one node. Its operations have ended when they are first asked after."""

    def __init__(
        self,
        node: str,
        answers: Answers | None,
        prompts: list[Any],
        numbers: Iterator[int],
        blame: Callable[[BaseException], None],
    ) -> None:
        self._node = node
        self._answers = answers
        self._prompts = prompts
        self._numbers = numbers
        self._blame = blame
        self._ends: dict[Json, Outcome | ProviderUnavailableError] = {}

    @property
    def provider(self) -> str:
        """`perdure.testing`."""
        return PROVIDER

    async def prepare(self) -> None:
        """Nothing to prepare."""

    def poll_after(self, token: ContinuationToken) -> float:
        """At once."""
        return 0.0

    async def submit(self, request: Mapping[str, Json], key: str) -> ContinuationToken:
        """Ask the fake. Raises `SubmissionRejectedError` where the test itself is wrong: that ends the run."""
        prompt = prompt_of(request)
        self._prompts.append(prompt)
        try:
            answer = await self._answer(prompt)
        except Exception as problem:  # the boundary: whatever a test's own function raises is told by `run`
            self._blame(problem)
            raise SubmissionRejectedError(f"The fake of {self._node!r} failed: {problem}") from problem
        if isinstance(answer, SubmissionRejectedError | SubmissionUnknownError):
            raise answer
        handle: Json = f"fake-{next(self._numbers)}"
        self._ends[handle] = end_of(answer)
        return ContinuationToken(provider=PROVIDER, handle={"id": handle}, created_at=0.0)

    async def _answer(self, prompt: object) -> object:
        if self._answers is None:
            raise FakeError(
                f"Agent node {self._node!r} was asked and has no fake; nothing was sent. Give it one: "
                f"agents={{{self._node!r}: …}}. It was asked: {prompt!r}"
            )
        try:
            return await self._answers.next(prompt)
        except OperationError as error:
            return error

    async def poll(self, token: ContinuationToken) -> Outcome:
        """How it ended. Raises `ProviderUnavailableError` where that was given."""
        end = self._ends[token.handle["id"]]
        if isinstance(end, ProviderUnavailableError):
            raise end
        return end


def end_of(answer: object) -> Outcome | ProviderUnavailableError:
    """What a provider says of an operation that ended with this: an encoded answer, or an exception."""
    match answer:
        case bytes():
            return succeeded(answer)
        case ProviderUnavailableError():
            return answer
        case OutputInvalidError():
            return Succeeded(value={"invalid": str(answer)})
        case OperationExpiredError():
            return Expired(error=answer)
        case OperationCancelledError():
            return Cancelled(error=answer)
        case OperationIncompleteError():
            return Incomplete(error=answer)
        case OperationFailedError():
            return Failed(error=answer, retryable=answer.retryable)
        case OperationError():
            return Failed(error=answer)
        case _:
            error = OperationFailedError(f"{type(answer).__name__}: {answer}", code=type(answer).__name__)
            if isinstance(answer, BaseException):
                error.__cause__ = answer
            return Failed(error=error)
