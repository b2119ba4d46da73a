"""A second person at the screen: what waits for them is shown, and one key stands behind it."""

from __future__ import annotations

import pytest

from captain.tui.chances import dim
from captain.tui.dialogs.base import Dialog
from captain.tui.dialogs.countersign import CountersignDialog, Countersigning
from captain.tui.moment import Moment
from tests.run.diary import Diary, actor, probe, target
from tests.tui.dialog_world import Host
from tests.tui.test_dialogs import answer, shown

PEOPLE = {"karen": ("captain",), "bob": ("dba",)}


def waiting() -> Diary:
    diary = Diary(target(probe("lag"), people=PEOPLE), by="karen")
    diary.result("lag", "fail", message="lag = 9s")
    diary.waive("lag", "status == 200", by="karen")
    return diary


async def test_what_is_countersigned_is_shown_with_what_will_then_be_true() -> None:
    app = Host(CountersignDialog(waiting().view(me="bob"), "lag", actor("bob")))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        said = shown(app)
    for words in ("lag = 9s", "by karen", "known", "status == 200", "the gate may open, with risk"):
        assert words in said, said


async def test_one_key_countersigns_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)
    dialog = CountersignDialog(waiting().view(me="bob"), "lag", actor("bob"))
    assert await answer(dialog, *"ok", "ctrl+s") == Countersigning("lag", "ok")


def test_the_key_is_dim_for_whoever_decided_it_and_where_nothing_waits() -> None:
    diary = waiting()
    assert "run.countersign" not in dim(_moment(diary, "bob"), "lag")
    assert "another person has to" in dim(_moment(diary, "karen"), "lag")["run.countersign"]
    other = Diary(target(probe("lag"), people=PEOPLE), by="karen")
    assert "nothing on Lag waits" in dim(_moment(other, "bob"), "lag")["run.countersign"]


def _moment(diary: Diary, me: str) -> Moment:
    from captain.tui.moment import Live, moment

    return moment(diary.view(me=me), Live())
