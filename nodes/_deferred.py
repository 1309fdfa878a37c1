"""`DeferredType`: an annotation and where its names are looked up, for types that are defined later.

What a node's types may be at all is decided here too, because a deferred type can only be judged once it is
known. How a function's parameters are read is in `_signature.py`.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from typing_extensions import ParamSpec, TypeVarTuple

from .errors import NodeDefinitionError


class DeferredType:
    """One annotation of a function: `what` it annotates ("the return value"), of which function (`where`)."""

    __slots__ = ("_globals", "_locals", "_raw", "_what", "_where")

    def __init__(
        self,
        raw: object,
        *,
        what: str,
        where: str,
        globalns: dict[str, Any],
        localns: Mapping[str, object],
    ) -> None:
        self._raw = raw
        self._what = what
        self._where = where
        self._globals = globalns
        self._locals = dict(localns)

    def resolve(self) -> object:
        """The type. Raises `NodeDefinitionError` when a name is not defined or the type can't be a node's."""
        try:
            tp = self.evaluate()
        except (NameError, AttributeError) as error:
            raise NodeDefinitionError(
                f"{self._where}: the type of {self._what}, {_text(self._raw)}, can't be read at run time ({error}). "
                "Types of nodes are needed at run time: import it outside of `if TYPE_CHECKING`, and if it is "
                "defined inside a function, move it to module level."
            ) from error
        problem = _problem(tp, self._what)
        if problem:
            raise NodeDefinitionError(f"{self._where}: {problem}")
        return tp

    def evaluate(self) -> object:
        """The annotation as a type, whatever it is.

        Raises `NameError` or `AttributeError` when it names what is not there (yet), `NodeDefinitionError`
        when it is no type.
        """
        holder = types.SimpleNamespace(__annotations__={"it": self._raw})
        try:
            hints = get_type_hints(holder, self._globals, self._locals, include_extras=True)
        except (SyntaxError, TypeError) as error:
            raise NodeDefinitionError(
                f"{self._where}: the annotation of {self._what}, {_text(self._raw)}, is no type ({error})."
            ) from error
        return hints["it"]


def plain_type(tp: object) -> object:
    """The type without what `Annotated` adds."""
    while get_origin(tp) is Annotated:
        tp = get_args(tp)[0]
    return tp


def _problem(tp: object, what: str) -> str | None:
    """Why a type can't be a node's, with the fix; None when it can."""
    bare = plain_type(tp)
    if bare is Any:
        return f"{what} is annotated Any, so nothing can check it or decode it after a crash: name its type."
    if get_origin(bare) in (Coroutine, Awaitable):
        return (
            f"{what} is a coroutine or awaitable: write `async def` and annotate what it gives when awaited."
        )
    variable = _type_variable(bare)
    if variable is not None:
        return (
            f"{what} holds the type variable {variable}, which has no type at run time: name the type itself."
        )
    return None


def _type_variable(tp: object) -> object | None:
    if isinstance(tp, TypeVar | ParamSpec | TypeVarTuple):
        return tp
    for argument in get_args(tp):
        found = _type_variable(argument)
        if found is not None:
            return found
    return None


def _text(raw: object) -> str:
    return repr(raw) if isinstance(raw, str) else getattr(raw, "__name__", repr(raw))
