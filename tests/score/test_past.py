"""How a review stood at each of its checks, as it was judged then."""

from __future__ import annotations

from datetime import timedelta

from captain.score.past import Change, Then, change, past
from tests.run.diary import Diary
from tests.score.review import manual, probe, review, scored

DAY = timedelta(days=1)


def check(diary: Diary, **verdicts: str) -> None:
    for step, verdict in verdicts.items():
        diary.result(step, verdict, max_age=timedelta(hours=24))
    diary.write("run.checked", {"verdict": "pass", "measured": len(verdicts), "kept": 0})


def known(diary: Diary) -> tuple[Then, ...]:
    return past(diary.events, diary.view())


def lows(diary: Diary) -> list[int]:
    return [one.low for one in known(diary)]


def moved(diary: Diary) -> Change | None:
    return change(known(diary), scored(diary), diary.clock)


def test_each_check_counts_as_it_was_judged_then_and_not_as_old_as_it_is_now() -> None:
    diary = review((probe("a"), probe("b")))
    check(diary, a="pass", b="fail")
    diary.later(days=40)
    check(diary, a="pass", b="pass")
    assert lows(diary) == [50, 100]
    diary.later(days=40)
    assert lows(diary) == [50, 100] and scored(diary).low == 0


def test_what_was_stale_at_a_check_was_not_known_at_it() -> None:
    diary = review((probe("a"), probe("b")))
    check(diary, a="pass", b="pass")
    diary.later(days=2)
    check(diary, a="pass")
    assert [(one.low, one.high) for one in known(diary)] == [(100, 100), (50, 100)]


def test_the_change_is_against_the_check_of_thirty_days_ago() -> None:
    diary = review((probe("a"), probe("b")), (probe("c"),))
    check(diary, a="fail", b="fail", c="pass")
    diary.later(days=10)
    check(diary, a="pass", b="fail", c="pass")
    diary.later(days=25)
    check(diary, a="pass", b="pass", c="fail")
    found = moved(diary)
    assert found is not None and found.categories == {"c1": 100, "c2": -100} and found.whole == 0
    diary.later(days=10)
    check(diary, a="pass", b="pass", c="pass")
    later = moved(diary)
    assert later is not None and later.categories == {"c1": 50, "c2": 0}, "now the second one is 30 days old"
    assert diary.clock - later.since == 35 * DAY


def test_a_young_review_is_compared_with_its_first_check() -> None:
    diary = review((probe("a"),))
    assert moved(diary) is None and known(diary) == ()
    check(diary, a="fail")
    diary.later(days=3)
    check(diary, a="pass")
    found = moved(diary)
    assert found is not None and found.whole == 100 and diary.clock - found.since == 3 * DAY


def test_a_step_that_was_changed_since_keeps_what_it_scored_before() -> None:
    diary = review((probe("a"), manual("b")))
    diary.sign("b", seen=None)
    check(diary, a="pass")
    diary.later(hours=1)
    data = {"decision": "adopt", "files": [], "changed": ["a", "b"], "added": [], "removed": []}
    diary.changed("a", "b")
    diary.write("checklist.changed", data)
    check(diary)
    assert lows(diary) == [100, 0], "nothing that was recorded before the change counts after it"
    check(diary, a="pass")
    assert lows(diary) == [100, 0, 50]


def test_a_category_that_was_not_there_then_moved_by_nothing() -> None:
    young = Then(review(()).clock, 40, 40, {"c9": (40, 40)})
    diary = review((probe("a"),))
    check(diary, a="pass")
    found = change([young], scored(diary), diary.clock)
    assert found is not None and found.categories == {} and found.whole == 60


def test_a_sign_off_and_its_withdrawal_are_seen_at_the_check_they_stood_at() -> None:
    diary = review((manual("a"),))
    diary.write("run.checked", {"verdict": "unknown", "measured": 0, "kept": 0})
    seq = diary.sign("a", seen=None)
    diary.write("run.checked", {"verdict": "pass", "measured": 0, "kept": 0})
    diary.withdraw(seq)
    diary.write("run.checked", {"verdict": "unknown", "measured": 0, "kept": 0})
    assert lows(diary) == [0, 100, 0]
