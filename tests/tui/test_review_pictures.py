"""The readiness screen in the states that matter, looked at once and then kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from captain.tui.app import CaptainApp
from captain.tui.screens.readiness import ReadinessScreen
from tests.tui.review_world import ReviewWalk, review_app
from tests.tui.snapshots import same_picture, until, words

SIZES = [(120, 40), (80, 24)]


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[ReviewWalk]:
    made = ReviewWalk(tmp_path / "log.sqlite")
    yield made
    made.close()


def review_of(app: CaptainApp) -> ReadinessScreen:
    return next(one for one in app.screen_stack if isinstance(one, ReadinessScreen))


def settled(app: CaptainApp) -> bool:
    """Whether everything that is read in the background has arrived."""
    if not app.engines or not isinstance(app.screen, ReadinessScreen):
        return False
    screen = app.screen
    if screen.review is None or screen._due or not screen._past:
        return False
    health = screen.live.health is not None and screen.live.health.state == "intact"
    step = screen.step_id
    found = screen.review.moment.statuses.get(step) if step is not None else None
    result = found.result if found is not None else None
    seen = result is None or (screen._step.seen is not None and screen._step.seen.seq == result.seq)
    return health and seen and len(screen.review.past) == len(screen._past)


async def take(app: CaptainApp, name: str, size: tuple[int, int], keys: Sequence[str] = ()) -> str:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: settled(app))
        same_picture(app, f"{name}-{size[0]}")
        return words(app)


DOWN = ["j"] * 7


@pytest.mark.parametrize("size", SIZES)
async def test_one_sees_what_forbids_it_and_what_to_do_next(walk: ReviewWalk, size: tuple[int, int]) -> None:
    text = await take(review_app(walk.reviewed()), "readiness", size, DOWN)
    assert "NO-GO" in text and "Restore tested within 90 d" in text
    assert "next best:" in text and "measure Backup/DR" in text
    assert "Infrastructure" in text and "Scalability" in text, "all ten categories are on the screen"


@pytest.mark.parametrize("size", SIZES)
async def test_advice_says_what_does_not_fit_together(walk: ReviewWalk, size: tuple[int, int]) -> None:
    text = await take(review_app(walk.reviewed()), "readiness-advice", size, ["r"])
    assert "Deploy to production is approved by dba@example.com" in text
    assert "but Deploy to staging first, which it needs, is open" in text
    assert "What to do next" in text


@pytest.mark.parametrize("size", SIZES)
async def test_an_item_shows_everything_about_itself(walk: ReviewWalk, size: tuple[int, int]) -> None:
    text = await take(review_app(walk.reviewed()), "readiness-item", size, [*DOWN, "n", "enter"])
    assert "Restore tested within 90 d" in text and "✗ FAIL" in text and "last = 131 d ago" in text


async def test_the_colours_of_the_terminal_itself(walk: ReviewWalk) -> None:
    await take(review_app(walk.reviewed(), theme="ansi-dark"), "readiness-ansi", (80, 24), DOWN)


async def test_without_colour_shape_tells_proven_from_unknown(
    walk: ReviewWalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = await take(review_app(walk.reviewed()), "readiness-no-color", (120, 40), DOWN)
    assert "━╍" in text and "━─" in text


async def test_letters_every_terminal_has(walk: ReviewWalk) -> None:
    text = await take(review_app(walk.reviewed(), ascii_only=True), "readiness-ascii", (80, 24), DOWN)
    assert not [char for char in text if not char.isascii()], "a letter that some terminals draw two cells wide"


async def test_light(walk: ReviewWalk) -> None:
    await take(review_app(walk.reviewed(), theme="textual-light"), "readiness-light", (120, 40), DOWN)
