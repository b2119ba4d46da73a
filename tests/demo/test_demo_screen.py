"""captain demo in a terminal: the story driven by key presses, and a terminal that is itself again afterwards."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirements import need

NUMBERS = itertools.count()
DEMO = f"{sys.executable} -m captain demo; echo left with $?; read end"


class Terminal:
    """A tmux of its own with the demo in it, started from a shell as people start it."""

    def __init__(self, environ: dict[str, str], columns: int, rows: int) -> None:
        self._socket = f"captain-demo-{os.getpid()}-{next(NUMBERS)}"
        self._environ = environ
        given = [part for key, value in environ.items() for part in ("-e", f"{key}={value}")]
        size = ["-x", str(columns), "-y", str(rows), "-c", environ["HOME"]]
        self._tmux("-f", os.devnull, "new-session", "-d", "-s", "demo", *size, *given, "sh", "-c", DEMO)

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *arguments], env=self._environ, capture_output=True, text=True, check=False
        ).stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-t", "demo", "-p")

    def until(self, *texts: str, seconds: float = 30) -> str:
        """The screen once it shows all of these."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < deadline, f"{texts} never shown:\n{screen}"
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        # A dialog that opens ignores keys for 300 ms; a person is never faster either.
        time.sleep(0.4)
        self._tmux("send-keys", "-t", "demo", *keys)

    def press_until(self, key: str, *texts: str) -> None:
        """Press once, and again where nothing came of it for long."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.press(key)
            ends = time.monotonic() + 4
            while time.monotonic() < ends:
                screen = self.screen()
                if all(text in screen for text in texts):
                    return
                time.sleep(0.05)
        raise AssertionError(f"{texts} never shown after {key}:\n{self.screen()}")

    def type_name(self, name: str, *then: str) -> None:
        """Type the environment's name into the dialog that asks for it, and confirm."""
        self.press(name)
        deadline = time.monotonic() + 30
        while not re.search(rf"▌ {name}\s*┃", self.screen()):
            assert time.monotonic() < deadline, self.screen()
            time.sleep(0.05)
        self.press("Enter")
        self.until(*then)

    def captain(self) -> int:
        """The process id of the demo."""
        (shell,) = self._tmux("list-panes", "-t", "demo", "-F", "#{pane_pid}").split()
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def hang_up(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Terminal]:
    need("tmux", None if shutil.which("tmux") else "tmux is not installed")
    made = Terminal(environ, 120, 40)
    yield made
    made.hang_up()


def gone(folder: Path) -> None:
    """Wait until the demo's world is removed and no process of it lives."""
    deadline = time.monotonic() + 20
    while list(folder.iterdir()) or _named(folder):
        assert time.monotonic() < deadline, (list(folder.iterdir()), _named(folder))
        time.sleep(0.05)


def _named(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        # tmux itself was told the folder, as part of the environment.
        if str(folder) in line and "new-session" not in line:
            found.append(line)
    return found


def test_a_release_there_and_back_by_key_presses(terminal: Terminal, tmp: Path) -> None:
    terminal.until("PRODUCTION", "1.5.0", "No uncommitted changes")
    terminal.press("m")
    terminal.until("✓ pass    Healthy before")
    terminal.press_until("n", "On-call engineer told")
    terminal.press_until("s", "Sign · On-call engineer told")
    terminal.press_until("C-s", "✓ pass    On-call")
    terminal.press_until("g", "Type production")
    terminal.type_name("production", "✓ PRE", "● DEPLOY")
    terminal.press_until("n", "This is the moment at which production changes.")
    terminal.press_until("a", "Type production")
    terminal.type_name("production", "✓ pass    Roll out")
    terminal.press_until("g", "Go or no-go · Deployment")
    terminal.press_until("Enter", "● POST")
    terminal.press_until("m", "✗ FAIL    Checkout works")
    terminal.press_until("R", "Type production")
    terminal.type_name("production", "ROLLED BACK")
    terminal.press("q")
    terminal.press_until("q", "are gone. Your own: captain init", "left with 0")
    gone(tmp)


def test_a_terminated_demo_gives_the_terminal_back_and_leaves_nothing(terminal: Terminal, tmp: Path) -> None:
    terminal.until("No uncommitted changes")
    os.kill(terminal.captain(), signal.SIGTERM)
    screen = terminal.until("left with 143")
    assert "PRODUCTION" not in screen, "the screen is still drawn"
    gone(tmp)


def test_a_terminal_that_is_closed_takes_the_demo_with_it(terminal: Terminal, tmp: Path) -> None:
    terminal.until("No uncommitted changes")
    assert list(tmp.iterdir())
    terminal.hang_up()
    gone(tmp)


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_without_a_terminal_it_says_what_to_do_and_makes_nothing(environ: dict[str, str], tmp: Path, term: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "captain", "demo"],
        env=environ | {"TERM": term},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "this is no terminal" in done.stderr and "captain demo --script" in done.stderr
    assert "\x1b" not in done.stderr
    assert list(tmp.iterdir()) == []
