"""The shapes of classes with fields: dataclass, NamedTuple, TypedDict, and of Flag.

A class is never found by what the data says: it is the one of the annotation, and a value of a subclass is refused,
since it would come back as the annotated class. Pydantic models are in `model_shapes.py`.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
from collections.abc import Mapping
from typing import Any

from .plain import Misfit, step
from .shapes import Shape, label_for


class FieldsShape(Shape):
    """What classes with named fields have in common. `fields` is filled in after the making: a class may hold itself."""

    word = ""

    def __init__(self, name: str, type_: type) -> None:
        super().__init__(name)
        self.type = type_
        self.fields: dict[str, Shape] = {}

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({self.type})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({dict})

    def describe(self, seen: dict[Shape, str]) -> str:
        if self in seen:
            return seen[self]
        label = seen[self] = label_for(self.name, seen)
        fields = "; ".join(
            f"{name}{self.mark(name)}: {shape.describe(seen)}" for name, shape in self.fields.items()
        )
        return f"{self.word} {label}{{{fields}}}"

    def mark(self, name: str) -> str:
        """What a description says of a field besides its type."""
        return ""

    def dump_fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The plain data of each field, `values` being what an instance holds."""
        plain: dict[str, Any] = {}
        name = ""
        try:
            for name, shape in self.fields.items():
                plain[name] = shape.dump(values[name])
        except KeyError:
            raise Misfit(f"the {self.name} has no value in its field {name!r}. Give it one") from None
        except Misfit as misfit:
            misfit.steps.append(step(name))
            raise
        return plain

    def load_fields(self, plain: dict[Any, Any]) -> dict[str, Any]:
        """The value of each field; the plain data has exactly these fields."""
        if plain.keys() != self.fields.keys():
            raise Misfit(f"the fields are not those of {self.name}")
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, shape in self.fields.items():
                values[name] = shape.load(plain[name])
        except Misfit as misfit:
            misfit.steps.append(step(name))
            raise
        return values


class DataclassShape(FieldsShape):
    """A dataclass: a map of its fields.

    It is made again without its `__init__`, so that every field is as it was. Only where it has a `__post_init__`
    that can be called that way runs too, for the attributes that are no fields; the fields are set after it.
    """

    word = "dataclass"

    def __init__(self, name: str, type_: type) -> None:
        super().__init__(name, type_)
        self._init = [field.name for field in dataclasses.fields(type_) if field.init]
        self._post_init = hasattr(type_, "__post_init__") and self._init == list(
            inspect.signature(type_).parameters
        )

    def dump(self, value: Any) -> dict[str, Any]:
        if type(value) is not self.type:
            raise self.misfit(value)
        return self.dump_fields({name: getattr(value, name) for name in self.fields if hasattr(value, name)})

    def load(self, plain: Any) -> Any:
        if type(plain) is not dict:
            raise self.misfit(plain)
        values = self.load_fields(plain)
        if self._post_init:
            value = self._construct({name: values[name] for name in self._init})
        else:
            value = object.__new__(self.type)
        for name, field in values.items():
            object.__setattr__(value, name, field)
        return value

    def _construct(self, arguments: dict[str, Any]) -> Any:
        try:
            return self.type(**copy.deepcopy(arguments))
        except Exception as error:  # noqa: BLE001 - a class of the user's; whatever it raises, the value can't be read
            raise Misfit(f"{self.name}.__post_init__ raised {type(error).__name__}: {error}") from error


class NamedTupleShape(FieldsShape):
    """A NamedTuple: an array."""

    word = "NamedTuple"

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({list})

    def dump(self, value: Any) -> list[Any]:
        if type(value) is not self.type:
            raise self.misfit(value)
        return list(self.dump_fields(dict(zip(self.fields, value, strict=True))).values())

    def load(self, plain: Any) -> Any:
        if type(plain) is not list:
            raise self.misfit(plain)
        if len(plain) != len(self.fields):
            raise Misfit(f"there are {len(plain)} items, where {self.name} is due")
        return tuple.__new__(self.type, self.load_fields(dict(zip(self.fields, plain, strict=True))).values())


class TypedDictShape(FieldsShape):
    """A TypedDict: a map of the keys that are there, in their order."""

    word = "TypedDict"

    def __init__(self, name: str, type_: type) -> None:
        super().__init__(name, type_)
        self.required: frozenset[str] = frozenset()

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({dict})

    def mark(self, name: str) -> str:
        return "" if name in self.required else "?"

    def dump(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise self.misfit(value)
        return self._each(value, load=False)

    def load(self, plain: Any) -> dict[str, Any]:
        if type(plain) is not dict:
            raise self.misfit(plain)
        return self._each(plain, load=True)

    def _each(self, items: Any, *, load: bool) -> dict[str, Any]:
        missing = self.required.difference(items)
        if missing:
            raise Misfit(f"the key {min(missing)!r} of {self.name} is missing")
        out: dict[str, Any] = {}
        key: Any = None
        try:
            for key, item in items.items():
                shape = self.fields.get(key) if type(key) is str else None
                if shape is None:
                    raise Misfit(
                        f"{self.name} has no such key. Add it to the class, as NotRequired[...] where it may be missing"
                    )
                out[key] = shape.load(item) if load else shape.dump(item)
        except Misfit as misfit:
            misfit.steps.append(step(key))
            raise
        return out


class FlagShape(Shape):
    """A Flag: its number, combinations of members included."""

    def __init__(self, name: str, type_: type[enum.Flag]) -> None:
        super().__init__(name)
        self._type = type_

    @property
    def takes(self) -> frozenset[type]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[type]:
        return frozenset({int})

    def dump(self, value: Any) -> int:
        if type(value) is not self._type:
            raise self.misfit(value)
        return value.value

    def load(self, plain: Any) -> Any:
        if type(plain) is not int:
            raise self.misfit(plain)
        try:
            value = self._type(plain)
        except ValueError as error:
            raise Misfit(f"the number is no {self.name}") from error
        if type(value) is not self._type:
            raise Misfit(f"the number is no {self.name}")
        return value

    def describe(self, seen: dict[Shape, str]) -> str:
        members = "; ".join(f"{name} = {member.value}" for name, member in self._type.__members__.items())
        return f"Flag {self.name}{{{members}}}"
