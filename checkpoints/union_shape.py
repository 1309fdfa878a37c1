"""The shape of `A | B`: untagged where the plain data tells the branches apart, else tagged by the branch's name.

A tagged branch is stored as a map with one entry, `{"Dog": {...}}`. Branches whose plain data is the value itself
(`list[int] | list[str]`) are never tagged against each other: whichever reads it, the same value comes back.
"""

from __future__ import annotations

from typing import Any

from .plain import PLAIN, Kind, MisfitError, kind_of
from .scalar_shapes import coercions
from .shapes import Shape


class UnionShape(Shape):
    """A value of one of several types. `branches` come in a canonical order: `A | B` and `B | A` are one type."""

    circular = False
    """Whether the union is one of its own branches, with no list or dict in between."""

    def __init__(self, name: str, branches: tuple[Shape, ...]) -> None:
        super().__init__(name)
        self._branches = branches
        self._settled = False
        self._settling = False
        self._tags: dict[str, Shape] = {}
        self._by_type: dict[Kind, list[Shape]] = {}
        self._by_kind: dict[Kind, list[Shape]] = {}
        self._takes: frozenset[Kind] = frozenset()
        self._kinds: frozenset[Kind] = PLAIN
        self._identity = False

    def settle(self) -> None:
        """Decide which branches need tags, once all branches are known.

        While that goes on, a branch that mentions this union finds it to be of every kind and no identity, which
        gives it a tag too many at worst.
        """
        if self._settled or self._settling:
            return
        self._settling = True
        tagged = _confusable(self._branches)
        raw = [shape for shape in self._branches if shape not in tagged]
        for shape in self._branches:
            for type_ in shape.takes:
                self._by_type.setdefault(type_, []).append(shape)
        for shape in raw:
            for kind in shape.kinds:
                self._by_kind.setdefault(kind, []).append(shape)
        self.as_is = frozenset[Kind]().union(*(shape.as_is for shape in raw))
        self._takes = frozenset(self._by_type)
        self._kinds = frozenset(self._by_kind) | ({dict} if tagged else set[Kind]())
        self._identity = not tagged and all(shape.identity for shape in raw)
        self._tags = {shape.name: shape for shape in tagged}
        self._settling, self._settled = False, True

    def shared_tag(self) -> str | None:
        """A name that two tagged branches have in common: such a union can't be stored."""
        return next((s.name for s in _confusable(self._branches) if self._tags[s.name] is not s), None)

    @property
    def takes(self) -> frozenset[Kind]:
        self.circular = self.circular or self._settling
        self.settle()
        return self._takes

    @property
    def kinds(self) -> frozenset[Kind]:
        self.settle()
        return self._kinds

    @property
    def identity(self) -> bool:
        self.settle()
        return self._identity

    def dump(self, value: Any) -> Any:
        kind = kind_of(value)
        if kind in self.as_is:
            return value
        candidates = self._by_type.get(kind, self._branches)
        if len(candidates) == 1:
            return self._wrap(candidates[0], candidates[0].dump(value))
        found: tuple[Shape, Any] | None = None
        misfits: list[MisfitError] = []
        for shape in candidates:
            before = coercions.count
            try:
                plain = shape.dump(value)
            except MisfitError as misfit:
                misfits.append(misfit)
                continue
            if coercions.count == before:
                return self._wrap(shape, plain)
            found = found or (shape, plain)
        if found is None:
            raise self._none_fits(value, misfits)
        return self._wrap(*found)

    def load(self, plain: Any) -> Any:
        kind = kind_of(plain)
        if kind in self.as_is:
            return plain
        if kind is dict and self._tags:
            return self._unwrap(plain)
        misfits: list[MisfitError] = []
        for shape in self._by_kind.get(kind, ()):
            try:
                return shape.load(plain)
            except MisfitError as misfit:
                misfits.append(misfit)
        raise self._none_fits(plain, misfits)

    def _wrap(self, shape: Shape, plain: Any) -> Any:
        return {shape.name: plain} if self._tags.get(shape.name) is shape else plain

    def _unwrap(self, plain: dict[Any, Any]) -> Any:
        if len(plain) != 1 or (tag := next(iter(plain))) not in self._tags:
            raise MisfitError(f"there is a dict that is none of {self.name}")
        return self._tags[tag].load(plain[tag])

    def _none_fits(self, value: object, misfits: list[MisfitError]) -> MisfitError:
        """The misfit of the branch that came furthest, since that is most likely the one that was meant."""
        furthest = max(misfits, key=lambda misfit: len(misfit.steps), default=None)
        if furthest is None or (len(misfits) > 1 and not furthest.steps):
            return self.misfit(value)
        return furthest

    def describe(self, seen: dict[Shape, str]) -> str:
        return " | ".join(shape.describe(seen) for shape in self._branches)


def _confusable(branches: tuple[Shape, ...]) -> list[Shape]:
    """The branches that need a tag: two of them may give the same kind of plain data, and one changes the value."""
    tagged = [
        one
        for one in branches
        if any(
            one is not other and one.kinds & other.kinds and not (one.identity and other.identity)
            for other in branches
        )
    ]
    if tagged:  # a tag is a dict, so that no other branch may be one
        tagged = [shape for shape in branches if shape in tagged or dict in shape.kinds]
    return tagged
