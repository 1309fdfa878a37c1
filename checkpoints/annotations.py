"""From a type, as an annotation spells it, to its shape; and the type's name as a person writes it."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Iterator
from typing import Any, cast

import typing_extensions

from .class_shapes import DataclassShape, FieldsShape, FlagShape, NamedTupleShape, TypedDictShape
from .errors import TypeNotStorableError
from .plain import SCALARS, write
from .scalar_shapes import SCALAR_SHAPES
from .shapes import (
    AliasShape,
    ChoiceShape,
    DictShape,
    ListShape,
    PlainShape,
    RowShape,
    SetShape,
    Shape,
    TupleShape,
)
from .spelling import branches_of, is_union, literals_of, spell
from .union_shape import UnionShape

_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing_extensions.ReadOnly)
_LISTS = (list, collections.abc.MutableSequence)
_ROWS = (collections.abc.Sequence, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SETS = (collections.abc.Set,)
_ALIASES = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
)

_MENDS: dict[object, str] = {
    bytearray: "Use bytes",
    memoryview: "Use bytes",
    complex: "Use tuple[float, float]",
    range: "Use list[int] or tuple[int, int, int]",
    collections.deque: "Use list",
    collections.OrderedDict: "Use dict, which keeps its order too",
    collections.defaultdict: "Use dict",
    collections.Counter: "Use dict",
    collections.abc.Iterable: "Use list",
    collections.abc.Iterator: "Use list",
    collections.abc.Generator: "Use list",
    collections.abc.AsyncIterator: "Use list",
    collections.abc.AsyncGenerator: "Use list",
    collections.abc.Coroutine: "Use the type that it gives when it is awaited",
    collections.abc.Awaitable: "Use the type that it gives when it is awaited",
    typing.Never: "Use None where nothing is given",
    typing.NoReturn: "Use None where nothing is given",
}


def shape_of(tp: object) -> Shape:
    """The shape of a type. Raises `TypeNotStorableError`, which names the place inside of the type."""
    builder = _Builder(tp)
    shape = builder.build(tp)
    builder.settle()
    return shape


class _Builder:
    """Builds the shapes of one type. `places` is the way from that type to the one that is being built."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._places: list[str] = []
        self._made: dict[object, Shape] = {}
        self._unions: list[tuple[UnionShape, str]] = []

    def settle(self) -> None:
        for union, place in self._unions:
            if shared := union.settle():
                raise TypeNotStorableError(
                    f"{place}: two branches are called {shared[0]}, and only by the name could they be told apart. "
                    "Rename one of the classes"
                )

    def build(self, tp: object) -> Shape:
        if isinstance(tp, typing.Hashable) and tp in SCALAR_SHAPES:
            return SCALAR_SHAPES[tp]
        if tp is Any or tp is object:
            return PlainShape("object")
        if is_union(tp):
            return self._union(spell(tp), tuple(branches_of(tp)))
        origin = typing.get_origin(tp)
        arguments = typing.get_args(tp)
        if origin is typing.Annotated or origin in _QUALIFIERS:
            return self.build(arguments[0])
        if isinstance(tp, typing.NewType):
            return self.build(tp.__supertype__)
        if isinstance(origin or tp, _ALIASES):
            return self._alias(tp, origin, arguments)
        if origin is typing.Literal:
            return self._literal(tp, arguments)
        kind = origin or tp
        if kind in _LISTS:
            return ListShape(spell(tp), self._item(arguments, "item"))
        if kind is tuple:
            return self._tuple(tp, arguments)
        if kind is set or kind is frozenset:
            return SetShape(spell(tp), cast("type[set[Any]]", kind), self._item(arguments, "item"))
        if kind in _DICTS:
            return self._dict(tp, arguments)
        if kind in _ROWS or kind in _SETS:
            return self._abstract(tp, kind, arguments)
        if isinstance(kind, type):
            return self._class(tp, kind, arguments)
        raise self._refuse(tp)

    # -- parts -------------------------------------------------------------------------------------------

    def _at(self, place: str, tp: object) -> Shape:
        self._places.append(place)
        shape = self.build(tp)
        self._places.pop()
        return shape

    def _item(self, arguments: tuple[Any, ...], place: str) -> Shape:
        return self._at(place, arguments[0]) if arguments else PlainShape("object")

    def _dict(self, tp: object, arguments: tuple[Any, ...]) -> Shape:
        key, value = arguments or (object, object)
        return DictShape(spell(tp), self._at("key", key), self._at("value", value))

    def _tuple(self, tp: object, arguments: tuple[Any, ...]) -> Shape:
        if tp is tuple or tp is typing.Tuple:  # noqa: UP006 - both may be met
            arguments = (object, ...)
        if len(arguments) == 2 and arguments[1] is ...:
            return RowShape(spell(tp), self._at("item", arguments[0]))
        return TupleShape(spell(tp), tuple(self._at(f"item {i}", each) for i, each in enumerate(arguments)))

    def _abstract(self, tp: object, kind: object, arguments: tuple[Any, ...]) -> Shape:
        """`Sequence[T]` is a list or a tuple, `collections.abc.Set[T]` a set or a frozenset."""
        item = arguments[0] if arguments else object
        if kind in _SETS:
            return self._union(spell(tp), (frozenset[item], set[item]))
        return self._union(spell(tp), (list[item], tuple[item, ...]))

    def _union(self, name: str, branches: tuple[object, ...]) -> Shape:
        shapes: list[Shape] = []
        for branch in branches:
            shape = self._at(
                f"branch {spell(branch)}" if branch not in (None, types.NoneType) else "None", branch
            )
            shapes.append(shape)
        union = UnionShape(name, tuple(shapes))
        self._unions.append((union, self._place(name)))
        return union

    def _alias(self, tp: object, origin: Any, arguments: tuple[Any, ...]) -> Shape:
        if tp in self._made:
            return self._made[tp]
        alias = origin or tp
        self._made[tp] = placeholder = AliasShape(spell(tp))
        value = substitute(alias.__value__, dict(zip(alias.__type_params__, arguments, strict=False)))
        placeholder.target = self.build(value)
        if placeholder.target is placeholder:
            raise self._refuse(tp, "Define it by something other than itself")
        return placeholder

    def _literal(self, tp: object, arguments: tuple[Any, ...]) -> Shape:
        choices: list[tuple[Any, Any]] = []
        for value in arguments:
            choices.append(
                (value, self.build(type(value)).dump(value) if isinstance(value, enum.Enum) else value)
            )
        if len({write(plain) for _, plain in choices}) < len(choices):
            choices = [
                (value, text) for (value, _), text in zip(choices, literals_of(tp, sort=False), strict=True)
            ]
        text = f"Literal[{', '.join(literals_of(tp))}]"
        return ChoiceShape(spell(tp), text, choices)

    # -- classes -----------------------------------------------------------------------------------------

    def _class(self, tp: object, cls: type, arguments: tuple[Any, ...]) -> Shape:
        if tp in self._made:
            return self._made[tp]
        name = spell(tp)
        if issubclass(cls, enum.Flag):
            return FlagShape(name, cls)
        if issubclass(cls, enum.Enum):
            return self._enum(name, cls)
        if typing_extensions.is_typeddict(cls):
            return self._typed_dict(tp, TypedDictShape(name, cls), arguments)
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return self._fields(tp, NamedTupleShape(name, cls), arguments, cast("Any", cls)._fields)
        if dataclasses.is_dataclass(cls):
            names = [field.name for field in dataclasses.fields(cls)]
            return self._fields(tp, DataclassShape(name, cls), arguments, names)
        raise self._refuse(tp)

    def _enum(self, name: str, cls: type[enum.Enum]) -> Shape:
        members = list(cls)
        by_value = all(type(member.value) in SCALARS - {types.NoneType} for member in members)
        choices = [(member, member.value if by_value else member.name) for member in members]
        text = "; ".join(f"{m.name} = {ascii(m.value)}" if by_value else m.name for m in members)
        return ChoiceShape(name, f"Enum {name}{{{text}}}", choices)

    def _fields(self, tp: object, shape: FieldsShape, arguments: tuple[Any, ...], names: Any) -> Shape:
        self._made[tp] = shape
        hints = self._hints(shape.type)
        bound = bindings(shape.type, arguments)
        for name in names:
            shape.fields[name] = self._at(f"field {name}", substitute(hints.get(name, object), bound))
        return shape

    def _typed_dict(self, tp: object, shape: TypedDictShape, arguments: tuple[Any, ...]) -> Shape:
        hints = self._hints(shape.type)
        required = set[str]()
        for name, hint in hints.items():
            qualifiers = list(_qualifiers(hint))
            total = name in cast("Any", shape.type).__required_keys__
            if typing.Required in qualifiers or (total and typing.NotRequired not in qualifiers):
                required.add(name)
        shape.required = frozenset(required)
        return self._fields(tp, shape, arguments, hints)

    def _hints(self, cls: type) -> dict[str, Any]:
        try:
            try:
                return typing_extensions.get_type_hints(cls, include_extras=True)
            except NameError:  # a local class that mentions itself
                return typing_extensions.get_type_hints(
                    cls, localns={**vars(cls), cls.__name__: cls}, include_extras=True
                )
        except NameError as error:
            raise TypeNotStorableError(
                f"{self._place(spell(cls))}: an annotation of {spell(cls)} names {error.name}, which can't be found when "
                "the program runs. Move it to module level, and out of `if TYPE_CHECKING`"
            ) from error

    # -- errors ------------------------------------------------------------------------------------------

    def _place(self, name: str) -> str:
        return ": ".join([spell(self._root), *self._places]) if self._places else name

    def _refuse(self, tp: object, mend: str | None = None) -> TypeNotStorableError:
        kind: Any = typing.get_origin(tp) or tp
        if mend is None:
            mend = _MENDS.get(kind) if isinstance(kind, typing.Hashable) else None
        if mend is None and isinstance(tp, typing.TypeVar):
            mend = "Put a concrete type in its place"
        if mend is None and isinstance(tp, str | typing.ForwardRef):
            mend = "Give the type itself, not its name"
        if mend is None:
            mend = "Make it a dataclass or a pydantic model of plain data, or make it inside of the node that needs it"
        places = [spell(self._root), *self._places] if self._places else []
        where = "".join(f"{place}: " for place in places)
        return TypeNotStorableError(f"{where}the type {spell(tp)} can't be stored. {mend}")


def substitute(tp: Any, bound: dict[Any, Any]) -> Any:
    """The type with its type variables replaced; those that are not bound stay."""
    if isinstance(tp, typing.TypeVar):
        return bound.get(tp, tp)
    parameters = () if isinstance(tp, type) and not typing.get_args(tp) else getattr(tp, "__parameters__", ())
    if not parameters or not bound:
        return tp
    return tp[tuple(bound.get(parameter, parameter) for parameter in parameters)]


def bindings(cls: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables of a generic class and of its bases stand for."""
    bound: dict[Any, Any] = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if origin is not None and origin is not typing.Generic:
            inner = bindings(origin, tuple(substitute(each, bound) for each in typing.get_args(base)))
            bound = {**inner, **bound}
    return bound


def _qualifiers(hint: Any) -> Iterator[object]:
    while (origin := typing.get_origin(hint)) in (*_QUALIFIERS, typing.Annotated):
        yield origin
        hint = hint.__origin__ if origin is typing.Annotated else typing.get_args(hint)[0]
