"""`Failure`: why a node or a run failed, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What went wrong, in plain words and the provider's own code."""

    node: str
    """The node's name; empty where the run as a whole failed."""
    path: tuple[int, ...] = ()
    type: str
    """The name of the exception's class."""
    message: str
    code: str | None = None
    """The provider's word for it."""
    partial: str = ""
    """The text that there was before it failed."""
