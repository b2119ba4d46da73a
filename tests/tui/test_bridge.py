"""The bridge: what is open, what ended, and the way into a release."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from captain.events import Draft
from captain.run import Run
from captain.score.past import past
from captain.tui.app import CaptainApp
from captain.tui.dialogs.base import Dialog
from captain.tui.harbour import Harbour, Reviewed, Sight
from captain.tui.screens.bridge import BridgeScreen
from captain.tui.screens.run import RunScreen
from tests.shop import ME, Shop
from tests.tui.review_world import ReviewWalk
from tests.tui.snapshots import same_picture, until, words
from tests.tui.test_run_stories import mark
from tests.tui.walk import KAREN, NOW, Frozen, Still, Walk


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


def bridge(shop: Shop, *, read_only: bool = False) -> CaptainApp:
    harbour = Harbour(shop.settings, shop.root, lambda: ME, environ=shop.environ, read_only=read_only)
    return CaptainApp(shop.settings.log, home=harbour, environ={}, calm=True)


def sight(app: CaptainApp) -> Sight | None:
    return app.screen.sight if isinstance(app.screen, BridgeScreen) else None


async def test_the_first_release_is_started_left_and_resumed(shop: Shop) -> None:
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        assert "No runs yet.  n start the first release" in words(app)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press(*"1.6.0", "tab", "right", "tab", "enter")
        await until(pilot, lambda: isinstance(app.screen_stack[-1], Dialog | RunScreen) and bool(app.engines))
        await until(pilot, lambda: "Trust these commands" in words(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.moment is not None)
        run = app.screen
        assert isinstance(run, RunScreen)
        assert "staging" in words(app) and "1.6.0" in words(app)
        await pilot.press("enter")
        await until(pilot, lambda: mark(run, "healthy-before") == "pass")
        await pilot.press("q")
        await until(pilot, lambda: bool((seen := sight(app)) and seen.open))
        assert app.engines == [], "the lock and the log are given back"
        assert "resume staging 1.6.0" in words(app) and "1 pass" in words(app)

        await pilot.press("enter")
        await until(pilot, lambda: bool(app.engines))
        await until(pilot, lambda: "Trust these commands" in words(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.moment is not None)
        again = app.screen
        assert isinstance(again, RunScreen) and mark(again, "healthy-before") == "pass"
        await pilot.press("q")
        await until(pilot, lambda: sight(app) is not None)
        await pilot.press("q")
    assert app.failures == []
    assert len(shop.recorded("run.start")) == 1


async def test_without_captain_yaml_it_says_how_to_begin(tmp_path: Path) -> None:
    from captain.settings import Settings

    settings = Settings(tmp_path / "state" / "log.sqlite")
    harbour = Harbour(settings, tmp_path, lambda: ME, environ={})
    app = CaptainApp(settings.log, home=harbour, environ={}, calm=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        assert "no captain.yaml here: captain init" in words(app)
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, BridgeScreen), "nothing can be started here"
    assert not settings.log.exists(), "looking makes no log"


async def test_a_broken_file_is_told_and_the_runs_are_there(shop: Shop) -> None:
    (shop.root / "captain.yaml").write_text("service: shop\nservcie: x\n")
    app = bridge(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        assert "1 problem in the files" in words(app)


async def test_a_spectator_starts_nothing(shop: Shop) -> None:
    app = bridge(shop, read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, BridgeScreen) and "read-only" in words(app)


class Past(Harbour):
    """A harbour whose files are the picture's."""

    review: ReviewWalk | None = None

    async def reviewed(self, run: Run) -> Reviewed:
        assert self.review is not None
        view = Still(self.review, lambda event: None, NOW).view()
        return Reviewed(run, view, past(self.review.events(), view))

    def _files(self) -> dict[str, object]:
        return {
            "service": "shop",
            "declared": True,
            "environments": (("production", True), ("staging", False)),
            "checklists": ("deploy", "readiness"),
            "standing": frozenset({"readiness"}),
        }


def ended(walk: Walk, version: str, environment: str, state: str, at: datetime, took: timedelta) -> None:
    """A run of the past."""
    name = f"shop-{environment}-{version}"
    walk.clock.moment = at - took
    start = walk.run().start.data
    data = {**start, "version": version, "environment": environment, "protected": environment == "production"}
    walk.log.append([Draft("run.start", name, data)], actor=KAREN)
    walk.clock.moment = at
    verdict = "pass" if state == "completed" else "fail"
    end = {"state": state, "verdict": verdict, "reason": None, "left_running": None, "review_due": None}
    walk.log.append([Draft("run.end", name, end)], actor=KAREN)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_week_of_releases(tmp_path: Path, size: tuple[int, int]) -> None:
    from captain.settings import Settings

    walk = Walk(tmp_path / "log.sqlite").looking()
    for version, environment, state, days, minutes in (
        ("1.3.9", "production", "completed", 12, 22),
        ("1.4.0", "staging", "completed", 13, 18),
        ("1.3.8", "production", "completed", 19, 24),
        ("1.3.7", "production", "aborted", 26, 4),
        ("1.3.6", "production", "completed", 49, 31),
    ):
        ended(walk, version, environment, state, NOW - timedelta(days=days), timedelta(minutes=minutes))
    walk.close()
    harbour = Past(Settings(walk.path), tmp_path, lambda: KAREN, environ={}, clock=Frozen(NOW))
    harbour.review = ReviewWalk(walk.path).reviewed()
    app = CaptainApp(walk.path, home=harbour, environ={}, calm=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, BridgeScreen) and app.screen.reviewed is not None)
        text = words(app)
        same_picture(app, f"bridge-{size[0]}")
    assert "▲ PRODUCTION" in text and "1.4.0" in text and "1 FAIL · 1 unknown" in text
    assert "✓ completed" in text and "≈ aborted" in text
    assert "resume production 1.4.0" in text or "resume production readiness" in text
    assert "84–93 %  ✗ NO-GO" in text, "the review is there whatever is open"
    harbour.review.close()


async def test_without_a_review_the_key_that_begins_one_is_said(tmp_path: Path) -> None:
    from captain.settings import Settings

    harbour = Past(Settings(tmp_path / "log.sqlite"), tmp_path, lambda: KAREN, environ={}, clock=Frozen(NOW))
    app = CaptainApp(tmp_path / "log.sqlite", home=harbour, environ={}, calm=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        assert "No review yet.  r opens the first one" in words(app)
        await pilot.press("r")
        await until(pilot, lambda: "Open the review" in words(app))


async def test_letters_narrow_both_lists(tmp_path: Path) -> None:
    from captain.settings import Settings

    walk = Walk(tmp_path / "log.sqlite").looking()
    ended(walk, "1.3.9", "production", "completed", NOW, timedelta(minutes=22))
    ended(walk, "1.3.9", "staging", "completed", NOW, timedelta(minutes=22))
    walk.close()
    harbour = Past(Settings(walk.path), tmp_path, lambda: KAREN, environ={}, clock=Frozen(NOW))
    app = CaptainApp(walk.path, home=harbour, environ={}, calm=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sight(app) is not None)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"staging")
        await until(pilot, lambda: "shop-staging-1.3.9" in words(app) or "completed" in words(app))
        await pilot.press("enter")
        await until(pilot, lambda: "shop-staging-1.3.9" in words(app))
        assert "▲ PRODUCTION" not in words(app)
