"""The run screen in the states that matter, looked at once and then kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from captain.engine import Way
from captain.events import LockSeen, Output, Running
from captain.rollbacks import Taken
from captain.tui.app import CaptainApp
from captain.tui.moment import Known
from captain.tui.screens.run import RunScreen
from tests.tui.snapshots import same_picture, until, words
from tests.tui.walk import NOW, Walk, app_of

SIZES = [(120, 40), (80, 24)]
DEPLOYING = datetime(2026, 11, 23, 13, 52, 7, tzinfo=UTC)
PRINTED = (
    "service shop_web: update started, 6 replicas, 2 at a time",
    "shop_web.1: preparing",
    "shop_web.2: preparing",
    "shop_web.1: starting 1.4.0",
    "shop_web.1: healthy after 6.1 s",
    "overall progress: 2 of 6 tasks",
)


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


def screen(app: CaptainApp) -> RunScreen:
    return next(one for one in app.screen_stack if isinstance(one, RunScreen))


def settled(app: CaptainApp) -> bool:
    """Whether everything that is read in the background has arrived."""
    if not app.engines or not isinstance(app.screen, RunScreen):
        return False
    run = app.screen
    health = run.live.health is not None and run.live.health.state == "intact"
    result = run.moment.statuses[run.step.id].result if run.moment is not None and run.step is not None else None
    seen = result is None or (run._step.seen is not None and run._step.seen.seq == result.seq)
    return bool(run.moment is not None and health and run.live.way is not None and seen and not run._due)


async def take(
    app: CaptainApp, name: str, size: tuple[int, int], then: Callable[[Pilot[Any]], Awaitable[None]] | None = None
) -> str:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        if then is not None:
            await then(pilot)
            await until(pilot, lambda: settled(app))
        same_picture(app, f"{name}-{size[0]}")
        return words(app)


def on_step(step: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def go(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, CaptainApp)
        screen(app).checklist.go(step)
        await pilot.pause()

    return go


@pytest.mark.parametrize("size", SIZES)
async def test_a_failing_step_is_what_one_sees_first(walk: Walk, size: tuple[int, int]) -> None:
    text = await take(app_of(walk.looking()), "run-failing", size)
    assert "NO-GO" in text and "1 FAIL" in text and '"degraded"' in text
    assert "R → 1.3.9" in text and "ready ✓" in text


@pytest.mark.parametrize("size", SIZES)
async def test_a_healthy_section_offers_go(walk: Walk, size: tuple[int, int]) -> None:
    text = await take(app_of(walk.before()), "run-healthy", size, on_step("tests-passing"))
    assert " GO " in text and "g  go" in text
    assert "nothing started: R offers abort" in text


@pytest.mark.parametrize("size", SIZES)
async def test_a_running_action_shows_its_output_and_no_next_key(walk: Walk, size: tuple[int, int]) -> None:
    printed = [Output("a1", "stdout", line, 24_000 + 2000 * at) for at, line in enumerate(PRINTED)]
    app = app_of(
        walk.deploying(),
        now=DEPLOYING,
        passing=[*printed, Running("a1", 52_000), LockSeen("karen", "2026-11-23T13:51:10.000000Z", True)],
        alive=frozenset({"a1"}),
    )
    text = await take(app, "run-action", size, on_step("roll-out"))
    assert "RUNS" in text and "0:52" in text and "overall progress: 2 of 6 tasks" in text
    assert text.splitlines()[-1].startswith(" R "), "while something runs waiting is right: no key is offered first"


@pytest.mark.parametrize("size", SIZES)
async def test_a_spectator_sees_that_nothing_can_be_changed(walk: Walk, size: tuple[int, int]) -> None:
    text = await take(app_of(walk.looking(), read_only=True, lock_mine=False), "run-read-only", size)
    assert "READ-ONLY" in text


@pytest.mark.parametrize("size", SIZES)
async def test_somebody_else_holds_the_lock(walk: Walk, size: tuple[int, int]) -> None:
    holder = "dba (pid 77 on bastion) since 13:40:00 UTC"
    text = await take(app_of(walk.looking(), lock_holder=holder, lock_mine=False), "run-held", size)
    assert "HELD" in text and "held by dba" in text


@pytest.mark.parametrize("size", SIZES)
async def test_a_way_back_that_is_gone_says_so_first(walk: Walk, size: tuple[int, int]) -> None:
    gone = [Way("web", "command", Taken({}, "1.3.9 sha256:9f3c…", ready=False, why="image deleted"))]
    text = await take(app_of(walk.looking(), ways=gone), "run-not-ready", size)
    assert "R → NOT READY: image deleted" in text


async def test_frames_and_keys_are_there_before_anything_is_opened(tmp_path: Path) -> None:
    import asyncio

    async def never(publish: object) -> Any:
        await asyncio.Event().wait()

    app = CaptainApp(tmp_path / "none", known=Known("shop", "production", True, "1.4.0"), opener=never, environ={})
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        same_picture(app, "run-opening-120")
        text = words(app)
    assert "▲ PRODUCTION" in text and "1 Checklist" in text and "opening…" in text and "enter measure" in text


async def test_the_colours_of_the_terminal_itself(walk: Walk) -> None:
    text = await take(app_of(walk.looking(), theme="ansi-dark"), "run-ansi", (80, 24))
    assert "✗ FAIL" in text


async def test_without_colour_a_failure_is_still_the_loudest_word(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_of(walk.looking())
    assert not app.look.colour
    await take(app, "run-no-color", (120, 40))


async def test_letters_every_terminal_has(walk: Walk) -> None:
    text = await take(app_of(walk.looking(), ascii_only=True), "run-ascii", (80, 24))
    assert "x FAIL" in text and "^ PRODUCTION" in text
    assert not [char for char in text if not char.isascii()], "a letter that some terminals draw two cells wide"


async def test_light(walk: Walk) -> None:
    await take(app_of(walk.looking(), theme="textual-light"), "run-light", (120, 40))


def test_the_moment_of_the_pictures_is_frozen() -> None:
    assert NOW.isoformat() == "2026-11-23T14:02:07+00:00"
