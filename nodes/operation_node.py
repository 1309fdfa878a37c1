"""`OperationNode`: a node whose work is a long-running operation. `Agent.node` makes one kind of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from .context import Context
from .node import In, Node, Out
from .operation import Json, Operation

OnUnknownSubmit: TypeAlias = Literal["resubmit", "fail", "ask"]
"""What to do when the provider may have accepted a submission whose handle we do not hold."""


class OperationNode(Node[In, Out]):
    """Builds a request from its input, and its output from what the operation ended with.

    Both functions run on the event loop and must be quick and pure: they may run again after a crash.
    """

    kind: ClassVar[str] = "operation"

    def __init__(
        self,
        name: str,
        *,
        input: object,  # noqa: A002  # as the property
        output: object,
        operation: Operation,
        request: Callable[[Any, Context], Mapping[str, Json]],
        finish: Callable[[Json], Any],
        retries: int = 3,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
    ) -> None:
        super().__init__(name, input=input, output=output)
        self.operation = operation
        """The adapter that submits, polls, streams and cancels."""
        self.retries = retries
        """How many submissions may follow the first, after rejections and failures worth a new attempt."""
        self.on_unknown_submit: OnUnknownSubmit = on_unknown_submit
        self._request = request
        self._finish = finish

    def request(self, value: Any, context: Context) -> Mapping[str, Json]:
        """The complete request for this input, as plain data: it is committed before it is sent."""
        return self._request(value, context)

    def finish(self, value: Json) -> Any:
        """The node's output from the value of `Succeeded`. Raises an `OperationError` when it does not fit."""
        return self._finish(value)
