"""A timer step on the screen: how much of its time is over, and a verdict once there is one."""

from __future__ import annotations

from datetime import timedelta

from captain.checklist import Soak
from captain.run.deployed import Deployment
from captain.run.soaking import so_far
from captain.tui.present import mark
from tests.run.diary import Diary, probe, target

SOAK = Soak.model_validate({"for": timedelta(hours=24)})


def test_a_timer_shows_its_quarters_until_it_is_judged() -> None:
    step = probe("monitored", soak=SOAK, review=True)
    diary = Diary(target(step))
    there = {"production": Deployment("earlier", 0, diary.run.release, diary.clock)}
    diary.result("monitored", "unknown", max_age=timedelta(0))
    seen = []
    for hours in (1, 6, 6, 6):
        diary.later(hours=hours)
        held = so_far(diary.view(deployments=there), step)
        found = mark(diary.status("monitored", deployments=there), held=held)
        seen.append((found.glyph, found.word, found.loud))
    assert seen == [("○", "hold", False), ("◔", "hold", False), ("◑", "hold", False), ("◕", "hold", False)]
    diary.later(hours=6)
    assert so_far(diary.view(deployments=there), step) is None
    diary.result("monitored", "pass", max_age=timedelta(0))
    assert mark(diary.status("monitored", deployments=there)).word == "pass"


def test_a_failure_so_far_is_a_failure() -> None:
    step = probe("monitored", soak=SOAK, review=True)
    diary = Diary(target(step))
    there = {"production": Deployment("earlier", 0, diary.run.release, diary.clock)}
    diary.later(hours=1)
    diary.result("monitored", "fail", max_age=timedelta(0))
    held = so_far(diary.view(deployments=there), step)
    assert mark(diary.status("monitored", deployments=there), held=held).word.upper() == "FAIL"
