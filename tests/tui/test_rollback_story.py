"""Going back by keys, over a real engine, a real log and a real service in a protected environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from captain.engine import Engine
from captain.events import Event
from captain.tui.app import CaptainApp
from captain.tui.dialogs.base import Dialog
from captain.tui.dialogs.note import CauseDialog
from captain.tui.dialogs.rollback import RollbackDialog
from captain.tui.moment import Known
from captain.tui.screens.rollback import RollbackScreen
from captain.tui.screens.run import RunScreen
from tests.shop import Shop
from tests.tui.snapshots import until, words


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs listen at once: that they ignore typed-ahead keys has its own tests."""
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


def app_after_the_deployment(shop: Shop) -> CaptainApp:
    """1.5.0 was rolled out to production and breaks the checkout."""

    async def opener(publish: Callable[[Event], None]) -> Engine:
        engine = shop.engine("production", publish=publish)
        await engine.open("1.5.0")
        if engine.run is None or not engine.run.started_anything:
            request = engine.trust()
            if request is not None:
                await engine.accept(request.digest)
            await engine.measure("healthy-before")
            await engine.sign("on-call-told", "approve")
            await engine.gate("pre", "go", confirmed="production")
            await engine.act("roll-out", confirmed="production")
            await engine.gate("deploy", "go", confirmed="production")
            await engine.measure("checkout-works")
        return engine

    known = Known("shop", "production", True, "1.5.0")
    return CaptainApp(shop.settings.log, known=known, opener=opener, environ={}, calm=True)


def run_of(app: CaptainApp) -> RunScreen:
    return next(one for one in app.screen_stack if isinstance(one, RunScreen))


async def press_r(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, CaptainApp)
    await until(pilot, lambda: bool(app.engines) and run_of(app).moment is not None)
    await pilot.press("R")
    await until(pilot, lambda: isinstance(app.screen, RollbackDialog))


async def test_a_bad_release_is_taken_back_and_proved_by_keys(shop: Shop) -> None:
    app = app_after_the_deployment(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await press_r(pilot)
        shown = words(app)
        assert "▲ PRODUCTION" in shown and "1.5.0 → 1.4.0" in shown
        assert "Checkout works" in shown, "because: the verdict bar is behind the dialog"
        assert "esc changes nothing" in shown
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert shop.effects == ["1.5.0"] and shop.recorded("rollback.intent") == []

        await press_r(pilot)
        await pilot.press(*"productio", "enter")
        assert isinstance(app.screen, RollbackDialog) and shop.recorded("rollback.intent") == []
        await pilot.press("n", "enter")
        await until(pilot, lambda: "ROLLED BACK" in words(app))
        shown = words(app)
        assert "web → " in shown and "1 of 1" in shown and "Checkout works" in shown, shown
        assert shop.current == "1.4.0" and shop.effects == ["1.5.0", "1.4.0"]

        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CauseDialog))
        await pilot.press(*"pool too small", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: bool(shop.recorded("step.note")))
    assert app.failures == []
    assert shop.recorded("step.note")[-1].data["text"] == "cause: pool too small"
    assert shop.recorded("run.end")[-1].data["state"] == "rolled_back"


async def test_leaving_a_rollback_lets_it_go_on_and_r_shows_it_again(shop: Shop) -> None:
    (shop.root / "delay").write_text("0")
    app = app_after_the_deployment(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        await press_r(pilot)
        (shop.root / "delay").write_text("1.5")
        await pilot.press(*"production", "enter")
        await until(pilot, lambda: isinstance(app.screen, RollbackScreen) and "runs" in words(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RollbackScreen))
        await until(pilot, lambda: "ROLLED BACK" in words(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert app.failures == []
    assert shop.effects == ["1.5.0", "1.4.0"], "shown twice, done once"


async def test_a_rollback_that_is_not_proved_says_so_and_may_go_on(shop: Shop) -> None:
    shop.broken.add("1.4.0")
    app = app_after_the_deployment(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await press_r(pilot)
        await pilot.press(*"production", "enter")
        await until(pilot, lambda: "NOT ROLLED BACK" in words(app))
        assert "FAIL" in words(app)
        shop.broken.discard("1.4.0")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RollbackDialog))
        assert "Go on rolling back" in words(app)
        await pilot.press("enter")
        await until(pilot, lambda: "ROLLED BACK" in words(app) and "NOT ROLLED BACK" not in words(app))
    assert app.failures == []
    assert [event.data["state"] for event in shop.recorded("rollback.end")] == ["rollback_incomplete", "rolled_back"]
