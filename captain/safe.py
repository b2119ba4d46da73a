"""Untrusted text made displayable: control characters become visible glyphs, nothing is markup."""

from __future__ import annotations

import re
import unicodedata

_ELLIPSIS = "…"
# C0 and DEL have pictures of their own in Unicode; everything else that moves or hides text is spelt out.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff"
    "\U0001d173-\U0001d17a]"
)
_COMBINING_RUN = 4
# Of what a step says GitHub's runner obeys `##[name]` anywhere and `::name` that begins a line, Azure's `##vso[name]`.
_COMMAND = re.compile(r"#(?=#\w*\[)|(?m:^[^\S\n]*)(?=::)")
_COMMAND_IN_JSON = re.compile(r"#(?=#\w*\[)")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return _PICTURES.get(code) or f"\\u{{{code:x}}}"


def safe(text: object, limit: int = 4096, *, lines: bool = False) -> str:
    """`text` as one line that cannot move the cursor, reorder letters or hide anything.

    With `lines` newlines stay and tabs become spaces. More than `limit` characters are cut with `…`.
    """
    raw = str(text)
    cut = len(raw) > limit
    raw = raw[:limit]
    if lines:
        raw = raw.replace("\r\n", "\n").replace("\t", "    ")
        shown = "\n".join(_line(part) for part in raw.split("\n"))
    else:
        shown = _line(raw)
    return shown + _ELLIPSIS if cut else shown


def uncommanding(text: str) -> str:
    """Text for a terminal, of any number of lines, in which no runner of CI finds a command to itself."""
    if "##" not in text and "::" not in text:
        return text
    return _COMMAND.sub(lambda match: f"{match.group()}\u200b", text)


def uncommanding_json(text: str) -> str:
    """The same JSON, spelt so that no runner of CI finds a command in it."""
    return _COMMAND_IN_JSON.sub(r"\\u0023", text) if "##" in text else text


def _line(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _calm(_SUSPECT.sub(_visible, text))


def _calm(text: str) -> str:
    """Stacks of combining marks are cut: they would paint over the rows above and below."""
    out: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= _COMBINING_RUN:
            out.append(char)
    return "".join(out)
