"""A review walked by keys: measured, signed, waived and looked into, over a real engine and real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from captain.checklist import Section
from captain.run import fold
from captain.tui.app import CaptainApp
from captain.tui.dialogs.base import Dialog
from captain.tui.harbour import Harbour
from captain.tui.screens.bridge import BridgeScreen
from captain.tui.screens.readiness import ReadinessScreen
from tests.shop import ME, Shop
from tests.tui.review_world import ReviewWalk, review_app
from tests.tui.snapshots import until, words
from tests.tui.test_hostile_text import HOSTILE, clean
from tests.tui.test_review_pictures import settled
from tests.tui.walk import _step

SERVICE = """\
service: shop
vars: {{ url: 'http://127.0.0.1:{port}' }}
environments: {{ staging: {{}} }}
checklists: [checklists/deploy.yaml]
"""
REVIEW = """\
checklist: readiness
title: Review
per: service
sections:
  - id: infra
    title: Infrastructure
    steps:
      - id: healthy
        title: Healthy
        http: {{ url: '${{{{ vars.url }}}}/healthz' }}
        expect: [status == 200]
      - id: notes
        title: Notes written
        severity: warning
        file: {{ path: notes.md }}
  - id: people
    title: People
    steps:
      - id: on-call
        title: On-call rota
        manual: Is there one?
  - id: recommendations
    title: Recommendations
    scored: false
    steps:
      - id: staging
        title: Deploy to staging first
        severity: info
        file: {{ path: staging.txt }}
