"""The shape of `A | B`: untagged where the plain data tells the branches apart, else tagged by the branch's name.

A tagged branch is stored as a map with one entry, `{"Dog": {...}}`. Branches whose plain data is the value itself
(`list[int] | list[str]`) are never tagged against each other: whichever reads it, the same value comes back.
"""

from __future__ import annotations

from typing import Any

from .plain import Misfit
from .shapes import Shape, coercions


class UnionShape(Shape):
    """A value of one of several types. `branches` come in a canonical order: `A | B` and `B | A` are one type."""

    def __init__(self, name: str, branches: tuple[Shape, ...]) -> None:
        super().__init__(name)
        self._branches = branches
        self._tags: dict[str, Shape] | None = None
        self._settling = False
        self._by_type: dict[type, list[Shape]] = {}
        self._by_kind: dict[type, list[Shape]] = {}
        self._kinds: frozenset[type] = frozenset()
        self._identity = False

    def settle(self) -> list[str]:
        """Decide which branches need tags, once all branches are known. Returns tags that two branches share."""
        if self._tags is not None or self._settling:
            return []
        self._settling = True
        tagged = _confusable(self._branches)
        for shape in self._branches:
            for type_ in shape.takes:
                self._by_type.setdefault(type_, []).append(shape)
            for kind in () if shape in tagged else shape.kinds:
                self._by_kind.setdefault(kind, []).append(shape)
        raw = [shape for shape in self._branches if shape not in tagged]
        self.as_is = frozenset[type]().union(*(shape.as_is for shape in raw))
        self._kinds = frozenset[type]([dict] if tagged else []).union(*(shape.kinds for shape in raw))
        self._identity = not tagged and all(shape.identity for shape in raw)
        self._tags = {shape.name: shape for shape in tagged}
        self._settling = False
        return sorted({shape.name for shape in tagged if self._tags[shape.name] is not shape})

    @property
    def takes(self) -> frozenset[type]:
        return frozenset[type]().union(*(shape.takes for shape in self._branches))

    @property
    def kinds(self) -> frozenset[type]:
        self.settle()
        return self._kinds

    @property
    def identity(self) -> bool:
        self.settle()
        return (
            self._identity
        )  # False while it is being settled: then a branch that mentions itself gets a tag

    def dump(self, value: Any) -> Any:
        kind = type(value)
        if kind in self.as_is:
            return value
        candidates = self._by_type.get(kind, self._branches)
        if len(candidates) == 1:
            return self._wrap(candidates[0], candidates[0].dump(value))
        found: tuple[Shape, Any] | None = None
        misfits: list[Misfit] = []
        for shape in candidates:
            before = coercions.count
            try:
                plain = shape.dump(value)
            except Misfit as misfit:
                misfits.append(misfit)
                continue
            if coercions.count == before:
                return self._wrap(shape, plain)
            found = found or (shape, plain)
        if found is None:
            raise self._none_fits(value, misfits)
        return self._wrap(*found)

    def load(self, plain: Any) -> Any:
        kind = type(plain)
        if kind in self.as_is:
            return plain
        if kind is dict and self._tags:
            return self._unwrap(plain)
        candidates = self._by_kind.get(kind, [])
        misfits: list[Misfit] = []
        for shape in candidates:
            try:
                return shape.load(plain)
            except Misfit as misfit:
                misfits.append(misfit)
        raise self._none_fits(plain, misfits)

    def _wrap(self, shape: Shape, plain: Any) -> Any:
        return {shape.name: plain} if self._tags and self._tags.get(shape.name) is shape else plain

    def _unwrap(self, plain: dict[Any, Any]) -> Any:
        tags = self._tags or {}
        if len(plain) != 1 or (tag := next(iter(plain))) not in tags:
            raise Misfit(f"there is a dict that is none of {self.name}")
        return tags[tag].load(plain[tag])

    def _none_fits(self, value: object, misfits: list[Misfit]) -> Misfit:
        """The misfit of the branch that came furthest, since that is most likely the one that was meant."""
        furthest = max(misfits, key=lambda misfit: len(misfit.steps), default=None)
        if furthest is None or not furthest.steps:
            return self.misfit(value)
        misfit = Misfit(f"{furthest.problem} (no branch of {self.name} fits)")
        misfit.steps = furthest.steps
        return misfit

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
