"""`@node`: a function of yours as a node."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeAlias, TypeVar, overload

from ._signature import read_signature
from .context import Context
from .errors import NodeDefinitionError
from .node import In, Node, Out

I = TypeVar("I")  # noqa: E741  # the input, beside O, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output

_Async: TypeAlias = Callable[[I], Coroutine[Any, Any, O]] | Callable[[I, Context], Coroutine[Any, Any, O]]
_Sync: TypeAlias = Callable[[I], O] | Callable[[I, Context], O]


class FunctionNode(Node[In, Out]):
    """Runs a function: an async one on the event loop, a plain one in a thread.

    It runs at least once until its result is committed, so it may run again after a crash: give
    `Context.idempotency_key` to whatever it does outside.
    """

    kind: ClassVar[str] = "function"

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str | None = None,
        retries: int = 0,
        timeout: float | None = None,
    ) -> None:
        """Raises `NodeDefinitionError` when the function can't be a node as it is written."""
        if isinstance(fn, Node):
            raise NodeDefinitionError(
                f"{fn!r} is a node already. To use it under another name: {fn.name}.named('...')."
            )
        signature = read_signature(fn)
        if retries < 0:
            raise NodeDefinitionError(
                f"{signature.where}: retries={retries}, but it counts the attempts after the first: use 0 or more."
            )
        if timeout is not None:
            if not signature.is_async:
                raise NodeDefinitionError(
                    f"{signature.where}: a plain function runs in a thread, which can't be stopped, so it can't have "
                    "a timeout. Make it `async def`, or give a timeout to what it calls."
                )
            if not 0 < timeout < math.inf:
                raise NodeDefinitionError(
                    f"{signature.where}: timeout={timeout}, but it is the seconds that an attempt may take: use a "
                    "number above 0, or leave it out for no limit."
                )
        super().__init__(name or signature.name, input=signature.input, output=signature.output)
        self.fn = fn
        """The function itself, to call it in a test of your own."""
        self.retries = retries
        """How many attempts may follow the first when it raises."""
        self.timeout = timeout
        """How long an attempt may take, seconds; None for no limit."""
        self.is_async = signature.is_async
        """Whether `invoke` returns a coroutine."""
        self.wants_context = signature.wants_context
        """Whether the function takes a `Context`."""
        self._where = signature.where
        self.__doc__ = fn.__doc__

    def invoke(self, value: Any, context: Context | None) -> object:
        """Call the function: its result, or its coroutine where `is_async`. Raises what it raises.

        `context` is needed where `wants_context`.
        """
        result = self.fn(value, context) if self.wants_context else self.fn(value)
        if not self.is_async and inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()  # never awaited, and nobody needs the warning beside the error
            raise NodeDefinitionError(
                f"{self._where}: it is no `async def` but returned an awaitable, which nobody awaits. Make it "
                "`async def` and await inside."
            )
        return result


class _NodeDecorator:
    """What `node(...)` with options returns."""

    def __init__(self, name: str | None, retries: int, timeout: float | None) -> None:
        self._name = name
        self._retries = retries
        self._timeout = timeout

    @overload
    def __call__(self, fn: _Async[I, O], /) -> FunctionNode[I, O]: ...
    @overload
    def __call__(self, fn: _Sync[I, O], /) -> FunctionNode[I, O]: ...
    def __call__(self, fn: Callable[..., Any], /) -> FunctionNode[Any, Any]:
        return FunctionNode(fn, name=self._name, retries=self._retries, timeout=self._timeout)


@overload  # async first: the other order infers Coroutine as the output
def node(fn: _Async[I, O], /) -> FunctionNode[I, O]: ...
@overload
def node(fn: _Sync[I, O], /) -> FunctionNode[I, O]: ...
@overload
def node(*, name: str | None = None, retries: int = 0, timeout: float | None = None) -> _NodeDecorator: ...
def node(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
) -> FunctionNode[Any, Any] | _NodeDecorator:
    """Make a node of a function, bare (`@node`) or with options (`@node(retries=3, timeout=30)`).

    The function takes one value and, if its second parameter is annotated `Context`, that too; it may be
    async or plain (then it runs in a thread). Its annotations are the node's types. `name` is the function's
    own unless given. `retries` is how many attempts may follow the first when it raises; `timeout` how long
    an attempt may take, seconds, for async functions only.

    Raises `NodeDefinitionError` when the function can't be a node as it is written.
    """
    if fn is not None:
        return FunctionNode(fn)
    return _NodeDecorator(name, retries, timeout)
