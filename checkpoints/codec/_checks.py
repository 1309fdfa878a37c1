"""`Check`: whether a value is one of a type, to the last leaf. What passes is written as it is, and read as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import chain, count, repeat
from types import NoneType
from typing import Any, NoReturn, TypeAlias
from uuid import UUID

from ._bytes import PATHS, Unknown, dump_zone
from ._errors import ConversionError, kind_of, step
from ._objects import layout_of

MAX_DEPTH = 128
"""How deep containers and objects may lie in one another, so that what was written can be read on any stack."""

Inside: TypeAlias = Callable[[Any, int], None]
Part: TypeAlias = "tuple[Check, object, Any]"
"""An item with its check and its step of the path."""

_BASES = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)


@dataclass(eq=False, slots=True)
class Check:
    """Which values a place takes."""

    text: str
    """The type as the schema has it."""
    exact: frozenset[type]
    """The types of which every value fits."""
    kinds: frozenset[type]
    """The other types of which a value may fit."""
    inside: Inside
    """Raises `ConversionError` with the path unless a value fits that may be nested that deep."""

    def takes(self, value: Any) -> None:
        """Raise `ConversionError` with the path unless the value fits."""
        if type(value) not in self.exact:
            try:
                self.inside(value, MAX_DEPTH)
            except RecursionError:  # the stack was deep already
                raise ConversionError("it is nested too deeply", "Flatten it") from None


def refuse(value: Any, due: str) -> NoReturn:
    """Raise `ConversionError`. It shows types alone, so that no content leaks into an error."""
    kind = kind_of(value)
    if kind is Unknown:
        raise value.error
    fix = "Convert it, or annotate the place with its type"
    if kind in (bytearray, memoryview):
        fix = "Convert it with bytes(...)"
    elif hasattr(kind, "__await__"):
        fix = "Await it before it is returned"
    elif base := next((base for base in kind.__mro__[1:] if base in _BASES), None):
        fix = f"It could only come back as {base.__name__}: convert it, or annotate the place with its type"
    there = "None" if value is None else f"a value of type {kind.__name__}"
    raise ConversionError(f"there is {there}, where {due} is due", fix)


def leaf(text: str, *exact: type) -> Check:
    """Values of these exact types."""
    return Check(text, frozenset(exact), frozenset(), lambda value, _: refuse(value, text))


def test(text: str, kinds: Iterable[type], fits: Callable[[Any], object]) -> Check:
    """Values of these exact types that pass a test, which may also raise `ConversionError`."""
    kinds = frozenset(kinds)

    def inside(value: Any, _: int) -> None:
        if type(value) not in kinds or not fits(value):
            refuse(value, text)

    return Check(text, frozenset(), kinds, inside)


def container(text: str, kinds: Iterable[type], parts: Callable[[Any], Iterable[Part]]) -> Check:
    """Values of these exact types whose parts pass their checks."""
    kinds = frozenset(kinds)

    def inside(value: Any, depth: int) -> None:
        if type(value) not in kinds:
            refuse(value, text)
        if depth == 0:
            problem = f"it is nested more than {MAX_DEPTH} deep, or contains itself"
            raise ConversionError(problem, "Flatten it")
        key = _NO_KEY
        try:
            for check, key, item in parts(value):  # noqa: B007 - the path needs it
                if type(item) not in check.exact:
                    check.inside(item, depth - 1)
        except ConversionError as error:
            if key is not _NO_KEY:
                error.steps.append(step(key))
            raise

    return Check(text, frozenset(), kinds, inside)


_NO_KEY = object()


def items(text: str, item: Check, *kinds: type) -> Check:
    """Lists, tuples and sets."""

    def parts(value: Any) -> Iterable[Part]:
        if item.exact.issuperset(map(type, value)):
            return ()
        return zip(repeat(item), value if type(value) in (set, frozenset) else count(), value)

    return container(text, kinds, parts)


def row(text: str, checks: list[Check]) -> Check:
    """Tuples with a type for each position."""

    def parts(value: Any) -> Iterable[Part]:
        if len(value) != len(checks):
            raise ConversionError(f"there are {len(value)} items, not {len(checks)}")
        return zip(checks, count(), value)

    return container(text, [tuple], parts)


def mapping(text: str, key: Check, item: Check) -> Check:
    """Dicts."""

    def inside_key(value: Any, depth: int) -> None:
        if type(value) not in key.exact | key.kinds:
            refuse(value, f"a key of type {key.text}")
        if type(value) not in key.exact:
            key.inside(value, depth)

    as_key = Check(key.text, frozenset(), frozenset(), inside_key)

    def parts(value: Any) -> Iterable[Part]:
        if not key.exact.issuperset(map(type, value)):
            return chain(zip(repeat(as_key), value, value), zip(repeat(item), value, value.values()))
        if not item.exact.issuperset(map(type, value.values())):
            return zip(repeat(item), value, value.values())
        return ()

    return container(text, [dict], parts)


def typed_dict(text: str, checks: Mapping[str, Check], optional: Iterable[str]) -> Check:
    """Dicts as a TypedDict has them. `checks` may be filled later."""

    def parts(value: Any) -> Iterable[Part]:
        for name in checks.keys() - value.keys() - optional or value.keys() - checks.keys():
            raise ConversionError(f"the key is missing, or {text} does not have it", at=name)
        return ((checks[name], name, item) for name, item in value.items())

    return container(text, [dict], parts)


def objects(text: str, cls: type, checks: Mapping[str, Check]) -> Check:
    """Objects of a class with fields. `checks` may be filled later."""
    state = layout_of(cls).state

    def parts(value: Any) -> Iterable[Part]:
        fields, rest = state(value)
        parts = [(checks.get(name, ANY), name, item) for name, item in fields.items()]
        return (
            parts + [(ANY, name, item) for name, item in rest["private"].items()]
            if "private" in rest
            else parts
        )

    return container(text, [cls], parts)


def one_of(text: str, values: Iterable[Any]) -> Check:
    """Certain values, told from others that are equal: 1 is not True."""
    table: set[tuple[type, Any]] = {(type(value), value) for value in values}
    return test(text, [kind for kind, _ in table], lambda value: (type(value), value) in table)


def union(text: str, branches: Iterable[Check]) -> Check:
    """Values that any of these takes."""
    exact = frozenset[type]().union(*(branch.exact for branch in branches))
    by_kind: dict[type, list[Inside]] = {}
    for branch in branches:
        for kind in branch.kinds - exact:
            by_kind.setdefault(kind, []).append(branch.inside)

    def inside(value: Any, depth: int) -> None:
        kind = kind_of(value)
        if kind in exact:
            return
        branches = by_kind.get(kind) or [lambda value, _: refuse(value, text)]
        if len(branches) == 1:
            branches[0](value, depth)
            return
        errors: list[ConversionError] = []
        for branch in branches:
            try:
                branch(value, depth)
                return
            except ConversionError as error:
                errors.append(error)
        raise max(errors, key=lambda error: len(error.steps))  # most likely the branch that was meant

    return Check(text, exact, frozenset(by_kind), inside)


_ZONES = (NoneType, timezone)  # which can always be made again


def _moment(kind: type) -> Check:
    return test(kind.__name__, [kind], lambda value: type(value.tzinfo) in _ZONES or dump_zone(value))


SINGLE: dict[Any, Check] = {
    NoneType: leaf("None", NoneType),
    **{kind: leaf(kind.__name__, kind) for kind in (str, bytes, bool, date, timedelta, Decimal, UUID)},
    **{kind: _moment(kind) for kind in (datetime, time)},
    # As type checkers have it: a bool is an int, and an int a float. Each comes back as what it is.
    int: leaf("int", int, bool),
    float: leaf("float", float, int),
}
"""The checks of types without parts."""

ANY = leaf("object")
"""Takes plain data: what needs no annotation."""

_PLAIN = union(
    "plain data",
    [
        *SINGLE.values(),
        leaf("a path", *PATHS),
        items("a list", ANY, list, tuple, set, frozenset),
        mapping("a dict", ANY, ANY),
    ],
)


def _plain(value: Any, depth: int) -> None:
    """As `_PLAIN`, faster: most of what is stored is dicts and lists in one another."""
    kind = kind_of(value)
    if depth == 0 or not (kind is list or (kind is dict and _STRINGS.issuperset(map(type, value)))):
        _PLAIN.inside(value, depth)
        return
    exact, key = ANY.exact, None
    try:
        for key, item in enumerate(value) if kind is list else value.items():  # noqa: B007 - the path needs it
            if type(item) not in exact:
                _plain(item, depth - 1)
    except ConversionError as error:
        error.steps.append(step(key))
        raise


_STRINGS = frozenset({str})
ANY.exact, ANY.kinds, ANY.inside = _PLAIN.exact, _PLAIN.kinds, _plain

READ = leaf("object", *ANY.exact, *ANY.kinds)
"""Takes what was read and is plain data for that reason."""
