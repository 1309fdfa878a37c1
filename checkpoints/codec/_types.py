"""What an annotation takes: its `Check`, its canonical text, and the classes that its values are made of."""

from __future__ import annotations

import enum
import pathlib
from collections import abc
from datetime import datetime, time
from types import NoneType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
)

from typing_extensions import ReadOnly

from ..type_names import branches_of, is_union, literals_of, type_name
from ._bytes import PATHS, Make, single_form
from ._checks import ANY, SINGLE, Check, items, leaf, mapping, objects, one_of, row, test, typed_dict, union
from ._classes import FIX, fields_of, hints_of, refuse_type
from ._errors import ConversionError
from ._objects import adapter, layout_of

_TRANSPARENT = (Annotated, Final, Required, NotRequired, ReadOnly)
_ITEMS: dict[Any, tuple[type, ...]] = {
    list: (list,),
    set: (set,),
    frozenset: (frozenset,),
    abc.Sequence: (list, tuple),
    abc.MutableSequence: (list,),
    abc.Set: (set, frozenset),
    abc.MutableSet: (set,),
}
_MAPPINGS: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)
_FIXES = {
    "bytearray": "Use bytes",
    "complex": "Use tuple[float, float]",
    **dict.fromkeys(("deque", "Iterable", "Iterator", "Collection"), "Use list"),
}
_KNOWN = ("builtins", "collections", "collections.abc")  # modules of which we know all that can be stored


