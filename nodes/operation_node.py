"""`OperationNode`: a node whose work is a long-running operation. Agents and timers make kinds of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args

from .context import Context
from .durations import Duration, seconds
from .errors import NodeDefinitionError
from .node import In, Node, Out
from .operations.protocol import Operation
from .operations.tokens import Json
from .polling import Polling
from .retry import Retry, as_retry

OnUnknownSubmit: TypeAlias = Literal["resubmit", "fail", "hold"]
"""What to do when the provider may have accepted a submission whose handle we do not hold, and a look-up (where the
operation can be looked for) did not tell: submit the same request again, fail the node, or hold it until a person
decides."""

SUBMIT_TIMEOUT: Final = 24 * 3600.0
"""Seconds for which a submission that was certainly not accepted is tried again."""


class OperationNode(Node[In, Out]):
    """Builds a request from its input, and its output from what the operation ended with.

    Both functions run on the event loop and must be quick and pure: they may run again after a crash. The other
    attributes are the node's policy, which is no part of the workflow's signature.
    """

    kind: ClassVar[str] = "operation"
    passes_on: ClassVar[bool] = False
    """Whether the node's output is its input; `finish` is then never called."""

    def __init__(
        self,
        name: str,
        *,
        input: object,  # noqa: A002  # as the property
        output: object,
        operation: Operation,
        request: Callable[[Any, Context], Mapping[str, Json]],
        finish: Callable[[Json], Any],
        retries: int | Retry = 3,
        deadline: Duration | None = None,
        on_unknown_submit: OnUnknownSubmit = "resubmit",
        submit_timeout: Duration = SUBMIT_TIMEOUT,
        polling: Polling | None = None,
        where: str | None = None,
    ) -> None:
        """`where` names the declaration in messages. Raises `NodeDefinitionError` for a policy that is none."""
        where = where or name
        as_retry(retries, where)  # raises for a number that is none
        if on_unknown_submit not in get_args(OnUnknownSubmit):
            raise NodeDefinitionError(
                f"{where}: on_unknown_submit={on_unknown_submit!r}; use 'resubmit', 'fail' or 'hold'."
            )
        trying = seconds(submit_timeout, f"{where}: submit_timeout")
        if not 0 < trying < math.inf:
            raise NodeDefinitionError(
                f"{where}: submit_timeout={submit_timeout}, but it is how long a submission is tried: use a "
                "duration above 0."
            )
        polling = polling or Polling()
        limit = polling.deadline if deadline is None else seconds(deadline, f"{where}: deadline")
        if limit <= 0:
            raise NodeDefinitionError(
                f"{where}: deadline={deadline}, but it is how long the operation may run: use a duration above 0."
            )
        super().__init__(name, input=input, output=output)
        self.operation = operation
        """The adapter, with the capabilities that its provider has."""
        self.retries = retries
        """How many attempts may follow the first, after failures worth another one, or a `Retry`."""
        self.deadline = limit
        """Seconds after which an operation that still runs is cancelled and has failed; from `polling` unless given."""
        self.on_unknown_submit: OnUnknownSubmit = on_unknown_submit
        self.submit_timeout = trying
        """Seconds for which a submission that was certainly not accepted is tried again; counts time spent trying."""
        self.polling = polling
        """How often the operation is polled, and when it is given up."""
        self._request = request
        self._finish = finish

    def request(self, value: Any, context: Context) -> Mapping[str, Json]:
        """The complete request for this input, as plain data: it is committed before it is sent."""
        return self._request(value, context)

    def finish(self, value: Json) -> Any:
        """The node's output from the value of `Succeeded`. Raises an `OperationError` when it does not fit."""
        return self._finish(value)
