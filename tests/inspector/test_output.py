"""How stored values look as JSON."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from perdure.inspector.render.output import encode


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 1, 2, 3, tzinfo=UTC), '"2026-01-02T03:00:00+00:00"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4), '"03:04:00"'),
        (timedelta(days=1), '"1 day, 0:00:00"'),
        (Decimal("1.50"), '"1.50"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (PurePosixPath("a/b"), '"a/b"'),
        ((1, "a"), '[1, "a"]'),
        ({1}, "[1]"),
        (frozenset({None}), "[null]"),
        ({date(2026, 1, 2): b"\xff"}, '{"2026-01-02": "/w=="}'),
        ([float("nan"), True, 2**70], '["nan", true, 1180591620717411303424]'),
    ],
)
def test_values_that_json_lacks_are_shown_as_text_or_lists(value: object, text: str) -> None:
    assert encode(value) == text
