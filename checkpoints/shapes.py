"""Shapes: how values of one type become plain data and come back. `annotations.py` finds the shape of a type.

A shape is strict: what it takes comes back equal and of equal type, all else is a `Misfit`. Nothing is looked
up by what the data says; only the annotation decides. Classes have their shapes in `class_shapes.py`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from .plain import SCALARS, Misfit, a, check_plain, mend, step, write

KEYS: frozenset[type] = SCALARS
"""The plain types that a msgpack map can have as keys."""


class Shape(ABC):
    """One type's way to plain data. `name` is the type as a person writes it."""

    def __init__(self, name: str) -> None:
        self.name = name

    as_is: frozenset[type] = frozenset()
    """Exact types whose every value passes unchanged in both directions, so that it need not be looked at."""

    @property
    @abstractmethod
    def takes(self) -> frozenset[type]:
        """The exact types of the values that it takes, those that it converts excluded."""

    @property
    @abstractmethod
    def kinds(self) -> frozenset[type]:
        """The exact types of the plain data that it gives."""

    @property
    def identity(self) -> bool:
        """Whether the plain data is always the value itself."""
        return False

    @abstractmethod
    def dump(self, value: Any) -> Any:
        """The plain data of a value, or `Misfit`."""

    @abstractmethod
    def load(self, plain: Any) -> Any:
        """The value of plain data, or `Misfit`."""

    @abstractmethod
    def describe(self, seen: dict[Shape, str]) -> str:
        """The canonical text of the type. `seen` holds the labels of the classes that were described before."""

    def misfit(self, value: object) -> Misfit:
        problem = f"there is {a(value)}, where {self.name} is due"
        subclass = any(base in self.takes for base in type(value).__mro__[1:])
        return Misfit(f"{problem}. {mend(value)}" if subclass else problem)


class ScalarShape(Shape):
    """None, bool, int, str or bytes: stored as it is. A bool passes as an int, since it comes back a bool."""

    def __init__(self, name: str, *types: type) -> None:
        super().__init__(name)
        self.as_is = frozenset(types)

    @property
    def takes(self) -> frozenset[type]:
        return self.as_is

    @property
    def kinds(self) -> frozenset[type]:
        return self.as_is

    @property
    def identity(self) -> bool:
        return True

    def dump(self, value: Any) -> Any:
        if type(value) not in self.as_is:
            raise self.misfit(value)
        return value

    load = dump

    def describe(self, seen: dict[Shape, str]) -> str:
        return self.name


class _Coercions(threading.local):
    """How many ints became floats in this thread: by this a union finds the branch that changes nothing."""

    count = 0


coercions = _Coercions()


class FloatShape(ScalarShape):
    """A float, nan and infinities included. An int is stored as the float that equals it."""

    def __init__(self) -> None:
        super().__init__("float", float)

    def dump(self, value: Any) -> float:
        if type(value) is float:
            return value
        if type(value) is not int:
            raise self.misfit(value)
        try:
            number = float(value)
        except OverflowError:
            number = 0.0
        if number != value:
            raise Misfit(
                "there is an int that no float equals. Annotate the place as int, or round it with float(...)"
            )
        coercions.count += 1
        return number


class PlainShape(Shape):
    """`object` and `Any`: whatever is plain data already."""

    as_is = SCALARS

    @property
    def takes(self) -> frozenset[type]:
        return SCALARS | {list, dict}

    @property
    def kinds(self) -> frozenset[type]:
        return SCALARS | {list, dict}

    @property
    def identity(self) -> bool:
        return True

    def dump(self, value: Any) -> Any:
        check_plain(value)
        return value

    def load(self, plain: Any) -> Any:
        return plain

    def describe(self, seen: dict[Shape, str]) -> str:
        return "object"


class TextShape(Shape):
    """A value that is stored as a text from which its type can make it again."""

    def __init__(
        self, name: str, type_: type, to_text: Callable[[Any], str], from_text: Callable[[str], Any]
    ) -> None:
        super().__init__(name)
        self._type = type_
        self._to_text = to_text
        self._from_text = from_text

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({str})

    def dump(self, value: Any) -> str:
        if type(value) is not self._type:
            raise self.misfit(value)
        return self._to_text(value)

    def load(self, plain: Any) -> Any:
        if type(plain) is not str:
            raise self.misfit(plain)
        try:
            return self._from_text(plain)
        except (ValueError, ArithmeticError, LookupError, OSError) as error:
            raise Misfit(f"the text is no {self.name}: {error}") from error

    def describe(self, seen: dict[Shape, str]) -> str:
        return self.name