class TypeReader:
    """Reads one annotation. Raises `TypeNotStorableError` with the place."""

    def __init__(self, tp: Any, any_: Check = ANY) -> None:
        self.makes: dict[str, Make] = {}
        """What makes the objects of each class, by its name."""
        self._any = any_
        self._by_value = False  # in a model with `use_enum_values`
        self._of_name: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._checks: dict[Any, Check] = {}
        self._open: list[Check] = []
        try:
            self.check = self._check(tp, type_name(tp))
        except RecursionError:
            refuse_type(type_name(tp), "the type unfolds without end", "Make it one that mentions itself")
        self.text = ", ".join([self.check.text, *sorted(self._texts.values())])
        """The canonical text: the type as a person writes it, then each class in it with its fields."""

    def _check(self, tp: Any, at: str) -> Check:
        origin: Any = get_origin(tp) or tp
        args: Any = get_args(tp)
        if tp is Any or tp is object:
            return self._any
        if origin in SINGLE or tp is None:
            return SINGLE[origin or NoneType]
        if name := getattr(tp, "type_ref", None):  # pydantic's stand-in for a generic model inside of itself
            tp = self._enclosing(name, at)
        if isinstance(tp, NewType | TypeVar):
            return self._check(tp.__supertype__ if isinstance(tp, NewType) else tp.__bound__ or Any, at)
        if origin in _TRANSPARENT and args:
            return self._check(args[0], at)
        if is_union(tp):
            branches = [self._closed(self._check(branch, at), at) for branch in branches_of(tp)]
            texts = sorted({branch.text for branch in branches}, key=lambda text: (text == "None", text))
            return union(" | ".join(texts), branches)
        if origin is Literal:
            _ = [self._check(type(value), at) for value in args if isinstance(value, enum.Enum)]
            return one_of(f"Literal[{', '.join(literals_of(args))}]", args)
        if origin in _ITEMS:
            item = self._check(args[0] if args else Any, at)
            return items(f"{origin.__name__}[{item.text}]", item, *_ITEMS[origin])
        if origin in _MAPPINGS:
            key, value = (self._check(part, at) for part in args or (Any, Any))
            return mapping(f"{origin.__name__}[{key.text}, {value.text}]", key, value)
        if origin is tuple:
            return self._tuple(args if hasattr(tp, "__args__") else (Any, ...), at)
        if isinstance(tp, type) and issubclass(tp, pathlib.PurePath):
            return leaf(type_name(tp), *(kind for kind in PATHS if issubclass(kind, tp)))
        if tp not in self._checks:
            if hasattr(origin, "__value__"):
                self._alias(tp, origin, at)
            elif isinstance(origin, type) and origin.__module__ not in _KNOWN:
                self._class(tp, origin, at)
            elif isinstance(tp, str):
                refuse_type(at, f"the type can't be stored: {tp!a} is a name", "Give the type itself")
            else:
                name = type_name(origin)
                refuse_type(at, f"the type {name} can't be stored", _FIXES.get(name, FIX))
        check = self._checks[tp]
        if self._by_value and isinstance(tp, type) and issubclass(tp, enum.Enum):
            check = union(check.text, [check, one_of(check.text, (member._value_ for member in tp))])
        return check

    def _tuple(self, args: tuple[Any, ...], at: str) -> Check:
        if any(getattr(arg, "__unpacked__", False) for arg in args):
            refuse_type(at, "a tuple with another one unpacked in it can't be stored", "Use tuple[X, ...]")
        parts = [self._check(arg, at) for arg in args if arg is not ...]
        text = f"tuple[{', '.join(part.text for part in parts) or '()'}"
        return items(f"{text}, ...]", parts[0], tuple) if ... in args else row(f"{text}]", parts)

    def _alias(self, tp: Any, alias: Any, at: str) -> None:
        name = self._named(tp, at)
        check = self._checks[tp] = leaf(name)
        self._open.append(check)
        holder = type(
            name, (), {"__annotations__": {"value": alias.__value__}, "__module__": alias.__module__}
        )
        target = self._closed(self._check(hints_of(holder, tp, at)["value"], name), name)
        self._open.remove(check)
        check.exact, check.kinds, check.inside = target.exact, target.kinds, target.inside
        self._texts[name] = f"{name} = {target.text}"

    def _enclosing(self, name: str, at: str) -> Any:
        generics = [
            (tp, getattr(tp, "__pydantic_generic_metadata__", {}).get("origin")) for tp in self._checks
        ]
        found = [tp for tp, origin in generics if origin and origin.__qualname__ in name]
        if len(found) != 1:
            refuse_type(
                at,
                "which of its generic models is meant here is not clear",
                "Mention one model without arguments",
            )
        return found[0]

    def _closed(self, part: Check, at: str) -> Check:
        if part in self._open:
            refuse_type(
                at,
                "there is a circular reference to itself",
                "Let it mention itself inside of a list or dict",
            )
        return part

    def _class(self, tp: Any, cls: Any, at: str) -> None:
        self._named(tp, at)
        label = self._named(cls, at)
        kind, hints = fields_of(cls, tp, at)
        if kind in ("Enum", "Flag"):
            self._enum(cls, kind, at)
        elif kind == "foreign":
            self._checks[tp] = _foreign(tp, cls, at)
            self.makes[label] = lambda plain, _: adapter(tp).validate_python(plain)
        else:
            self._fields(tp, cls, kind, hints)

    def _fields(self, tp: Any, cls: Any, kind: str, hints: dict[str, Any]) -> None:
        name, checks, optional = type_name(tp), dict[str, Check](), set[str]()
        if kind == "TypedDict":
            origins = {key: get_origin(hint) for key, hint in hints.items()}
            optional = {key for key in hints.keys() - cls.__required_keys__ if origins[key] is not Required}
            optional |= {key for key in hints if origins[key] is NotRequired}
            self._checks[tp] = typed_dict(name, checks, optional)
        else:
            self._checks[tp] = objects(name, cls, checks)
            self.makes[type_name(cls)] = layout_of(cls).make
        outer = self._by_value
        self._by_value = kind == "model" and cls.model_config.get("use_enum_values", False)
        for key, hint in hints.items():
            checks[key] = self._check(hint, f"{name}.{key}")
        self._by_value = outer
        parts = [f"{key}{'?' * (key in optional)}: {check.text}" for key, check in checks.items()]
        if kind == "model" and cls.model_config.get("extra") == "allow":
            parts.append("...")
        self._texts[name] = f"{kind} {name}{{{'; '.join(parts)}}}"

    def _enum(self, cls: Any, kind: str, at: str) -> None:
        if not cls.__members__:
            refuse_type(at, f"the type {type_name(cls)} can't be stored")
        name, make = type_name(cls), cls if kind == "Flag" else cls.__members__.__getitem__
        self._checks[cls] = test(name, [cls], lambda value: make(single_form(value)) is value)
        self.makes[name] = lambda key, _: make(key)
        members = [f"{key} = {_value_text(member._value_)}" for key, member in cls.__members__.items()]
        self._texts[name] = f"{kind} {name}{{{'; '.join(members)}}}"

    def _named(self, tp: Any, at: str) -> str:
        name = type_name(tp)
        if self._of_name.setdefault(name, tp) != tp:
            refuse_type(at, f"only by their names could its two {name} be told apart", "Rename one")
        return name


def _foreign(tp: Any, cls: Any, at: str) -> Check:
    """Values of a class that only pydantic knows. Each is made again once, since its form may not hold all of it."""
    try:
        validate = adapter(tp).validate_python
    except Exception:  # noqa: BLE001 - pydantic has many, with long messages
        refuse_type(at, f"the type {type_name(tp)} can't be stored")

    def fits(value: Any) -> bool:
        try:
            back = validate(single_form(value) if type(value) is cls else value)
        except Exception as error:  # validators are anybody's code
            raise ConversionError(
                f"the {type(value).__name__} is not taken by {type_name(tp)}", "Convert it"
            ) from error
        if type(back) is not type(value) or back != value:
            raise ConversionError(
                f"the {type_name(cls)} would not come back the same", "Convert it, or leave it out"
            )
        return True

    return test(type_name(tp), {cls, datetime, time, *ANY.exact}, fits)


def _value_text(value: Any) -> str:
    return ascii(value) if type(value) in (bool, int, float, str, bytes, NoneType) else "..."
