"""Text from files, bodies and people reaches every panel as visible letters and nothing else."""

from __future__ import annotations

import ast
import asyncio
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.content import Content

from captain.checklist import Section
from captain.events import Output, Running
from captain.tui.app import CaptainApp
from captain.tui.present import Look
from tests.tui.snapshots import until, words
from tests.tui.test_run_pictures import settled
from tests.tui.walk import NOW, Walk, _step, app_of, target

ROOT = Path(__file__).resolve().parents[2]
CONTROL = "\x1b]52;c;aGk=\x07\x1b[2J\x1b[6n\x9b31m\x00\x08\x7f\rEND"
BIDI = "a\u202eb\u2066c\u200bd" + "e" + "\u0301" * 50
MARKUP = "[@click=app.quit]PASS[/] [red on white]x[/red on white] [/ [link=http://x]"
HOSTILE = f"{CONTROL} {BIDI} {MARKUP}"


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A run in which everything that anybody can write is hostile."""
    steps = (
        _step("one", HOSTILE, why=HOSTILE, help=HOSTILE, link=HOSTILE, expect=(f"text == '{MARKUP}'",)),
        _step("two", "Signed", manual=HOSTILE),
    )
    sections = (Section(id="pre", title=f"Pre {HOSTILE}", phase="pre", steps=steps),)
    made = Walk(tmp_path / "log.sqlite", target(steps=sections))
    made.at("14:00:00").result(
        "one",
        "fail",
        HOSTILE,
        conditions=[(f"text == '{MARKUP}'", "fail", f"text = {HOSTILE}")],
        body=HOSTILE,
        error=HOSTILE,
        asked=HOSTILE,
    )
    made.signed("step", "two", "reject", HOSTILE).intent(step="one", argv=["sh", HOSTILE])
    yield made
    made.close()


def clean(text: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", text)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_row_48_control_characters_are_visible_in_every_panel(walk: Walk, size: tuple[int, int]) -> None:
    passing = [Output("a1", "stdout", HOSTILE, 1000), Running("a1", 2000)]
    app = app_of(walk, now=NOW, passing=passing, alive=frozenset({"a1"}))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        for key in ("1", "2", "3", "4", "down", "n"):
            await pilot.press(key)
            await pilot.pause()
            text = words(app)
            clean(text)
        await pilot.press("1", "2")
        await pilot.pause()
        assert "␛]52;c;aGk=␇␛[2J" in words(app)


async def test_row_49_what_reorders_or_hides_letters_is_spelt_out(walk: Walk) -> None:
    app = app_of(walk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: settled(app))
        text = words(app)
        assert "a\\u{202e}b" in text
        assert "\u0301" * 5 not in text


async def test_row_50_markup_in_any_text_stays_text(walk: Walk) -> None:
    app = app_of(walk)
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: settled(app))
        assert "[@click=app.quit]PASS[/]" in words(app)
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                meta = segment.style.meta if segment.style is not None else {}
                assert "quit" not in str(meta.get("@click", ""))


def test_row_50_say_never_makes_markup() -> None:
    said = Look().say(MARKUP)
    assert said.plain == MARKUP
    assert all("@click" not in str(span.style) and "link" not in str(span.style) for span in said.spans)


def test_row_50_no_source_line_of_the_screen_parses_markup() -> None:
    """`from_markup`, `markup=True`, and notify without `markup=False` are ways in for other people's brackets."""
    wrong = []
    for path in sorted((ROOT / "captain" / "tui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            keys = {one.arg: one.value for one in node.keywords}
            markup = keys.get("markup")
            value = markup.value if isinstance(markup, ast.Constant) else None
            bad = name == "from_markup" or value is True
            bad |= name == "notify" and value is not False
            bad |= name == "Static" and value is not False and not _harmless(node)
            if bad:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert wrong == []


def _harmless(node: ast.Call) -> bool:
    """A Static that starts empty or with Content: strings are what would be parsed."""
    return not node.args or not isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.Name)


def test_content_of_hostile_text_keeps_its_width() -> None:
    said = Look().say(HOSTILE)
    assert isinstance(said, Content)
    assert "\n" not in said.plain


SCRIPT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.tui.test_hostile_text import HOSTILE, MARKUP
from tests.tui.walk import Walk, _step, app_of, target
from captain.checklist import Section
steps = (_step("one", HOSTILE, why=HOSTILE),)
walk = Walk(Path({log!r}), target(steps=(Section(id="pre", title="Pre", phase="pre", steps=steps),)))
walk.at("14:00:00").result("one", "fail", HOSTILE, conditions=[], body=HOSTILE, error=HOSTILE, asked=HOSTILE)
app_of(walk).run()
walk.close()
"""
MODES = re.compile(
    rb"\x1b(\[[0-9;]*m|\[[0-9;]*H|\[\?[0-9;]*[hl]|\[\?[0-9]+\$p|\[[<>=]?[0-9;]*u|\[c|\[>[0-9]*[qc]|[=>78]"
    rb"|\[[0-9;]* ?[tqK]|\[[0-9;]*[ABCDGJXn]|P\+q[0-9a-fA-F;]*\x1b\\|_G[^\x1b]*\x1b\\|\[\?[0-9;]*S|P=[0-9]s\x1b\\"
    rb"|\]22;[a-z-]*\x07)"
)
"""What Textual itself writes: moves, colours, modes, and the shape of the mouse pointer."""


def test_row_48_nothing_but_the_screens_own_sequences_reaches_the_terminal(tmp_path: Path) -> None:
    """The bytes of a real terminal: whatever stands in the texts, only moves, colours and modes come out."""
    script = SCRIPT.format(root=str(ROOT), log=str(tmp_path / "log.sqlite"))
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    drawn = subprocess.Popen(
        [sys.executable, "-c", script], stdin=inside, stdout=inside, stderr=inside, env=environ, start_new_session=True
    )
    os.close(inside)
    written = b""
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end and b"PASS[/]" not in written:
            if select.select([terminal], [], [], 0.1)[0]:
                written += os.read(terminal, 65536)
        quiet = time.monotonic() + 0.5
        while time.monotonic() < quiet:
            if select.select([terminal], [], [], 0.1)[0]:
                written += os.read(terminal, 65536)
    finally:
        drawn.kill()
        drawn.wait()
        os.close(terminal)
    assert b"PASS[/]" in written
    assert b"]52;" in written, "the letters of the sequence are there, its escape is not"
    left = MODES.sub(b"", written)
    assert b"\x1b" not in left, left[max(0, left.find(b"\x1b") - 40) : left.find(b"\x1b") + 60]
    assert not re.search(rb"[\x00\x07\x08\x7f]", left)
    assert b"\xc2\x9b" not in left


async def test_a_flood_of_output_is_drawn_a_few_times_a_second(walk: Walk) -> None:
    app: CaptainApp = app_of(walk, alive=frozenset({"a1"}))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: settled(app))
        run: Any = app.screen
        drawn = 0
        draw = run.draw

        def counted() -> None:
            nonlocal drawn
            drawn += 1
            draw()

        run.draw = counted
        for number in range(20_000):
            run._bridge.publish(Output("a1", "stdout", f"line {number}", number))
            if number % 2000 == 0:
                await asyncio.sleep(0)
        await until(pilot, lambda: "line 19999" in words(app))
        assert drawn <= 20
        assert run._bridge.dropped > 0
