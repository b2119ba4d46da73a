"""Earlier runs, read from a real log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from captain.errors import LogError
from captain.events import Actor, Draft
from captain.log.store import Log
from captain.measurement import Verdict
from captain.tui.past import PastRun, people, read_run, read_runs, timeline
from captain.tui.screens.history import HistoryScreen
from tests.tui.dialog_world import KAREN, Host, Story, before, rolled_back, target
from tests.tui.svg import SVG, picture

NOW = datetime(2026, 11, 23, 18, 0, 0, tzinfo=UTC)


class StoryClock:
    """Stands where the story says."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Three runs: one rolled back, one open in staging, one check."""
    path = tmp_path / "log.sqlite"
    clock = StoryClock()
    with Log.open(path, clock=clock, actor=KAREN) as opened:
        check = Story(target(protected=False))
        check.events[0] = type(check.events[0])(
            **{
                **{name: getattr(check.events[0], name) for name in check.events[0].__slots__},
                "data": {**check.events[0].data, "kind": "check"},
            }
        )
        stories = {
            "shop-production-1.4.0": rolled_back(),
            "shop-staging-1.5.0": Story(target(protected=False)).result("tests-passing", "pass", "14 of 14 passed"),
            "shop-staging-check-20261123t090000z": check,
        }
        for run, story in stories.items():
            for event in story.events:
                clock.moment += timedelta(minutes=1)
                opened.append([Draft(event.type, run, event.data)], actor=event.actor)
    yield path


def rows(app: Host, ident: str) -> list[str]:
    options = app.screen.query_one(ident, OptionList)
    return [str(options.get_option_at_index(at).prompt) for at in range(options.option_count)]


async def settle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


async def test_history_lists_runs_newest_first_and_tells_the_one_under_the_cursor(
    log: Path, snapshot: SnapshotAssertion
) -> None:
    app = Host(HistoryScreen(log, now=NOW))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        listed = rows(app, "#past-runs")
        assert len(listed) == 2
        assert "staging" in listed[0] and "open" in listed[0]
        assert "▲ production" in listed[1] and "rolled back" in listed[1]
        await pilot.press("j")
        await settle(pilot)
        told = "\n".join(rows(app, "#timeline"))
        assert "rolls back to 1.3.9" in told
        facts = str(app.screen.query_one("#facts-of-run", Static).render())
        assert "rolled back" in facts and "over 1.3.9" in facts and "karen@example.com" in facts
        assert picture(app) == snapshot(name="120x40", extension_class=SVG)


async def test_on_a_small_terminal_enter_opens_the_timeline_and_escape_comes_back(
    log: Path, snapshot: SnapshotAssertion
) -> None:
    app = Host(HistoryScreen(log, now=NOW))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert picture(app) == snapshot(name="80x24", extension_class=SVG)
        await pilot.press("j", "enter")
        await settle(pilot)
        assert app.screen.query_one("#timeline").region.width > 70
        assert picture(app) == snapshot(name="timeline-80x24", extension_class=SVG)
        await pilot.press("escape")
        await settle(pilot)
        assert app.screen.query_one("#past-runs").has_focus
        await pilot.press("escape")
        await settle(pilot)
        assert app.answers == [None]


async def test_letters_narrow_the_list(log: Path) -> None:
    app = Host(HistoryScreen(log, now=NOW))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("slash")
        await settle(pilot)
        await pilot.press(*"rolled", "enter")
        await settle(pilot)
        assert len(rows(app, "#past-runs")) == 1
        assert "production" in rows(app, "#past-runs")[0]


async def test_no_runs_yet_is_one_sentence(tmp_path: Path) -> None:
    app = Host(HistoryScreen(tmp_path / "none.sqlite", now=NOW))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert rows(app, "#past-runs") == [" No runs yet."]
        await pilot.press("enter", "escape")
        await settle(pilot)
        assert app.answers == [None]
    assert not (tmp_path / "none.sqlite").exists()


async def test_a_file_that_is_no_log_is_said_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE shopping (item)")
    other.close()
    kept = path.read_bytes()
    app = Host(HistoryScreen(path, now=NOW))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "log" in rows(app, "#past-runs")[0]
    assert path.read_bytes() == kept


def test_the_list_reads_state_verdict_and_starter(log: Path) -> None:
    listed = {one.run: one for one in read_runs(log)}
    assert listed["shop-production-1.4.0"].state == "rolled_back"
    assert listed["shop-production-1.4.0"].verdict is Verdict.PASS
    assert listed["shop-staging-1.5.0"].state == "open"
    assert listed["shop-staging-1.5.0"].verdict is None
    assert listed["shop-staging-1.5.0"].by == KAREN.name
    with pytest.raises(LogError):
        read_runs(log.parent)


def test_filter_words_look_in_their_place() -> None:
    run = PastRun("r", "release", "shop", "production", True, "1.4.0", "aborted", Verdict.FAIL, NOW, "karen@x", 3)
    assert run.matches("") and run.matches("production FAIL") and run.matches("by:karen") and run.matches("1.4")
    assert not run.matches("by:production") and not run.matches("staging")
    check = PastRun("c", "check", "shop", "staging", False, "1.4.0", "checked", Verdict.PASS, NOW, "ci", 3)
    assert not check.matches("") and check.matches("kind:check") and check.matches("kind:check staging")


def test_the_timeline_folds_passes_and_leaves_machine_matters_out(log: Path) -> None:
    detail = read_run(log, "shop-production-1.4.0")
    assert detail is not None and read_run(log, "none") is None
    short, long = timeline(detail.events), timeline(detail.events, everything=True)
    assert len(short) < len(long) == len(detail.events)
    assert long[0].gap is None and all(one.gap is not None for one in long[1:])
    told = Story()
    for _ in range(9):
        told.result("tests-passing", "pass", "fine")
    assert [one.text for one in timeline(told.events)][-1] == "9 measurements pass"
    assert people(before().events) == [KAREN.name]


async def test_row_50_hostile_names_and_notes_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    evil = Actor("[@click=app.quit]x[/]", "flag", "x", 1, "[red")
    with Log.open(path, clock=StoryClock(), actor=evil) as opened:
        start = Story().events[0]
        data = {**start.data, "version": "[/]\u202e1"}
        opened.append([Draft("run.start", "r[b]", data)], actor=evil)
        opened.append(
            [Draft("step.note", "r[b]", {"step": None, "text": "\x1b[2J[link=x]", "evidence": []})], actor=evil
        )
    app = Host(HistoryScreen(path, now=NOW))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "[/]\\u{20…" in rows(app, "#past-runs")[0]
        assert "␛[2J[link=x]" in "\n".join(rows(app, "#timeline"))
