"""`Duration`: a timedelta or seconds, taken wherever a time is asked for; inside it is seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

from .errors import NodeDefinitionError

Duration: TypeAlias = timedelta | float
"""A timedelta, or seconds."""


def seconds(value: Duration, what: str) -> float:
    """The duration in seconds. Raises `NodeDefinitionError`, which names `what`, for what is none or negative."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)  # pyright: ignore[reportUnnecessaryIsInstance]  # of untyped callers
        or math.isnan(value)
        or value < 0
    ):
        raise NodeDefinitionError(f"{what}={value!r}: use a timedelta, or seconds as a number from 0 on.")
    return float(value)
