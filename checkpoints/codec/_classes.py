"""What values of a class are made of, and are made of again: without `__init__`, aliases, validators and defaults."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import typing
from collections.abc import Callable, Sequence, Set
from functools import cached_property, lru_cache, partial
from types import MemberDescriptorType
from typing import Any, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

from ..type_names import type_name
from ._errors import ConversionError

FIX = "Make it a dataclass or a pydantic model of plain data, or make it inside of the node that needs it"
_UNRESOLVED = "Give types themselves, not their names, and define what they name at module level, out of `if TYPE_CHECKING`"
_CLASSES = 1024  # of which the forms are kept
_NOTHING: dict[str, Any] = {}
_set_attribute = object.__setattr__  # of classes that are frozen too


@dataclasses.dataclass(frozen=True)
class Form:
    """How values without parts are stored: members of Enums, and what only pydantic knows (`foreign`)."""

    kind: str
    label: str
    dump: Callable[[Any], list[Any]]
    make: Callable[..., Any]
    members: Sequence[str] = ()
    """Those of an Enum, as the schema has them."""


class FieldsForm:
    """How objects with fields are taken apart and made again: those of dataclasses here."""

    kind = "dataclass"
    optional: Set[str] = frozenset()
    """Names of fields that may be missing."""
    grows = False
    """Whether an object may hold more than its fields."""
    by_value = False
    """Whether a member of an Enum may be there by its value."""

    def __init__(self, cls: Any, hints: dict[str, Any]) -> None:
        self.cls = cls
        self.label = type_name(cls)
        self.hints = hints
        """The types of the fields."""
        self.names = (*hints,)

    def dump(self, value: Any) -> list[dict[str, Any]]:
        """The parts of an object: its fields, and what it keeps beside them. Raises `ConversionError`."""
        return [self.held(value)]

    def held(self, value: Any) -> dict[str, Any]:
        """All that an object holds, by name. Raises `ConversionError`."""
        held: dict[str, Any] = getattr(value, "__dict__", _NOTHING)
        if (*held,) == self.names:
            return held
        try:
            fields = {name: held[name] if name in held else getattr(value, name) for name in self.names}
        except AttributeError as error:
            problem = "the field was never set"
            raise ConversionError(problem, "Set it, or give it a default", error.name) from None
        for name in sorted(held.keys() - fields.keys() - {"__orig_class__"}):
            # A cached property is made when it is asked for.
            if not isinstance(inspect.getattr_static(self.cls, name, None), cached_property):
                problem = f"the attribute {name!a} is no field of {self.label} and would be lost"
                raise ConversionError(problem, "Make it one")
        return fields

    def make(self, fields: dict[Any, Any], rest: Any = _NOTHING) -> Any:
        """An object of its parts. Raises `ConversionError` for those of another class."""
        extra: dict[Any, Any] = {}
        if (*fields,) != self.names:
            extra = {name: item for name, item in fields.items() if name not in self.names}
            wrong = [name for name in extra if not (self.grows and type(name) is str)]
            for name in [*(name for name in self.names if name not in fields), *wrong]:
                raise ConversionError(f"a field is missing, or {self.label} does not have it", at=name)
            fields = {name: fields[name] for name in self.names}
        return self._make(fields, extra, **rest)

    def _make(self, fields: dict[str, Any], extra: Any) -> Any:
        made = object.__new__(self.cls)
        for name, item in fields.items():
            _set_attribute(made, name, item)
        return made


class _NamedTuple(FieldsForm):
    kind = "NamedTuple"

    def _make(self, fields: dict[str, Any], extra: Any) -> Any:
        return tuple[Any].__new__(self.cls, fields.values())


class _TypedDict(FieldsForm):
    kind = "TypedDict"

    def __init__(self, cls: Any, hints: dict[str, Any]) -> None:
        super().__init__(dict, hints)
        self.label = type_name(cls)
        # What is written as text, the class itself could not read.
        sure = {typing.NotRequired: False, typing.Required: True}
        self.optional = {
            name for name in hints if not sure.get(get_origin(hints[name]), name in cls.__required_keys__)
        }

    def held(self, value: Any) -> dict[str, Any]:
        for name in self.hints.keys() - value.keys() - self.optional or value.keys() - self.hints.keys():
            raise ConversionError(f"the key is missing, or {self.label} does not have it", at=name)
        return value


class _Model(FieldsForm):
    kind = "model"

    def __init__(self, cls: Any) -> None:
        super().__init__(cls, {name: field.annotation for name, field in cls.model_fields.items()})
        self.grows = cls.model_config.get("extra") == "allow"
        self.by_value = cls.model_config.get("use_enum_values", False)
        self._private = cls.__private_attributes__.keys()

    def held(self, value: Any) -> dict[str, Any]:
        fields, *rest = self.dump(value)
        return fields | rest[0].get("private", _NOTHING) if rest else fields

    def dump(self, value: Any) -> list[dict[str, Any]]:
        """The rest, if there is any: the names of the fields that were `set`, if not all, and `private` attributes."""
        fields = super().held(value)
        rest: dict[str, Any] = {}
        if value.__pydantic_extra__:
            fields = fields | value.__pydantic_extra__
        if (names_set := value.__pydantic_fields_set__) != fields.keys():
            if not names_set <= fields.keys():
                raise ConversionError(f"a field is noted as set that {self.label} does not have")
            rest["set"] = sorted(names_set)
        if value.__pydantic_private__:
            rest["private"] = value.__pydantic_private__
        return [fields, rest] if rest else [fields]

    def _make(self, fields: dict[str, Any], extra: Any, set: Any = None, private: Any = _NOTHING) -> Any:  # noqa: A002
        names = {*fields, *extra} if set is None else {*set}
        if not (names <= fields.keys() | extra.keys() and private.keys() <= self._private):
            raise ConversionError(f"what is kept beside the fields is not that of {self.label}")
        made = self.cls.__new__(self.cls)
        _set_attribute(made, "__pydantic_fields_set__", names)
        _set_attribute(made, "__pydantic_extra__", extra if self.grows else None)
        _set_attribute(made, "__pydantic_private__", {**private} if self._private else None)
        # Last, since a RootModel has no slots for the rest, and does without.
        _set_attribute(made, "__dict__", fields)
        return made


@lru_cache(maxsize=_CLASSES)
def form_of(tp: Any) -> Form | FieldsForm:
    """The form of a class, which may have arguments. Raises `ConversionError` for one that can't be stored."""
    cls = get_origin(tp) or tp
    label = type_name(cls)
    refused = ConversionError(f"the type {label} can't be stored", FIX)
    if issubclass(cls, enum.Enum):
        if not cls.__members__:
            raise refused
        members = [f"{name} = {_value_text(member._value_)}" for name, member in cls.__members__.items()]
        if issubclass(cls, enum.Flag):
            return Form("Flag", label, lambda value: [value._value_], partial(_member, cls), members)
        return Form("Enum", label, lambda value: [value._name_], cls.__members__.__getitem__, members)
    if is_typeddict(cls):
        return _TypedDict(cls, hints_of(cls, tp))
    if dataclasses.is_dataclass(cls):
        if cls.__new__ is not object.__new__:
            refused.problem += ": it may hold more than its fields"
            raise refused
        hints, names = hints_of(cls, tp), [field.name for field in dataclasses.fields(cls)]
        for name in names:
            found = inspect.getattr_static(cls, name, None)
            if hasattr(found, "__set__") and not isinstance(found, MemberDescriptorType):
                refused.problem, refused.fix = (
                    "a field that is a property can't be stored",
                    "Name them differently",
                )
                refused.steps = [f"{label}.{name}"]
                raise refused
        return FieldsForm(cls, {name: hints[name] for name in names})
    if tuple in cls.__mro__ and hasattr(cls, "_fields"):
        return _NamedTuple(cls, {**dict.fromkeys(cls._fields, Any), **hints_of(cls, tp)})
    from pydantic import BaseModel, TypeAdapter

    if cls is BaseModel:
        raise ConversionError("the type BaseModel can't be stored", "Give the model itself")
    if issubclass(cls, BaseModel):
        try:
            cls.model_rebuild()
        except NameError as error:
            problem = str(error).splitlines()[0]
            raise ConversionError(f"the type can't be stored: {problem}", _UNRESOLVED) from error
        return _Model(cls)
    try:
        dump = partial(TypeAdapter(cls).dump_python, mode="json", round_trip=True, warnings="error")
        return Form("foreign", label, lambda value: [dump(value)], TypeAdapter(tp).validate_python)
    except Exception:  # noqa: BLE001 - pydantic has many, with long messages
        raise refused from None


def _member(cls: Any, value: Any) -> Any:
    return cls(value)


def _value_text(value: Any) -> str:
    return ascii(value) if type(value) in (bool, int, float, str, bytes, type(None)) else "..."


def hints_of(cls: Any, tp: Any) -> dict[str, Any]:
    """The types of the fields, with the arguments of the annotation in the place of type variables."""
    try:
        try:
            hints = get_type_hints(cls, include_extras=True)
        except NameError:  # a class of a function may mention itself
            hints = get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ConversionError(f"the type can't be stored: {error}", _UNRESOLVED) from error
    origin = get_origin(tp)
    variables = getattr(origin, "__type_params__", ()) or getattr(origin, "__parameters__", ())
    given = dict(zip(variables, get_args(tp), strict=False))
    return {name: _substituted(hint, given) for name, hint in hints.items()}


def _substituted(tp: Any, given: dict[Any, Any]) -> Any:
    if isinstance(tp, typing.TypeVar):
        return given.get(tp, tp)
    variables: Any = getattr(tp, "__parameters__", ()) if get_origin(tp) else ()
    return tp[tuple(given.get(each, each) for each in variables)] if variables else tp
