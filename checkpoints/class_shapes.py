"""The shapes of classes with fields: dataclass, NamedTuple, TypedDict; and of Flag.

A class is never found by what the data says: it is the one of the annotation, and a value of a subclass is refused,
since it would come back as the annotated class. Pydantic models are in `model_shapes.py`.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .plain import Kind, MisfitError, kind_of, step
from .shapes import Shape, label_for


class FieldsShape(Shape):
    """What classes with named fields have in common: a map of the fields in their order.

    `fields` is filled in after the making, since a class may mention itself.
    """

    word = ""

    def __init__(self, name: str, type_: type[Any]) -> None:
        super().__init__(name)
        self.type = type_
        self.fields: dict[str, Shape] = {}

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({self.type})

    @property
    def kinds(self) -> frozenset[Kind]:
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

    def refuse_others(self, held: Mapping[str, object]) -> None:
        """Raise `MisfitError` for an attribute that is no field, and would be gone without a word."""
        for name in held:
            made = isinstance(inspect.getattr_static(self.type, name, None), cached_property)
            if name not in self.fields and name != "__orig_class__" and not made:
                raise MisfitError(
                    f"the attribute {name!a} is no field of {self.name} and would be lost. Make it one"
                )

    def dump_fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The plain data of each field, `values` being what an instance holds."""
        plain: dict[str, Any] = {}
        name = ""
        try:
            for name, shape in self.fields.items():
                if name not in values:
                    raise MisfitError(
                        f"the field of this {self.name} was never set. Set it, or give it a default"
                    )
                plain[name] = shape.dump(values[name])
        except MisfitError as misfit:
            misfit.steps.append(step(name))
            raise
        return plain

    def load_fields(self, plain: dict[Any, Any]) -> dict[str, Any]:
        """The value of each field; the plain data has exactly these fields."""
        if plain.keys() != self.fields.keys():
            raise MisfitError(f"the fields are not those of {self.name}")
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, shape in self.fields.items():
                values[name] = shape.load(plain[name])
        except MisfitError as misfit:
            misfit.steps.append(step(name))
            raise
        return values


class DataclassShape(FieldsShape):
    """A dataclass.

    It is made again without its `__init__`, so that every field is as it was. Only where it has a `__post_init__` it
    goes through `__init__`, for the attributes that are no fields; then the fields are set to what they were. A
    `__post_init__` that wants an `InitVar` can't be called again.
    """

    word = "dataclass"

    def __init__(self, name: str, type_: type[Any]) -> None:
        super().__init__(name, type_)
        self._init = [field.name for field in dataclasses.fields(type_) if field.init]
        self._post_init = hasattr(type_, "__post_init__") and set(self._init) == set(
            inspect.signature(type_).parameters
        )

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self.type:
            raise self.misfit(value)
        values: dict[str, Any] = {}
        for name in self.fields:
            try:
                values[name] = getattr(value, name)
            except AttributeError:
                continue  # dump_fields says so
        held = getattr(value, "__dict__", values)
        if len(held) > len(values) and not self._post_init:
            self.refuse_others(held)
        return self.dump_fields(values)

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not dict:
            raise self.misfit(plain)
        values = self.load_fields(plain)
        value = self._construct(values) if self._post_init else object.__new__(self.type)
        for name, field in values.items():
            object.__setattr__(value, name, field)
        return value

    def _construct(self, values: dict[str, Any]) -> Any:
        # A copy, since a __post_init__ may change its arguments in place.
        arguments = copy.deepcopy({name: values[name] for name in self._init})
        try:
            return self.type(**arguments)
        except Exception as error:
            # The user's code may raise anything.
            raise MisfitError(f"{self.name}.__post_init__ raised {type(error).__name__}: {error}") from error


class NamedTupleShape(FieldsShape):
    """A NamedTuple: an array."""

    word = "NamedTuple"

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({list})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self.type:
            raise self.misfit(value)
        return list(self.dump_fields(dict(zip(self.fields, value, strict=True))).values())

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not list:
            raise self.misfit(plain)
        if len(plain) != len(self.fields):
            raise MisfitError(f"there are {len(plain)} items, where {self.name} is due")
        values = self.load_fields(dict(zip(self.fields, plain, strict=True))).values()
        return tuple[Any].__new__(self.type, values)


class TypedDictShape(FieldsShape):
    """A TypedDict: a map of the keys that are there, in their order."""

    word = "TypedDict"

    def __init__(self, name: str, type_: type[Any]) -> None:
        super().__init__(name, type_)
        self.required: frozenset[str] = frozenset()

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({dict})

    def mark(self, name: str) -> str:
        return "" if name in self.required else "?"

    def dump(self, value: Any) -> Any:
        return self._each(value, load=False)

    def load(self, plain: Any) -> Any:
        return self._each(plain, load=True)

    def _each(self, items: Any, *, load: bool) -> dict[str, Any]:
        if kind_of(items) is not dict:
            raise self.misfit(items)
        missing = self.required.difference(items)
        if missing:
            raise MisfitError(f"the key {min(missing)!a} of {self.name} is missing")
        out: dict[str, Any] = {}
        key: Any = None
        try:
            for key, item in items.items():
                shape = self.fields.get(key) if type(key) is str else None
                if shape is None:
                    raise MisfitError(
                        f"{self.name} has no such key. Add it to the class, as NotRequired[...] if need be"
                    )
                out[key] = shape.load(item) if load else shape.dump(item)
        except MisfitError as misfit:
            misfit.steps.append(step(key))
            raise
        return out


class FlagShape(Shape):
    """A Flag: its number, combinations of members included."""

    def __init__(self, name: str, type_: type[enum.Flag]) -> None:
        super().__init__(name)
        self._type = type_

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({self._type})

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset({int})

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self._type:
            raise self.misfit(value)
        return value.value

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not int:
            raise self.misfit(plain)
        try:
            value = self._type(plain)
        except ValueError as error:
            raise MisfitError(f"the number is no {self.name}") from error
        if kind_of(value) is not self._type:  # a Flag that ejects what it does not know gives the number back
            raise MisfitError(f"the number is no {self.name}")
        return value

    def describe(self, seen: dict[Shape, str]) -> str:
        members = "; ".join(f"{name} = {member.value}" for name, member in self._type.__members__.items())
        return f"Flag {self.name}{{{members}}}"


def is_builtin_based(cls: type) -> bool:
    """Whether a class derives from a built-in one with content of its own (dict, Exception), which has no fields."""
    heap_type = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
    return any(base is not object and not base.__flags__ & heap_type for base in cls.__mro__)
