"""What a class or an alias says about its parts: hints resolved, type variables replaced, qualifiers read."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import typing_extensions

from .errors import TypeNotStorableError
from .spelling import spell

ALIASES = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
)
"""The classes of `type` aliases; from Python 3.12 on, `typing` has one of its own."""

QUALIFIERS: tuple[object, ...] = (
    typing.Required,
    typing.NotRequired,
    typing.Final,
    typing_extensions.ReadOnly,
)
"""What may stand around a field's type without changing it."""


def hints_of(cls: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """The types of a class's fields, its type variables replaced by `arguments`. Raises `TypeNotStorableError`.

    Each class of the hierarchy replaces its own: base and derived class may use one variable for two things.
    """
    bound = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    inherited: dict[str, Any] = {}
    bases: tuple[Any, ...] = cls.__dict__.get("__orig_bases__", cls.__bases__)
    for base in reversed(bases):
        origin: Any = typing.get_origin(base) or base
        if (
            isinstance(origin, type)
            and origin is not typing.Generic
            and getattr(origin, "__annotations__", None)
        ):
            hints = hints_of(origin, tuple(substitute(each, bound) for each in typing.get_args(base)))
            inherited |= {name: hint for name, hint in hints.items() if not _overrides(cls, origin, name)}
    return {name: inherited.get(name, substitute(hint, bound)) for name, hint in _resolved(cls).items()}


def _overrides(cls: type, base: type, name: str) -> bool:
    """Whether a class annotates a field of its base anew. A TypedDict lists what it inherits among its own."""
    own = cls.__annotations__
    listed = typing_extensions.is_typeddict(cls) and own.get(name) == base.__annotations__.get(name)
    return name in own and not listed


def _resolved(cls: type) -> dict[str, Any]:
    try:
        try:
            return typing_extensions.get_type_hints(cls, include_extras=True)
        except NameError:  # a class inside of a function, that mentions itself
            own = {**vars(cls), cls.__name__: cls}
            return typing_extensions.get_type_hints(cls, localns=own, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise TypeNotStorableError(unresolved(spell(cls), error)) from error


def value_of(alias: Any, arguments: tuple[Any, ...]) -> Any:
    """What a `type` alias stands for, names in quotes resolved in its module. Raises `TypeNotStorableError`."""
    holder = types.SimpleNamespace(__annotations__={"value": alias.__value__})
    module = vars(sys.modules[alias.__module__]) if alias.__module__ in sys.modules else {}
    try:
        hints = typing_extensions.get_type_hints(holder, module, {alias.__name__: alias}, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise TypeNotStorableError(unresolved(spell(alias), error)) from error
    return substitute(hints["value"], dict(zip(alias.__type_params__, arguments, strict=False)))


def required_keys(cls: Any, hints: dict[str, Any]) -> frozenset[str]:
    """The keys that a TypedDict must have. Its own list is wrong where the annotations were strings."""

    def required(name: str, hint: object) -> bool:
        qualifiers = list(_qualifiers(hint))
        if typing.NotRequired in qualifiers:
            return False
        return typing.Required in qualifiers or name in cls.__required_keys__

    return frozenset(name for name, hint in hints.items() if required(name, hint))


def substitute(tp: Any, bound: dict[Any, Any]) -> Any:
    """The type with its type variables replaced; those that are not bound stay."""
    if isinstance(tp, typing.TypeVar):
        return bound.get(tp, tp)
    parameters: tuple[Any, ...] = (
        () if isinstance(tp, type) and not typing.get_args(tp) else getattr(tp, "__parameters__", ())
    )
    if not parameters or not bound:
        return tp
    generic: Any = tp
    return generic[tuple(bound.get(parameter, parameter) for parameter in parameters)]


def unresolved(name: str, error: Exception) -> str:
    """The message for a class whose annotations can't be resolved."""
    found = f"names {error.name}, which" if isinstance(error, NameError) else f"({error})"
    return (
        f"an annotation of {name} {found} can't be resolved when the program runs. "
        "Move what it names to module level, and out of `if TYPE_CHECKING`"
    )


def _qualifiers(hint: Any) -> Iterator[object]:
    while (origin := typing.get_origin(hint)) in (*QUALIFIERS, typing.Annotated):
        yield origin
        hint = typing.get_args(hint)[0]
