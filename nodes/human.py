"""`@human`: a node that asks a person. Its signatures are fixed; the node itself is not built yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from typing_extensions import ParamSpec, TypeForm

from .context import Context
from .durations import Duration
from .errors import NotBuiltError
from .node import In, Node, Out

I = TypeVar("I")  # noqa: E741  # the input, as in the documented signatures
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class HumanNode(Node[In, Out], Generic[In, P, Out, R]):
    """Asks a person what its function says, and gives the reply. `R`, the reply, is invariant: a wrong answer is a
    type error."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The text of the question, as the function gives it."""
        raise _not_built()

    def _reply(self, value: R, /) -> R:
        """Makes the reply's type invariant."""
        return value


class _HumanDecorator(Generic[T]):
    @overload
    def __call__(self, fn: Callable[[I], str], /) -> HumanNode[I, [I], T, T]: ...
    @overload
    def __call__(self, fn: Callable[[I, Context], str], /) -> HumanNode[I, [I, Context], T, T]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise _not_built()


class _ExpiringHumanDecorator(Generic[T]):
    @overload
    def __call__(self, fn: Callable[[I], str], /) -> HumanNode[I, [I], T | None, T]: ...
    @overload
    def __call__(self, fn: Callable[[I, Context], str], /) -> HumanNode[I, [I, Context], T | None, T]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise _not_built()


@overload
def human(*, reply: TypeForm[T], name: str | None = ...) -> _HumanDecorator[T]: ...
@overload
def human(
    *, reply: TypeForm[T], expires: Duration, default: T, name: str | None = ...
) -> _HumanDecorator[T]: ...
@overload
def human(*, reply: TypeForm[T], expires: Duration, name: str | None = ...) -> _ExpiringHumanDecorator[T]: ...
def human(**_: Any) -> Any:
    """A node that asks a person. Not built yet: raises `NotBuiltError`."""
    raise _not_built()


def _not_built() -> NotBuiltError:
    return NotBuiltError(
        "`@human` is not built yet. Today: end the workflow with what the person is to see, and start a second one with "
        "the reply as its input."
    )
