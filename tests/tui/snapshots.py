"""Pictures of real screens: compared with the ones in `screenshots/`, or written there.

`CAPTAIN_WRITE_SCREENSHOTS=1` writes them anew; without it a stale one fails its test.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"
WRITE = os.environ.get("CAPTAIN_WRITE_SCREENSHOTS") == "1"


def normalised(svg: str) -> str:
    """The same picture with the ids that differ from run to run made equal."""
    return re.sub(r"terminal-\d+", "terminal", svg).rstrip() + "\n"


def words(app: App[Any]) -> str:
    """What stands on the screen, as text, one line per row."""
    width, height = app.size
    rows = app.screen._compositor.render_strips() if app.screen.is_attached else []
    return "\n".join("".join(segment.text for segment in strip)[:width].rstrip() for strip in rows[:height])


def same_picture(app: App[Any], name: str) -> None:
    """Whether the screen looks as `screenshots/NAME.svg` does; writes it when asked to."""
    path = SCREENSHOTS / f"{name}.svg"
    now = normalised(app.export_screenshot())
    if WRITE:
        SCREENSHOTS.mkdir(exist_ok=True)
        path.write_text(now, encoding="utf-8")
        return
    assert path.exists(), f"no picture {path.name}: write it with CAPTAIN_WRITE_SCREENSHOTS=1, and look at it"
    before = path.read_text(encoding="utf-8")
    assert now == before, f"{path.name} is stale; the screen is now:\n{words(app)}"


async def until(pilot: Pilot[Any], true: Any, *, tries: int = 400) -> None:
    """Wait for a condition, a little at a time."""
    for _ in range(tries):
        await pilot.pause(0.02)
        if true():
            await pilot.pause()
            return
    raise AssertionError(f"never came true; the screen is:\n{words(pilot.app)}")
