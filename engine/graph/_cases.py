"""Checks of a switch's cases against the values that its key says it gives."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from enum import Enum, Flag
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

from typing_extensions import get_type_hints

from ._assignability import bare
from ._draft import Draft
from .switch import shown


def case_problems(draft: Draft) -> Iterator[str]:
    """Cases that can never be chosen. A key that is a lambda, or says no closed set of values, is taken at its word."""
    for switch in draft.switches.values():
        allowed = _values(_returned(switch.key))
        for case, edge in switch.cases.items():
            if allowed is not None and case not in allowed:
                nearest = _nearest(case, allowed)
                hint = "Remove the case." if nearest is None else f"Did you mean {_spelled(nearest)}?"
                yield (
                    f"{draft.describe(draft.edges[edge])}: the key never gives {_spelled(case)}, only "
                    f"{', '.join(map(_spelled, allowed))}. {hint}"
                )


def _returned(key: Any) -> object:
    """The type that the key is annotated to return; Any where it can't be seen."""
    while isinstance(key, partial):
        key = key.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # of any callable
    if isinstance(key, type):
        return key  # called, it gives its instances  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(key, types.FunctionType | types.MethodType):
        return Any
    try:
        return get_type_hints(key).get("return", Any)
    except (AttributeError, NameError, SyntaxError, TypeError):  # names that only type checkers see
        return Any


def _values(tp: object) -> Sequence[object] | None:
    """All values of the type, where they can be counted."""
    tp = bare(tp)
    if get_origin(tp) in (Union, types.UnionType):
        parts = [_values(member) for member in get_args(tp)]
        return None if None in parts else [value for part in parts for value in part or ()]
    if get_origin(tp) is Literal:
        return get_args(tp)
    if tp is type(None):
        return (None,)
    if tp is bool:
        return (True, False)
    if isinstance(tp, type) and issubclass(tp, Enum) and not issubclass(tp, Flag):
        return list(tp)
    return None


def _nearest(case: object, allowed: Sequence[object]) -> object | None:
    """The value that was most likely meant."""
    for value in allowed:
        if isinstance(value, Enum) and case in (value.name, value.value):
            return value
    texts = {_plain(value): value for value in allowed}
    close = get_close_matches(_plain(case), texts, n=1)
    return texts[close[0]] if close else None


def _plain(value: object) -> str:
    return (value.name if isinstance(value, Enum) else str(value)).lower()


def _spelled(value: object) -> str:
    """The value as it stands in code."""
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else shown(value)
