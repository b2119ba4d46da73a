"""Contradictions are shown and never copied; a recommendation names what it rests on."""

from __future__ import annotations

from datetime import timedelta

from captain.score import decide
from captain.score.doubts import recommendations
from tests.score.review import doubts, manual, probe, review, scored


def sentences(diary: object) -> list[str]:
    from tests.run.diary import Diary

    assert isinstance(diary, Diary)
    return [one.sentence for one in doubts(diary)]


def test_a_review_that_fits_together_has_none() -> None:
    diary = review((probe("tests"), manual("plan")), beside={"recommendations": (probe("staging"),)})
    diary.result("tests")
    diary.result("staging")
    diary.sign("plan", seen=None)
    assert sentences(diary) == []


def test_deploy_now_beside_staging_first_is_one() -> None:
    """`Can deploy NOW: yes` stands in the review that the project began with, beside `deploy to staging`."""
    diary = review(
        (probe("tests"),),
        beside={"recommendations": (probe("staging"), manual("production", needs=("staging",)))},
    )
    diary.result("tests")
    diary.sign("production", seen=None)
    said = sentences(diary)
    assert "Production is approved by karen, but Staging, which it needs, is open: not measured yet" in said
    assert "the score of 100 % says ready, but Staging is open: not measured yet" in said


def test_a_number_that_says_go_beside_an_open_gap_is_one_and_the_gate_stays_closed() -> None:
    gap = probe("gap.1", affects=("other",), severity="info")
    diary = review((probe("tests"),), beside={"gaps": (gap,)})
    diary.result("tests")
    diary.result("gap.1", "fail", message="no load test")
    assert sentences(diary) == ["the score of 100 % says ready, but Gap.1 is open: no load test"]
    assert not decide(scored(diary)).go


def test_below_ready_the_number_says_nothing_that_could_be_contradicted() -> None:
    diary = review((probe("tests"),), beside={"recommendations": (probe("staging"),)})
    diary.result("tests", "fail")
    assert sentences(diary) == []


def test_a_sign_off_that_a_later_measurement_contradicts_is_one() -> None:
    diary = review((probe("restore"),))
    diary.result("restore")
    diary.sign("restore")
    assert sentences(diary) == []
    diary.later(minutes=5)
    diary.result("restore", "fail", message="the dump is cut off")
    assert sentences(diary) == ["karen approved Restore, but measured since: the dump is cut off"]


def test_a_reject_of_what_passes_since_is_one() -> None:
    diary = review((probe("restore"),))
    diary.result("restore", "fail")
    diary.sign("restore", "reject", note="never tried")
    assert sentences(diary) == []
    diary.result("restore")
    assert sentences(diary) == ["karen rejected Restore: never tried, but it passes since"]


def test_two_people_who_say_the_opposite_are_one() -> None:
    diary = review((manual("plan"),))
    diary.sign("plan", by="karen", seen=None)
    diary.sign("plan", "reject", by="bob", note="no numbers")
    assert "karen approved Plan, but bob rejected it: no numbers" in sentences(diary)


def test_an_old_pass_whose_need_failed_since_is_one() -> None:
    diary = review((probe("backup"), probe("restore", needs=("backup",))))
    diary.result("backup")
    diary.result("restore")
    diary.result("backup", "fail", message="no backup for 3 days")
    assert sentences(diary) == ["Restore passes, but Backup, which it needs, is open: no backup for 3 days"]


def test_a_stale_measurement_contradicts_nobody() -> None:
    diary = review((probe("restore"),))
    diary.result("restore", max_age=timedelta(minutes=1))
    diary.sign("restore")
    diary.result("restore", "fail", max_age=timedelta(minutes=1))
    diary.later(hours=1)
    assert sentences(diary) == []


def test_a_recommendation_says_what_was_asked_what_was_seen_and_who_signed_it() -> None:
    staging, load = probe("staging"), manual("load", affects=("tests",))
    diary = review((probe("tests"),), beside={"recommendations": (staging,), "gaps": (load,), "additions": ()})
    diary.result("staging", "fail", observed={"status": 503}, message="status = 503")
    diary.sign("load", seen=None, note="200 users, p95 120 ms")
    first, second = recommendations(diary.view())
    assert (first.step.id, first.section, first.open) == ("staging", "recommendations", True)
    assert first.asked == ("GET https://shop.example.com/healthz",) and first.observed == {"status": 503}
    assert first.found.message == "status = 503"
    assert (second.step.id, second.open, second.asked) == ("load", False, ("Look.",))
    assert [(one.by, one.note) for one in second.signed] == [("karen", "200 users, p95 120 ms")]


def test_a_gap_that_stands_elsewhere_is_told_as_well() -> None:
    diary = review((probe("tests"), manual("breaker", affects=("tests",))))
    assert [one.step.id for one in recommendations(diary.view())] == ["breaker"]
