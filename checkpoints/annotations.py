"""From a type, as an annotation spells it, to its shape."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, cast

import typing_extensions

from .class_shapes import (
    DataclassShape,
    FieldsShape,
    FlagShape,
    NamedTupleShape,
    TypedDictShape,
    is_builtin_based,
)
from .container_shapes import DictShape, ListShape, RowShape, SetShape, TupleShape
from .errors import TypeNotStorableError
from .plain import SCALARS, write
from .scalar_shapes import SCALAR_SHAPES
from .shapes import AliasShape, ChoiceShape, PlainShape, Shape
from .spelling import branches_of, is_union, literals_of, spell
from .type_hints import ALIASES, QUALIFIERS, hints_of, required_keys, unresolved, value_of
from .union_shape import UnionShape

_LISTS = (list, collections.abc.MutableSequence)
_ROWS = (collections.abc.Sequence, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)

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


def shape_of(tp: object) -> tuple[Shape, bool]:
    """The shape of a type, and whether the type mentions itself, so that its values can be of any depth.

    Raises `TypeNotStorableError`, which names the place inside of the type.
    """
    builder = _Builder(tp)
    try:
        shape = builder.build(tp)
    except RecursionError:
        raise TypeNotStorableError(
            f"{spell(tp)}: the type unfolds without end. Make it one that mentions itself"
        ) from None
    builder.settle()
    return shape, builder.recursive


class _Builder:
    """Builds the shape of one type. `places` is the way from that type to the one that is being built."""

    def __init__(self, root: object) -> None:
        self.recursive = False
        self._places = [spell(root)]
        self._made: dict[object, Shape] = {}
        self._making: list[object] = []
        self._unions: list[tuple[UnionShape, tuple[str, ...]]] = []
        self._model: Mapping[str, object] | None = (
            None  # the config of the pydantic model whose field is being built
        )

    def settle(self) -> None:
        """Finish the unions, which can be told apart only when all of their branches are known."""
        for union, places in self._unions:
            union.settle()
            self._places = list(places)
            if union.circular:
                raise self._refuse(union.name, "It mentions itself with no list or dict in between")
            if shared := union.shared_tag():
                raise self._refuse(
                    union.name, f"Only by their names could its two {shared} be told apart: rename one"
                )

    def build(self, tp: object) -> Shape:
        """The shape of a type at the current place."""
        try:
            scalar = SCALAR_SHAPES.get(tp)
        except TypeError:  # an Annotated whose metadata can't be hashed
            scalar = None
        if scalar is not None:
            return scalar
        if tp is Any or tp is object:
            return PlainShape("object")
        if is_union(tp):
            return self._union(spell(tp), branches_of(tp))
        if isinstance(tp, typing.NewType):
            return self.build(tp.__supertype__)
        origin = typing.get_origin(tp)
        arguments = typing.get_args(tp)
        kind: Any = origin or tp
        if origin is typing.Annotated or origin in QUALIFIERS:
            return self.build(arguments[0])
        if origin is typing.Literal:
            return self._literal(tp, arguments)
        if isinstance(kind, ALIASES):
            return self._alias(tp, kind, arguments)
        if isinstance(kind, type):
            return self._container(tp, kind, arguments) or self._class(tp, kind, arguments)
        raise self._refuse(tp)

    # -- parts -------------------------------------------------------------------------------------------

    @contextmanager
    def _at(self, place: str) -> Generator[None]:
        self._places.append(place)
        yield
        self._places.pop()

    def _part(self, place: str, tp: object) -> Shape:
        with self._at(place):
            return self.build(tp)

    def _container(self, tp: object, kind: type, arguments: tuple[Any, ...]) -> Shape | None:
        name = spell(tp)
        first: Any = arguments[0] if arguments else object
        if kind in _LISTS:
            return ListShape(name, self._part("item", first))
        if kind is set or kind is frozenset:
            return SetShape(name, cast("type[set[Any]]", kind), self._part("item", first))
        if kind in _DICTS:
            key, value = arguments or (object, object)
            return DictShape(name, self._part("key", key), self._part("value", value))
        if kind is tuple:
            return self._tuple(tp, arguments)
        if kind in _ROWS:
            return self._union(name, [list[first], tuple[first, ...]])
        if kind is collections.abc.Set:
            return self._union(name, [frozenset[first], set[first]])
        return None

    def _tuple(self, tp: object, arguments: tuple[Any, ...]) -> Shape:
        if typing.get_origin(tp) is None or tp is typing.Tuple:  # noqa: UP006 - a user may write either
            arguments = (object, ...)
        if len(arguments) == 2 and arguments[1] is ...:
            return RowShape(spell(tp), self._part("item", arguments[0]))
        return TupleShape(spell(tp), tuple(self._part(f"item {i}", each) for i, each in enumerate(arguments)))

    def _union(self, name: str, branches: list[object]) -> Shape:
        union = UnionShape(name, tuple(self._part(f"branch {spell(branch)}", branch) for branch in branches))
        self._unions.append((union, tuple(self._places)))
        return union

    def _literal(self, tp: object, arguments: tuple[Any, ...]) -> Shape:
        choices: list[tuple[object, object]] = [
            (value, self.build(type(value)).dump(value) if isinstance(value, enum.Enum) else value)
            for value in arguments
        ]
        if len({write(plain) for _, plain in choices}) < len(choices):  # Literal["red", Color.RED]
            choices = list(zip(arguments, literals_of(tp, sort=False), strict=True))
        name = spell(tp)
        return ChoiceShape(name, name, choices)

    def _alias(self, tp: object, alias: Any, arguments: tuple[Any, ...]) -> Shape:
        if (made := self._known(tp)) is not None:
            return made
        shape = self._made[tp] = AliasShape(spell(tp))
        self._making.append(tp)
        shape.target = self.build(value_of(alias, arguments))
        self._making.remove(tp)
        seen: set[Shape] = set()
        end: Shape = shape
        while isinstance(end, AliasShape) and end not in seen:
            seen.add(end)
            end = end.target
        if end is shape:
            raise self._refuse(tp, "It stands for nothing but itself")
        return shape

    def _known(self, tp: object) -> Shape | None:
        made = self._made.get(tp)
        if made is not None and tp in self._making:
            self.recursive = True
            if isinstance(made, AliasShape):
                made.recursive = True
        return made

    # -- classes -----------------------------------------------------------------------------------------

    def _class(self, tp: object, cls: type[Any], arguments: tuple[Any, ...]) -> Shape:
        if (made := self._known(tp)) is not None:
            return made
        name = spell(tp)
        if enum.Enum in cls.__mro__ and cls.__members__:
            return FlagShape(name, cls) if enum.Flag in cls.__mro__ else self._enum(name, cls)
        if typing_extensions.is_typeddict(cls):
            shape = TypedDictShape(name, cls)
            hints = self._hints(cls, arguments)
            shape.required = required_keys(cls, hints)
            return self._fields(tp, shape, hints, hints)
        if tuple in cls.__mro__ and hasattr(cls, "_fields"):
            names: tuple[str, ...] = cls._fields
            return self._fields(tp, NamedTupleShape(name, cls), names, self._hints(cls, arguments))
        if hasattr(cls, "__dataclass_fields__") and not is_builtin_based(cls):
            names = tuple(field.name for field in dataclasses.fields(cls))
            return self._fields(tp, DataclassShape(name, cls), names, self._hints(cls, arguments))
        if hasattr(cls, "__get_pydantic_core_schema__") or self._model is not None:
            return self._pydantic(tp, cls)
        raise self._refuse(tp)

    def _enum(self, name: str, cls: type[enum.Enum]) -> Shape:
        members = list(cls)
        if vars(cls).get("__hash__", enum.Enum.__hash__) is None:
            raise self._refuse(cls, "Its members can't be hashed: give it a __hash__")
        # By name where values are None (so that an optional Enum needs no tag), have parts, or are alike, as nan is.
        by_value = all(type(member.value) in SCALARS - {types.NoneType} for member in members)
        by_value = by_value and len({write(member.value) for member in members}) == len(members)
        choices: list[tuple[object, object]] = [(m, m.value if by_value else m.name) for m in members]
        if by_value and self._model is not None and self._model.get("use_enum_values"):
            # The field holds the value, or the member where that is the default.
            choices = [(m.value, m.value) for m in members] + [(m, str(m)) for m in members]
        text = "; ".join(f"{m.name} = {m.value!a}" if by_value else m.name for m in members)
        return ChoiceShape(name, f"Enum {name}{{{text}}}", choices)

    def _fields(
        self,
        tp: object,
        shape: FieldsShape,
        names: Iterable[str],
        hints: Mapping[str, object],
        word: str = "field",
    ) -> Shape:
        self._made[tp] = shape
        self._making.append(tp)
        for name in names:
            shape.fields[name] = self._part(f"{word} {name}", hints.get(name, object))
        self._making.remove(tp)
        return shape

    def _pydantic(self, tp: object, cls: type[Any]) -> Shape:
        from . import model_shapes  # pydantic is loaded only when a type needs it

        if not model_shapes.is_model(cls):
            shape = None if cls.__module__ == "pydantic.main" else model_shapes.foreign(spell(tp), tp)
            if shape is None:
                raise self._refuse(tp)
            return shape
        try:
            cls.model_rebuild()
        except (NameError, model_shapes.PydanticUserError) as error:
            raise self._located(unresolved(spell(cls), error)) from error
        shape = model_shapes.ModelShape(spell(tp), cls)
        outer, self._model = self._model, cls.model_config
        fields = {name: field.annotation for name, field in cls.model_fields.items()}
        self._fields(tp, shape, fields, fields)
        private = self._hints(cls, ()) if cls.__private_attributes__ else {}
        for name in cls.__private_attributes__:
            shape.private[name] = self._part(f"private attribute {name}", private.get(name, object))
        self._model = outer
        return shape

    def _hints(self, cls: type, arguments: tuple[Any, ...]) -> dict[str, Any]:
        try:
            return hints_of(cls, arguments)
        except TypeNotStorableError as error:
            raise self._located(str(error)) from error

    # -- errors ------------------------------------------------------------------------------------------

    def _located(self, problem: str) -> TypeNotStorableError:
        return TypeNotStorableError(": ".join([*self._places, problem]))

    def _refuse(self, tp: object, mend: str | None = None) -> TypeNotStorableError:
        kind: Any = typing.get_origin(tp) or tp
        if mend is None and isinstance(kind, typing.Hashable):
            mend = _MENDS.get(kind)
        if mend is None and isinstance(tp, typing.TypeVar):
            mend = "Put a concrete type in its place"
        if mend is None and isinstance(tp, str | typing.ForwardRef):
            mend = "Give the type itself, not its name"
        if mend is None:
            mend = "Make it a dataclass or a pydantic model of plain data, or make it inside of the node that needs it"
        name = tp if isinstance(tp, str) else spell(tp)
        return self._located(f"the type {name} can't be stored. {mend}")
