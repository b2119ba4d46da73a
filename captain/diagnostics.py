"""Everything captain says on stderr, and its exit codes. Knows no run and no screen; stdout belongs to results.

Whatever is said goes through `safe`: nothing outside captain can move the cursor or pretend to be captain.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captain.errors import CaptainError


class ExitCode(IntEnum):
    """What a command's end means. When several apply: 2, then 1, 3, 4."""

    GO = 0
    """Go, done, or intact."""
    NO_GO = 1
    """No-go, refused, or rollback incomplete."""
    TAMPERED = 1
    """The log was changed."""
    USAGE = 2
    """The command line, a file or the log cannot be used."""
    UNKNOWN = 3
    """Could not tell; an error of captain's own is that too."""
    WAITS = 4
    """Waits for a person."""
    HUP = 129
    INTERRUPT = 130
    PIPE = 141
    """Whoever read stdout is gone, so nobody was told the answer."""
    TERM = 143


class _Voice:
    """How loud captain is in this process."""

    quiet = False
    verbose = False


def configure(*, quiet: bool = False, verbose: bool = False) -> None:
    """Say less, or more; without either, as usual."""
    _Voice.quiet, _Voice.verbose = quiet, verbose


def terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def colour(stream: Any) -> bool:
    """Whether this stream may be coloured."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """One thing worth knowing, on as many lines as it has."""
    if not _Voice.quiet:
        _write(text)


def detail(text: str) -> None:
    """Only with -v."""
    if _Voice.verbose:
        _write(text)


def warn(text: str) -> None:
    """Something that should not be overlooked, even with -q."""
    _write(f"captain: {text}")


def error(problem: CaptainError) -> None:
    """Why a command ended: what captain tried, what it met, what to do."""
    from captain.errors import ProblemsError

    if isinstance(problem, ProblemsError):
        for one in problem.problems:
            _write(str(one))
    hint = f"; {problem.hint}" if problem.hint else ""
    _write(f"captain: {problem.message}{hint}")


def failed(problem: BaseException, *, debug: bool) -> None:
    """An error nobody foresaw: one line, and with `debug` where it happened, without any values."""
    if debug:
        import traceback

        for line in traceback.format_exception(problem):
            _write(line.rstrip("\n"))
    _write(f"captain: captain itself failed: {type(problem).__name__}: {problem}")
    if not debug:
        _write("captain: run again with --debug to see where, and report it")


def _write(text: str) -> None:
    from captain.safe import safe, uncommanding

    line = uncommanding(safe(text, 64 * 1024, lines=True)) + "\n"
    encoding = sys.stderr.encoding or "utf-8"
    # A closed or broken stderr must not change what a command does or its exit code.
    with suppress(OSError, ValueError):
        sys.stderr.write(line.encode(encoding, "replace").decode(encoding))
        sys.stderr.flush()


class Steps:
    """Long work, told as it goes: a moving line on a terminal, one line for each finished step elsewhere."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._count = 0
        self._bar: Any = None
        self._task: Any = None
        self._running: dict[str, str] = {}

    def __enter__(self) -> Steps:
        if terminal() and not _Voice.quiet:
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True, markup=False, emoji=False, highlight=False),
                transient=True,
            )
            self._task = self._bar.add_task(self._what, total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def begin(self, key: str, title: str) -> None:
        """One step is under way."""
        self._running[key] = title
        self._draw()

    def done(self, key: str, line: str) -> None:
        """One step ended, and how."""
        self._running.pop(key, None)
        self._count += 1
        self._draw()
        if not _Voice.quiet:
            from captain.safe import safe

            # What was measured may hold line ends, and some who read along take whole lines for commands.
            self.line(f"[{self._count}/{self._total}] {safe(line)}")

    def end(self, key: str) -> None:
        """One step is no longer under way, whatever came of it."""
        self._running.pop(key, None)
        self._draw()

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._bar is None:
            _write(text)
            return
        from captain.safe import safe

        self._bar.console.print(safe(text, lines=True), markup=False, soft_wrap=True)

    def _draw(self) -> None:
        if self._bar is None:
            return
        from captain.safe import safe

        now = ", ".join(self._running.values())
        self._bar.update(self._task, completed=self._count, description=safe(f"{self._what}  {now}", 60))


def prompt(question: str) -> None:
    """A question at the terminal; the answer is read by whoever asks."""
    from captain.safe import safe

    sys.stderr.write(safe(question, lines=True))
    sys.stderr.flush()
