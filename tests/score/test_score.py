"""A score that cannot flatter: it reproduces a table ticked by hand, and only falls when things get worse."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.score import Category, Credit, Item, Score, decide, interval, label, rounded

SIZES = {
    "infrastructure": 7,
    "database": 7,
    "security": 8,
    "cicd": 8,
    "monitoring": 8,
    "logging": 6,
    "performance": 7,
    "backup": 6,
    "documentation": 7,
    "scalability": 7,
}
"""Items in each category of the review that the project began with: 71."""
TABLE = {
    "infrastructure": (100, "Excellent"),
    "database": (100, "Excellent"),
    "security": (95, "Very Good"),
    "cicd": (100, "Excellent"),
    "monitoring": (95, "Very Good"),
    "logging": (90, "Good"),
    "performance": (95, "Very Good"),
    "backup": (100, "Excellent"),
    "documentation": (100, "Excellent"),
    "scalability": (95, "Very Good"),
}
NONE, ALL = Fraction(0), Fraction(1)
PARTIAL = ("security", "monitoring", "logging", "performance", "scalability")


def item(credit: Credit = "full", name: str = "it", **keys: Any) -> Item:
    counts = credit in ("full", "partial", "waived", "excused")
    return replace(Item(name, name.title(), credit, counts=counts), **keys)


def review(**changes: Credit) -> Score:
    """The review as ticked, one item in five categories partial; `changes` sets the first item of a category."""
    categories = []
    for name, size in SIZES.items():
        first: Credit = changes.get(name, "partial" if name in PARTIAL else "full")
        items = (item(first, f"{name}-1"), *(item("full", f"{name}-{number}") for number in range(2, size + 1)))
        categories.append(Category(name, name.title(), items))
    return Score(tuple(categories))


def test_the_table_that_was_ticked_by_hand_comes_out_of_five_partial_items() -> None:
    found = review()
    assert sum(SIZES.values()) == 71
    assert {one.id: (one.low, one.label) for one in found.categories} == TABLE
    assert (found.low, found.high, found.label) == (97, 97, "Very Good")
    assert round(float(found.raw), 2) == 96.49 and found.coverage == 1
    assert decide(found).word == "GO"


def test_unrounded_categories_would_give_another_number() -> None:
    """97 is the mean of the rounded categories; the mean of the raw ones and of all items both print 96."""
    found = review()
    earned = sum(one.earns[0] for one in found.items if one.earns is not None)
    assert round(float(found.raw)) == 96 and round(float(100 * earned / 71)) == 96


def test_a_secret_in_the_image_is_no_go_at_any_score() -> None:
    found = review(security="full")
    security = found.categories[2]
    bad = item("failed", "image-secrets", blocker=True, weight=Fraction(1, 100), message="1 secret in layer 3")
    worse = replace(found, categories=(*found.categories[:2], replace(security, items=(*security.items, bad))))
    assert worse.low >= 97
    decision = decide(worse)
    assert (decision.word, decision.reasons) == ("NO-GO", ("Image-Secrets: 1 secret in layer 3",))


def test_what_nobody_verified_is_an_interval_and_no_go() -> None:
    found = review(database="unverified")
    database = found.categories[1]
    assert interval(database.low, database.high) == "85–100 %"
    assert (found.low, found.high) == (96, 97)
    assert decide(found).word == "NO-GO: unverified"
    assert decide(found).reasons[0] == "Database is at 85–100 %: 90 % is not proven yet"
    assert found.coverage == Fraction(70, 71)


def test_what_cannot_reach_the_floor_any_more_says_what_it_needs() -> None:
    reasons = decide(review(database="failed")).reasons
    assert reasons == ("Database is at 85 %, needs 90 %",)


def test_a_sign_off_whose_date_has_passed_is_not_known_any_more() -> None:
    assert item("lapsed").earns == (NONE, ALL)
    assert not item("lapsed").verified


def test_an_open_gap_leaves_half_at_the_most_of_what_it_touches() -> None:
    assert item("full", gaps=("gap.1",)).earns == (Fraction(1, 2), Fraction(1, 2))
    assert item("unverified", gaps=("gap.1",)).earns == (NONE, Fraction(1, 2))
    assert item("failed", gaps=("gap.1",)).earns == (NONE, NONE)


def test_an_open_gap_is_no_go_until_somebody_accepts_the_risk() -> None:
    gap = item("failed", "gap.1")
    assert decide(replace(review(), gaps=(gap,))).word == "NO-GO"
    accepted = item("waived", "gap.1", accepted=True, message="waived by dba till 12 Dec: next sprint")
    decision = decide(replace(review(), gaps=(accepted,)))
    assert (decision.word, decision.go) == ("GO WITH RISK", True)
    assert "next sprint" in decision.reasons[0]


def test_what_does_not_apply_leaves_both_sides_of_the_fraction_and_is_told_when_it_is_much() -> None:
    items = (item("excused"), item(), item(), item("partial"))
    category = Category("x", "X", items)
    assert round(float(category.raw[0])) == 83 and not category.much_excused
    assert Category("x", "X", (item("excused"), *items)).much_excused


def test_imperfect_is_never_rounded_up_to_a_hundred() -> None:
    assert rounded(Fraction(9999, 100)) == 95
    assert rounded(Fraction(100)) == 100
    assert [rounded(Fraction(text)) for text in ("92.5", "92.49", "0", "2.5")] == [95, 90, 0, 5]


@pytest.mark.parametrize(
    ("percent", "word"),
    [
        (100, "Excellent"),
        (95, "Very Good"),
        (90, "Good"),
        (89, "Fair"),
        (79, "Weak"),
        (59, "Critical"),
        (0, "Critical"),
    ],
)
def test_labels(percent: int, word: str) -> None:
    assert label(percent) == word


def test_nothing_reviewed_is_nothing_and_no_go() -> None:
    empty = Score(())
    assert (empty.low, empty.high, empty.label) == (0, 0, "Critical") and empty.coverage == 0
    assert decide(empty).word == "NO-GO: unverified"


CREDITS: list[Credit] = ["full", "partial", "waived", "failed", "unverified", "lapsed"]
WORSE: dict[Credit, list[Credit]] = {
    "full": ["partial", "waived", "failed", "unverified", "lapsed"],
    "partial": ["waived", "failed"],
    "waived": ["failed"],
    "unverified": ["failed"],
    "lapsed": ["failed"],
    "failed": [],
}
items = st.builds(
    lambda credit, weight, blocker: item(credit, weight=Fraction(weight, 2), blocker=blocker),
    st.sampled_from(CREDITS),
    st.integers(1, 6),
    st.booleans(),
)
scores = st.lists(st.lists(items, min_size=1, max_size=8), min_size=1, max_size=10).map(
    lambda groups: Score(tuple(Category(f"c{at}", f"C{at}", tuple(group)) for at, group in enumerate(groups)))
)


@given(scores, st.data())
def test_turning_any_item_worse_never_raises_anything(found: Score, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(found.categories) - 1))
    category = found.categories[at]
    which = data.draw(st.integers(0, len(category.items) - 1))
    old = category.items[which]
    options = [item(one, weight=old.weight, blocker=old.blocker) for one in WORSE[old.credit]]
    options.append(replace(old, gaps=("gap.1",)))
    new = data.draw(st.sampled_from(options))
    changed = replace(category, items=(*category.items[:which], new, *category.items[which + 1 :]))
    worse = replace(found, categories=(*found.categories[:at], changed, *found.categories[at + 1 :]))
    assert worse.low <= found.low and worse.high <= found.high and worse.raw <= found.raw
    assert worse.categories[at].low <= category.low
    assert decide(found).go or not decide(worse).go, "getting worse opened a gate"


@given(scores)
def test_low_is_never_above_high_and_both_are_percentages(found: Score) -> None:
    assert all(0 <= one.low <= one.high <= 100 for one in found.categories)
    assert 0 <= found.low <= found.high <= 100
    assert 0 <= found.coverage <= 1
