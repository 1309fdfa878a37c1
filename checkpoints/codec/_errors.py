"""`ConversionError`, and the paths that errors name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import PerdureError

kind_of: Callable[[object], Any] = type
"""The exact type of a value: `type` itself, under a name by which a type checker draws no conclusions."""

_SHORT = 40  # characters of a key that a path shows


class ConversionError(PerdureError):
    """A value or bytes that can't be converted, or a type of which none can; gathers the path while it climbs.

    Never leaves the codec.
    """

    def __init__(self, problem: str, fix: str = "", at: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.steps = [] if at is None else [step(at)]

    @property
    def path(self) -> str:
        """`$` is the whole value. A long path is shortened in the middle."""
        steps = self.steps[::-1]
        if len(steps) > 20:
            steps = [*steps[:10], "...", *steps[-10:]]
        return "$" + "".join(steps)


def step(key: object) -> str:
    """One step of a path: `.name` for a key that reads like a name, else `[key]`, shortened."""
    if type(key) is str and key.isidentifier() and len(key) <= _SHORT:
        return "." + key
    shown = type(key) in (int, float, str, bytes, bool, type(None))
    text = ascii(key) if shown else f"<{type(key).__name__}>"
    return f"[{text if len(text) <= _SHORT else text[:_SHORT] + '...'}]"
