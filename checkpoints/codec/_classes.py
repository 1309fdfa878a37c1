"""What a class declares: its fields and their types, or the members of an Enum."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
from typing import Any, NoReturn, TypeVar, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

from ..errors import TypeNotStorableError
from ..type_names import type_name

FIX = "Make it a dataclass or a pydantic model of plain data, or make it inside of the node that needs it"
_UNRESOLVED = "Give types themselves, not their names, and define what they name at module level, out of `if TYPE_CHECKING`"


def refuse_type(at: str, problem: str, fix: str = FIX) -> NoReturn:
    """Raise `TypeNotStorableError` with the place."""
    raise TypeNotStorableError(f"{at}: {problem}. {fix}")


def fields_of(cls: Any, tp: Any, at: str) -> tuple[str, dict[str, Any]]:
    """What kind of class it is, and the types of its fields; `foreign` is one that only pydantic may know.

    `tp` is the annotation, with the arguments of a generic class. Raises `TypeNotStorableError`.
    """
    if issubclass(cls, enum.Enum):
        return ("Flag" if issubclass(cls, enum.Flag) else "Enum"), {}
    if dataclasses.is_dataclass(cls):
        if cls.__new__ is not object.__new__:
            refuse_type(at, f"the type {type_name(cls)} can't be stored: it may hold more than its fields")
        return "dataclass", {
            field.name: _stored(cls, field.name, hints_of(cls, tp, at)) for field in dataclasses.fields(cls)
        }
    if is_typeddict(cls):
        return "TypedDict", hints_of(cls, tp, at)
    if tuple in cls.__mro__ and hasattr(cls, "_fields"):
        return "NamedTuple", {**dict.fromkeys(cls._fields, Any), **hints_of(cls, tp, at)}
    from pydantic import BaseModel

    if cls is BaseModel:
        refuse_type(at, "the type BaseModel can't be stored", "Give the model itself")
    if not issubclass(cls, BaseModel):
        return "foreign", {}
    try:
        cls.model_rebuild()
    except NameError as error:
        refuse_type(at, f"the type can't be stored: {str(error).splitlines()[0]}", _UNRESOLVED)
    return "model", {name: field.annotation for name, field in cls.model_fields.items()}


def _stored(cls: Any, name: str, hints: dict[str, Any]) -> Any:
    found: Any = inspect.getattr_static(cls, name, None)
    if hasattr(found, "__set__") and not isinstance(found, types.MemberDescriptorType):
        refuse_type(
            f"{type_name(cls)}.{name}", "a field that is a property can't be stored", "Name them differently"
        )
    return hints[name]


def hints_of(cls: Any, tp: Any, at: str) -> dict[str, Any]:
    """The types of the fields, with the arguments of the annotation in the place of type variables."""
    try:
        try:
            hints = get_type_hints(cls, include_extras=True)
        except NameError:  # a class of a function may mention itself
            hints = get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        refuse_type(at, f"the type can't be stored: {error}", _UNRESOLVED)
    origin = get_origin(tp)
    variables = getattr(origin, "__type_params__", ()) or getattr(origin, "__parameters__", ())
    given = dict(zip(variables, get_args(tp), strict=False))
    return {name: _substituted(hint, given) for name, hint in hints.items()} if given else hints


def _substituted(tp: Any, given: dict[Any, Any]) -> Any:
    if isinstance(tp, TypeVar):
        return given.get(tp, tp)
    variables: Any = getattr(tp, "__parameters__", ()) if get_origin(tp) else ()
    return tp[tuple(given.get(each, each) for each in variables)] if variables else tp
