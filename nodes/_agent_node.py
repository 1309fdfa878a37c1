"""`AgentNode`: a node whose work is one run of an agent. `Agent.node` makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from ._signature import read_signature
from ._text_format import TextFormat
from .context import Context
from .errors import NodeDefinitionError
from .node import In, Node, Out
from .operation_node import OnUnknownSubmit, OperationNode
from .operations.protocol import Operation
from .operations.tokens import Json
from .polling import Polling

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures

Prompt: TypeAlias = Callable[[I], str] | Callable[[I, Context], str]
"""A function that says what to ask."""

_METADATA_LIMIT = 512  # characters of a value; the API refuses longer ones


class RequestMaker(Protocol):
    """Makes the parameters of `responses.create`. Without `background` that of the agent's own default."""

    def __call__(
        self,
        prompt: str,
        *,
        background: bool,
        metadata: Mapping[str, str],
        text: Mapping[str, Json] | None,
    ) -> dict[str, Json]: ...


class AgentNode(OperationNode[In, Out]):
    """Asks an agent what the decorated function says, and gives the answer."""

    kind: ClassVar[str] = "agent"

    def __init__(
        self,
        fn: Callable[..., str],
        *,
        agent: str,
        operation: Operation,
        make_request: RequestMaker,
        background: bool,
        output: object,
        on_unknown_submit: OnUnknownSubmit,
        retries: int,
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
        if signature.output is not str:
            raise NodeDefinitionError(
                f"{where}: it says what to ask, so it returns `str`. The type of the answer is given to the "
                "decorator: output=..."
            )
        form = None if output is None else TextFormat(output, where=where)

        def request(value: Any, context: Context) -> Mapping[str, Json]:
            prompt = fn(value, context) if signature.wants_context else fn(value)
            if not isinstance(prompt, str) or not prompt:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise NodeDefinitionError(
                    f"{where}: it said {prompt!r} instead of what to ask. Return text that is not empty."
                )
            return make_request(
                prompt,
                background=background,
                metadata=_metadata(agent, context),
                text=None if form is None else form.parameter,
            )

        def finish(value: Json) -> Any:
            match value:
                case {"text": str() as text}:
                    return text if form is None else form.read(text)
                case _:
                    raise NodeDefinitionError(f"{where}: {value!r} is no answer of a response.")

        super().__init__(
            name or signature.name,
            input=signature.input,
            output=str if output is None else output,
            operation=operation,
            request=request,
            finish=finish,
            retries=retries,
            on_unknown_submit=on_unknown_submit,
            polling=polling,
            where=where,
        )
        self.background = background
        """Whether the run lives at the provider while nobody waits for it."""


class PromptDecorator(Generic[Out]):
    """What `agent.node(...)` gives: makes a node of a function that says what to ask."""

    def __init__(self, make: Callable[[Callable[..., str]], AgentNode[Any, Any]]) -> None:
        self._make = make

    def __call__(self, fn: Prompt[I], /) -> Node[I, Out]:
        return self._make(fn)


def _metadata(agent: str, context: Context) -> dict[str, str]:
    """Whose response this is, so that a person (or a webhook) finds the run of a lost handle."""
    path = f"[{', '.join(map(str, context.path))}]" if context.path else ""
    about = {
        "run": context.run_id,
        "node": f"{context.node}{path}",
        "attempt": str(context.attempt),
        "agent": agent,
    }
    return {name: value[:_METADATA_LIMIT] for name, value in about.items()}
