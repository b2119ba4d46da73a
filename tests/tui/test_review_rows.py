"""A bar shows no more than was proven, a trend is no wall, and what has no room yields as a whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from captain.tui.present import Look, fitting, took
from captain.tui.review_rows import arrow, bar, percent, sparkline

PERCENT = st.integers(0, 20).map(lambda fifth: 5 * fifth)


@given(PERCENT, PERCENT, st.integers(4, 80), st.booleans())
def test_a_bar_is_full_only_when_everything_is_proven(one: int, other: int, cells: int, plain: bool) -> None:
    low, high = sorted((one, other))
    drawn = bar(Look(ascii=plain), low, high, cells).plain
    assert len(drawn) == cells
    proven, unknown = drawn.count("━"), drawn.count("╍")
    assert (proven == cells) == (low == 100)
    assert (unknown > 0) == (high > low), "what nobody verified is always seen"
    assert high == 100 or proven + unknown < cells
    assert drawn.rstrip(" ─") == "━" * proven + "╍" * unknown, "in this order"


def test_a_flat_trend_is_a_line_and_a_rise_of_five_is_no_mountain() -> None:
    look = Look()
    assert sparkline(look, [100, 100, 100]).plain == "───"
    assert sparkline(look, [90, 90, 95]).plain == "▁▁▃"
    assert sparkline(look, [0, 50, 100]).plain == "▁▅█"
    assert sparkline(look, [80]).plain == "" and sparkline(look, []).plain == ""


def test_numbers_stand_in_their_columns() -> None:
    look = Look()
    assert [percent(look, *one).plain for one in ((100, 100), (75, 85), (5, 100))] == ["100    ", " 75– 85", "  5–100"]
    assert [arrow(look, by).plain for by in (15, -5, 0, None)] == ["▲ 15", "▼  5", "·", ""]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 40))
def test_parts_are_kept_whole_or_left_out(sizes: list[int], width: int) -> None:
    parts = [Content(str(size) * size) for size in sizes]
    said = fitting(parts, width).plain.split(" · ")
    whole = [part.plain for part in parts]
    if said[-1] == "…":
        assert said[:-1] == whole[: len(said) - 1] and len(said) <= len(whole)
    else:
        assert said == whole or said == whole[:1]
    assert len(" · ".join(said)) <= width or said == whole[:1], "the first is there in any case"


def test_a_whole_number_of_hours_is_said_without_minutes() -> None:
    assert [took(hours * 3_600_000) for hours in (1, 24)] == ["1 h", "24 h"] and took(7_500_000) == "2 h 5 m"
