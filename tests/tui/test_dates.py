"""The day a waiver ends, as people type it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from captain.tui.dialogs.dates import LONGEST, capped, day, trouble, written

NOW = datetime(2026, 11, 23, 14, 2, 7, tzinfo=UTC)


def test_a_day_is_read_in_every_usual_form_and_means_its_end() -> None:
    friday = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
    for typed in ("2026-11-27", "27 Nov", "27 nov 2026", "27.11.2026", "27 November", "fri", "Friday", "4d", "4 days"):
        assert day(typed, NOW, UTC) == friday, typed
    assert day("1w", NOW, UTC) == datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


def test_the_day_ends_where_the_person_sits() -> None:
    found = day("2026-11-27", NOW, ZoneInfo("America/New_York"))
    assert found == datetime(2026, 11, 28, 4, 59, 59, tzinfo=UTC)


def test_a_day_without_a_year_is_the_next_one() -> None:
    assert day("2 Jan", NOW, UTC) == datetime(2027, 1, 2, 23, 59, 59, tzinfo=UTC)
    assert day("mon", NOW, UTC) == datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


def test_what_names_no_day_is_none() -> None:
    for typed in ("", "soon", "31 Feb", "2026-13-01", "99999d", "[b]", "٣ Nov x"):
        assert day(typed, NOW, UTC) is None, typed


def test_a_waiver_may_end_within_thirty_days_only() -> None:
    assert trouble(None, NOW) == "until: not a day"
    assert trouble(NOW - timedelta(hours=1), NOW) == "until is over already"
    assert trouble(day("30d", NOW, UTC), NOW) is None
    assert trouble(day("31d", NOW, UTC), NOW) == "longest 30 d"


@settings(max_examples=60)
@given(st.integers(0, 30))
def test_every_allowed_day_ends_within_the_longest_time(days: int) -> None:
    found = day(f"{days}d", NOW, UTC)
    assert found is not None and trouble(found, NOW) is None
    assert NOW < capped(found, NOW) <= NOW + LONGEST
    assert day(written(found, UTC), NOW, UTC) == found


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_any_text_is_a_day_or_none(text: str) -> None:
    found = day(text, NOW, UTC)
    assert found is None or found.tzinfo is not None
