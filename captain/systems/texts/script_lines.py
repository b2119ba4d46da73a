"""Lines of a script as the shell joins them, without comments. Pure text; knows nothing of what they run."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_LINES = 5000
_LONGEST = 4000
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


def script_lines(script: str, first: int) -> Iterator[tuple[str, int]]:
    """The logical lines of a script whose first line is line `first` of its file, each with its number."""
    for text, number in _joined(script, first):
        comment = _COMMENT.search(_blanked(text))
        kept = text if comment is None else text[: comment.start()]
        if kept.strip():
            yield kept, number


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
