"""`read_signature`: what a function says about itself as a node, read from its annotations.

Shared by all decorators that make a node of a function. Nothing here calls the function.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from ._deferred import DeferredType, plain_type
from .context import Context
from .errors import NodeDefinitionError

_EMPTY = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What a function takes and gives as a node.

    `input` and `output` are types, or a `DeferredType` where a name is not defined yet; `Node` takes both
    and resolves the latter when it is first asked, at the latest when a workflow is built.
    """

    name: str
    """The function's own name, or its class's where it is an object with `__call__`."""
    where: str
    """Name and place, for messages: `research (/home/me/pipeline.py:12)`."""
    input: object
    output: object
    takes_input: bool
    """Whether it has a parameter for its input; without one its input's type is `object`."""
    wants_context: bool
    """Whether it has a parameter annotated `Context`: the one after its input, or its only one."""
    is_async: bool
    """Whether calling it gives a coroutine."""


def read_signature(fn: Callable[..., Any]) -> Signature:
    """Read a function (or bound method, partial, object with `__call__`) that shall be a node.

    Raises `NodeDefinitionError`, which names the function, its file and line, and the fix.
    """
    function = _function(fn)
    where = _where(function)
    _refuse_kind(fn, function, where)
    positional = _positional(fn, where)
    localns = _defining_locals(function)

    def annotation(raw: object, what: str) -> DeferredType:
        return DeferredType(raw, what=what, where=where, globalns=function.__globals__, localns=localns)

    returns = inspect.signature(fn).return_annotation
    if returns is _EMPTY:
        raise NodeDefinitionError(
            f"{where}: it does not say what it returns. Annotate it (`-> str`, `-> None`): the next node's "
            "input and the checkpoint are checked against it."
        )
    for parameter in positional:
        if parameter.annotation is _EMPTY and parameter.default is _EMPTY:
            raise NodeDefinitionError(_unannotated(parameter.name, where))
    value, context = _roles(positional, annotation, where)
    return Signature(
        name=type(fn).__name__ if function.__name__ == "__call__" else function.__name__,
        where=where,
        input=object
        if value is None
        else _now_or_later(annotation(value.annotation, f"its input {value.name!r}")),
        output=_now_or_later(annotation(returns, "its return value")),
        takes_input=value is not None,
        wants_context=context,
        is_async=_is_async(fn),
    )


def _now_or_later(annotation: DeferredType) -> object:
    """The type where all its names are defined, else the annotation itself."""
    try:
        annotation.evaluate()
    except (NameError, AttributeError):
        return annotation
    return annotation.resolve()


def _function(fn: Any) -> types.FunctionType:
    """The Python function at the bottom of wrappers, partials, methods and callable objects."""
    seen = inspect.unwrap(fn)
    while not isinstance(seen, types.FunctionType):
        if isinstance(seen, functools.partial):
            inner: Any = seen.func  # pyright: ignore[reportUnknownMemberType]  # of any callable
        elif isinstance(seen, types.MethodType):
            inner = seen.__func__
        else:
            inner = None if isinstance(seen, type) else _call_method(seen)
        if inner is None:
            text = getattr(fn, "__qualname__", None) or repr(fn)
            raise NodeDefinitionError(
                f"{text} can't be a node: it is no Python function with annotations. Write a function that calls it."
            )
        seen = inspect.unwrap(inner)
    return seen


def _call_method(thing: Any) -> types.FunctionType | None:
    method: Any = type(thing).__call__ if callable(thing) else None
    return method if isinstance(method, types.FunctionType) else None


def _where(function: types.FunctionType) -> str:
    code = function.__code__
    return f"{function.__name__} ({code.co_filename}:{code.co_firstlineno})"


def _is_async(fn: Any) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func  # pyright: ignore[reportUnknownMemberType]  # of any callable
    if not isinstance(fn, types.FunctionType | types.MethodType):
        fn = type(fn).__call__
    return inspect.iscoroutinefunction(fn)


