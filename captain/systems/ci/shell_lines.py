"""Lines of a CI script as the shell joins them, and whether a command in one may fail unnoticed. Pure text.

No shell parser: what stands in quotes or comments is set aside, and the usual ways to swallow a failure are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

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
_BEFORE = re.compile(
    r"\s*(?:cd\s+\S+\s*&&\s*)*(?:[A-Za-z_]\w*=\S*\s+)*"
    r"(?:(?:exec|time|sudo|env|make|nox|tox|npx|python[0-9.]*|npm|yarn|pnpm|bun|uv|poetry|pipenv|hatch|pdm|rye|docker|bundle|"
    r"run|exec|test|compose|-m|-s|-e|-T|--|[./\w-]*/)(?:\s+|(?<=/)))*"
)
"""What may stand before a command that is then run, and ends its line's script when it fails."""
_UNCLEAR = re.compile(
    r"^\s*(?:if|elif|while|until|!|trap|function|case|for)\b|^\s*!|[^&]&\s*$|`|<<|\bset\s+\+|\btrap\b"
    r"|--(?:version|collect-only|help|dry-run)\b"
)
"""Where it takes a shell to say whether a failure ends the script, or whether anything is run at all."""
_SAYS = re.compile(r"^\s*(?:echo|printf)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line."""

    text: str
    """Without comments; what stands in quotes is still there."""
    bare: str
    """The text with the content of quotes blanked, as long as before."""
    file: str
    number: int
    """In its file."""
    goes_on: bool = False
    """A failure here does not end the script: set +e stands before it."""
    pipefail: bool = False
    """The script itself has set pipefail before."""
    last: bool = False
    """Its exit code is the script's."""


def shell_lines(script: str, file: str, first: int) -> tuple[Line, ...]:
    """The logical lines of a script whose first line is line `first` of its file."""
    found: list[Line] = []
    goes_on = pipefail = False
    for text, number in _joined(script, first):
        bare = _blanked(text)
        if comment := _COMMENT.search(bare):
            text, bare = text[: comment.start()], bare[: comment.start()]
        if not bare.strip():
            continue
        found.append(Line(text, bare, file, number, goes_on, pipefail))
        goes_on = bool(_NO_EXIT_ON_ERROR.match(bare)) or (goes_on and not _EXIT_ON_ERROR.match(bare))
        pipefail = pipefail or bool(_PIPEFAIL.match(bare))
    if found:
        found[-1] = replace(found[-1], last=True)
    return tuple(found)


def _joined(script: str, first: int) -> Iterator[tuple[str, int]]:
    """Lines with those that a backslash continues, each with the number of its first."""
    held, began = "", first
    for number, raw in enumerate(script.split("\n")[:MAX_LINES], first):
        began = began if held else number
        held += raw[:_LONGEST]
        if held.endswith("\\") and len(held) < _LONGEST:
            held = held[:-1] + " "
            continue
        yield held, began
        held = ""
    if held:
        yield held, began


def speaks_only(line: Line) -> bool:
    """Whether the line prints its words instead of running them."""
    return bool(_SAYS.match(line.text)) and not re.search(r"[|;&`]|\$\(", line.bare)


def swallowed(line: Line, start: int, env: Mapping[str, str], *, pipefail: bool, whole: bool = False) -> str | None:
    """Why the command at `start` of the line may fail and its script goes on, or None.

    `whole`: any command of the line is meant, and only what is surely a swallowed failure counts.
    """
    rest = line.bare[start:]
    swallow = _SWALLOWED.search(rest)
    if swallow and not _FAILS_AFTER_ALL.search(rest, swallow.start()):
        return "or-true"
    if _NEVER_FAILS.search(line.text[start:]):
        return "never-fails"
    if trivy_exits(line, env) is False:
        return "exit-code"
    if line.goes_on and not line.last:
        return "set-e"
    if whole:
        return None
    otherwise = rest.find("||")
    if otherwise >= 0 and not _FAILS_AFTER_ALL.search(rest, otherwise):
        return "unclear"
    if not _BEFORE.fullmatch(line.bare[:start]) or _UNCLEAR.search(line.bare):
        return "unclear"
    if _PIPE.search(rest) and not (pipefail or line.pipefail):
        return "pipe"
    if "&&" in rest and not line.last and not re.search(r"\|\||;\s*then", rest):
        return "and-list"
    return None


def trivy_exits(line: Line, env: Mapping[str, str]) -> bool | None:
    """Whether the trivy of this line fails on findings; None where the line runs none."""
    if not _TRIVY.search(line.text):
        return None
    wanted = env.get("TRIVY_EXIT_CODE", "0").strip()
    return bool(_TRIVY_EXIT.search(line.text)) or (wanted.isdecimal() and int(wanted) > 0)


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
