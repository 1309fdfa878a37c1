"""Checks of values: whether one is plain data, and whether what came back from the bytes is what was written."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from decimal import Decimal
from types import NoneType
from typing import Any, TypeAlias, cast

from ..type_names import is_union
from ._extensions import MAX_DEPTH, VALUES, ConversionError, Fields, Member, kind_of, state_of, step, write

Check: TypeAlias = Callable[[Any], bool]

_SCALARS: frozenset[Any] = frozenset({NoneType, bool, int, float, str, bytes})
_STRINGS: frozenset[Any] = frozenset({str})
_ORDERED: frozenset[Any] = frozenset({list, tuple})
_SETS: frozenset[Any] = frozenset({set, frozenset})
_BASES = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)


def check(value: Any, depth: int = MAX_DEPTH, objects: bool = False) -> None:
    """Raise `ConversionError` with the path if `value` is not plain data to the last leaf, or nested too deeply.

    Plain data is of the exact types None, bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal, UUID,
    the paths of pathlib, list, tuple, set, frozenset and dict. With `objects` it is also of objects with fields,
    members of Enums and what pydantic knows.
    """
    kind = kind_of(value)
    if kind in _SCALARS:
        return
    if depth == 0:
        raise ConversionError(f"it is nested more than {MAX_DEPTH} deep; does it contain itself? Flatten it")
    if kind is dict:
        if not _SCALARS.issuperset(map(type, value)):
            _check_each(zip(value, value, strict=True), depth - 1, objects)
        key = None
        try:  # as in _check_each, without a call: most of what is stored is dicts in dicts
            for key, item in value.items():  # noqa: B007 - the path needs it
                if type(item) not in _SCALARS:
                    check(item, depth - 1, objects)
        except ConversionError as error:
            error.steps.append(step(key))
            raise
    elif kind in _ORDERED:
        if not _SCALARS.issuperset(map(type, value)):
            _check_each(enumerate(cast("list[Any]", value)), depth - 1, objects)
    elif kind in _SETS:
        _check_each(zip(value, value, strict=True), depth - 1, objects)
    elif kind in VALUES:
        if getattr(value, "tzinfo", None) is not None:
            write(value)  # a zone may be one that can't be made again
    elif not objects:
        raise ConversionError(f"there is {a(value)}, which plain data does not hold. {_fix(value)}")
    elif (state := state_of(value)) is None:
        write(value)
    else:
        for part in state:
            _check_each(part.items(), depth - 1, objects)


def _check_each(pairs: Iterable[tuple[Any, Any]], depth: int, objects: bool) -> None:
    key = None
    try:
        for key, item in pairs:  # noqa: B007 - the path needs it
            if type(item) not in _SCALARS:
                check(item, depth, objects)
    except ConversionError as error:
        error.steps.append(step(key))
        raise


def compare(value: Any, back: Any, depth: int = MAX_DEPTH) -> bool:
    """Raise `ConversionError` with the path unless `back` is equal to `value` and of equal type, to the last leaf.

    Nan is equal to nan, and a float to the int that it was made of: whether there was one is returned.
    """
    kind = kind_of(value)
    if kind is not type(back):
        if kind is int and type(back) is float and value == back:
            return True
        raise ConversionError(f"there is {a(value)}, which would come back as {a(back)}. {_fix(value)}")
    if kind in _SCALARS:
        if value == back or (value != value and back != back):
            return False
    elif depth == 0:
        raise ConversionError(f"it is nested more than {MAX_DEPTH} deep; does it contain itself? Flatten it")
    elif kind is dict:
        if len(value) == len(back):
            if _STRINGS.issuperset(map(type, value)) and list(value) == list(back):
                return _compare_each(zip(value, value.values(), back.values(), strict=True), depth - 1)
            keys = _compare_each(zip(value, value, back, strict=True), depth - 1)
            return keys | _compare_each(zip(value, value.values(), back.values(), strict=True), depth - 1)
    elif kind in _ORDERED:
        if len(value) == len(back):
            if (
                _SCALARS.issuperset(kinds := [*map(type, value)])
                and kinds == [*map(type, back)]
                and value == back
            ):
                return False
            return _compare_each(zip(range(len(value)), value, back, strict=True), depth - 1)
    elif kind in _SETS:
        if value == back:
            partners = {item: item for item in back}
            return _compare_each(((item, item, partners[item]) for item in value), depth - 1)
        return _compare_each(
            zip(value, *(sorted(one, key=write) for one in (value, back)), strict=False), depth - 1
        )
    elif kind in VALUES:
        zone = getattr(value, "tzinfo", None)
        same = kind is not Decimal and value == back and zone is getattr(back, "tzinfo", None)
        if (same and getattr(value, "fold", 0) == getattr(back, "fold", 0)) or write(value) == write(back):
            return False
    elif (state := state_of(value)) is not None:
        (fields, rest), (fields_back, rest_back) = state, state_of(back) or ({}, {})
        if fields.keys() == fields_back.keys() and rest.keys() == rest_back.keys():
            converted = _compare_each(
                ((name, item, fields_back[name]) for name, item in fields.items()), depth - 1
            )
            return converted | _compare_each(
                ((name, item, rest_back[name]) for name, item in rest.items()), depth - 1
            )
    elif value == back:
        return False
    raise ConversionError(
        f"the {kind.__name__} would not come back the same. If a validator or serializer changes it, "
        "let it leave a value alone that it has seen before"
    )


def _compare_each(triples: Iterable[tuple[Any, Any, Any]], depth: int) -> bool:
    key, converted = None, False
    try:
        for key, item, back in triples:  # noqa: B007 - the path needs it
            converted |= compare(item, back, depth)
    except ConversionError as error:
        error.steps.append(step(key))
        raise
    return converted


def a(value: object) -> str:
    """How a message names a value: by its type, so that no content leaks into an error."""
    if value is None:
        return "None"
    return f"a value of type {value.label if isinstance(value, Fields | Member) else type(value).__name__}"


def _fix(value: object) -> str:
    """What to do with a value that would not come back as what it is."""
    if isinstance(value, bytearray | memoryview):
        return "Convert it with bytes(...)"
    if hasattr(type(value), "__await__"):
        return "Await it before it is returned"
    if base := next((base.__name__ for base in kind_of(value).__mro__ if base in _BASES), None):
        return f"It could only come back as {base}: convert it, or annotate the place with its type"
    return "Annotate the place with its type, or leave it out and make it where it is needed"


# -- types whose values need no pydantic -----------------------------------------------------------------


def plain_check(tp: Any, of_any: Check) -> Check | None:
    """Whether a value is one of this type, where msgpack alone gives every such value back; None for other types.

    These are the types None, bool, int, float, str, bytes, Any, and lists, dicts and unions of them. The check is
    exact: what passes is written as it is, and what is read and passes is what was written. `of_any` says whether all
    of some items are plain data.
    """
    if tp is Any or tp is object:
        return lambda value: of_any((value,))
    if (kinds := _kinds(tp)) is not None:
        return lambda value: type(value) in kinds
    if is_union(tp):
        branches = [plain_check(branch, of_any) for branch in typing.get_args(tp)]
        return None if None in branches else lambda value: any(branch(value) for branch in branches if branch)
    match typing.get_origin(tp) or tp, [_items_check(part, of_any) for part in typing.get_args(tp)]:
        case builtin, [item] if builtin is list and item:
            return lambda value: type(value) is list and item(value)
        case builtin, [key, item] if builtin is dict and key and item:
            return lambda value: type(value) is dict and key(value) and item(value.values())
        case builtin, [] if builtin is list or builtin is dict:
            return plain_check(list[Any] if builtin is list else dict[Any, Any], of_any)
        case _:
            return None


def _kinds(tp: Any) -> frozenset[Any] | None:
    """The exact types of a type's values, if these are single values that msgpack has itself."""
    if is_union(tp):
        kinds = [_kinds(branch) for branch in typing.get_args(tp)]
        return None if None in kinds else frozenset[Any]().union(*(each for each in kinds if each))
    if tp is int:
        return frozenset({int, bool})  # a bool is an int, and comes back a bool
    tp = NoneType if tp is None else tp
    return frozenset({tp}) if isinstance(tp, type) and tp in _SCALARS else None


def _items_check(tp: Any, of_any: Check) -> Check | None:
    if tp is Any or tp is object:
        return of_any
    if (kinds := _kinds(tp)) is not None:
        return lambda items: kinds.issuperset(map(type, items))
    item = plain_check(tp, of_any)
    return None if item is None else lambda items: all(map(item, items))


def are_plain(items: Iterable[Any]) -> bool:
    """Whether all of these are plain data."""
    try:
        _check_each(enumerate(items), MAX_DEPTH - 1, objects=False)
    except ConversionError:
        return False
    return True
