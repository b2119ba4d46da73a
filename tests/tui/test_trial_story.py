"""A drill by keys alone: enter does not run it, `a` asks and runs it, and leaving captain breaks it off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.tui.dialogs.base import Dialog
from tests.engine.test_more_than_reading import write
from tests.shop import Shop
from tests.stirring import stirred
from tests.tui.snapshots import until, words
from tests.tui.test_run_stories import app_over


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


async def test_a_drill_is_run_by_its_own_key_and_confirmed(shop: Shop) -> None:
    write(shop)
    app = app_over(shop, "1.5.0")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Stirred" in words(app))
        assert "is      a drill: it changes what runs; only the key a runs it" in words(app)
        await pilot.press("enter")
        await until(pilot, lambda: "drill: it runs only by itself" in words(app))
        await pilot.press("m")
        assert stirred(shop.root) == []
        await pilot.press("a")
        await until(pilot, lambda: "stirs the pot: moved" in words(app) and "run the drill" in words(app))
        assert "afterwards: wipes the spoon" in words(app)
        await pilot.press("escape")
        await until(pilot, lambda: "run the drill" not in words(app))
        assert stirred(shop.root) == []
        await pilot.press("a")
        await until(pilot, lambda: "run the drill" in words(app))
        await pilot.press("enter")
        await until(pilot, lambda: "✓ pass    Stirred" in words(app))
    assert stirred(shop.root) == ["begun", "cleaned"]


async def test_a_protected_environment_wants_its_name_letter_by_letter(shop: Shop) -> None:
    write(shop)
    app = app_over(shop, "1.5.0", "production")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Stirred" in words(app))
        await pilot.press("a")
        await until(pilot, lambda: "letters to go" in words(app))
        await pilot.press("enter")
        assert stirred(shop.root) == []
        await pilot.press(*"production", "enter")
        await until(pilot, lambda: "✓ pass    Stirred" in words(app))


async def test_the_key_is_dim_where_the_environment_does_not_allow_it(shop: Shop) -> None:
    write(shop, allow="[]")
    app = app_over(shop, "1.5.0")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Stirred" in words(app))
        await pilot.press("a")
        await until(pilot, lambda: "environments.staging.allow does not name it" in words(app))
    assert stirred(shop.root) == []


async def test_leaving_captain_breaks_a_drill_off_and_records_it(shop: Shop) -> None:
    write(shop, say="wait")
    app = app_over(shop, "1.5.0")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Stirred" in words(app))
        await pilot.press("a")
        await until(pilot, lambda: "run the drill" in words(app))
        await pilot.press("enter")
        await until(pilot, lambda: bool(stirred(shop.root)) and "asking" in words(app))
        await pilot.press("ctrl+q")
    assert stirred(shop.root) == ["begun", "cleaned"]
    assert shop.recorded("step.result")[-1].data["message"] == "broken off: what it left behind is unknown"
