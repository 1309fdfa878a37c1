"""What an annotation takes: its `Check`, its canonical text, and what makes the objects of the classes in it."""

from __future__ import annotations

import enum
import typing
from collections import abc
from functools import partial
from types import NoneType
from typing import Any, cast, get_args, get_origin

from typing_extensions import ReadOnly

from ..errors import TypeNotStorableError
from ..type_names import branches_of, is_union, literals_of, type_name
from ._bytes import Make
from ._checks import ANY, TYPES, Check, fields, items, leaf, mapping, one_of, row, tested, union
from ._classes import FIX, FieldsForm, Form, form_of, hints_of
from ._errors import ConversionError, kind_of

_TRANSPARENT = (typing.Annotated, typing.Final, typing.Required, typing.NotRequired, ReadOnly)
_ITEMS: tuple[Any, ...] = (list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet)
_COLLECTIONS: tuple[type, ...] = (list, tuple, set, frozenset)
_MAPPINGS: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)
_KNOWN = ("builtins", "collections", "collections.abc")  # modules of which we know all that can be stored
_FIXES = {
    "bytearray": "Use bytes",
    "complex": "Use tuple[float, float]",
    **dict.fromkeys(("deque", "Iterable", "Iterator", "Collection"), "Use list"),
}


class TypeReader:
    """Reads one annotation. Raises `TypeNotStorableError` with the place."""

    def __init__(self, tp: Any, any_: Check = ANY) -> None:
        self.makes: dict[str, Make] = {}
        """What makes the objects of each class, by its name."""
        self._checks: dict[Any, Check] = {**TYPES, None: TYPES[NoneType], Any: any_, object: any_}
        self._of_name: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._by_value = False  # in a model with `use_enum_values`
        try:
            self.check = self._within(type_name(tp), tp)
        except ConversionError as error:
            place, problem = error.steps[0], f"{error.problem}. {error.fix}"
            raise TypeNotStorableError(f"{place}: {problem}") from error.__cause__
        except RecursionError:
            problem = "the type unfolds without end. Make it one that mentions itself"
            raise TypeNotStorableError(f"{type_name(tp)}: {problem}") from None
        self.text = ", ".join([self.check.text, *sorted(self._texts.values())])
        """The canonical text: the type as a person writes it, then each class in it with its fields."""

    def _check(self, tp: Any) -> Check:
        origin: Any = get_origin(tp) or tp
        args: Any = get_args(tp)
        if origin in _TRANSPARENT and args:
            return self._check(args[0])
        if isinstance(tp, typing.NewType):
            return self._check(tp.__supertype__)
        if isinstance(tp, typing.TypeVar):
            return self._check(tp.__bound__ or Any)
        if is_union(tp):
            return union([_known(self._check(branch)) for branch in branches_of(tp)])
        if origin is typing.Literal:
            _ = [self._check(type(value)) for value in args if isinstance(value, enum.Enum)]
            return one_of(f"Literal[{', '.join(literals_of(args))}]", args)
        if origin in _ITEMS:
            item = self._check(args[0] if args else Any)
            kinds = [kind for kind in _COLLECTIONS if issubclass(kind, origin)]
            return items(f"{origin.__name__}[{item.text}]", item, kinds)
        if origin in _MAPPINGS:
            key, value = map(self._check, args or (Any, Any))
            return mapping(f"{origin.__name__}[{key.text}, {value.text}]", key, value)
        if getattr(tp, "__unpacked__", False):
            problem = "a tuple with another one unpacked in it can't be stored"
            raise ConversionError(problem, "Use tuple[X, ...]")
        if origin is tuple:
            args = args if hasattr(tp, "__args__") else (Any, ...)
            parts = [self._check(arg) for arg in args if arg is not ...]
            return items(f"tuple[{parts[0].text}, ...]", parts[0], [tuple]) if ... in args else row(parts)
        if name := getattr(tp, "type_ref", None):  # pydantic's stand-in for a generic model inside of itself
            tp = self._enclosing(name)
        if tp not in self._checks:
            if hasattr(origin, "__value__"):
                self._alias(tp, origin)
            elif isinstance(origin, type) and origin.__module__ not in _KNOWN:
                self._class(tp, origin)
            elif isinstance(tp, str):
                raise ConversionError(f"the type can't be stored: {tp!a} is a name", "Give the type itself")
            else:
                name = type_name(origin)
                raise ConversionError(f"the type {name} can't be stored", _FIXES.get(name, FIX))
        check = self._checks[tp]
        if self._by_value and isinstance(tp, enum.EnumType):
            return union([check, one_of(check.text, (member._value_ for member in cast("Any", tp)))])
        return check

    def _enclosing(self, name: str) -> Any:
        origins = {tp: getattr(tp, "__pydantic_generic_metadata__", {}).get("origin") for tp in self._checks}
        found = [tp for tp, origin in origins.items() if origin and origin.__qualname__ in name]
        if len(found) != 1:
            problem = "which of its generic models is meant here is not clear"
            raise ConversionError(problem, "Mention one model without arguments")
        return found[0]

    def _alias(self, tp: Any, alias: Any) -> None:
        name = self._name(tp)
        check = self._checks[tp] = leaf(name)
        holder: Any = {"__annotations__": {name: alias.__value__}, "__module__": alias.__module__}
        target = self._within(name, hints_of(type(name, (), holder), tp)[name])
        check.become(_known(target))
        self._texts[name] = f"{name} = {target.text}"

    def _class(self, tp: Any, cls: Any) -> None:
        name, form = self._name(tp), form_of(tp)
        self.makes[self._name(cls)] = form.make
        if isinstance(form, FieldsForm):
            checks: dict[str, Check] = {}
            self._checks[tp] = fields(name, form.cls, form.held, checks)
            outer, self._by_value = self._by_value, form.by_value
            for key, hint in form.hints.items():
                checks[key] = self._within(f"{name}.{key}", hint)
            self._by_value = outer
            parts = [f"{key}{'?' * (key in form.optional)}: {part.text}" for key, part in checks.items()]
            parts += ["..."] * form.grows
        else:
            # What only pydantic knows may also be of a class that we know, as an EmailStr is a str.
            kinds = {cls, *TYPES} if form.kind == "foreign" else {cls}
            self._checks[tp] = tested(name, kinds, partial(_comes_back, form, cls))
            parts = list(form.members)
        if form.kind != "foreign":
            self._texts[name] = f"{form.kind} {name}{{{'; '.join(parts)}}}"

    def _within(self, place: str, tp: Any) -> Check:
        try:
            return self._check(tp)
        except ConversionError as error:
            error.steps = error.steps or [place]  # the innermost
            raise

    def _name(self, tp: Any) -> str:
        name = type_name(tp)
        if self._of_name.setdefault(name, tp) != tp:
            raise ConversionError(f"only by their names could its two {name} be told apart", "Rename one")
        return name


def _known(check: Check) -> Check:
    if not (check.exact or check.tests):  # of an alias that is being read
        fix = "Let it mention itself inside of a list or dict"
        raise ConversionError("there is a circular reference to itself", fix)
    return check


def _comes_back(form: Form, cls: Any, value: Any) -> bool:
    """Whether a value without parts is made again as it is. Its form may not hold all of it."""
    kind = kind_of(value)
    try:
        back = form.make(*form.dump(value)) if kind is cls else form.make(value)
    except Exception as error:  # validators are anybody's code
        raise ConversionError(f"the {kind.__name__} is not taken by {form.label}", "Convert it") from error
    if type(back) is not kind or back != value:
        raise ConversionError(f"the {form.label} would not come back the same", "Convert it, or leave it out")
    return True
