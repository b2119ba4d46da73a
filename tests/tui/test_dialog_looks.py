"""Dialogs in every look: letters of any terminal, no colour, the terminal's own colours, a light theme."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from captain.tui.dialogs.base import Dialog
from captain.tui.present import Look
from tests.tui.dialog_world import Host
from tests.tui.snapshots import words
from tests.tui.svg import SVG, picture
from tests.tui.test_dialogs import ALL


@pytest.mark.parametrize(
    ("name", "look", "theme"),
    [
        ("gate-unmet", "ascii", "tokyo-night"),
        ("sign", "no-color", "tokyo-night"),
        ("rollback", "ansi", "ansi-dark"),
        ("waive", "light", "textual-light"),
    ],
)
async def test_a_dialog_reads_the_same_in_every_look(
    name: str, look: str, theme: str, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    app = Host(ALL[name](), Look(colour=look != "no-color", ascii=look == "ascii", calm=True), theme)
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_class(look == "ascii", "-ascii")
        await pilot.pause()
        await pilot.pause()
        box = app.screen.query_one("#box").region
        rows = [row[box.x : box.right] for row in words(app).splitlines()[box.y : box.bottom]]
        shown = "\n".join(rows)
        assert "PRODUCTION" in shown and "cancel" in shown
        if look == "ascii":
            assert not [char for char in shown if not char.isascii()], shown
        assert picture(app) == snapshot(name=look, extension_class=SVG)
