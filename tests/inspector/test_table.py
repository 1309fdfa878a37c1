"""Columns that fit, and times in people's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure.inspector.render.table import Cell, Column, table
from perdure.inspector.render.terminal import clean, clean_lines, columns_of, shorten, wrap
from perdure.inspector.render.times import clock, iso, point_in_time, span, until

COLUMNS = (Column("A", least=5), Column("B"), Column("C", least=8, cut="middle"))


@given(st.lists(st.tuples(st.text(max_size=60), st.sampled_from(["x", "yes"]), st.text(max_size=200))))
def test_a_table_fits_its_width_whatever_stands_in_it(rows: list[tuple[str, str, str]]) -> None:
    cells = [[Cell(text) for text in row] for row in rows]
    lines = list(table(COLUMNS, cells, width=40, colour=False))
    assert len(lines) == 1 + len(rows)
    assert all(columns_of(line) <= 40 for line in lines)


@given(st.text(), st.integers(min_value=0, max_value=30), st.sampled_from(["end", "middle"]))
def test_shortened_text_fits(text: str, width: int, cut: str) -> None:
    short = shorten(text, width, "middle" if cut == "middle" else "end")
    assert columns_of(short) <= width
    assert short == text or "…" in short or width == 0


@given(st.text(), st.integers(min_value=2, max_value=30))
def test_wrapped_text_fits_and_loses_no_letter(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(columns_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())


@given(st.text())
def test_clean_text_is_one_line_that_steers_nothing(text: str) -> None:
    assert clean(text) == text or len(clean(text).splitlines()) <= 1
    assert not set(clean(text)) & {"\x1b", "\x07", "\x08", "\r", "\n", "\t", "\x9b", "\u202e"}


@given(st.text())
def test_clean_lines_keep_their_breaks_and_steer_nothing(text: str) -> None:
    shown = clean_lines(text)
    assert shown.count("\n") == text.count("\n")
    assert not set(shown) & {
        "\x1b",
        "\x07",
        "\x08",
        "\r",
        "\t",
        "\x0b",
        "\x85",
        "\x9b",
        "\x7f",
        "\u2028",
        "\u202e",
    }
    assert len(shown) == len(text)


def test_columns_that_hold_nothing_are_left_out_and_long_names_keep_their_end() -> None:
    rows = [[Cell("one"), Cell(""), Cell("check_each_section_of_it[407]")]]
    assert list(table(COLUMNS, rows, width=20, colour=False)) == [
        "A    C",
        "one  check_e…it[407]",
    ]


def test_wide_characters_take_two_columns() -> None:
    rows = [[Cell("研究"), Cell("x"), Cell("c")], [Cell("ab"), Cell("x"), Cell("c")]]
    assert list(table(COLUMNS, rows, width=40, colour=False)) == ["A     B  C", "研究  x  c", "ab    x  c"]


def test_colour_takes_no_width() -> None:
    rows = [[Cell("one", "red"), Cell("x"), Cell("c")], [Cell("three"), Cell("x"), Cell("c")]]
    lines = list(table(COLUMNS, rows, width=40, colour=True))
    assert lines[1] == "\x1b[31mone\x1b[0m    x  c"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (7_200, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_spans_in_people_s_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_when_something_comes() -> None:
    assert (until(-3), until(0.4), until(2.7), until(90)) == ("now", "now", "in 3 s", "in 1 min")


def test_instants_are_utc() -> None:
    assert iso(1_795_000_000.25) == "2026-11-18T11:06:40.250Z"


@pytest.mark.parametrize("at", [-1e300, -1e12, 1e12, 86_400.0 * 999_999_999])
def test_times_that_no_calendar_has_are_shown_as_the_nearest(at: float) -> None:
    assert iso(at).startswith("0001-" if at < 0 else "9999-")
    assert clock(at, 0.0)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2h", 92_800.0),
        ("30 min", 98_200.0),
        ("1d", 13_600.0),
        ("1970-01-01T00:00:10Z", 10.0),
        ("1.5 h", 94_600.0),
    ],
)
def test_times_as_people_write_them(text: str, at: float) -> None:
    assert point_in_time(text, 100_000.0) == at


@pytest.mark.parametrize("text", ["", "soon", "2 fortnights", "2026-13-01", "-2h"])
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        point_in_time(text, 0.0)
