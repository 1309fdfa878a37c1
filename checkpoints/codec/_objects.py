"""What objects hold, and objects made of it again: without `__init__`, aliases, defaults, validators, serializers."""

from __future__ import annotations

import dataclasses
import inspect
from functools import cached_property, lru_cache
from typing import Any

from ..type_names import type_name
from ._errors import ConversionError

_CLASSES = 1024  # of which the layouts are kept
_NOTHING: dict[str, Any] = {}
_set_attribute = object.__setattr__  # of classes that are frozen too


class Layout:
    """How objects of a class with fields are taken apart and made again."""

    def __init__(self, cls: Any, names: tuple[str, ...], *, is_model: bool = False) -> None:
        self.names = names
        self.label = type_name(cls)
        self._cls = cls
        self._make = self._model if is_model else self._named_tuple if tuple in cls.__mro__ else self._bare
        self._is_model = is_model
        self._grows: bool = is_model and cls.model_config.get("extra") == "allow"
        self._private = frozenset(cls.__private_attributes__ if is_model else ())

    def state(self, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields, and what a model keeps beside them: the names of those that were `set`, if not all, and its
        `private` attributes. Raises `ConversionError`.
        """
        held: dict[str, Any] = getattr(value, "__dict__", {})
        fields = held if (*held,) == self.names else self._fields(value, held)
        rest: dict[str, Any] = {}
        if self._is_model:
            if value.__pydantic_extra__:
                fields = fields | value.__pydantic_extra__
            if (names_set := value.__pydantic_fields_set__) != fields.keys():
                if not names_set <= fields.keys():
                    raise ConversionError(f"a field is noted as set that {self.label} does not have")
                rest["set"] = sorted(names_set)
            if value.__pydantic_private__:
                rest["private"] = value.__pydantic_private__
        return fields, rest

    def _fields(self, value: Any, held: dict[str, Any]) -> dict[str, Any]:
        try:
            fields = {name: held[name] if name in held else getattr(value, name) for name in self.names}
        except AttributeError as error:
            raise ConversionError(
                "the field was never set", "Set it, or give it a default", error.name
            ) from None
        for name in sorted(
            held.keys() - fields.keys() - {"__orig_class__"}
        ):  # a cached property is made when asked for
            if not isinstance(inspect.getattr_static(self._cls, name, None), cached_property):
                problem = f"the attribute {name!a} is no field of {self.label} and would be lost"
                raise ConversionError(problem, "Make it one")
        return fields

    def make(self, fields: dict[Any, Any], rest: Any) -> Any:
        """An object of its state. Raises `ConversionError` for the state of another class."""
        if (*fields,) == self.names:
            return self._make(fields, {}, **rest)
        extra = {name: item for name, item in fields.items() if name not in self.names}
        wrong = [name for name in extra if not (self._grows and type(name) is str)]
        for name in [*(name for name in self.names if name not in fields), *wrong]:
            raise ConversionError(f"a field is missing, or {self.label} does not have it", at=name)
        return self._make({name: fields[name] for name in self.names}, extra, **rest)

    def _bare(self, fields: dict[str, Any], _: object) -> Any:
        made = object.__new__(self._cls)
        for name, item in fields.items():
            _set_attribute(made, name, item)
        return made

    def _named_tuple(self, fields: dict[str, Any], _: object) -> Any:
        return tuple[Any].__new__(self._cls, fields.values())

    def _model(self, fields: dict[str, Any], extra: Any, set: Any = None, private: Any = _NOTHING) -> Any:  # noqa: A002
        names = {*fields, *extra} if set is None else {*set}
        if not (names <= fields.keys() | extra.keys() and private.keys() <= self._private):
            raise ConversionError(f"what is kept beside the fields is not that of {self.label}")
        made = self._cls.__new__(self._cls)
        _set_attribute(made, "__pydantic_fields_set__", names)
        _set_attribute(made, "__pydantic_extra__", extra if self._grows else None)
        _set_attribute(made, "__pydantic_private__", {**private} if self._private else None)
        _set_attribute(
            made, "__dict__", fields
        )  # last: a RootModel has no slots for the rest, and does without
        return made


@lru_cache(maxsize=_CLASSES)
def layout_of(cls: Any) -> Layout:
    """The layout of a dataclass, pydantic model or named tuple."""
    if dataclasses.is_dataclass(cls):
        return Layout(cls, tuple(field.name for field in dataclasses.fields(cls)))
    names: Any = getattr(cls, "_fields", None)
    return Layout(cls, names) if tuple in cls.__mro__ else Layout(cls, tuple(cls.model_fields), is_model=True)


@lru_cache
def adapter(tp: Any) -> Any:
    """What pydantic knows about a type. Raises what pydantic raises."""
    from pydantic import TypeAdapter

    return TypeAdapter(tp)
