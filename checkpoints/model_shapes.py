"""The shapes of pydantic models, and of types that only pydantic knows inside of them. Loaded when one is met.

A model is stored field by field as it is and made again without validation, so that neither aliases, serializers,
strictness nor validators stand between a value and its return. Which fields were set, the extra ones and the private
attributes are kept with it, under the key "", which no field can have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticUndefined

from .class_shapes import FieldsShape
from .plain import PLAIN, Kind, MisfitError, check_plain, kind_of, step
from .shapes import PlainShape, Shape

_REST = ""


class ModelShape(FieldsShape):
    """A pydantic model."""

    word = "model"

    def __init__(self, name: str, type_: type[BaseModel]) -> None:
        super().__init__(name, type_)
        self.private: dict[str, Shape] = {}
        self._extra = PlainShape("object")
        self._takes_extra = type_.model_config.get("extra") == "allow"

    def describe(self, seen: dict[Shape, str]) -> str:
        known = self in seen
        text = super().describe(seen)
        if known:
            return text
        more = [f"{name}: {shape.describe(seen)}" for name, shape in self.private.items()]
        if self._takes_extra:
            more.append("...")
        return f"{text[:-1]}{'; ' if self.fields and more else ''}{'; '.join(more)}}}"

    def dump(self, value: Any) -> Any:
        if kind_of(value) is not self.type:
            raise self.misfit(value)
        if len(value.__dict__) > len(self.fields):
            self.refuse_others(value.__dict__)
        plain = self.dump_fields(value.__dict__)
        rest: dict[str, Any] = {}
        extra: dict[str, Any] = value.__pydantic_extra__ or {}
        private: dict[str, Any] = value.__pydantic_private__ or {}
        names = value.__pydantic_fields_set__
        if names != self.fields.keys() | extra.keys():
            rest["set"] = sorted(names)
        if extra:
            rest["extra"] = _each(extra, lambda name: self._extra.dump)
        private = {name: item for name, item in private.items() if item is not PydanticUndefined}
        if private:
            rest["private"] = _each(private, self._private(load=False))
        if rest:
            plain[_REST] = rest
        return plain

    def load(self, plain: Any) -> Any:
        if kind_of(plain) is not dict:
            raise self.misfit(plain)
        fields = dict(cast("dict[Any, Any]", plain))
        rest = _map(fields.pop(_REST, {}))
        values = self.load_fields(fields)
        names, extra, private = self._load_rest(rest) if rest else (set(self.fields), {}, {})
        model: BaseModel = object.__new__(self.type)
        state: dict[str, Any] = {
            "__dict__": values,
            "__pydantic_fields_set__": names,
            "__pydantic_extra__": extra if self._takes_extra else None,
            "__pydantic_private__": private if self.private else None,
        }
        BaseModel.__setstate__(model, state)
        return model

    def _load_rest(self, rest: dict[str, Any]) -> tuple[set[str], dict[str, Any], dict[str, Any]]:
        extra = _map(rest.pop("extra", {}))
        private = _each(_map(rest.pop("private", {})), self._private(load=True))
        names = self._names(rest.pop("set", [*self.fields, *extra]), known=self.fields.keys() | extra.keys())
        if rest or (extra and not self._takes_extra) or not self.fields.keys().isdisjoint(extra):
            raise MisfitError(f"what is kept beside the fields is not that of {self.name}")
        return names, extra, private

    def _names(self, plain: Any, *, known: Set[str]) -> set[str]:
        if kind_of(plain) is not list or not known >= (names := set(map(str, plain))):
            raise MisfitError(f"the names of the fields that were set are not those of {self.name}")
        return names

    def _private(self, *, load: bool) -> Callable[[str], Callable[[Any], Any]]:
        def convert(name: str) -> Callable[[Any], Any]:
            if name not in self.private:
                raise MisfitError(f"{self.name} has no private attribute of that name")
            return self.private[name].load if load else self.private[name].dump

        return convert


class ForeignShape(Shape):
    """A type that only pydantic knows, inside of a model (a URL, an IP address): what its TypeAdapter makes of it.

    Each value is made again when it is stored, and refused unless it comes back equal and of equal type.
    """

    def __init__(self, name: str, type_: Any) -> None:
        super().__init__(name)
        self._type = type_
        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)

    @property
    def takes(self) -> frozenset[Kind]:
        return frozenset({self._type} if isinstance(self._type, type) else ())

    @property
    def kinds(self) -> frozenset[Kind]:
        return PLAIN - {type(None)}

    def dump(self, value: Any) -> Any:
        try:
            plain = self._adapter.dump_python(value, mode="json", round_trip=True, warnings="error")
        except Exception as error:
            # Serializers are anybody's code.
            raise MisfitError(f"pydantic can't store this as {self.name}: {type(error).__name__}") from error
        check_plain(plain)
        back = self._read(plain)
        if plain is None or type(back) is not type(value) or back != value:
            raise MisfitError(
                f"the {self.name} would not come back the same from what pydantic makes of it. "
                "Annotate the place with a type that can be stored"
            )
        return plain

    def load(self, plain: Any) -> Any:
        check_plain(plain)
        return self._read(plain)

    def _read(self, plain: Any) -> Any:
        try:
            return self._adapter.validate_json(json.dumps(plain))
        except Exception as error:
            # Validators are anybody's code.
            raise MisfitError(f"pydantic can't read this as {self.name}: {type(error).__name__}") from error

    def describe(self, seen: dict[Shape, str]) -> str:
        return f"pydantic {self.name}"


def is_model(cls: type) -> bool:
    """Whether a class is a pydantic model that is more than the base."""
    return issubclass(cls, BaseModel) and cls is not BaseModel


def foreign(name: str, type_: Any) -> ForeignShape | None:
    """The shape of a type that only pydantic knows; None if it does not know it either."""
    try:
        return ForeignShape(name, type_)
    except (PydanticUserError, ImportError, NameError, TypeError):
        return None


def _map(plain: Any) -> dict[str, Any]:
    if kind_of(plain) is not dict:
        raise MisfitError("what is kept beside the fields is damaged")
    return dict(cast("dict[str, Any]", plain))


def _each(items: dict[str, Any], convert: Callable[[str], Callable[[Any], Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    name = ""
    try:
        for name, item in items.items():
            out[name] = convert(name)(item)
    except MisfitError as misfit:
        misfit.steps.append(step(name))
        raise
    return out
