"""What pydantic takes a type for, made exact: a validator of what the bytes hold, and the type's canonical text.

Pydantic's core schema of the type is rewritten. Single values become strict and lose their constraints; objects are
made of their `Fields`, without `__init__`, aliases and defaults, so that each field is what it was; members of Enums
of their `Member`. Validators stay. What can't be made again is refused with its place inside of the type.
"""

from __future__ import annotations

import enum
import operator
import re
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.warnings import ArbitraryTypeWarning
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator

from ..errors import TypeNotStorableError
from ..type_names import literals_of, type_name
from ._checks import a, check
from ._extensions import ConversionError, Fields, Member, kind_of, read, step

_CHOICES = ("nullable", "union", "tagged-union")
_VALIDATORS = ("function-after", "function-before", "function-wrap")
_REFUSED = {
    "bytearray": "Use bytes",
    "complex": "Use tuple[float, float]",
    "deque": "Use list",
    "ordered-dict": "Use dict, which keeps its order too",
    "generator": "Use list",
    "callable": "",
    "is-subclass": "",
    "is-instance": "",
}
_FIX = "Make it a dataclass or a pydantic model of plain data, or make it inside of the node that needs it"
_SENTENCE_END = re.compile(", |\n|: ")
_ANY = {"type": "any"}
_TRANSPARENT = {"default": "schema", "json-or-python": "python_schema"}
_NAMED: tuple[Any, ...] = (bool, int, float, str, bytes, type(None))
_BRANCH = "\0"  # begins the label of a union's branch, which is no step of a path


class Converter:
    """Makes values of one type from bytes. Raises `TypeNotStorableError` for a type that can't be stored."""

    def __init__(self, tp: Any) -> None:
        self._name = type_name(tp)
        schema, definitions = _core_schema(tp, self._name)
        rewriter = _Rewriter(definitions)
        root, text = rewriter.rewrite(schema, (self._name,))
        self.text = ", ".join([text, *sorted(rewriter.texts.values())])
        """The canonical text of the type: as a person writes it, then each class in it with its fields."""
        whole: Any = {"type": "definitions", "schema": root, "definitions": list(rewriter.rewritten.values())}
        try:
            self._validator = SchemaValidator(whole)
        except SchemaError as error:
            raise TypeNotStorableError(
                f"{self._name}: it can't be made again from bytes: {str(error).splitlines()[-1]}"
            ) from error

    def load(self, data: bytes) -> Any:
        """The value of these bytes. Raises `ConversionError` with the path."""
        value = read(data, lambda found: found)
        try:
            return self._validator.validate_python(value)
        except ValidationError as error:
            raise _conversion_error(error) from None
        except Exception as error:  # validators are anybody's code
            raise ConversionError(f"a validator of {self._name} raised {type(error).__name__}") from error

    def takes_none(self) -> bool:
        """Whether None is a value of the type."""
        return self._validator.isinstance_python(None)