def _refuse_kind(fn: Callable[..., Any], function: types.FunctionType, where: str) -> None:
    if function.__name__ == "<lambda>":
        raise NodeDefinitionError(
            f"{where}: a lambda has no name and no annotations. Write it as a function with `def`."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise NodeDefinitionError(
            f"{where}: a generator can't be a node, since a node gives one value. Return a list (and use `map` to "
            "go on item by item)."
        )
    if inspect.iscoroutinefunction(function) and not _is_async(fn):
        raise NodeDefinitionError(
            f"{where}: a decorator hides that this function is async. Make the decorator's wrapper `async def`."
        )


def _positional(fn: Callable[..., Any], where: str) -> list[inspect.Parameter]:
    """The positional parameters; all others must have defaults."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError) as error:
        raise NodeDefinitionError(f"{where}: its parameters can't be read ({error}).") from error
    for parameter in parameters:
        if parameter.kind in _VARIADIC:
            stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
            raise NodeDefinitionError(
                f"{where}: a node takes one value, so it can't have {stars}{parameter.name}. "
                "Take a tuple (from a `join`), a list (from a `collect`) or a dataclass."
            )
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is _EMPTY:
            raise NodeDefinitionError(
                f"{where}: the parameter {parameter.name!r} can only be given by name, but a node is called with "
                "its input and its Context by position. Move it before the `*` or give it a default."
            )
    return [parameter for parameter in parameters if parameter.kind in _POSITIONAL]


def _roles(
    positional: list[inspect.Parameter], annotation: Callable[[object, str], DeferredType], where: str
) -> tuple[inspect.Parameter | None, bool]:
    """The input's parameter, None without one, and whether the next one takes the context."""
    if not positional:
        return None, False
    first, *others = positional
    if _is_context(annotation(first.annotation, first.name)):
        if others:
            raise NodeDefinitionError(f"{where}: put the Context second, after the input.")
        return None, True
    wants_context = bool(others) and _is_context(annotation(others[0].annotation, others[0].name))
    for parameter in others[1:] if wants_context else others:
        if parameter.default is _EMPTY or _is_context(annotation(parameter.annotation, parameter.name)):
            raise NodeDefinitionError(
                f"{where}: a node takes one input and, if it wants, a Context as the second parameter; "
                f"{parameter.name!r} is neither. Several values come as a tuple (from a `join`) or a dataclass; if "
                "it is meant to be the context, annotate it `Context`, imported at run time and not under "
                "`if TYPE_CHECKING`."
            )
    if first.annotation is _EMPTY:
        raise NodeDefinitionError(_unannotated(first.name, where))
    return first, wants_context


def _unannotated(name: str, where: str) -> str:
    if name in ("self", "cls"):
        return (
            f"{where}: a method can't be decorated inside its class. Make a node of the bound method, "
            "`node(thing.method)`, or write a function."
        )
    return f"{where}: the parameter {name!r} has no annotation. Name the type that the node takes."


def _is_context(annotation: DeferredType) -> bool:
    try:
        tp = plain_type(annotation.evaluate())
    except (NameError, AttributeError):
        return False  # not defined yet, so not ours, which is imported
    return _is_class(tp) and issubclass(tp, Context)


def _is_class(tp: object) -> TypeGuard[type[object]]:
    return isinstance(tp, type) and not isinstance(tp, types.GenericAlias)


def _defining_locals(function: types.FunctionType) -> Mapping[str, object]:
    """The locals of the function in which this one is being defined; empty at module level.

    Only that frame: names of another caller that happen to be the same mean something else.
    """
    outer, nested, _ = function.__qualname__.rpartition(".<locals>.")
    frame = sys._getframe(1) if nested else None  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_qualname == outer and frame.f_globals is function.__globals__:
            return frame.f_locals
        frame = frame.f_back
    return {}
