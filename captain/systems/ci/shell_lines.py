"""The commands of a CI script with the lines they stand in, and whether one is meant and may fail unnoticed. Pure.

Where the shell is none that captain reads, or the script does not parse, every line is a command that cannot be told.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from captain.systems.ci.shell_failures import Switches, ran
from captain.systems.ci.shell_running import SHELLS, Running, program, running, shell_switches
from captain.systems.ci.shell_tokens import Word

MAX_LINES = 5000
_LONGEST = 4000
_WORDS = 100
"""Words of a command in which something is looked for."""
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_NEVER_FAILS = re.compile(r"--exit-zero\b|--soft-fail\b(?!-)|--exit-code[ =]['\"]?0\b")
_TRIVY = re.compile(r"\btrivy\s+(?:-\S+\s+)*(?:image|i|fs|filesystem|config|conf|repo|repository|rootfs|sbom|vm|k8s)\b")
_TRIVY_EXIT = re.compile(r"--exit-code[ =]['\"]?[1-9]")
_PLAIN = re.compile(r"[^|;&<>()`$'\"{}]*")
_LEAVES = frozenset(("exit", "return", "throw", "goto"))
_LOOSE = frozenset(("pwsh", "powershell", "cmd"))

Find = Callable[[str], re.Match[str] | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is written."""

    text: str
    file: str
    number: int
    """In its file."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What runs a script."""

    errexit: bool = True
    pipefail: bool = False
    known: bool = True
    """Whether it is a shell whose rules captain knows."""
    last: bool = False
    """Of one that is not known: whether the last line decides how the script ends."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    words: tuple[Word, ...]
    """Their places count from the beginning of `text`."""
    text: str
    file: str
    number: int
    soft: str
    """Why its failure changes nothing, empty where it does."""
    running: Running


def read_lines(script: str, file: str, first: int) -> tuple[Line, ...]:
    """The lines of a script whose first line is line `first` of its file."""
    return tuple(Line(text, file, number) for number, text in enumerate(script.split("\n")[: MAX_LINES + 1], first))


def read_shell(written: str) -> Shell:
    """The shell that `shell:` of GitHub names: a keyword, or a template such as `bash -u {0}`."""
    words = written.split()
    if written == "bash":
        return Shell(pipefail=True)
    if written in ("", "sh"):
        return Shell()
    at = next((number for number, word in enumerate(words) if program(word) in SHELLS), None)
    switches = None if at is None else shell_switches(words[at + 1 :])
    if not words:
        return Shell()
    if at is not None and switches is not None and words[at + 1 + switches[0]] == "{0}":
        return Shell(switches[1], switches[2])
    return Shell(known=False, last=program(words[0]) in _LOOSE)


def commands(lines: Sequence[Line], shell: Shell) -> list[Command]:
    """The commands of a script in their order."""
    text = "\n".join(line.text for line in lines)
    text = _EXPRESSION.sub(lambda match: re.sub(r"[^\n]", "_", match[0]), text)
    whole = len(lines) <= MAX_LINES and all(len(line.text) <= _LONGEST for line in lines)
    if not (shell.known and whole):
        return _unknown(text, lines, last=shell.last and whole)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.text) + 1)
    try:
        found = ran(text, Switches(shell.errexit, shell.pipefail))
    except (ValueError, RecursionError):
        return _unknown(text, lines, last=False)
    made = []
    for one in found:
        at = lines[bisect_right(starts, one.words[0].start) - 1]
        words = tuple(Word(w.start - one.start, w.end - one.start, w.text) for w in one.words)
        shown = text[one.start : one.end].replace("\\\n", "  ")
        made.append(_command(words, shown, at, one.soft))
    return made


def _unknown(text: str, lines: Sequence[Line], *, last: bool) -> list[Command]:
    """Every line as one command, for scripts that captain does not read; with `last` the last is the script's end."""
    made = []
    for line, shown in zip(lines[:MAX_LINES], text.split("\n"), strict=False):
        shown = shown[:_LONGEST]
        words = tuple(Word(m.start(), m.end(), m[0]) for m in islice(re.finditer(r"\S+", shown), _WORDS))
        if words and not words[0].text.startswith("#"):
            made.append((words, shown, line))
    # Brackets and quotes may go over lines, and an exit may stand before.
    plain = all(_PLAIN.fullmatch(shown) and words[0].text.lower() not in _LEAVES for words, shown, _ in made)
    end = len(made) if last and plain else 0
    return [
        _command(words, shown, line, "" if number == end else "shell")
        for number, (words, shown, line) in enumerate(made, 1)
    ]


def _command(words: tuple[Word, ...], text: str, line: Line, soft: str) -> Command:
    return Command(words, text, line.file, line.number, soft, running([word.plain for word in words]))


def meant(command: Command, find: Find) -> str | None:
    """Whether a command is one that is looked for: None where it is not, else why that is unclear, or nothing.

    What is found must name what is run: the program, what `python -m` or `make` run, or an option.
    """
    unclear = False
    for number, word in enumerate(command.words[:_WORDS]):
        for start in dict.fromkeys((word.start, word.end - len(program(word.text)))):
            hit = find(command.text[start:])
            if hit is not None and start + hit.start() < word.end:
                sure = _counts(command, number, start + hit.start(), start + hit.end(), find)
                if sure:
                    return ""
                unclear = unclear or sure is not None
    return "unclear" if unclear else None


def _counts(command: Command, number: int, start: int, end: int, find: Find) -> bool | None:
    """Whether a hit that begins in a word of the command means what is run; None where it surely does not."""
    runs, word = command.running, command.words[number]
    alone, essential = find(word.text) is not None, find(command.text[word.end :]) is None
    if number < runs.command and number in runs.images:
        # An image may run what it is called after; where the hit goes on to what it is told, it does.
        return essential and number + 1 < len(command.words) and end > command.words[number + 1].start
    named, option = number in runs.named, word.text.startswith("-")
    if (number < runs.command and not named) or _idle(command, start, end):
        return None
    if named and end <= word.end - len(program(word.text)):
        return None
    if not named and start > word.start + (word.text[0] in "'\""):
        return None
    if runs.reads and not (named and essential):
        return None
    return runs.clear and (named or option) and (alone or essential)


def _idle(command: Command, start: int, end: int) -> bool:
    """Whether it does nothing, for an option that is not among what was looked for."""
    return any(not start <= command.words[number].start < end for number in command.running.idle)


def soft(command: Command, env: Mapping[str, str]) -> str:
    """Why a failure of the command changes nothing, empty where it does."""
    if command.soft.startswith("or-"):
        return command.soft
    if _NEVER_FAILS.search(command.text):
        return "never-fails"
    return "exit-code" if trivy_exits(command, env) is False else command.soft


def trivy_exits(command: Command, env: Mapping[str, str]) -> bool | None:
    """Whether the trivy of this command fails on findings; None where it runs none."""
    if command.running.reads or not _TRIVY.search(command.text):
        return None
    wanted = env.get("TRIVY_EXIT_CODE", "0").strip()
    return bool(_TRIVY_EXIT.search(command.text)) or (wanted.isdecimal() and int(wanted) > 0)
