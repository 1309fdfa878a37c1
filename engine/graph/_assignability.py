"""`fits`: whether values of one type can be handed to a node that takes another, by their types at run time.

It says no only to what is certain: a type checker sees more, and says it earlier. Where a type means something
that can't be decided here (protocols, type variables, generics of the user's own), it says yes. Containers
count as covariant, since every consumer gets its own value.
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

_FITS_ALL: tuple[object, ...] = (Any, Never, NoReturn)
_TAKES_ALL: tuple[object, ...] = (Any, object)
_MORE_THAN_LITERALS: tuple[object, ...] = (int, str, bytes)
_NUMBERS = {float: (int,), complex: (int, float), bytes: (bytearray, memoryview)}
"""What type checkers take for a class without its being a subclass."""


def fits(source: object, target: object) -> bool:
    """False when some value of `source` is certainly none of `target`."""
    source, target = _bare(source), _bare(target)
    if source == target or source in _FITS_ALL or target in _TAKES_ALL:
        return True
    if _is_union(source):
        return all(fits(member, target) for member in get_args(source))
    if get_origin(source) is Literal:
        return all(_literal_fits(value, target) for value in get_args(source))
    if _is_union(target):
        return any(fits(source, member) for member in get_args(target))
    if get_origin(target) is Literal:
        values: tuple[object, ...] = get_args(
            target
        )  # all of an enum or bool may be listed, never all of the texts
        return source not in _MORE_THAN_LITERALS and any(
            _class_fits(type(value), _class_of(source)) for value in values
        )
    return _class_fits(_class_of(source), _class_of(target)) and _insides_fit(source, target)


def item_type(tp: object) -> object:
    """What a list type holds; Any where that can't be said."""
    arguments = get_args(_bare(tp))
    return arguments[0] if get_origin(_bare(tp)) is list and arguments else Any


def tuple_items(tp: object, length: int) -> Sequence[object] | None:
    """The types of a tuple type's positions, `length` of them where it is open-ended; None for other types."""
    bare = _bare(tp)
    arguments = get_args(bare)
    if get_origin(bare) is not tuple:
        return None
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return (arguments[0],) * length
    return arguments


def _bare(tp: object) -> object:
    """Without what changes nothing at run time: Annotated, aliases, NewType."""
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


def _literal_fits(value: object, target: object) -> bool:
    if _is_union(target):
        return any(_literal_fits(value, member) for member in map(_bare, get_args(target)))
    if get_origin(target) is Literal:
        return any(value == other and type(value) is type(other) for other in get_args(target))
    return fits(type(value), target)


def _class_of(tp: object) -> object:
    return get_origin(tp) or tp


def _class_fits(source: object, target: object) -> bool:
    if not (_is_class(source) and _is_class(target)) or is_protocol(source) or is_protocol(target):
        return True
    if is_typeddict(target):
        return _typeddict_fits(source, target)
    if target in _NUMBERS and issubclass(source, _NUMBERS[target]):
        return True
    try:
        return issubclass(source, target)
    except TypeError:  # a metaclass that does not answer
        return True


def _typeddict_fits(source: type[object], target: type[object]) -> bool:
    if not is_typeddict(source):
        return issubclass(source, dict) or source is collections.abc.Mapping
    try:
        given, wanted = get_type_hints(source), get_type_hints(target)
    except NameError:  # a name that only type checkers see
        return True
    required: frozenset[str] = getattr(target, "__required_keys__", frozenset())
    return required <= given.keys() and all(
        fits(given[key], wanted[key]) for key in given.keys() & wanted.keys()
    )


def _insides_fit(source: object, target: object) -> bool:
    """The arguments of two generic types whose classes fit."""
    given, wanted = get_args(source), get_args(target)
    if not given or not wanted:
        return True
    origin, goal = _class_of(source), _class_of(target)
    if not (_is_class(origin) and _is_class(goal)):
        return True
    if origin is tuple:
        return _tuple_fits(given, wanted, goal)
    if _is_standard(origin) and _is_standard(goal):
        if issubclass(origin, collections.abc.Mapping):
            return all(map(fits, given, wanted))  # a mapping into an iterable: its keys are the items
        if issubclass(origin, collections.abc.Iterable) and len(given) == len(wanted) == 1:
            return fits(given[0], wanted[0])
    if origin is goal and len(given) == len(wanted):
        return all(fits(one, other) or fits(other, one) for one, other in zip(given, wanted, strict=True))
    return True


def _tuple_fits(given: tuple[object, ...], wanted: tuple[object, ...], goal: type[object]) -> bool:
    open_end = len(given) == 2 and given[1] is Ellipsis
    items = given[:1] if open_end else given
    if goal is not tuple or (len(wanted) == 2 and wanted[1] is Ellipsis):
        return all(fits(item, wanted[0]) for item in items)
    if open_end:
        return all(fits(items[0], position) for position in wanted)
    return len(items) == len(wanted) and all(map(fits, items, wanted))


def _is_standard(kind: type[object]) -> bool:
    """Whether it is a container of the standard library, of which we know what its arguments say."""
    return kind.__module__ in ("builtins", "collections", "collections.abc")


def _is_class(tp: object) -> TypeGuard[type[object]]:
    return isinstance(tp, type)
