"""`@tool`: a function that a model may call. Its signatures are fixed; the tool loop is not built yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, overload

from typing_extensions import ParamSpec

from .durations import Duration
from .errors import NotBuiltError
from .retry import Retry

P = ParamSpec("P")
R = TypeVar("R")
Ret = TypeVar("Ret", covariant=True)


class Tool(Generic[P, Ret]):
    """A function that a model may call. Calling it is calling the function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Ret:
        raise _not_built()


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A call that a model asks for: what `approve` decides on."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


class _ToolDecorator:
    def __call__(self, fn: Callable[P, R], /) -> Tool[P, R]:
        raise _not_built()


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    approve: bool | Callable[[ToolCall], bool] = False,
    retries: int | Retry = 0,
    timeout: Duration | None = None,
    on_interrupted: Literal["rerun", "report"] = "report",
    fatal: bool = False,
) -> _ToolDecorator: ...
def tool(*_: Any, **__: Any) -> Any:
    """A function that a model may call. Not built yet: raises `NotBuiltError`."""
    raise _not_built()


def _not_built() -> NotBuiltError:
    return NotBuiltError(
        "`@tool` is not built yet. Today: give agents tools that run at the provider, such as {'type': 'web_search'}, "
        "and call your own functions in an `@node` before or after the agent."
    )
