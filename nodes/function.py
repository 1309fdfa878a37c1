"""`@node`: a function of yours as a node."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from typing_extensions import ParamSpec

from ._signature import read_signature
from .context import Context
from .durations import Duration, seconds
from .errors import NodeDefinitionError
from .node import In, Node, Out
from .retry import Retry, as_retry

I = TypeVar("I")  # noqa: E741  # the input, beside O, as in the documented signatures
O = TypeVar("O")  # noqa: E741  # the output
P = ParamSpec("P")
T = TypeVar("T")
Ret = TypeVar("Ret", covariant=True)

_Async: TypeAlias = Coroutine[Any, Any, T]


class FunctionNode(Node[In, Out], Generic[In, P, Out, Ret]):
    """Runs a function: an async one on the event loop, a plain one in a thread.

    It runs at least once until its result is committed, so it may run again after a crash: give
    `Context.idempotency_key` to whatever it does outside. Calling the node is calling the function: no run, no
    checkpoint.
    """

    kind: ClassVar[str] = "function"

    def __init__(
        self,
        fn: Callable[P, Any],
        *,
        name: str | None = None,
        retries: int | Retry = 0,
        timeout: Duration | None = None,
    ) -> None:
        """Raises `NodeDefinitionError` when the function can't be a node as it is written."""
        if isinstance(fn, Node):
            raise NodeDefinitionError(
                f"{fn!r} is a node already. To use it under another name: {fn.name}.named('...')."
            )
        signature = read_signature(fn)
        limit = None if timeout is None else seconds(timeout, f"{signature.where}: timeout")
        if limit is not None:
            if not signature.is_async:
                raise NodeDefinitionError(
                    f"{signature.where}: a plain function runs in a thread, which can't be stopped, so it can't have "
                    "a timeout. Make it `async def`, or give a timeout to what it calls."
                )
            if not 0 < limit < math.inf:
                raise NodeDefinitionError(
                    f"{signature.where}: timeout={timeout}, but it is how long an attempt may take: use a "
                    "duration above 0, or leave it out for no limit."
                )
        super().__init__(name or signature.name, input=signature.input, output=signature.output)
        self.fn = fn
        """The function itself."""
        as_retry(retries)  # raises for a number that is none
        self.retries = retries
        """How many attempts may follow the first when it raises, and after which waits."""
        self.timeout = limit
        """How long an attempt may take, seconds; None for no limit."""
        self.is_async = signature.is_async
        """Whether `invoke` returns a coroutine."""
        self.wants_context = signature.wants_context
        """Whether the function takes a `Context`."""
        self._takes_input = signature.takes_input
        self._where = signature.where
        self.__doc__ = fn.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Ret:
        """Call the function."""
        return self.fn(*args, **kwargs)

    def invoke(self, value: Any, context: Context | None) -> object:
        """Call the function with its input: its result, or its coroutine where `is_async`. Raises what it raises.

        `context` is needed where `wants_context`. A function without a parameter for its input is called without it.
        """
        fn: Callable[..., Any] = self.fn
        given = (*((value,) if self._takes_input else ()), *((context,) if self.wants_context else ()))
        result = fn(*given)
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

    def __init__(self, name: str | None, retries: int | Retry, timeout: Duration | None) -> None:
        self._name = name
        self._retries = retries
        self._timeout = timeout

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]  # the first that fits is meant
        self, fn: Callable[[object], _Async[O]], /
    ) -> FunctionNode[object, [object], O, _Async[O]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits is meant
        self, fn: Callable[[Context], _Async[O]], /
    ) -> FunctionNode[object, [Context], O, _Async[O]]: ...
    @overload
    def __call__(self, fn: Callable[[I], _Async[O]], /) -> FunctionNode[I, [I], O, _Async[O]]: ...
    @overload
    def __call__(
        self, fn: Callable[[I, Context], _Async[O]], /
    ) -> FunctionNode[I, [I, Context], O, _Async[O]]: ...
    @overload
    def __call__(self, fn: Callable[[object], O], /) -> FunctionNode[object, [object], O, O]: ...
    @overload
    def __call__(self, fn: Callable[[Context], O], /) -> FunctionNode[object, [Context], O, O]: ...
    @overload
    def __call__(self, fn: Callable[[I], O], /) -> FunctionNode[I, [I], O, O]: ...
    @overload
    def __call__(self, fn: Callable[[I, Context], O], /) -> FunctionNode[I, [I, Context], O, O]: ...
    @overload
    def __call__(self, fn: Callable[[], _Async[O]], /) -> FunctionNode[object, [], O, _Async[O]]: ...
    @overload
    def __call__(self, fn: Callable[[], O], /) -> FunctionNode[object, [], O, O]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Any:
        return FunctionNode[Any, Any, Any, Any](
            fn, name=self._name, retries=self._retries, timeout=self._timeout
        )


@overload  # async first: the other order infers Coroutine as the output
def node(  # pyright: ignore[reportOverlappingOverload]  # what takes any value takes a Context too: the first is meant
    fn: Callable[[object], _Async[O]], /
) -> FunctionNode[object, [object], O, _Async[O]]: ...
@overload
def node(fn: Callable[[Context], _Async[O]], /) -> FunctionNode[object, [Context], O, _Async[O]]: ...  # type: ignore[overload-overlap]  # the first that fits is meant
@overload
def node(fn: Callable[[I], _Async[O]], /) -> FunctionNode[I, [I], O, _Async[O]]: ...
@overload
def node(fn: Callable[[I, Context], _Async[O]], /) -> FunctionNode[I, [I, Context], O, _Async[O]]: ...
@overload
def node(fn: Callable[[object], O], /) -> FunctionNode[object, [object], O, O]: ...
@overload
def node(fn: Callable[[Context], O], /) -> FunctionNode[object, [Context], O, O]: ...
@overload
def node(fn: Callable[[I], O], /) -> FunctionNode[I, [I], O, O]: ...
@overload
def node(fn: Callable[[I, Context], O], /) -> FunctionNode[I, [I, Context], O, O]: ...
@overload
def node(fn: Callable[[], _Async[O]], /) -> FunctionNode[object, [], O, _Async[O]]: ...
@overload
def node(fn: Callable[[], O], /) -> FunctionNode[object, [], O, O]: ...
@overload
def node(
    *, name: str | None = None, retries: int | Retry = 0, timeout: Duration | None = None
) -> _NodeDecorator: ...
def node(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int | Retry = 0,
    timeout: Duration | None = None,
) -> Any:
    """Make a node of a function, bare (`@node`) or with options (`@node(retries=3, timeout=30)`).

    The function takes one value and, if its second parameter is annotated `Context`, that too; or the `Context` alone,
    or nothing at all, and then the node takes anything. It may be async or plain (then it runs in a thread). Its
    annotations are the node's types. `name` is the function's own unless given. `retries` is how many attempts may
    follow the first when it raises, or a `Retry`; `timeout` how long an attempt may take, for async functions only.

    Raises `NodeDefinitionError` when the function can't be a node as it is written.
    """
    if fn is not None:
        return FunctionNode[Any, Any, Any, Any](fn)
    return _NodeDecorator(name, retries, timeout)
