"""`PromptNode`: a node that asks an agent what a function says. `Agent.node` makes it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin, overload

from typing_extensions import ParamSpec

from ._agent_work import AgentWork, RequestMaker
from ._deferred import plain_type
from ._signature import read_signature
from .context import Context
from .durations import Duration
from .errors import NodeDefinitionError
from .node import In, Node, Out
from .operation_node import OnUnknownSubmit, OperationNode
from .operations.protocol import Operation
from .operations.tokens import Json
from .polling import Polling
from .prompts import Prompt
from .retry import Retry

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
P = ParamSpec("P")


class PromptNode(OperationNode[In, Out], Generic[In, P, Out]):
    """Asks an agent what the decorated function says, and gives the answer. Calling it gives the prompt."""

    kind: ClassVar[str] = "agent"

    def __init__(
        self,
        fn: Callable[P, Prompt],
        *,
        agent: str,
        operation: Operation,
        make_request: RequestMaker,
        background: bool,
        output: object,
        on_unknown_submit: OnUnknownSubmit,
        retries: int | Retry,
        deadline: Duration | None,
        submit_timeout: Duration,
        polling: Polling,
        name: str | None,
    ) -> None:
        if isinstance(fn, Node):
            raise NodeDefinitionError(
                f"{fn!r} is a node already: put {agent}.node on the function that says what to ask."
            )
        signature = read_signature(fn)
        where = signature.where
        if signature.is_async:
            raise NodeDefinitionError(
                f"{where}: it says what to ask, so it is a plain function: write `def`. What must be awaited belongs "
                "into an @node before it."
            )
        if not signature.takes_input:
            raise NodeDefinitionError(
                f"{where}: it says what to ask about its input, so it takes one as its first parameter. Add it "
                "(`_: object` when it does not matter)."
            )
        if not _is_prompt(signature.output):
            raise NodeDefinitionError(
                f"{where}: it says what to ask, so it returns `str` (or a list of input items: `Prompt`). The type of "
                "the answer is given to the decorator: output=..."
            )
        work = AgentWork(
            agent=agent, where=where, make_request=make_request, background=background, output=output
        )
        say: Callable[..., Prompt] = fn

        def request(value: Any, context: Context) -> Mapping[str, Json]:
            return work.request(say(value, context) if signature.wants_context else say(value), context)

        super().__init__(
            name or signature.name,
            input=signature.input,
            output=work.output,
            operation=operation,
            request=request,
            finish=work.finish,
            retries=retries,
            deadline=deadline,
            on_unknown_submit=on_unknown_submit,
            submit_timeout=submit_timeout,
            polling=polling,
            where=where,
        )
        self._fn = fn
        self.background = background
        """Whether the run lives at the provider while nobody waits for it."""
        self.__doc__ = fn.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Prompt:
        """Call the function: what it asks."""
        return self._fn(*args, **kwargs)


class PromptDecorator(Generic[Out]):
    """What `agent.node(...)` gives: makes a node of a function that says what to ask."""

    def __init__(self, make: Callable[[Callable[..., Prompt]], PromptNode[Any, Any, Any]]) -> None:
        self._make = make

    @overload
    def __call__(self, fn: Callable[[I], Prompt], /) -> PromptNode[I, [I], Out]: ...
    @overload
    def __call__(self, fn: Callable[[I, Context], Prompt], /) -> PromptNode[I, [I, Context], Out]: ...
    def __call__(self, fn: Callable[..., Prompt], /) -> Any:
        return self._make(fn)


def _is_prompt(tp: object) -> bool:
    """Whether it is text, a list of input items, or either."""
    bare = plain_type(tp)
    if get_origin(bare) in (Union, types.UnionType):
        return all(map(_is_prompt, get_args(bare)))
    if get_origin(bare) in (list, tuple, Sequence):
        return not any(item in (str, int, float, bytes, bool) for item in get_args(bare))
    return bare is str
