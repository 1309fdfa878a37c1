"""Assignability: whether a node that takes one type can be given values of another, judged at run time.

The answer is no only where that is certain; a type checker sees more, and earlier. Where it can't be decided here
(protocols, type variables, the user's own generics) the answer is yes. Containers count as covariant, since every
consumer gets its own value.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    Never,
    NoReturn,
    NotRequired,
    Required,
    TypeGuard,
    Union,
    get_args,
    get_origin,
)

from typing_extensions import TypeAliasType, get_type_hints, is_protocol, is_typeddict

_ASSIGNABLE_TO_ALL: tuple[object, ...] = (Any, Never, NoReturn)
_TAKES_ALL: tuple[object, ...] = (Any, object)
_UNLISTABLE: tuple[object, ...] = (int, str, bytes)
_NUMBERS = {float: (int,), complex: (int, float), bytes: (bytearray, memoryview)}
"""What type checkers accept where a class is expected although it is no subclass."""


def assignable(source: object, target: object) -> bool:
    """False when some value of `source` is certainly no `target`."""
    source, target = bare(source), bare(target)
    if source == target or source in _ASSIGNABLE_TO_ALL or target in _TAKES_ALL:
        return True
    if _is_union(source):
        return all(assignable(member, target) for member in get_args(source))
    if get_origin(source) is Literal:
        return all(_literal_assignable(value, target) for value in get_args(source))
    if _is_union(target):
        return any(assignable(source, member) for member in get_args(target))
    if get_origin(target) is Literal:
        # An enum or bool may be listed in full, a text or number never.
        values: tuple[object, ...] = get_args(target)
        return source not in _UNLISTABLE and any(
            _class_assignable(type(value), _class_of(source)) for value in values
        )
    return _class_assignable(_class_of(source), _class_of(target)) and _arguments_assignable(source, target)


def item_type(tp: object) -> object:
    """The item type of a list type; Any where it has none."""
    arguments = get_args(bare(tp))
    return arguments[0] if get_origin(bare(tp)) is list and arguments else Any


def tuple_items(tp: object, length: int) -> Sequence[object] | None:
    """The types at the positions of a tuple type, `length` of them where it is open-ended; None for other types."""
    plain = bare(tp)
    arguments = get_args(plain)
    if get_origin(plain) is not tuple:
        return None
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return (arguments[0],) * length
    return arguments


def bare(tp: object) -> object:
    """The type without what changes nothing at run time: Annotated, aliases, NewType."""
    while True:
        if tp is None:
            return type(None)
        if get_origin(tp) in (Annotated, Required, NotRequired):
            tp = get_args(tp)[0]
        elif isinstance(tp, TypeAliasType) or hasattr(tp, "__supertype__"):
            tp = getattr(tp, "__value__", None) or getattr(tp, "__supertype__", Any)
        else:
            return tp


def _is_union(tp: object) -> bool:
    return get_origin(tp) in (Union, types.UnionType)


def _literal_assignable(value: object, target: object) -> bool:
    if _is_union(target):
        return any(_literal_assignable(value, member) for member in map(bare, get_args(target)))
    if get_origin(target) is Literal:
        return any(value == other and type(value) is type(other) for other in get_args(target))
    return assignable(type(value), target)


def _class_of(tp: object) -> object:
    return get_origin(tp) or tp


def _class_assignable(source: object, target: object) -> bool:
    if not (_is_class(source) and _is_class(target)) or is_protocol(source) or is_protocol(target):
        return True
    if is_typeddict(target):
        return _typeddict_assignable(source, target)
    if target in _NUMBERS and issubclass(source, _NUMBERS[target]):
        return True
    try:
        return issubclass(source, target)
    except TypeError:  # its metaclass refuses to answer
        return True


def _typeddict_assignable(source: type[object], target: type[object]) -> bool:
    if not is_typeddict(source):
        return issubclass(source, dict) or source is collections.abc.Mapping
    try:
        given, wanted = get_type_hints(source), get_type_hints(target)
    except NameError:  # a name that only type checkers see
        return True
    required: frozenset[str] = getattr(target, "__required_keys__", frozenset())
    return required <= given.keys() and all(
        assignable(given[key], wanted[key]) for key in given.keys() & wanted.keys()
    )


def _arguments_assignable(source: object, target: object) -> bool:
    """Whether the arguments of two generic types are assignable, given that their classes are."""
    given, wanted = get_args(source), get_args(target)
    if not given or not wanted:
        return True
    origin, goal = _class_of(source), _class_of(target)
    if not (_is_class(origin) and _is_class(goal)):
        return True
    if origin is tuple:
        return _tuple_assignable(given, wanted, goal)
    if _is_standard(origin) and _is_standard(goal):
        if issubclass(origin, collections.abc.Mapping):
            return all(map(assignable, given, wanted))  # a mapping into an iterable: its keys are the items
        if issubclass(origin, collections.abc.Iterable) and len(given) == len(wanted) == 1:
            return assignable(given[0], wanted[0])
    if origin is goal and len(given) == len(wanted):
        return all(
            assignable(one, other) or assignable(other, one) for one, other in zip(given, wanted, strict=True)
        )
    return True


def _tuple_assignable(given: tuple[object, ...], wanted: tuple[object, ...], goal: type[object]) -> bool:
    open_end = len(given) == 2 and given[1] is Ellipsis
    items = given[:1] if open_end else given
    if goal is not tuple or (len(wanted) == 2 and wanted[1] is Ellipsis):
        return all(assignable(item, wanted[0]) for item in items)
    if open_end:
        return all(assignable(items[0], position) for position in wanted)
    return len(items) == len(wanted) and all(map(assignable, items, wanted))


def _is_standard(kind: type[object]) -> bool:
    """Whether it is a container of the standard library, whose arguments have a known meaning."""
    return kind.__module__ in ("builtins", "collections", "collections.abc")


def _is_class(tp: object) -> TypeGuard[type[object]]:
    return isinstance(tp, type)
