"""A type's name as a person writes it: `list[Review]`, `int | None`. No modules, so a moved class keeps its name."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable
from typing import Any, cast


def type_name(tp: object) -> str:
    """The type as a person writes it. The branches of a union are sorted and None comes last, since `typing` takes
    `A | B` and `B | A` for one type and gives back the one that it met first.
    """
    if tp is None or tp is types.NoneType:
        return "None"
    if tp is Any or tp is object:
        return "object"
    if tp is ...:
        return "..."
    if isinstance(tp, list):  # the parameters of a Callable
        return f"[{', '.join(map(type_name, cast('list[object]', tp)))}]"
    if is_union(tp):
        return " | ".join(type_name(branch) for branch in branches_of(tp))
    origin = typing.get_origin(tp)
    arguments = typing.get_args(tp)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(literals_of(arguments))}]"
    if (generic := getattr(tp, "__pydantic_generic_metadata__", None)) and generic["origin"]:
        origin, arguments = generic["origin"], generic["args"]
    name = _name(origin or tp)
    if origin is None or (not arguments and origin is not tuple):
        return name
    return f"{name}[{', '.join(map(type_name, arguments)) or '()'}]"


def is_union(tp: object) -> bool:
    """Whether the type is `A | B`, `Union[A, B]` or `Optional[A]`."""
    return typing.get_origin(tp) in (typing.Union, types.UnionType)


def branches_of(tp: object) -> list[object]:
    """The branches of a union, sorted by their names, None last."""
    return sorted(typing.get_args(tp), key=lambda branch: (branch is types.NoneType, type_name(branch)))


def literals_of(values: Iterable[object]) -> list[str]:
    """The values of a Literal as they are written, sorted."""
    return sorted(
        f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else ascii(value)
        for value in values
    )


def _name(tp: object) -> str:
    if isinstance(tp, str):
        return ascii(tp)
    name = getattr(tp, "__qualname__", None) or getattr(tp, "__name__", None)
    return str(name).rpartition("<locals>.")[2] if name else str(tp).rpartition(".")[2]
