"""The shapes of list, tuple, set and dict.

Items whose types need no look (`Shape.as_is`) pass as a whole; only where there are others each is converted, and a
`MisfitError` gathers the index or the key while it climbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, cast

from .plain import SCALARS, Kind, MisfitError, check_plain, kind_of, step, write
from .shapes import Shape

_Convert = Callable[[Any], Any]


class ListShape(Shape):
    """`list[T]`: an array."""

    def __init__(self, name: str, item: Shape) -> None:
        super().__init__(name)
        self._item = item

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({list})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({list})

    @property
    def identity(self) -> bool:
        return self._item.identity

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not list:
            raise self.misfit(value)
        if self._item.as_is.issuperset(map(type, value)):
            return value
        if self._item.open:
            check_plain(value)
            return value
        return _each(value, self._item.dump)

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not list:
            raise self.misfit(plain)
        if self._item.open or self._item.as_is.issuperset(map(type, plain)):
            return plain
        return _each(plain, self._item.load)

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"list[{self._item.describe(seen)}]"


class RowShape(Shape):
    """`tuple[T, ...]`: an array of any length."""

    def __init__(self, name: str, item: Shape) -> None:
        super().__init__(name)
        self._item = item

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({tuple})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({list})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not tuple:
            raise self.misfit(value)
        return _each(value, self._item.dump)

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not list:
            raise self.misfit(plain)
        return tuple(_each(plain, self._item.load))

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"tuple[{self._item.describe(seen)}, ...]"


class TupleShape(Shape):
    """`tuple[A, B]`: an array of that length."""

    def __init__(self, name: str, items: tuple[Shape, ...]) -> None:
        super().__init__(name)
        self._items = items

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({tuple})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({list})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not tuple:
            raise self.misfit(value)
        return self._each(value, [item.dump for item in self._items])

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not list:
            raise self.misfit(plain)
        return tuple(self._each(plain, [item.load for item in self._items]))

    def _each(self, items: Any, converts: list[_Convert]) -> list[Any]:
        if len(items) != len(converts):
            raise MisfitError(f"there are {len(items)} items, where {self.name} is due")
        out: list[Any] = []
        try:
            out.extend(convert(item) for item, convert in zip(items, converts, strict=True))
        except MisfitError as misfit:
            misfit.steps.append(f"[{len(out)}]")
            raise
        return out

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"tuple[{', '.join(item.describe(seen) for item in self._items) or '()'}]"


class SetShape(Shape):
    """`set[T]` or `frozenset[T]`: an array in the order of the items' bytes, so that equal sets are equal bytes."""

    def __init__(self, name: str, type_: type[set[Any]] | type[frozenset[Any]], item: Shape) -> None:
        super().__init__(name)
        self._type = type_
        self._item = item

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({list})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self._type:
            raise self.misfit(value)
        item: object = None
        items: list[Any] = []
        try:
            for item in value:
                items.append(self._item.dump(item))
        except MisfitError as misfit:
            misfit.steps.append(step(item))
            raise
        return sorted(items, key=write)

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not list:
            raise self.misfit(plain)
        items = _each(plain, self._item.load)
        try:
            value = self._type(items)
        except TypeError as error:
            raise MisfitError(f"an item of the {self.name} can't be hashed: {error}") from error
        if len(value) != len(items):
            raise MisfitError(f"an item of the {self.name} is there twice")
        return value

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"{self._type.__name__}[{self._item.describe(seen)}]"


class DictShape(Shape):
    """`dict[K, V]`: a map in the dict's order, or an array of pairs where the keys' plain data can't be keys of a map."""

    def __init__(self, name: str, key: Shape, value: Shape) -> None:
        super().__init__(name)
        self._key = key
        self._value = value

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({dict})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({dict if self._mapped else list})

    @property
    def identity(self) -> bool:
        return self._mapped and self._key.identity and self._value.identity

    @cached_property
    def _mapped(self) -> bool:
        # An identity shape's keys are hashable as plain data too: plain data that are lists never were keys.
        return self._key.identity or SCALARS.issuperset(self._key.kinds)

    def _passes(self, items: dict[Any, Any], *, read: bool) -> bool:
        if not self._key.as_is.issuperset(map(type, items)):
            return False
        if self._value.open:
            if not read:
                check_plain(items)
            return True
        return self._value.as_is.issuperset(map(type, items.values()))

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not dict:
            raise self.misfit(value)
        if self._mapped and self._passes(value, read=False):
            return value
        pairs = _pairs(value.items(), self._key.dump, self._value.dump)
        return dict(pairs) if self._mapped else [list(pair) for pair in pairs]

    def load(self, plain: Any) -> Any:
        kind = kind_of(plain)
        if kind is not (dict if self._mapped else list):
            raise self.misfit(plain)
        if self._mapped:
            items = cast("dict[Any, Any]", plain)
            if self._passes(items, read=True):
                return items
            return self._dict(_pairs(items.items(), self._key.load, self._value.load))
        pairs = cast("list[list[Any]]", plain)
        for index, pair in enumerate(pairs):
            kind = kind_of(pair)
            if kind is not list or len(pair) != 2:
                misfit = MisfitError("there is something other than a pair of key and value")
                misfit.steps.append(f"[{index}]")
                raise misfit
        return self._dict(_pairs(((key, value) for key, value in pairs), self._key.load, self._value.load))

    def _dict(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        try:
            value = dict(pairs)
        except TypeError as error:
            raise MisfitError(f"a key of the {self.name} can't be hashed: {error}") from error
        if len(value) != len(pairs):
            raise MisfitError(f"a key of the {self.name} is there twice")
        return value

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"dict[{self._key.describe(seen)}, {self._value.describe(seen)}]"


def _each(items: Iterable[Any], convert: _Convert) -> list[Any]:
    """`[convert(item) for item in items]`, whose `MisfitError` knows the index."""
    out: list[Any] = []
    try:
        out.extend(map(convert, items))
    except MisfitError as misfit:
        misfit.steps.append(f"[{len(out)}]")
        raise
    return out


def _pairs(items: Iterable[tuple[Any, Any]], key_of: _Convert, value_of: _Convert) -> list[tuple[Any, Any]]:
    out: list[tuple[Any, Any]] = []
    key: Any = None
    try:
        for key, value in items:
            out.append((_key(key, key_of), value_of(value)))
    except MisfitError as misfit:
        misfit.steps.append(step(key))
        raise
    return out


def _key(key: Any, convert: _Convert) -> Any:
    try:
        return convert(key)
    except MisfitError as misfit:
        raise MisfitError(f"as a key of the dict {misfit.problem}") from misfit
