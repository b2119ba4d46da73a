"""Lines of a CI script as the shell joins them, and whether a command in one may fail unnoticed. Pure text.

No shell parser: what stands in quotes or comments is set aside, and the usual ways to swallow a failure are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_LINES = 5000
_LONGEST = 4000
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_SWALLOWED = re.compile(r"\|\|\s*(?:\{\s*|\(\s*)?(?:true|:|/bin/true|/usr/bin/true|exit\s+0|echo|printf)(?![\w-])")
_FAILS_AFTER_ALL = re.compile(r"\b(?:exit|return)\s+(?:[1-9]|\$)|\bfalse\b")
_PIPE = re.compile(r"(?<!\|)\|(?!\|)")
_NO_EXIT_ON_ERROR = re.compile(r"^\s*set\s+(?:\+[a-z]*e|\+o\s+errexit)")
_EXIT_ON_ERROR = re.compile(r"^\s*set\s+(?:-[a-z]*e|-o\s+errexit)")
_PIPEFAIL = re.compile(r"^\s*set\s.*\bpipefail\b")
_NEVER_FAILS = re.compile(r"--exit-zero\b|--soft-fail\b(?!-)|--exit-code[ =]['\"]?0\b")
_TRIVY = re.compile(r"\btrivy\s+(?:-\S+\s+)*(?:image|i|fs|filesystem|config|conf|repo|repository|rootfs|sbom|vm|k8s)\b")
_TRIVY_EXIT = re.compile(r"--exit-code[ =]['\"]?[1-9]")
_SAYS = re.compile(r"^\s*(?:echo|printf)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line."""

    text: str
    """Without comments; what stands in quotes is still there."""
    number: int
    """In its file."""

    @property
    def bare(self) -> str:
        """The line with the content of quotes blanked, as long as before."""
        return _blanked(self.text)


def shell_lines(script: str, first: int) -> list[Line]:
    """The logical lines of a script whose first line is line `first` of its file."""
    found: list[Line] = []
    held, began = "", first
    for number, raw in enumerate(script.split("\n")[:MAX_LINES], first):
        if not held:
            began = number
        held += raw[:_LONGEST]
        if held.endswith("\\") and len(held) < _LONGEST:
            held = held[:-1] + " "
            continue
        blanked = _blanked(held)
        comment = _COMMENT.search(blanked)
        kept = held[: comment.start()] if comment else held
        if kept.strip():
            found.append(Line(kept, began))
        held = ""
    if held.strip():
        found.append(Line(held, began))
    return found


def speaks_only(line: Line) -> bool:
    """Whether the line prints its words instead of running them."""
    return bool(_SAYS.match(line.text)) and not re.search(r"[|;&`]|\$\(", line.bare)


def swallowed(
    lines: Sequence[Line], at: int, start: int, env: Mapping[str, str], *, pipefail: bool, whole: bool = False
) -> str | None:
    """Why the command at `start` of line `at` may fail and its script goes on, or None.

    `whole`: any command of the line is meant, and only what is surely a swallowed failure counts.
    """
    line = lines[at]
    rest = line.bare[start:]
    swallow = _SWALLOWED.search(rest)
    if swallow and not _FAILS_AFTER_ALL.search(rest, swallow.start()):
        return "or-true"
    if _NEVER_FAILS.search(line.text[start:]):
        return "never-fails"
    if _TRIVY.search(line.text) and trivy_exits(line, env) is False:
        return "exit-code"
    if at + 1 < len(lines) and _errexit_off(lines[:at]):
        return "set-e"
    if whole:
        return None
    pipefail = pipefail or any(_PIPEFAIL.search(one.bare) for one in lines[:at])
    if _PIPE.search(rest) and not pipefail:
        return "pipe"
    if "&&" in rest and at + 1 < len(lines) and not re.search(r"\|\||;\s*then", rest):
        return "and-list"
    return None


def trivy_exits(line: Line, env: Mapping[str, str]) -> bool | None:
    """Whether the trivy of this line fails on findings; None where the line runs none."""
    if not _TRIVY.search(line.text):
        return None
    wanted = env.get("TRIVY_EXIT_CODE", "0").strip()
    return bool(_TRIVY_EXIT.search(line.text)) or (wanted.isdecimal() and int(wanted) > 0)


def _errexit_off(lines: Sequence[Line]) -> bool:
    off = False
    for line in lines:
        if _NO_EXIT_ON_ERROR.match(line.bare):
            off = True
        elif _EXIT_ON_ERROR.match(line.bare):
            off = False
    return off


def _blanked(text: str) -> str:
    """What stands in quotes as underscores; an apostrophe that nothing closes stays."""
    out = list(text)
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char in "'\"":
            end = text.find(char, at + 1)
            while char == '"' and end > 0 and text[end - 1] == "\\":
                end = text.find(char, end + 1)
            if end < 0:
                break
            out[at + 1 : end] = "_" * (end - at - 1)
            at = end
        at += 1
    return "".join(out)
