"""The R line is true in every state of a run, and never longer than its row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.run.view import View
from captain.tui import chances
from captain.tui.moment import Live, Moment, Way, moment
from captain.tui.present import Look
from captain.tui.wayback import of_targets, way_back
from captain.tui.widgets.bars import chip
from tests.tui.walk import HEX, NOW, Walk


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


def at(walk: Walk, live: Live | None = None, **view: Any) -> Moment:
    definitions = {step.id: HEX for _, step in walk.target.checklist.steps()}
    found = View(walk.run(), walk.target, NOW, definitions, me="karen@example.com", lock_mine=True)
    return moment(replace(found, **view), live or Live())


def line(found: Moment | None, width: int = 78) -> str:
    row = way_back(Look(), found, width)
    assert row.cell_length == width
    return row.plain.rstrip()


READY = Live(way=Way("1.3.9 sha256:9f3c…", True))
GONE = Live(way=Way("1.3.9", False, "image deleted"))


def test_while_opening_it_claims_nothing() -> None:
    assert line(None) == "R → opening…"


def test_before_anything_was_started_it_says_what_there_is_to_go_back_to(walk: Walk) -> None:
    assert line(at(walk)).endswith("way back: looking…")
    assert "nothing started: R offers abort" in line(at(walk, READY))
    assert line(at(walk, READY)).endswith("way back 1.3.9 sha256:9f3c… exists ✓")
    assert line(at(walk, GONE)).startswith("R → NOT READY: image deleted")
    assert line(at(walk, Live(way=of_targets([])))).startswith("R → NOT READY: no rollback is written")


def test_after_the_start_what_was_recorded_counts_until_it_is_proved_again(walk: Walk) -> None:
    walk.deploying()
    assert line(at(walk)) == "R → 1.3.9 sha256:9f3c… ready ✓"
    assert line(at(walk, GONE)).startswith("R → NOT READY: image deleted")
    assert line(at(walk, Live(way_error="docker does not answer"))).startswith("R → NOT READY: docker")


def test_one_part_that_is_gone_makes_the_whole_way_back_not_ready() -> None:
    way = of_targets([("1.3.9", True, None), ("1.3.9", False, "no such container")])
    assert not way.ready and way.why == "no such container"


def test_opened_without_a_way_back_it_never_says_ready(walk: Walk) -> None:
    walk.before().go("pre", "deploy", no_way_back="first release")
    walk.intent()
    assert line(at(walk, READY)) == "R → NO WAY BACK: first release"


def test_a_spectator_and_one_without_the_lock_are_told_why_r_is_dim(walk: Walk) -> None:
    walk.deploying()
    assert "read-only" in line(at(walk, READY, read_only=True), 118)
    held = at(walk, READY, lock_holder="dba since 13:40 UTC", lock_mine=False)
    assert "held by dba" in line(held, 118)
    assert "run.roll_back" in chances.dim(held, "roll-out")


def intent(walk: Walk) -> None:
    data = {
        "rollback": "r1",
        "plan_sha256": HEX,
        "point": 1,
        "to": {"version": "1.3.9", "commit": None, "images": {}},
        "parts": [{"id": "web", "strategy": "command", "from": "1.4.0", "to": "1.3.9", "verb": "change"}],
        "stops": [],
        "confirmed": "production",
        "fence": 1,
    }
    walk.at("14:01:00").add("rollback.intent", data)


def test_a_rollback_is_under_way_stopped_halfway_or_done(walk: Walk) -> None:
    walk.looking()
    intent(walk)
    walk.intent("b1", None, rollback="r1", part="web")
    under_way = at(walk, alive=frozenset({"b1"}))
    assert line(under_way) == "R → rolling back to 1.3.9  part 1 of 1  1:07"
    assert chip(under_way)[0] == "ROLLING BACK"
    assert chances.chosen(under_way, "health", {}) is None
    halfway = at(walk)
    assert line(halfway) == "R → ROLLBACK STOPPED HALFWAY on the way to 1.3.9: R goes on"
    assert chances.chosen(halfway, "health", chances.dim(halfway, "health")) == "run.roll_back"

    end: dict[str, Any] = {
        "rollback": "r1",
        "state": "rolled_back",
        "verified": [],
        "why": None,
        "cause": None,
        "duration_ms": 41_000,
    }
    walk.at("14:01:41").add("rollback.end", end)
    ended = {"state": "rolled_back", "verdict": "pass", "reason": None, "left_running": None, "review_due": None}
    walk.add("run.end", ended)
    done = at(walk)
    assert line(done) == "R → rolled back to 1.3.9 verified ✓"
    assert chip(done) == ("ROLLED BACK", "chip-success")
    assert chances.chosen(done, "health", chances.dim(done, "health")) == "run.note"


def test_a_rollback_that_could_not_be_proved_is_the_loudest_line(walk: Walk) -> None:
    walk.looking()
    intent(walk)
    end: dict[str, Any] = {
        "state": "rollback_incomplete",
        "verified": [],
        "why": "health FAIL",
        "cause": None,
        "duration_ms": 1,
    }
    walk.add("rollback.end", {"rollback": "r1", **end})
    assert line(at(walk)).startswith("R → ROLLBACK INCOMPLETE: health FAIL")


def test_a_completed_run_says_that_it_is_over(walk: Walk) -> None:
    walk.looking()
    ended = {"state": "completed", "verdict": "pass", "reason": None, "left_running": None, "review_due": None}
    walk.add("run.end", ended)
    found = at(walk, READY)
    assert "ready" not in line(found)
    assert "run.measure" in chances.dim(found, "health")


@pytest.mark.parametrize("width", [20, 40, 78, 118])
def test_a_long_reason_is_cut_at_the_right_and_begins_the_line(walk: Walk, width: int) -> None:
    walk.deploying()
    found = at(walk, Live(way=Way("1.3.9", False, "image " + "x" * 300)))
    assert line(found, width).startswith("R → NOT READY"[: width - 8])


def test_next_problem_goes_round_and_skips_what_is_ahead(walk: Walk) -> None:
    walk.looking()
    found = at(walk)
    seen = ["version"]
    for _ in range(5):
        after = chances.next_problem(found, seen[-1], 1)
        assert after is not None
        seen.append(after)
    assert seen[1:] == ["health", "spikes", "lag", "announce", "health"], "what is wrong, then what is to do"
    assert chances.next_problem(found, "health", -1) == "announce"


def test_next_problem_goes_into_a_closed_section_only_where_the_open_one_has_nothing_left(walk: Walk) -> None:
    walk.before().result("scan-clean", "fail", "status = 500").go("pre", "deploy", risk=["scan-clean: fail"])
    assert at(walk).problem(walk.target.checklist.sections[0].steps[1]), "a risk that was accepted is still a problem"
    found = at(walk)
    ring, here = set(), "scan-clean"
    for _ in range(8):
        after = chances.next_problem(found, here, 1)
        assert after is not None
        ring.add(here := after)
    assert ring == {"lock", "migrate", "roll-out", "replicas"}
    walk.intent().finished().result("roll-out", attempt="a1")
    walk.result("lock").result("migrate").result("replicas")
    assert chances.next_problem(at(walk), "lock", 1) == "scan-clean"


def test_an_old_result_is_stale_and_a_problem(walk: Walk) -> None:
    walk.looking()
    found = at(walk, now=NOW + timedelta(hours=2))
    stale = found.view.step("version")
    assert stale is not None
    assert found.mark(stale[1]).word == "stale" and found.problem(stale[1])
