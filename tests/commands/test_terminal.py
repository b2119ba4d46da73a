"""captain on a real terminal: progress that moves, questions that can be left, nothing drawn where it cannot be."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import captain
from captain import diagnostics
from captain.errors import Problem, ProblemsError, UsageError
from tests.commands.conftest import Captain, digest
from tests.shop import Shop

PATIENCE = 20.0


class Terminal:
    """A process whose three streams are one terminal."""

    def __init__(self, *words: str, cwd: Path, term: str = "xterm-256color") -> None:
        self._mine, theirs = pty.openpty()
        root = Path(captain.__file__).parent.parent
        self.process = subprocess.Popen(
            [sys.executable, "-m", "captain", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(root), "TERM": term, "COLUMNS": "100"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(theirs)
        self.seen = ""

    def until(self, text: str) -> None:
        """Read until the terminal showed this."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if not self._read(0.1):
                assert text in self.seen, self.seen

    def _read(self, seconds: float) -> bool:
        if not select.select([self._mine], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._mine, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def code(self) -> int:
        """Read to the end."""
        end = time.monotonic() + PATIENCE
        while self._read(0.1):
            if self.process.poll() is not None and not select.select([self._mine], [], [], 0)[0]:
                break
            assert time.monotonic() < end, self.seen
        return self.process.wait(timeout=PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._mine)


def _own_terminal() -> None:
    """Ctrl-C reaches the process as a signal only through a controlling terminal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def on_terminal(shop: Shop) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*words: str, term: str = "xterm-256color") -> Terminal:
        made.append(Terminal(*words, cwd=shop.root, term=term))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def deployed(shop: Shop, captain_says: Captain) -> str:
    """A deployed 1.5.0 in production."""
    captain_says("trust", "-e", "production", "--digest", digest(shop, "production"))
    run = captain_says("run", "deploy", "-r", "1.5.0", "-e", "production", "--no-screen").out.strip()
    captain_says("sign", "on-call-told", "--approve")
    captain_says("gate", "pre", "--go", "--confirm", "production")
    assert captain_says("act", "roll-out", "--confirm", "production").code == 0
    return run


def test_a_check_moves_while_it_measures_and_leaves_its_lines(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal("check", "deploy", "-e", "staging", "--no-manual")
    assert terminal.code() == 0
    assert "[2/2]" in terminal.seen
    assert "\x1b[32m✓ pass" in terminal.seen, "coloured, with glyph and word"


def test_no_color_is_honoured(on_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = on_terminal("check", "deploy", "-e", "staging", "--no-manual", "-q")
    assert terminal.code() == 0
    assert "✓ pass" in terminal.seen
    assert "\x1b[3" not in terminal.seen


@pytest.mark.parametrize("words", [["run", "deploy", "-r", "1.5.0", "-e", "staging"], []])
def test_a_dumb_terminal_is_never_drawn_on(on_terminal: Callable[..., Terminal], words: list[str]) -> None:
    terminal = on_terminal(*words, term="dumb")
    assert terminal.code() == 2
    assert "TERM=dumb" in terminal.seen
    assert "\x1b" not in terminal.seen


def test_the_bridge_too_can_be_drawn_with_ascii_only(on_terminal: Callable[..., Terminal]) -> None:
    terminal = on_terminal("--ascii")
    terminal.until("Recent runs")
    terminal.type("q")
    assert terminal.code() == 0
    assert terminal.seen.isascii(), sorted({sign for sign in terminal.seen if not sign.isascii()})


def test_going_back_asks_for_the_environments_name(
    on_terminal: Callable[..., Terminal], shop: Shop, deployed: str
) -> None:
    terminal = on_terminal("rollback", deployed)
    terminal.until("Type the environment's name to roll back 1.5.0: ")
    terminal.type("production\n")
    assert terminal.code() == 0, terminal.seen
    assert shop.current == "1.4.0"


@pytest.mark.parametrize(("typed", "code"), [("staging\n", 4), ("\n", 4), ("\x04", 4), ("\x03", 130)])
def test_another_word_or_leaving_the_question_changes_nothing(
    on_terminal: Callable[..., Terminal], shop: Shop, deployed: str, typed: str, code: int
) -> None:
    terminal = on_terminal("rollback", deployed)
    terminal.until("Type the environment's name")
    terminal.type(typed)
    assert terminal.code() == code, terminal.seen
    assert shop.effects == ["1.5.0"]
    assert shop.recorded("rollback.intent") == []


def test_no_input_asks_nothing(on_terminal: Callable[..., Terminal], shop: Shop, deployed: str) -> None:
    terminal = on_terminal("rollback", deployed, "--no-input")
    assert terminal.code() == 4
    assert "--confirm production" in terminal.seen
    assert "Type the" not in terminal.seen


def test_exit_codes_are_an_api() -> None:
    codes = diagnostics.ExitCode
    assert (codes.GO, codes.NO_GO, codes.USAGE, codes.UNKNOWN, codes.WAITS) == (0, 1, 2, 3, 4)
    assert (codes.TAMPERED, codes.HUP, codes.INTERRUPT, codes.TERM) == (1, 129, 130, 143)


def test_quiet_says_problems_only(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.configure(quiet=True)
    try:
        diagnostics.say("measuring")
        diagnostics.detail("detail")
        diagnostics.warn("the log is read-only")
        diagnostics.error(UsageError("no such thing", hint="try another"))
        with diagnostics.Steps("checking", 1) as steps:
            steps.done("a", "A")
    finally:
        diagnostics.configure()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "captain: the log is read-only\ncaptain: no such thing; try another\n"


def test_verbose_says_more(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.configure(verbose=True)
    diagnostics.detail("detail")
    diagnostics.configure()
    diagnostics.detail("not this")
    assert capsys.readouterr().err == "detail\n"


def test_problems_are_listed_each_on_its_line_and_nothing_moves_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = Problem("deploy.yaml", 3, 7, "error", "sections[0]", "\x1b[2Jis not a key\nhere", "did you mean x?")
    diagnostics.error(ProblemsError([bad]))
    said = capsys.readouterr().err
    assert said.startswith("deploy.yaml:3:7: error: ␛[2Jis not a key")
    assert "\x1b" not in said
    assert said.endswith("captain: 1 problem in the files\n")


def test_a_closed_stderr_changes_no_exit_code(shop: Shop) -> None:
    root = Path(captain.__file__).parent.parent
    done = subprocess.run(
        f"exec {sys.executable} -m captain check deploy -e staging --no-manual 2>&-",
        shell=True,
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "GO" in done.stdout


@pytest.mark.parametrize(("answer", "code", "starts"), [("n", 4, 1), ("", 4, 1), ("y", 0, 2)])
def test_a_repeated_action_is_asked_about(
    on_terminal: Callable[..., Terminal], deployed: str, shop: Shop, answer: str, code: int, starts: int
) -> None:
    terminal = on_terminal("act", deployed, "roll-out", "--confirm", "production")
    terminal.until("Start it once more? [y/N] ")
    assert "roll-out was started already at" in terminal.seen
    terminal.type(answer + "\n")
    assert terminal.code() == code
    assert shop.effects == ["1.5.0"] * starts
