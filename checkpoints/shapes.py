"""Shapes: how values of one type become plain data and come back. `annotations.py` finds the shape of a type.

A shape is strict: what it takes comes back equal and of equal type, all else is a `MisfitError`. Nothing is looked up
by what the data says; only the annotation decides. Here are the base and the shapes that need no other room:
`scalar_shapes.py`, `container_shapes.py`, `union_shape.py`, `class_shapes.py` and `model_shapes.py` hold the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .plain import PLAIN, SCALARS, Kind, MisfitError, a, check_plain, kind_of, write


class Shape(ABC):
    """One type's way to plain data. `name` is the type as a person writes it."""

    as_is: frozenset[Kind] = frozenset()
    """Exact types whose every value passes unchanged in both directions, so that it need not be looked at."""
    open = False
    """Whether the shape is that of all plain data: any of it is read as it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def takes(self) -> frozenset[Kind]:
        """The exact types of the values that it takes, those that it converts excluded."""

    @property
    @abstractmethod
    def kinds(self) -> frozenset[Kind]:
        """The exact types of the plain data that it gives."""

    @property
    def identity(self) -> bool:
        """Whether the plain data is always the value itself."""
        return False

    @abstractmethod
    def dump(self, value: Any) -> Any:
        """The plain data of a value, or `MisfitError`."""

    @abstractmethod
    def load(self, plain: Any) -> Any:
        """The value of plain data, or `MisfitError`."""

    def describe(self, seen: dict[Shape, str]) -> str:
        """The canonical text of the type. `seen` holds the labels of the classes that were described before."""
        return self.name

    def misfit(self, value: object) -> MisfitError:
        """The error for a value of another type, with the mend if its type is derived from one that is taken."""
        problem = f"there is {a(value)}, where {self.name} is due"
        if self.takes.isdisjoint(type(value).__mro__[1:]):
            return MisfitError(problem)
        return MisfitError(
            f"{problem}: it would not come back as what it is. Convert it, or annotate the place with its type"
        )


class PlainShape(Shape):
    """`object` and `Any`: whatever is plain data already."""

    as_is = SCALARS
    open = True

    @property
    def takes(self) -> frozenset[Kind]:
        return PLAIN

    @property
    def kinds(self) -> frozenset[Kind]:
        return PLAIN

    @property
    def identity(self) -> bool:
        return True

    def dump(self, value: Any) -> Any:
        check_plain(value)
        return value

    def load(self, plain: Any) -> Any:
        return plain


class ChoiceShape(Shape):
    """A closed list of values, each with its plain form: the members of an Enum, the values of a Literal."""

    def __init__(self, name: str, text: str, choices: list[tuple[object, object]]) -> None:
        super().__init__(name)
        self._text = text
        self._takes = frozenset(type(value) for value, _ in choices)
        self._kinds = frozenset(type(plain) for _, plain in choices)
        self._identity = all(type(value) is type(plain) for value, plain in choices)
        self._plain_of = {(type(value), value): plain for value, plain in choices}
        self._value_of = {write(plain): value for value, plain in choices}

    @property
    def takes(self) -> frozenset[Kind]:
        return self._takes

    @property
    def kinds(self) -> frozenset[Kind]:
        return self._kinds

    @property
    def identity(self) -> bool:
        return self._identity

    def dump(self, value: Any) -> Any:
        kind = kind_of(value)
        if kind not in self._takes:
            raise self.misfit(value)
        try:
            return self._plain_of[kind, value]
        except KeyError:
            raise MisfitError(f"there is another value than those of {self.name}") from None

    def load(self, plain: Any) -> Any:
        if kind_of(plain) not in self._kinds:
            raise self.misfit(plain)
        try:
            return self._value_of[write(plain)]
        except KeyError:
            raise MisfitError(f"there is another value than those of {self.name}") from None

    def describe(self, seen: dict[Shape, str]) -> str:
        return self._text


class AliasShape(Shape):
    """A `type` alias, which may mention itself: `type Json = dict[str, Json] | list[Json] | str`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.target: Shape = self  # set once that is built
        self.recursive = False

    @property
    def takes(self) -> frozenset[Kind]:
        return self.target.takes

    @property
    def kinds(self) -> frozenset[Kind]:
        return self.target.kinds

    @property
    def identity(self) -> bool:
        return self.target.identity

    def dump(self, value: Any) -> Any:
        return self.target.dump(value)

    def load(self, plain: Any) -> Any:
        return self.target.load(plain)

    def describe(self, seen: dict[Shape, str]) -> str:
        if not self.recursive:
            return self.target.describe(seen)
        if self in seen:
            return seen[self]
        label = seen[self] = label_for(self.name, seen)
        return f"type {label} = ({self.target.describe(seen)})"


def label_for(name: str, seen: dict[Shape, str]) -> str:
    """A label that no other class in this description has, though its name may be the same."""
    taken = set(seen.values())
    label, number = name, 1
    while label in taken:
        number += 1
        label = f"{name}#{number}"
    return label