"""
SIZES = [(120, 40), (80, 24)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    world.write(SERVICE, REVIEW)
    yield world
    world.close()


def bridge(shop: Shop, *, read_only: bool = False) -> CaptainApp:
    harbour = Harbour(shop.settings, shop.root, lambda: ME, environ=shop.environ, read_only=read_only)
    return CaptainApp(shop.settings.log, home=harbour, environ={}, calm=True)


def screen(app: CaptainApp) -> ReadinessScreen:
    return next(one for one in app.screen_stack if isinstance(one, ReadinessScreen))


async def first_review(pilot: Pilot[Any], app: CaptainApp) -> ReadinessScreen:
    """From the bridge into the first review."""
    await until(pilot, lambda: isinstance(app.screen, BridgeScreen) and app.screen.sight is not None)
    await pilot.press("r")
    await until(pilot, lambda: isinstance(app.screen, Dialog))
    while isinstance(app.screen, Dialog):
        await pilot.press("enter")
        await pilot.pause(0.05)
    await until(pilot, lambda: isinstance(app.screen, ReadinessScreen) and app.screen.review is not None)
    return screen(app)


def low(shown: ReadinessScreen) -> int:
    return shown.review.score.low if shown.review is not None else -1


def idle(shown: ReadinessScreen) -> bool:
    return shown.review is not None and not shown.review.moment.view.asking and not shown._due


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_review_is_opened_measured_signed_and_shown_on_the_bridge(
    shop: Shop, size: tuple[int, int]
) -> None:
    app = bridge(shop)
    async with app.run_test(size=size) as pilot:
        shown = await first_review(pilot, app)
        text = words(app)
        assert "0–100 %  ✗ NO-GO" in text or "0–100 %  ? NO-GO" in text
        assert "measure all" in text and "nothing" not in text.splitlines()[-1]
        await pilot.press("m")
        await until(pilot, lambda: len(shop.recorded("run.checked")) == 1 and idle(shown))
        assert sorted(event.data["step"] for event in shop.recorded("step.result")) == ["healthy", "notes", "staging"]
        assert low(shown) == 25 and "1 FAIL" in words(app)

        (shop.root / "notes.md").write_text("written")
        await pilot.press("m")
        await until(pilot, lambda: len(shop.recorded("run.checked")) == 2 and idle(shown))
        assert len(shop.recorded("step.result")) == 5, "what is good and fresh is not measured again"
        await until(pilot, lambda: len(shown.review.past if shown.review is not None else ()) == 2)
        assert low(shown) == 50 and "▲ 50" in words(app)

        await pilot.press("n")
        await until(pilot, lambda: shown.step_id == "on-call")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: low(shown) == 100)
        assert "next best" not in words(app)
        assert "1 contradiction (r)" in words(app), "the number says ready, and staging was not deployed to"

        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, BridgeScreen))
        await until(pilot, lambda: "100 %  ✓ GO" in words(app))
    assert app.failures == [] and len(shop.recorded("run.start")) == 1


async def test_enter_measures_the_category_and_opens_the_item(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        shown = await first_review(pilot, app)
        assert "enter  measure Infrastructure" in words(app) or "m  measure all" in words(app)
        await pilot.press("enter")
        await until(pilot, lambda: len(shop.recorded("step.result")) == 2 and idle(shown))
        await pilot.press("n", "enter")
        await until(pilot, lambda: shown.where == "item" and "enter  measure" in words(app))
        assert shown.step_id == "notes" and "4 Item" in words(app) and "exists" in words(app)
        (shop.root / "notes.md").write_text("written")
        await pilot.press("enter")
        await until(pilot, lambda: len(shop.recorded("step.result")) == 3 and idle(shown))
        assert shown.review is not None and shown.review.groups[0].range == (100, 100)
        await pilot.press("escape")
        await until(pilot, lambda: shown.where == "items")
        await pilot.press("escape")
        await until(pilot, lambda: shown.where == "categories")
    assert app.failures == []


async def test_a_waiver_is_half_and_says_until_when(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        shown = await first_review(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: len(shop.recorded("step.result")) == 2 and idle(shown))
        await pilot.press("n", "w")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press(*"vendor", "enter", "enter", "enter")
        await until(pilot, lambda: bool(shop.recorded("waiver")) and app.screen is shown)
        await until(pilot, lambda: shown.review is not None and shown.review.groups[0].range == (75, 75))
        assert "≈ waived" in words(app) and "before its waiver ends on" in words(app)
    assert app.failures == []


async def test_advice_leads_to_the_item_and_back(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await first_review(pilot, app)
        await pilot.press("m")
        await until(pilot, lambda: len(shop.recorded("run.checked")) == 1 and idle(shown))
        await pilot.press("r")
        await until(pilot, lambda: "What to do next" in words(app) and "Recommendations and gaps" in words(app))
        assert "file staging.txt" in words(app) and "exists = false" in words(app), "what it rests on"
        await pilot.press("enter")
        await until(pilot, lambda: shown.where == "item")
        assert shown.step_id == "on-call" and "Is there one?" in words(app)
        await pilot.press("escape")
        await until(pilot, lambda: shown.where == "advice")
        await pilot.press("escape")
        await until(pilot, lambda: shown.where == "categories")
    assert app.failures == []


async def test_a_spectator_sees_the_score_and_no_key_that_would_change_it(shop: Shop) -> None:
    engine = shop.engine(checklist="readiness")
    await engine.open(None)
    await engine.check_again()
    await engine.close()
    app = bridge(shop, read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, BridgeScreen) and app.screen.reviewed is not None)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReadinessScreen) and app.screen.review is not None)
        await pilot.press("m")
        await pilot.pause()
        assert "READ-ONLY" in words(app) and "only looks" in words(app)
    assert len(shop.recorded("run.checked")) == 1


async def test_another_captain_adds_a_check_and_the_screen_follows(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        shown = await first_review(pilot, app)
        other = shop.engine(checklist="readiness")
        run = fold(shop.recorded())
        assert run is not None
        await other.resume(run.id, quiet=True)
        await other.check_again()
        await other.close()
        await until(pilot, lambda: shown.review is not None and len(shown.review.past) == 1)
        assert low(shown) == 25
    assert app.failures == []


async def test_help_says_why_a_key_is_dim(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        shown = await first_review(pilot, app)
        assert shown.why_not("review.act") == "healthy has no action"
        await pilot.press("question_mark")
        await until(pilot, lambda: "Measure all that is not good and fresh" in words(app))
        assert "not now: healthy has no action" in words(app)


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_stays_text_on_every_page(tmp_path: Path, size: tuple[int, int]) -> None:
    steps = (
        _step("one", HOSTILE, why=HOSTILE, help=HOSTILE, link=HOSTILE, affects=("two",)),
        _step("two", HOSTILE),
        _step("three", "Signed", manual=HOSTILE, needs=("one",)),
    )
    recommended = (_step("four", HOSTILE, severity="info"),)
    walk = ReviewWalk(
        tmp_path / "log.sqlite",
        (
            Section(id="pre", title=HOSTILE, steps=steps),
            Section(id="recommendations", title=HOSTILE, scored=False, steps=recommended),
        ),
    )
    for step in ("one", "two", "four"):
        walk.days_ago(0.01).result(
            step, "fail", HOSTILE, conditions=[("a == 1", "fail", HOSTILE)], body=HOSTILE, error=HOSTILE, asked=HOSTILE
        )
    walk.signed("step", "three", "approve", HOSTILE)
    walk.add("run.checked", {"verdict": "fail", "measured": 3, "kept": 0})
    app = review_app(walk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        for key in ("n", "enter", "escape", "r", "j", "enter", "escape", "escape"):
            await pilot.press(key)
            await pilot.pause()
            clean(words(app))
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    meta = segment.style.meta if segment.style is not None else {}
                    assert "quit" not in str(meta.get("@click", ""))
    walk.close()
    assert app.failures == []


async def test_the_palette_lists_the_keys_that_may_be_pressed(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        shown = await first_review(pilot, app)
        titles = [one.title for one in app.get_system_commands(shown)]
        assert "Measure all (m)" in titles and "Advice (r)" in titles
        assert not [title for title in titles if title.startswith("Run ")], "nothing here is a drill"


async def test_a_file_that_cannot_be_read_is_said_and_the_screen_can_be_left(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await first_review(pilot, app)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, BridgeScreen))
        (shop.root / "checklists" / "deploy.yaml").write_text("checklist: [")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReadinessScreen) and app.screen is not shown)
        await until(pilot, lambda: "FAILED" in words(app))
        assert "in the files" in words(app) and "opening" not in words(app)
        assert ".yaml:" in words(app), "each problem with its place"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BridgeScreen))
    assert app.failures == []
