"""`Check`: whether a value is one of a type, to the last leaf. What passes is written as it is, and read as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from itertools import count
from pathlib import Path, PurePath
from types import NoneType
from typing import Any, NoReturn, TypeAlias

from ..type_names import type_name
from ._bytes import Unknown
from ._errors import ConversionError, kind_of, step
from ._single import PATHS, SINGLE, dump_zone

MAX_DEPTH = 128
"""How deep containers and objects may lie in one another, so that what was written can be read on any stack."""

Test: TypeAlias = Callable[[Any, int], object]
"""Raises `ConversionError` with the path unless a value fits that may be nested that deep."""
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
    tests: Mapping[type, Test]
    """The other types of which a value may fit, and what decides it."""
    due: str = ""
    """What an error says is due, if not the text."""

    def takes(self, value: Any) -> None:
        """Raise `ConversionError` with the path unless the value fits."""
        kind = kind_of(value)
        if kind not in self.exact:
            (self.tests.get(kind) or self.refuse)(value, MAX_DEPTH)

    def become(self, other: Check) -> None:
        """Take what the other takes. A type that mentions itself is made so."""
        self.exact, self.tests = other.exact, other.tests

    def refuse(self, value: Any, _: int = 0) -> NoReturn:
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
            fix = (
                f"It could only come back as {base.__name__}: convert it, or annotate the place with its type"
            )
        there = "None" if value is None else f"a value of type {kind.__name__}"
        raise ConversionError(f"there is {there}, where {self.due or self.text} is due", fix)


def leaf(text: str, *exact: type) -> Check:
    """Values of these exact types."""
    return Check(text, frozenset(exact), {})


def tested(text: str, kinds: Iterable[type], fits: Callable[[Any], object]) -> Check:
    """Values of these exact types that pass a test, which may also raise `ConversionError`."""
    check = Check(text, frozenset(), {})

    def test(value: Any, _: int) -> None:
        if not fits(value):
            check.refuse(value)

    check.tests = dict.fromkeys(kinds, test)
    return check


def items(text: str, item: Check, kinds: Iterable[type]) -> Check:
    """Lists, tuples and sets."""
    ordered, sets = _all(item, enumerate), _all(item, _with_itself)
    return Check(text, frozenset(), {kind: ordered if kind in (list, tuple) else sets for kind in kinds})


def mapping(text: str, key: Check, item: Check) -> Check:
    """Dicts."""
    return Check(text, frozenset(), {dict: _all(item, dict[Any, Any].items, key)})


def _with_itself(value: Iterable[Any]) -> Iterable[tuple[object, Any]]:
    return ((item, item) for item in value)


def _all(item: Check, pairs: Callable[[Any], Iterable[tuple[object, Any]]], key: Check | None = None) -> Test:
    """Whether all items fit, each paired with its step of the path, and all keys of a dict."""

    def test(value: Any, depth: int) -> None:
        if depth == 0:
            raise ConversionError(*_TOO_DEEP)
        if key and not key.exact.issuperset(map(type, value)):
            as_key = Check(key.text, key.exact, key.tests, f"a key of type {key.text}")
            _all(as_key, _with_itself)(value, depth)
        at, exact, tests = None, item.exact, item.tests
        # Plain data is mixed, so that the fast way is seldom one for it.
        if item is not ANY and exact.issuperset(map(type, value.values() if key else value)):
            return
        try:
            for at, part in pairs(value):  # noqa: B007 - the path needs it
                kind = kind_of(part)
                if kind not in exact:
                    (tests.get(kind) or item.refuse)(part, depth - 1)
        except ConversionError as error:
            error.steps.append(step(at))
            raise

    return test


_TOO_DEEP = (f"it is nested more than {MAX_DEPTH} deep, or contains itself", "Flatten it")


def container(text: str, kind: type, parts: Callable[[Any], Iterable[Part]]) -> Check:
    """Values of one type whose parts have each a check."""

    def test(value: Any, depth: int) -> None:
        if depth == 0:
            raise ConversionError(*_TOO_DEEP)
        for check, key, part in parts(value):
            kind = kind_of(part)
            if kind not in check.exact:
                try:
                    (check.tests.get(kind) or check.refuse)(part, depth - 1)
                except ConversionError as error:
                    error.steps.append(step(key))
                    raise

    return Check(text, frozenset(), {kind: test})


def row(checks: list[Check]) -> Check:
    """Tuples with a type for each position."""

    def parts(value: Any) -> Iterable[Part]:
        if len(value) != len(checks):
            raise ConversionError(f"there are {len(value)} items, not {len(checks)}")
        return zip(checks, count(), value)

    return container(f"tuple[{', '.join(check.text for check in checks) or '()'}]", tuple, parts)


def fields(
    text: str, kind: type, held: Callable[[Any], dict[str, Any]], checks: Mapping[str, Check]
) -> Check:
    """What holds fields by name. `checks` may be filled later; what has none is plain data."""
    return container(
        text,
        kind,
        lambda value: [(checks.get(name, ANY), name, item) for name, item in held(value).items()],
    )


def one_of(text: str, values: Iterable[Any]) -> Check:
    """Certain values, told from others that are equal: 1 is not True."""
    table: set[tuple[type, Any]] = {(type(value), value) for value in values}
    return tested(text, [kind for kind, _ in table], lambda value: (type(value), value) in table)


def union(branches: list[Check]) -> Check:
    """Values that any of these takes."""
    texts = sorted({branch.text for branch in branches}, key=lambda text: (text == "None", text))
    tests: dict[type, list[Test]] = {}
    for branch in branches:
        for kind, test in branch.tests.items():
            tests.setdefault(kind, []).append(test)
    return Check(
        " | ".join(texts),
        frozenset[type]().union(*(branch.exact for branch in branches)),
        {kind: found[0] if len(found) == 1 else partial(_any_of, found) for kind, found in tests.items()},
    )


def _any_of(tests: list[Test], value: Any, depth: int) -> None:
    errors: list[ConversionError] = []
    for test in tests:
        try:
            test(value, depth)
            return
        except ConversionError as error:
            errors.append(error)
    raise max(errors, key=lambda error: len(error.steps))  # most likely the branch that was meant


TYPES: dict[Any, Check] = {
    **{kind: leaf(type_name(kind), kind) for kind in (NoneType, str, bytes, bool, *SINGLE)},
    **{kind: tested(kind.__name__, [kind], lambda value: [dump_zone(value)]) for kind in (datetime, time)},
    **{
        tp: leaf(tp.__name__, *(kind for kind in PATHS if issubclass(kind, tp)))
        for tp in (PurePath, Path, *PATHS)
    },
    # As type checkers have it: a bool is an int, and an int a float. Each comes back as what it is.
    int: leaf("int", int, bool),
    float: leaf("float", float, int),
}
"""The checks of types without parts."""

ANY = Check("object", frozenset(), {}, "plain data")
"""Takes plain data: what needs no annotation."""
_LISTS = items("", ANY, [list, tuple, set, frozenset])
ANY.become(union([*TYPES.values(), _LISTS, mapping("", ANY, ANY)]))

READ = leaf("object", *ANY.exact, *ANY.tests)
"""Takes what was read and is plain data for that reason."""
