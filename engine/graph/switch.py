"""`Switch`: the exclusive choice after a node."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

_WIDTH = 60
"""Characters of a value that a message or a drawing shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """What the user's key gives decides which edge is taken."""

    key: Callable[[Any], Hashable]
    cases: Mapping[Hashable, int]  # to the index of an edge; values of one target share its edge


def shown(value: object) -> str:
    """The value as code, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
