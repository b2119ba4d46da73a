"""Names as people write them to choose things: exact, or `/regex/`. A regex that could run away is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from captain.errors import UsageError
from captain.safe import safe

_LONGEST = 200
_REPEATS = 3
_CHOICES = 6
_LONGEST_NAME = 128
_REPEATS_IN_LINE = 1
_CHOICES_IN_LINE = 20
_LONGEST_LINE = 1000
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|\(\?:|.", re.DOTALL)


def is_pattern(written: str) -> bool:
    """Whether it is written `/regex/`."""
    return len(written) > 1 and written.startswith("/") and written.endswith("/")


def chooser(written: str) -> Callable[[str], bool]:
    """Whether a name is meant by `written`. Raises UsageError for a pattern that is none or could run away.

    Matching backtracks, so its time is bounded by what a pattern may hold: few repeats, none of them over a group.
    A name of more than 128 characters matches no pattern.
    """
    if not is_pattern(written):
        return lambda name: name == written
    pattern = written[1:-1]
    compiled = _compiled(pattern, _REPEATS, _CHOICES)
    return lambda name: len(name) <= _LONGEST_NAME and compiled.search(name) is not None


def finder(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Where a regex matches in one line of a longer text, whatever the case of its letters. Raises UsageError.

    One repeat at most, and lines are looked at in their first 1000 characters: a line costs at most a million steps.
    """
    compiled = _compiled(pattern, _REPEATS_IN_LINE, _CHOICES_IN_LINE, re.IGNORECASE)
    return lambda line: compiled.search(line, 0, _LONGEST_LINE)


def _compiled(pattern: str, repeats: int, choices: int, flags: int = 0) -> re.Pattern[str]:
    _check(pattern, repeats, choices)
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"/{safe(pattern, 80)}/ is not a pattern: {error}") from error


def _check(pattern: str, most_repeats: int, most_choices: int) -> None:
    tokens = _TOKEN.findall(pattern)
    repeats = [at for at, token in enumerate(tokens) if token in ("*", "+", "?") or token.startswith("{")]
    why = None
    if len(pattern) > _LONGEST:
        why = f"longer than {_LONGEST} characters"
    elif any(at and tokens[at - 1] == ")" for at in repeats):
        why = "repeats a group; repeat a character or a class such as [a-z]"
    elif any(token == "(" and tokens[at + 1 : at + 2] == ["?"] for at, token in enumerate(tokens)):
        why = "uses (?…); only (?:…) is known here"
    elif any(len(token) == 2 and token[0] == "\\" and token[1].isdecimal() for token in tokens):
        why = "refers back to a group"
    elif len(repeats) > most_repeats or tokens.count("|") > most_choices:
        why = f"has more than {most_repeats} repeats or {most_choices} alternatives"
    if why:
        raise UsageError(f"/{safe(pattern, 80)}/ {why}")
