"""A duration is a timedelta or seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from perdure.nodes.durations import seconds
from perdure.nodes.errors import NodeDefinitionError


@pytest.mark.parametrize(
    ("value", "expected"),
    [(30, 30.0), (0.5, 0.5), (0, 0.0), (timedelta(minutes=2), 120.0), (math.inf, math.inf)],
)
def test_a_timedelta_and_seconds_are_seconds(value: Any, expected: float) -> None:
    assert seconds(value, "timeout") == expected


@pytest.mark.parametrize("value", [-1, timedelta(seconds=-1), math.nan, "30", True, None])
def test_what_is_no_duration_is_refused_by_name(value: Any) -> None:
    with pytest.raises(NodeDefinitionError, match=r"^timeout="):
        seconds(value, "timeout")
