"""The first frame waits for nothing heavy, and the screen's parts keep to their rooms."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captain.errors import UsageError
from captain.tui import keys
from captain.tui.present import Look, mark_of

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "pydantic",
    "sqlite_utils",
    "sqlite3",
    "httpx",
    "cel_expr_python",
    "docker",
    "git",
    "yaml",
    "captain.engine",
    "captain.loader",
    "captain.checklist",
    "captain.log",
    "captain.condition",
    "captain.tui.dialogs",
    "textual.widgets._markdown",
    "textual.widgets._data_table",
)


def test_the_screen_loads_nothing_that_its_first_frame_does_not_need() -> None:
    code = f"import sys, captain.tui.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_key_has_an_id_a_tooltip_and_a_place_of_its_own() -> None:
    for screen in (keys.RUN, keys.BRIDGE):
        assert len({key.id for key in screen}) == len(screen)
        assert len({key.key for key in screen}) == len(screen)
        for key in screen:
            binding = key.binding()
            assert binding.id and binding.tooltip and not binding.priority


def test_the_keys_of_the_contract_are_the_keys() -> None:
    promised = {
        "enter": "measure",
        "m": "measure_section",
        "s": "sign",
        "u": "withdraw",
        "w": "waive",
        "x": "not_applicable",
        "a": "act",
        "g": "gate",
        "R": "roll_back",
        "h": "history",
        "q": "leave",
        "question_mark": "help",
        "n": "next_problem",
        "N": "previous_problem",
        "slash": "filter",
        "1": "panel(1)",
        "4": "panel(4)",
        "left_square_bracket": "section(-1)",
        "right_square_bracket": "section(1)",
    }
    bound = {key.key: key.action for key in keys.RUN}
    assert promised.items() <= bound.items()


def test_a_key_that_does_not_exist_cannot_be_remapped() -> None:
    assert keys.keymap("run.gate=G, run.sign=ctrl+s") == {"run.gate": "G", "run.sign": "ctrl+s"}
    with pytest.raises(UsageError, match="no key"):
        keys.keymap("run.gat=G")
    with pytest.raises(UsageError):
        keys.keymap("run.gate")


def test_every_mark_fits_its_column_and_has_a_letter_in_ascii() -> None:
    for name in ("todo", "measuring", "running", "pass", "warn", "fail", "unknown", "waived", "not-applicable", "you"):
        for look in (Look(), Look(colour=False), Look(ascii=True, calm=True)):
            drawn = look.paint(look.mark(mark_of(name)))
            assert drawn.cell_length == 10
            assert not look.ascii or drawn.plain.isascii()


@pytest.mark.parametrize("width", [40, 60, 78, 100, 118, 200])
def test_the_row_of_keys_never_shows_half_a_key(width: int) -> None:
    row = keys.row(Look(), width, keys.RUN, chosen="run.gate", words={}, dim={"run.act": "no"}, keymap={}).plain
    assert len(row) == width
    assert row.startswith(" g  gate") and row.endswith("? help")
    shown = {f"{keys.shown_key(key, {})} {word}" for key in keys.RUN for word in (key.word, key.short) if word}
    pieces = [piece for piece in row[8:-6].strip().split("  ") if piece.strip()]
    assert {piece.strip() for piece in pieces} <= shown


def test_told_to_end_it_gives_the_terminal_back(tmp_path: Path) -> None:
    """SIGTERM: the alternate screen is left, the exit says so."""
    script = (
        "import asyncio, sys; from pathlib import Path; from captain.tui.app import CaptainApp\n"
        "from captain.tui.moment import Known\n"
        "async def never(publish): await asyncio.Event().wait()\n"
        "known = Known('shop', 'production', True, '1')\n"
        f"app = CaptainApp(Path({str(tmp_path / 'log')!r}), known=known, opener=never)\n"
        "app.run(); sys.exit(app.return_code)\n"
    )
    terminal, inside = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    shown = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environ,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(inside)
    written = b""
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end and shown.poll() is None:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    written += os.read(terminal, 65536)
                except OSError:
                    break
            if b"PRODUCTION" in written and b"\x1b[?1049l" not in written:
                shown.send_signal(signal.SIGTERM)
        assert shown.wait(10) == 128 + signal.SIGTERM
    finally:
        shown.kill()
        shown.wait()
        os.close(terminal)
    assert b"\x1b[?1049l" in written