def foreign_form(value: Any) -> Any:
    """What pydantic makes of a value that it knows and we don't: mostly a text, from which it can make it again."""
    try:
        return _adapter(kind_of(value)).dump_python(value, mode="json", round_trip=True, warnings="error")
    except Exception as error:  # serializers are anybody's code
        raise ConversionError(f"there is {a(value)}, which can't be stored. {_FIX}") from error


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _core_schema(tp: Any, name: str) -> tuple[Any, list[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ArbitraryTypeWarning)
            # Of a list, since a model takes no config. Arbitrary types are refused later, by place.
            adapter = TypeAdapter[Any](cast("Any", list[tp]), config=ConfigDict(arbitrary_types_allowed=True))
            adapter.rebuild(raise_errors=True)
            schema: Any = adapter.core_schema
            inner = schema["schema"] if schema["type"] == "definitions" else schema
    except RecursionError:
        raise TypeNotStorableError(
            f"{name}: the type unfolds without end. Make it one that mentions itself"
        ) from None
    except (NameError, PydanticUserError, ArbitraryTypeWarning, SchemaError, TypeError, SyntaxError) as error:
        raise TypeNotStorableError(
            f"{name}: the type can't be stored: {_SENTENCE_END.split(str(error))[0]}. Give types themselves, not their "
            "names, and define what they name at module level, out of `if TYPE_CHECKING`"
        ) from error
    return inner.get("items_schema", {"type": "any"}), schema.get("definitions", [])


class _Rewriter:
    """Rewrites one core schema. Each node gives a new one and its text; `at` is the way to it from the whole type.

    `rewrite` calls the method that has the name of the node's type.
    """

    def __init__(self, definitions: Iterable[Any]) -> None:
        self.rewritten: dict[str, Any] = {}
        """The definitions that the new schema refers to."""
        self.texts: dict[str, str] = {}
        """The text of each class, by its label."""
        self._originals = {each["ref"]: each for each in definitions}
        self._names: dict[str, str] = {}

    def rewrite(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        kind: str = node["type"]
        if kind in _SINGLE:
            return _SINGLE[kind]
        if kind in _CHOICES:
            return self._union(_branches(node), at)
        if kind in _TRANSPARENT:
            return self.rewrite(node[_TRANSPARENT[kind]], at)
        if kind in _VALIDATORS:
            if isinstance(node["function"]["function"], operator.attrgetter):  # a model's `use_enum_values`
                return self._enum(node["schema"], at, by_value=True)
            new, text = self.rewrite(node["schema"], at)
            return _around(node, new), text
        if kind in _REFUSED:
            name = _head(node)
            fix = _REFUSED.get(name) or _REFUSED[kind] or _FIX
            raise TypeNotStorableError(": ".join([*at, f"the type {name} can't be stored. {fix}"]))
        method = getattr(self, "_" + kind.replace("-", "_"), None)
        return method(node, at) if method else (node, f"pydantic {_foreign_text(node)}")

    def _list(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        new, text = self.rewrite(node.get("items_schema", _ANY), (*at, "item"))
        return {"type": node["type"], "strict": True, "items_schema": new}, f"{node['type']}[{text}]"

    _set = _frozenset = _list

    def _tuple(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        pairs = [self.rewrite(item, (*at, f"item {i}")) for i, item in enumerate(node["items_schema"])]
        texts = [text for _, text in pairs] + ["..."] * ("variadic_item_index" in node)
        # Not strict: joined items, which are a list, are read as the tuple that they are the items of.
        return {**node, "items_schema": [new for new, _ in pairs]}, f"tuple[{', '.join(texts) or '()'}]"

    def _dict(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        keys, key = self.rewrite(node.get("keys_schema", _ANY), (*at, "key"))
        values, value = self.rewrite(node.get("values_schema", _ANY), (*at, "value"))
        new = {"type": "dict", "strict": True, "keys_schema": keys, "values_schema": values}
        return new, f"dict[{key}, {value}]"

    def _chain(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        first, second = node["steps"]  # an abstract container: one step is its class, the other has the items
        new, text = self.rewrite(second, at)
        return {"type": "chain", "steps": [first, new]}, f"{type_name(first['cls'])} of {text}"

    def _literal(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        text = f"Literal[{', '.join(literals_of(node['expected']))}]"
        return _function(_pick({_plain_form(value): value for value in node["expected"]}, text)), text

    def _union(self, branches: list[Any], at: tuple[str, ...]) -> tuple[Any, str]:
        pairs = [self.rewrite(each, (*at, f"branch {_head(each)}")) for each in branches]
        texts = {text for _, text in pairs}
        if shared := next((text for text in sorted(texts) if f"{text}#2" in texts), None):
            raise TypeNotStorableError(
                f"{': '.join(at)}: only by their names could its two {shared} be told apart: rename one"
            )
        choices = [(new, f"{_BRANCH}{i}") for i, (new, _) in enumerate(pairs)]
        text = " | ".join(sorted(texts, key=lambda text: (text == "None", text)))
        return {"type": "union", "choices": choices}, text

    def _definition_ref(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        ref = node["schema_ref"]
        if ref not in self._names:
            self._names[ref] = ref.partition(":")[0].rpartition(".")[2]  # what it is called inside of itself
            new, self._names[ref] = self.rewrite(self._originals[ref], at)
            self.rewritten[ref] = {**new, "ref": ref}
        return {"type": "definition-ref", "schema_ref": ref}, self._names[ref]

    def _model(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        cls, inner, validators = node["cls"], node["schema"], list[Any]()
        if node.get("root_model"):
            return self._object(cls, "model", {"root": node}, at)
        while inner["type"] in _VALIDATORS:  # of the whole model
            validators.append(inner)
            inner = inner["schema"]
        return self._object(cls, "model", inner["fields"], at, validators)

    def _dataclass(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        fields = {each["name"]: each for each in node["schema"]["fields"] if not each.get("init_only")}
        return self._object(node["cls"], "dataclass", fields, at)

    def _named_tuple(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        return self._object(node["cls"], "NamedTuple", {each["name"]: each for each in node["fields"]}, at)

    def _call(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:  # a named tuple, before pydantic 2.14
        return self._named_tuple(
            {"cls": node["function"], "fields": node["arguments_schema"]["arguments_schema"]}, at
        )

    def _typed_dict(self, node: Any, at: tuple[str, ...]) -> tuple[Any, str]:
        return self._object(node["cls"], "TypedDict", node["fields"], at)

    def _object(
        self, cls: Any, word: str, fields: dict[str, Any], at: tuple[str, ...], validators: Iterable[Any] = ()
    ) -> tuple[Any, str]:
        if cls is BaseModel or (word == "dataclass" and cls.__new__ is not object.__new__):
            return self.rewrite({"type": "is-instance", "cls": cls}, at)  # it may hold more than its fields
        kind = "typed-dict" if word == "TypedDict" else "model-fields"
        new: Any = {"type": kind, "fields": {}, "extra_behavior": "forbid"}
        texts: list[str] = []
        for name, field in fields.items():
            schema, text = self.rewrite(field["schema"], (*at, f"field {name}"))
            required = field.get("required", True)
            more = {"required": required} if word == "TypedDict" else {}
            new["fields"][name] = {"type": f"{kind.removesuffix('-fields')}-field", "schema": schema, **more}
            texts.append(f"{name}{'' if required else '?'}: {text}")
        if word == "model" and cls.model_config.get("extra") == "allow":
            new |= {"extra_behavior": "allow", "extras_schema": _function(_plain_data)}
            texts.append("...")
        for validator in reversed(list(validators)):
            new = _around(validator, new)
        return _function(_in_order if word == "TypedDict" else _maker(cls, word), new), self._label(
            cls, word, texts
        )

    def _enum(self, node: Any, at: tuple[str, ...], *, by_value: bool = False) -> tuple[Any, str]:
        cls = node["cls"]
        word = "Flag" if issubclass(cls, enum.Flag) else "Enum"
        members = [f"{name} = {_value_text(member._value_)}" for name, member in cls.__members__.items()]
        text = self._label(cls, word, members)
        if word == "Flag":
            return _function(_flag(cls)), text
        table = {_plain_form(member): member for member in cls}
        if by_value:  # the field holds the value, or the member where that is the default
            table |= {_plain_form(member._value_): member._value_ for member in cls}
        return _function(_pick(table, text)), text

    def _label(self, cls: Any, word: str, parts: list[str]) -> str:
        """A name for a class that no other class in this schema has."""
        label, number = type_name(cls), 1
        while self.texts.get(label, text := f"{word} {label}{{{'; '.join(parts)}}}") != text:
            number += 1
            label = f"{type_name(cls)}#{number}"
        self.texts[label] = text
        return label


def _branches(node: Any) -> list[Any]:
    branches: list[Any]
    if node["type"] == "nullable":
        branches = [node["schema"], {"type": "none"}]
    else:
        choices = node["choices"].values() if node["type"] == "tagged-union" else node["choices"]
        branches = [choice[0] if isinstance(choice, tuple) else choice for choice in choices]
    return [one for each in branches for one in (_branches(each) if each["type"] in _CHOICES else [each])]


def _head(node: Any) -> str:
    return type_name(node["cls"]) if "cls" in node else str(node["type"])


def _around(validator: Any, schema: Any) -> Any:
    return {"type": validator["type"], "function": validator["function"], "schema": schema}


def _value_text(value: Any) -> str:
    return ascii(value) if type(value) in _NAMED else "..."


def _foreign_text(part: Any) -> str:
    """What tells a type that only pydantic knows from others: its classes, functions and options."""
    if isinstance(part, dict):
        node = cast("dict[str, Any]", part)
        if "cls" in node:
            return type_name(node["cls"])
        if inner := node.get("strict_schema") or node.get("python_schema"):
            return _foreign_text(inner)
        names = sorted(node.keys() - {"metadata", "serialization", "ref", "lax_schema", "json_schema"})
        return " ".join(_foreign_text(node[name]) for name in names)
    if isinstance(part, list | tuple):
        return " ".join(map(_foreign_text, cast("list[Any]", part)))
    kind = kind_of(part)
    return str(part) if kind in _NAMED else getattr(part, "__name__", type_name(kind))


# -- what validators call --------------------------------------------------------------------------------


def _function(function: Callable[..., Any], schema: Any = None) -> Any:
    called = {"type": "no-info", "function": function}
    if schema is None:
        return {"type": "function-plain", "function": called}
    return {"type": "function-wrap", "function": called, "schema": schema}


def _error(problem: str, steps: Iterable[str] = ()) -> PydanticCustomError:
    return PydanticCustomError("conversion", "{problem}", {"problem": problem, "steps": list(steps)})


def _plain_data(value: Any) -> Any:
    try:
        check(value)
    except ConversionError as error:
        raise _error(error.problem, error.steps) from error
    return value


def _maker(cls: Any, word: str) -> Callable[[Any, Any], Any]:
    label = type_name(cls)

    def make(value: Any, validate: Any) -> Any:
        if type(value) is not Fields or value.label != label:
            raise _error(f"there is {a(value)}, where {label} is due")
        fields, extra, names = validate(value.fields)
        if word == "NamedTuple":
            return tuple[Any].__new__(cls, fields.values())
        made = cls.__new__(cls)
        if word == "model":
            state = _model_state(cls, fields, extra, {"set": list(names), **value.rest})
            BaseModel.__setstate__(made, state)
        else:
            for name, item in fields.items():
                object.__setattr__(made, name, item)
        return made

    return make


def _model_state(cls: Any, fields: dict[str, Any], extra: Any, rest: dict[str, Any]) -> dict[str, Any]:
    names, private = set(rest.pop("set")), _plain_data(rest.pop("private", {}))
    if rest or not (
        names <= {*fields, *(extra or {})} and private.keys() <= cls.__private_attributes__.keys()
    ):
        raise _error(f"what is kept beside the fields is not that of {type_name(cls)}")
    return {
        "__dict__": fields,
        "__pydantic_fields_set__": names,
        "__pydantic_extra__": extra,
        "__pydantic_private__": private if cls.__private_attributes__ else None,
    }


def _in_order(value: Any, validate: Any) -> Any:
    """A TypedDict in the order of its keys, which is part of a dict."""
    made = validate(value)
    return {key: made[key] for key in value}


def _pick(table: dict[Any, Any], text: str) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        try:
            return table[_plain_form(value)]
        except (KeyError, TypeError):
            raise _error(f"there is {a(value)}, which is none of {text}") from None

    return pick


def _flag(cls: Any) -> Callable[[Any], Any]:
    def flag(value: Any) -> Any:
        if type(value) is Member and value.label == type_name(cls) and type(value.key) is int:
            made = cls(value.key)
            if type(made) is cls:  # a Flag that ejects what it does not know gives the number back
                return made
        raise _error(f"there is {a(value)}, where {type_name(cls)} is due")

    return flag


def _plain_form(value: Any) -> Any:
    """A value of a Literal or member of an Enum as the bytes have it, told from others that are equal."""
    if isinstance(value, enum.Enum):
        return Member(type_name(type(value)), value._name_)
    return value if type(value) is Member else (type(value), value)


def _conversion_error(error: ValidationError) -> ConversionError:
    """What failed deepest inside, since that is most likely the branch of a union that was meant."""
    found: dict[tuple[str, ...], list[str]] = {}
    for problem in error.errors(include_url=False, include_input=False):
        keyed = "as a key of the dict: " if "[key]" in problem["loc"] else ""
        loc = [part for part in problem["loc"] if part != "[key]" and not str(part).startswith(_BRANCH)]
        place = (*map(step, loc), *reversed(problem.get("ctx", {}).get("steps", [])))
        found.setdefault(place, []).append(keyed + problem["msg"])
    place = max(found, key=len)
    converted = ConversionError(" or ".join(dict.fromkeys(found[place])))
    converted.steps = list(place[::-1])
    return converted


_BOOL, _INT = ({"type": kind, "strict": True} for kind in ("bool", "int"))
_SINGLE: dict[str, tuple[Any, str]] = {
    **{kind: ({"type": kind, "strict": True}, kind) for kind in ("bool", "float", "str", "bytes")},
    **{kind: ({"type": kind, "strict": True}, kind) for kind in ("date", "time", "datetime", "timedelta")},
    "none": ({"type": "none"}, "None"),
    "uuid": ({"type": "uuid", "strict": True}, "UUID"),
    "decimal": ({"type": "decimal", "strict": True, "allow_inf_nan": True}, "Decimal"),
    # A bool is an int, and comes back a bool.
    "int": (
        {"type": "union", "mode": "left_to_right", "choices": [_BOOL, _INT], "custom_error_type": "int_type"},
        "int",
    ),
    "any": (_function(_plain_data), "object"),
}
"""The new node and the text of each type without parts."""
