"""The row of keys: dim where a key may not be pressed, steady in its places, its chip the next sensible key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from captain.checklist import SignOffRule
from captain.errors import UsageError
from captain.run.view import View
from captain.tui import chances, keys
from captain.tui.app import CaptainApp
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.note import CauseDialog
from captain.tui.moment import Live, Moment, moment
from captain.tui.present import Look, whole
from captain.tui.screens.history import HistoryScreen
from captain.tui.widgets.bars import VerdictBar, tally
from tests.run.diary import Diary, manual, probe, target
from tests.shop import Shop
from tests.tui.dialog_world import Host
from tests.tui.snapshots import until, words
from tests.tui.test_run_stories import app_over, dialog, opened
from tests.tui.walk import HEX, NOW, Walk


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


def at(walk: Walk, **view: Any) -> Moment:
    definitions = {step.id: HEX for _, step in walk.target.checklist.steps()}
    given = {"me": "karen@example.com", "lock_mine": True, **view}
    return moment(View(walk.run(), walk.target, NOW, definitions, **given), Live())


def chip(found: Moment, step: str) -> str | None:
    return chances.chosen(found, step, chances.dim(found, step))


def footer(found: Moment, step: str, width: int = 118) -> tuple[str, dict[str, str]]:
    """The row without a chip, and the style of every piece of it."""
    dim = chances.dim(found, step)
    row = keys.row(Look(), width, keys.RUN, chosen=None, words=chances.words(found, step), dim=dim, keymap={})
    return row.plain, {row.plain[span.start : span.end]: str(span.style) for span in row.spans}


def test_a_step_of_a_closed_section_takes_no_signature_and_its_keys_are_dim_in_their_places(walk: Walk) -> None:
    found = at(walk.looking())
    here, there = footer(found, "announce"), footer(found, "on-call")
    assert "enter sign " in there[0]
    for key in ("s", "w", "x"):
        assert here[0].index(f"  {key} ") == there[0].index(f"  {key} ")
    look = Look()
    assert there[1]["enter"] == there[1]["sign   "] == there[1]["waive"] == look.style("dim") == "$foreground 45%"
    assert here[1]["waive"] == look.style("muted")
    reasons = chances.dim(found, "on-call")
    assert "closed" in reasons["run.measure"] and "closed" in reasons["run.sign"]


def test_only_a_step_with_an_action_lights_its_key(walk: Walk) -> None:
    walk.before().go("pre", "deploy")
    found = at(walk)
    dark, lit = footer(found, "migrate"), footer(found, "roll-out")
    assert dark[0].index("  a run") == lit[0].index("  a run")
    assert (dark[1]["a"], dark[1]["run"]) == ("$foreground 45%", "$foreground 45%")
    assert lit[1]["a"] == Look().style("hand")
    assert chances.dim(found, "migrate")["run.act"] == "migrate has no action"


def test_enter_signs_here_and_measures_there_and_nothing_after_it_moves(walk: Walk) -> None:
    found = at(walk.looking())
    for width in (78, 118):
        rows = [footer(found, step, width)[0] for step in ("version", "announce", "lag", "on-call", "roll-out")]
        assert len({tuple(row.find(f"  {key} ") for key in "nswx") for row in rows}) == 1, rows


def test_the_chip_is_the_next_sensible_key(walk: Walk) -> None:
    fresh = at(walk)
    assert chip(fresh, "tests-passing") == "run.measure_section", "nothing is wrong yet: one key looks at all of it"
    for step in ("scan-clean", "reversible", "backup-fresh", "licences", "disk", "rehearsed", "load-test"):
        walk.result(step)
    assert chip(at(walk), "tests-passing") == "run.measure", "the only one that nobody looked at yet"
    assert chip(fresh, "on-call") == "run.measure", "it waits for whoever is here: enter signs"
    walk.result("scan-clean", "fail", "status = 500")
    assert chip(at(walk), "on-call") == "run.measure" and chip(at(walk), "scan-clean") == "run.next_problem"
    walk.before()
    assert chip(at(walk), "tests-passing") == "run.gate", "the section can close"
    walk.go("pre", "deploy")
    assert chip(at(walk), "roll-out") == "run.act"


def test_with_much_to_measure_the_narrow_row_offers_the_key_for_all_of_it(walk: Walk) -> None:
    found = at(walk)
    dim = chances.dim(found, "disk")
    best = chances.chosen(found, "disk", dim)
    for width in (78, 118):
        row = keys.row(Look(), width, keys.RUN, chosen=best, words={}, dim=dim, keymap={}).plain
        assert row.startswith(" m  section") and "enter measure" in row


@pytest.mark.parametrize(("verdict", "next_key"), [("pass", True), ("unknown", True), ("fail", False)])
def test_where_the_measurement_failed_no_signature_is_offered_next(verdict: str, next_key: bool) -> None:
    """It would be recorded and lift nothing: what is wrong is put right first."""
    diary = Diary(target(probe("restarts", sign_off=(SignOffRule(),))))
    diary.result("restarts", verdict)
    view = diary.view()
    at = view.step("restarts")
    assert at is not None
    assert chances.signs(view, at[1], diary.status("restarts")) is next_key


@pytest.mark.parametrize(("asked", "said"), [(("a",), "1 waits for you"), (("a", "b"), "2 wait for you")])
def test_what_waits_for_the_person_here_is_counted_in_words(asked: tuple[str, ...], said: str) -> None:
    found = moment(Diary(target(*(manual(one) for one in asked))).view(), Live())
    assert [text for text, _ in tally(found)] == [said]


async def test_keys_of_dialogs_history_and_the_rollback_can_be_remapped_and_are_shown(shop: Shop) -> None:
    given = {"dialog.confirm": "ctrl+g", "dialog.leave": "f2", "history.leave": "f3"}
    app: CaptainApp = app_over(shop, keymap=given)

    def top() -> object:
        return app.screen

    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        run.checklist.go("on-call-told")
        await pilot.press("s")
        await dialog(pilot)
        assert "f2 cancel" in words(app) and "ctrl+g" in words(app) and "ctrl+s" not in words(app)
        await pilot.press("escape", "ctrl+s")
        await pilot.pause(0.1)
        assert isinstance(top(), Dialog)
        await pilot.press("f2")
        await until(pilot, lambda: top() is run)
        await pilot.press("h")
        await until(pilot, lambda: isinstance(top(), HistoryScreen) and "f3 back" in words(app))
        await pilot.press("q")
        await pilot.pause(0.1)
        assert isinstance(top(), HistoryScreen)
        await pilot.press("f3")
        await until(pilot, lambda: top() is run)
    assert shop.recorded("signoff") == []


async def test_where_another_key_confirms_enter_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)

    class Remapped(Host):
        keys = {"dialog.enter": "ctrl+g"}

    app: App[None] = Remapped(CauseDialog(Heading("shop", "staging", False)))
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_keymap({"dialog.enter": "ctrl+g"})
        await pilot.pause()
        await pilot.press(*"disk full", "enter")
        await pilot.pause()
        assert "ctrl+g" in words(app) and getattr(app, "answers", None) == []
        await pilot.press("ctrl+g")
        await pilot.pause()
        assert len(getattr(app, "answers", [])) == 1


def test_every_key_of_every_screen_can_be_remapped_and_others_are_named() -> None:
    told = "dialog.dry_run=f4,rollback.again=B,history.open=o,choice.next=f6,help.leave=f7,app.quit=f8,list.down=n"
    assert len(keys.keymap(told)) == 7
    with pytest.raises(UsageError) as caught:
        keys.keymap("dialog.confrm=f1,run.gate=G,rollback.agian=B")
    assert "'dialog.confrm', 'rollback.agian'" in caught.value.message
    assert "dialog.confirm" in str(caught.value.hint) and "rollback.again" in str(caught.value.hint)


@pytest.mark.parametrize("room", [16, 20, 31, 60])
def test_what_is_too_long_ends_after_a_whole_word(room: int) -> None:
    text = 'json.version = "1.5.0", release.version = "1.5.0"'
    shown = whole(text, room)
    assert len(shown) <= room
    assert shown == text or (shown.endswith(" …") and text.startswith(f"{shown[:-2]} "))
    assert whole("onelongword" * 9, room) == "onelongword" * 9, "whoever draws it cuts it"
    assert "\x1b" not in whole("a \x1b[2J b", room)


@pytest.mark.parametrize("width", [60, 78, 118])
def test_while_an_action_runs_the_verdict_bar_says_whole_words(walk: Walk, width: int) -> None:
    walk.deploying()
    bar = VerdictBar(Look())
    bar.moment = at(walk, alive=frozenset({"a1"}))
    said = bar.row(width).plain
    assert "RUNS" in said and "Roll out the new version" in said and "UTC" in said and "…" not in said
    assert ("stays running if you leave" in said) == (width == 118)
