"""A bar shows no more than was proven, a trend is no wall, and what has no room yields as a whole."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from captain.tui.moment import Live, moment
from captain.tui.present import Look, fitting, took
from captain.tui.review import Review, chosen
from captain.tui.review_rows import arrow, bar, percent, sparkline
from tests.score.review import probe
from tests.score.review import review as made

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


def test_where_most_of_it_is_old_the_next_key_measures_all_of_it() -> None:
    """After a new commit ten categories wait: nobody should have to press enter in each."""
    diary = made((probe("tests"), probe("lint")), (probe("disk"),))
    for step in ("tests", "lint", "disk"):
        diary.result(step, max_age=timedelta(hours=1))

    def next_key(where: str = "categories") -> str | None:
        return chosen(Review(moment(diary.view(), Live())), "tests", {}, where)

    assert next_key() == "review.measure"
    diary.later(hours=2)
    assert next_key() == "review.measure_stale"
    assert next_key("item") == "review.measure"
    for step in ("tests", "lint"):
        diary.result(step, max_age=timedelta(hours=1))
    assert next_key() == "review.measure"


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
