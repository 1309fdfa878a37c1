"""`Failure`: what went wrong with a node, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failure of an activation, for those who go on after it."""

    node: str
    path: tuple[int, ...]
    type: str
    message: str
    code: str | None
    partial: str
