"""Keys that arrive faster than the screen draws act on the row that is highlighted at their moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events
from textual.app import App

from captain.tui.dialogs.base import Dialog
from captain.tui.dialogs.sign import SignDialog
from captain.tui.dialogs.waive import WaiveDialog
from captain.tui.screens.bridge import BridgeScreen
from captain.tui.screens.run import RunScreen
from tests.shop import ME, Shop
from tests.tui.snapshots import until, words
from tests.tui.test_bridge import bridge, sight
from tests.tui.test_run_stories import app_over, dialog, opened


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


def typed(app: App[None], *keys: str) -> None:
    """All of them in one piece, as a terminal hands over what was typed while it was busy."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_three_times_down_and_sign_asks_about_the_fourth_row(shop: Shop, size: tuple[int, int]) -> None:
    app = app_over(shop)
    async with app.run_test(size=size) as pilot:
        run = await opened(pilot)
        shown = run.checklist.visible_steps()
        typed(app, *["j"] * (len(shown) - 1), "s")
        await dialog(pilot)
        assert isinstance(app.screen, SignDialog)
        assert app.screen.target == shown[-1]
        await pilot.press("escape")
        assert run.step is not None and run.step.id == shown[-1]
        assert run.step.title in words(app).split("2 Step")[1], "the panel beside it shows the same step"


async def test_every_key_counts_for_the_row_under_the_cursor_then(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        typed(app, "j", "enter", "k")
        await dialog(pilot)
        assert isinstance(app.screen, SignDialog) and "On-call told" in words(app)
        assert run.checklist.step == "healthy-before"
        await pilot.press("escape")
        typed(app, "j", "j", "k", "w")
        await dialog(pilot)
        assert isinstance(app.screen, WaiveDialog) and "On-call told" in words(app)
        await pilot.press("escape")
        typed(app, "j", "s")
        await pilot.pause(0.2)
        typed(app, "escape")
        await until(pilot, lambda: app.screen is run)
        assert "Roll out" in words(app).splitlines()[2] and run.checklist.step == "roll-out"


async def test_impatient_keys_open_one_dialog_and_not_two(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        typed(app, "s", "s", "w", "x")
        await dialog(pilot)
        await pilot.pause(0.2)
        assert sum(isinstance(one, Dialog) for one in app.screen_stack) == 1
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert shop.recorded("signoff") == []


async def test_the_bridge_opens_the_run_that_the_cursor_had_reached(shop: Shop) -> None:
    for environment in ("staging", "production"):
        engine = shop.engine(environment, actor=ME)
        await engine.open("1.6.0")
        await engine.close()
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: (seen := sight(app)) is not None and len(seen.open) == 2)
        screen = app.screen
        assert isinstance(screen, BridgeScreen) and screen.sight is not None
        second = screen.sight.open[1].environment
        typed(app, "j", "enter", "k")
        await until(pilot, lambda: any(isinstance(one, RunScreen) for one in app.screen_stack))
        run = next(one for one in app.screen_stack if isinstance(one, RunScreen))
        assert run.known.environment == second
        await until(pilot, lambda: bool(app.engines))
