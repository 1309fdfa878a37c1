"""`@timer`: a node that waits until a time, or for a while, and passes its input on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeAlias, TypeVar, Union, cast, get_args, get_origin, overload

from ._deferred import DeferredType, plain_type
from ._signature import Signature, read_signature
from .context import Context
from .errors import NodeDefinitionError
from .node import Node
from .operation_node import OperationNode
from .operations.protocol import Operation
from .operations.timers import TimerOperation
from .operations.tokens import Json

T = TypeVar("T")

_TIMES: frozenset[object] = frozenset((datetime, timedelta))
_Wait: TypeAlias = datetime | timedelta
_Times: TypeAlias = Callable[[T], _Wait] | Callable[[T, Context], _Wait]


class TimerNode(OperationNode[T, T]):
    """Waits as long as its function says, then passes its input on.

    The end of the wait is committed as an absolute time when the node starts. It holds across restarts: a timer
    whose time passed while no process was alive is due at once.
    """

    kind: ClassVar[str] = "timer"
    passes_on: ClassVar[bool] = True

    def __init__(
        self, fn: Callable[..., _Wait], *, name: str | None = None, operation: Operation | None = None
    ) -> None:
        """`operation` is a `TimerOperation` with a clock of its own, for tests.

        Raises `NodeDefinitionError` when the function can't say a time as it is written.
        """
        if isinstance(fn, Node):
            raise NodeDefinitionError(f"{fn!r} is a node already: put @timer on a plain function.")
        signature = read_signature(fn)
        where = signature.where
        if signature.is_async:
            raise NodeDefinitionError(
                f"{where}: it says how long to wait, so it is a plain function: write `def`. What must be awaited "
                "belongs into an @node before it."
            )
        if not signature.takes_input:
            raise NodeDefinitionError(
                f"{where}: a timer passes its input on, so it takes one as its first parameter. Add it, with the type "
                "that it passes on."
            )
        _check_output(signature)

        def request(value: T, context: Context) -> dict[str, Json]:
            return _request(fn(value, context) if signature.wants_context else fn(value), where)

        def finish(value: Json) -> T:
            raise NodeDefinitionError(f"{where}: a timer passes its input on; it has no output of its own.")

        super().__init__(
            name or signature.name,
            input=signature.input,
            output=signature.input,
            operation=operation or TimerOperation(),
            request=request,
            finish=finish,
            where=where,
        )
        self.fn = fn
        """The function itself, to call it in a test of your own."""
        self.__doc__ = fn.__doc__


class _TimerDecorator:
    """What `timer(...)` with options returns."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def __call__(self, fn: _Times[T], /) -> TimerNode[T]:
        return TimerNode(fn, name=self._name)


@overload
def timer(fn: _Times[T], /) -> TimerNode[T]: ...
@overload
def timer(*, name: str | None = None) -> _TimerDecorator: ...
def timer(fn: _Times[T] | None = None, /, *, name: str | None = None) -> TimerNode[T] | _TimerDecorator:
    """Make a node that waits, of a function that says how long: `(value) -> datetime | timedelta`.

    ```python
    @timer
    def cool_down(draft: Draft) -> timedelta:
        return timedelta(hours=2)
    ```

    A `datetime` must have a zone. One in the past is due at once. The function may take the `Context` as its second
    parameter; it runs on the event loop and must be quick. `name` is the function's own unless given. No process is
    needed while the timer waits.

    Raises `NodeDefinitionError` when the function can't say a time as it is written.
    """
    return _TimerDecorator(name) if fn is None else TimerNode(fn)


def _check_output(signature: Signature) -> None:
    """Raise unless the function is annotated to return a time or a duration."""
    output = signature.output
    if isinstance(output, DeferredType):
        output = output.resolve()
    for variant in _variants(plain_type(output)):
        if variant not in _TIMES:
            raise NodeDefinitionError(
                f"{signature.where}: it says how long to wait, so it returns `datetime` (with a zone) or `timedelta`, "
                f"not {getattr(variant, '__name__', variant)}."
            )


def _variants(tp: object) -> tuple[object, ...]:
    return get_args(tp) if get_origin(tp) in (Union, type(int | str)) else (tp,)


def _request(wait: Any, where: str) -> dict[str, Json]:
    """The request of a timer. Raises `NodeDefinitionError` for what is no time to wait for."""
    if isinstance(wait, timedelta):
        if wait < timedelta(0):
            raise NodeDefinitionError(
                f"{where}: it returned {wait!r}, but nothing can wait for less than no time: return timedelta(0) or "
                "more, or a datetime."
            )
        return {"after": wait.total_seconds()}
    if isinstance(wait, datetime):
        if wait.utcoffset() is None:
            raise NodeDefinitionError(
                f"{where}: it returned {wait!r}, which has no zone and means another time on another machine. Give "
                "it one: datetime.now(UTC) + ..., or datetime(..., tzinfo=ZoneInfo('Europe/Berlin'))."
            )
        return {"until": wait.timestamp()}
    raise NodeDefinitionError(
        f"{where}: it returned {cast('object', wait)!r}; return a datetime with a zone or a timedelta."
    )
