"""Named tuples of different kinds are never equal here, whatever their fields.

A frozen dataclass takes six times as long to define, which is felt at import with forty kinds, and nearly twice as long
to make.
"""

from __future__ import annotations

from typing import Any, TypeVar

_equal: Any = tuple.__eq__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_hash: Any = tuple.__hash__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
T = TypeVar("T", bound=tuple[Any, ...])


def distinct(kind: type[T]) -> type[T]:
    """Make this kind of named tuple equal to its own kind alone."""

    def equal(self: T, other: object) -> bool:
        return type(other) is kind and _equal(self, other)

    def unequal(self: T, other: object) -> bool:
        return not equal(self, other)

    for name, method in (("__eq__", equal), ("__ne__", unequal), ("__hash__", _hash)):
        setattr(kind, name, method)
    return kind