class ListShape(Shape):
    """`list[T]`: a msgpack array."""

    def __init__(self, name: str, item: Shape) -> None:
        super().__init__(name)
        self._item = item

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({list})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({list})

    @property
    def identity(self) -> bool:
        return self._item.identity

    def dump(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise self.misfit(value)
        return self._each(value, self._item.dump)

    def load(self, plain: Any) -> Any:
        if type(plain) is not list:
            raise self.misfit(plain)
        return self._each(plain, self._item.load)

    def _each(self, items: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
        if self._item.as_is.issuperset(map(type, items)):
            return items
        return convert_each(items, convert)

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"list[{self._item.describe(seen)}]"


class SetShape(Shape):
    """`set[T]` or `frozenset[T]`: an array in the order of the items' bytes, so that equal sets are equal bytes."""

    def __init__(self, name: str, type_: type[set[Any]] | type[frozenset[Any]], item: Shape) -> None:
        super().__init__(name)
        self._type = type_
        self._item = item

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({list})

    def dump(self, value: Any) -> list[Any]:
        if type(value) is not self._type:
            raise self.misfit(value)
        items: list[Any] = []
        try:
            for item in value:
                items.append(self._item.dump(item))
        except Misfit as misfit:
            misfit.steps.append("[item]")
            raise
        return sorted(items, key=write)

    def load(self, plain: Any) -> Any:
        if type(plain) is not list:
            raise self.misfit(plain)
        try:
            return self._type(convert_each(plain, self._item.load))
        except TypeError as error:
            raise Misfit(f"an item of the set can't be hashed: {error}") from error

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"{self._type.__name__}[{self._item.describe(seen)}]"


class DictShape(Shape):
    """`dict[K, V]`: a map in the dict's order, or an array of pairs where the keys' data can't be keys of a map."""

    def __init__(self, name: str, key: Shape, value: Shape) -> None:
        super().__init__(name)
        self._key = key
        self._value = value

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({dict})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({dict if self._mapped else list})

    @property
    def _mapped(self) -> bool:
        return KEYS.issuperset(self._key.kinds) or isinstance(self._key, PlainShape)

    @property
    def identity(self) -> bool:
        return self._key.identity and self._value.identity and self._mapped

    def dump(self, value: Any) -> Any:
        if type(value) is not dict:
            raise self.misfit(value)
        if self._key.as_is.issuperset(map(type, value)) and self._value.as_is.issuperset(
            map(type, value.values())
        ):
            return value
        pairs = self._pairs(value.items(), self._key.dump, self._value.dump)
        return dict(pairs) if self._mapped else [list(pair) for pair in pairs]

    def load(self, plain: Any) -> Any:
        if type(plain) is not (dict if self._mapped else list):
            raise self.misfit(plain)
        if not self._mapped:
            if any(type(pair) is not list or len(pair) != 2 for pair in plain):
                raise Misfit("there is something other than pairs of key and value")
            plain_pairs: Iterable[tuple[Any, Any]] = plain
        elif self._key.as_is.issuperset(map(type, plain)) and self._value.as_is.issuperset(
            map(type, plain.values())
        ):
            return plain
        else:
            plain_pairs = plain.items()
        try:
            return dict(self._pairs(plain_pairs, self._key.load, self._value.load))
        except TypeError as error:
            raise Misfit(f"a key of the dict can't be hashed: {error}") from error

    def _pairs(
        self, items: Iterable[tuple[Any, Any]], key_of: Callable[[Any], Any], value_of: Callable[[Any], Any]
    ) -> list[tuple[Any, Any]]:
        pairs: list[tuple[Any, Any]] = []
        key: Any = None
        try:
            for key, value in items:
                pairs.append((_key(key, key_of), value_of(value)))
        except Misfit as misfit:
            misfit.steps.append(step(key))
            raise
        return pairs

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"dict[{self._key.describe(seen)}, {self._value.describe(seen)}]"


class TupleShape(Shape):
    """`tuple[A, B]`: an array of that length."""

    def __init__(self, name: str, items: tuple[Shape, ...]) -> None:
        super().__init__(name)
        self._items = items

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({tuple})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({list})

    def dump(self, value: Any) -> list[Any]:
        if type(value) is not tuple:
            raise self.misfit(value)
        return self._each(value, [item.dump for item in self._items])

    def load(self, plain: Any) -> tuple[Any, ...]:
        if type(plain) is not list:
            raise self.misfit(plain)
        return tuple(self._each(plain, [item.load for item in self._items]))

    def _each(self, items: Any, converts: list[Callable[[Any], Any]]) -> list[Any]:
        if len(items) != len(converts):
            raise Misfit(f"there are {len(items)} items, where {self.name} is due")
        out: list[Any] = []
        try:
            for item, convert in zip(items, converts, strict=True):
                out.append(convert(item))
        except Misfit as misfit:
            misfit.steps.append(f"[{len(out)}]")
            raise
        return out

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"tuple[{', '.join(item.describe(seen) for item in self._items) or '()'}]"


class RowShape(ListShape):
    """`tuple[T, ...]`: an array of any length."""

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({tuple})

    @property
    def identity(self) -> bool:
        return False

    def dump(self, value: Any) -> list[Any]:
        if type(value) is not tuple:
            raise self.misfit(value)
        return self._each(list(value), self._item.dump)

    def load(self, plain: Any) -> tuple[Any, ...]:
        return tuple(super().load(plain))

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"tuple[{self._item.describe(seen)}, ...]"


class ChoiceShape(Shape):
    """A closed list of values, each with its plain form: the members of an Enum, the values of a Literal."""

    def __init__(self, name: str, text: str, choices: list[tuple[Any, Any]]) -> None:
        super().__init__(name)
        self._text = text
        self._types = frozenset(type(value) for value, _ in choices)
        self._plain = {(type(value), value): plain for value, plain in choices}
        self._value = {write(plain): value for value, plain in choices}
        self._kinds = frozenset(type(plain) for _, plain in choices)
        self._identity = all(type(value) is type(plain) for value, plain in choices)

    @property
    def takes(self) -> frozenset[type]:
        return self._types

    @property
    def kinds(self) -> frozenset[type]:
        return self._kinds

    @property
    def identity(self) -> bool:
        return self._identity

    def dump(self, value: Any) -> Any:
        if type(value) not in self._types:
            raise self.misfit(value)
        try:
            return self._plain[type(value), value]
        except KeyError:
            raise Misfit(f"there is another value than those of {self.name}") from None

    def load(self, plain: Any) -> Any:
        if type(plain) not in self._kinds:
            raise self.misfit(plain)
        try:
            return self._value[write(plain)]
        except KeyError:
            raise Misfit(f"there is another value than those of {self.name}") from None

    def describe(self, seen: dict[Shape, str]) -> str:
        return self._text


class AliasShape(Shape):
    """A type that is mentioned inside of its own definition, as `type Json = list[Json] | str` does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.target: Shape = self

    @property
    def takes(self) -> frozenset[type]:
        return self.target.takes

    @property
    def kinds(self) -> frozenset[type]:
        return self.target.kinds

    @property
    def identity(self) -> bool:
        return self.target.identity

    def dump(self, value: Any) -> Any:
        return self.target.dump(value)

    def load(self, plain: Any) -> Any:
        return self.target.load(plain)

    def describe(self, seen: dict[Shape, str]) -> str:
        if self in seen:
            return seen[self]
        label = label_for(self.name, seen)
        seen[self] = label
        return f"{label}={self.target.describe(seen)}"


def label_for(name: str, seen: dict[Shape, str]) -> str:
    """A label that no other class in this description has, though its name may be the same."""
    taken = set(seen.values())
    label, number = name, 1
    while label in taken:
        number += 1
        label = f"{name}#{number}"
    return label


def convert_each(items: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """`[convert(item) for item in items]`, whose `Misfit` knows the index."""
    out: list[Any] = []
    try:
        for item in items:
            out.append(convert(item))
    except Misfit as misfit:
        misfit.steps.append(f"[{len(out)}]")
        raise
    return out


def _key(key: Any, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(key)
    except Misfit as misfit:
        raise Misfit(f"as a key of the dict {misfit.problem}") from misfit
