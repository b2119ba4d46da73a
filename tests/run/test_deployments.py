"""What the log knows of a deployment, and how far the time has come that is counted from it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.checklist import Soak
from captain.measurement import Verdict
from captain.run.deployed import Deployment, deployment
from captain.run.soaking import Timer, span, timer
from tests.run.diary import Diary, action, probe, target

SOAK = Soak.model_validate({"for": timedelta(hours=24), "coverage": 0.95})


def deploying() -> Diary:
    diary = Diary(target(deploy=[action(), action("migrate")]))
    diary.deploy_opens()
    return diary


def known(diary: Diary) -> Deployment:
    found = deployment(diary.run)
    assert found is not None
    return found


def test_a_run_that_started_nothing_deployed_nothing() -> None:
    diary = deploying()
    assert deployment(diary.run) is None
    diary.end("aborted")
    assert deployment(diary.run) is None


def test_it_is_there_when_the_last_action_ended_well_and_was_seen() -> None:
    diary = deploying()
    diary.intent("a")
    assert (known(diary).at, known(diary).why) == (None, "roll-out has not ended yet")
    diary.later(minutes=3)
    diary.finished("a")
    ended = diary.clock
    assert known(diary).why == "roll-out has not been looked at yet"
    diary.later(seconds=9)
    diary.result("roll-out", attempt="a")
    assert (known(diary).at, known(diary).why) == (ended, "")
    diary.later(hours=1)
    diary.intent("b", "migrate", observe=False)
    diary.finished("b")
    assert known(diary).at == diary.clock


@pytest.mark.parametrize(("verdict", "why"), [("fail", "did not end well"), ("unknown", "nobody can tell how")])
def test_what_was_not_seen_to_arrive_is_not_there(verdict: str, why: str) -> None:
    diary = deploying()
    diary.intent("a")
    diary.finished("a")
    diary.result("roll-out", verdict, attempt="a")
    assert known(diary).at is None
    assert why in known(diary).why


def test_a_first_try_that_failed_does_not_matter_once_the_second_was_seen() -> None:
    diary = deploying()
    diary.intent("a")
    diary.finished("a", exit_code=1)
    assert known(diary).why == "roll-out did not end well"
    diary.intent("b")
    diary.finished("b")
    diary.result("roll-out", attempt="b")
    assert known(diary).at == diary.clock


def test_what_others_deploy_is_there_when_it_is_seen() -> None:
    diary = deploying()
    diary.intent("a", how="external")
    assert known(diary).why == "roll-out has not arrived yet"
    diary.later(minutes=20)
    diary.result("roll-out", attempt="a")
    assert known(diary).at == diary.clock


def test_a_persons_word_counts() -> None:
    diary = deploying()
    diary.intent("a")
    diary.finished("a", "timed_out")
    diary.resolved("a", "not_applied")
    assert deployment(diary.run) is None
    diary.intent("b")
    diary.finished("b", "timed_out")
    diary.resolved("b", "partial")
    assert known(diary).why == "roll-out was applied in part only"
    diary.resolved("b", "applied")
    assert known(diary).at == diary.clock


def test_a_deployment_by_hand_counts_from_the_end_of_its_run() -> None:
    diary = Diary(target())
    assert deployment(diary.run) is None
    diary.later(hours=1)
    diary.end("completed")
    assert known(diary).at == diary.clock


def deployed(diary: Diary) -> dict[str, Deployment]:
    return {"production": Deployment("shop-production-1.3.0", 0, diary.run.release, diary.clock)}


def test_the_countdown_goes_on_without_anybody_asking_and_ends_as_ask_again() -> None:
    step = probe("monitored", soak=SOAK, review=True)
    diary = Diary(target(step))
    there = deployed(diary)
    diary.later(minutes=12)
    clock = Timer(diary.clock - timedelta(minutes=12), timedelta(hours=24))
    said = clock.said(diary.clock)
    diary.result("monitored", "unknown", max_age=timedelta(0), message=f"{said}; value = 1")
    assert diary.status("monitored", deployments=there).message == (
        "monitored 12m of 24h, until 24 Nov 14:00 UTC; value = 1"
    )
    diary.later(hours=3)
    seen = diary.status("monitored", deployments=there)
    assert seen.message == "monitored 3h 12m of 24h, until 24 Nov 14:00 UTC; value = 1"
    assert (seen.verdict, seen.state, seen.counts) == (Verdict.UNKNOWN, "measured", False)
    diary.later(hours=20, minutes=48)
    assert diary.status("monitored", deployments=there).stale_why == "its 24h are over since"


def test_what_passed_counts_for_ever_and_till_the_next_deployment() -> None:
    step = probe("monitored", soak=SOAK, review=True)
    diary = Diary(target(step))
    there = deployed(diary)
    diary.later(hours=25)
    diary.result("monitored", max_age=timedelta(0))
    diary.later(days=300)
    assert diary.status("monitored", deployments=there).counts
    newer = {"production": Deployment("shop-production-1.4.1", 99, diary.run.release, None, "roll-out has not ended")}
    gone = diary.status("monitored", deployments=newer)
    assert (gone.counts, gone.stale_why) == (False, "measured before shop-production-1.4.1 changed production")


def test_a_deployment_in_the_future_starts_nothing() -> None:
    diary = Diary(target())
    ahead = Deployment("shop-production-1.4.0", 3, diary.run.release, diary.clock + timedelta(minutes=1))
    assert timer(SOAK, "production", ahead, diary.clock) == (
        "shop-production-1.4.0 was deployed into production at a time that the clock has not reached"
    )


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ({"seconds": 45}, "45s"),
        ({"minutes": 12, "seconds": 5}, "12m"),
        ({"hours": 3, "minutes": 12}, "3h 12m"),
        ({"hours": 24}, "24h"),
        ({"hours": 47, "minutes": 59}, "47h 59m"),
        ({"days": 2}, "2d"),
        ({"days": 7, "hours": 3}, "7d 3h"),
    ],
)
def test_times_are_said_in_two_units(time: dict[str, int], said: str) -> None:
    assert span(timedelta(**time)) == said
