"""Reads a checklist that somebody keeps in Markdown: sections, lines with boxes, gaps, and what else it claims.

Says what stands there and believes none of it: a tick is a claim. Knows no item and writes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from captain.errors import UsageError

MAX_BYTES = 1024 * 1024
MAX_LINES = 2000
"""Lines of a list that are taken; a longer list is refused rather than cut."""

Role = Literal["review", "pre", "deploy", "post", "addition", "gap", "advice"]

_HEADING = re.compile(r"(#{1,6})\s+(\S.*)")
_BOLD = re.compile(r"\*\*(?P<number>\d+\.\s*)?(?P<title>[^*]{1,300}?)(?P<end>:?)\*\*(?P<colon>:?)")
_META = re.compile(r"\*\*(?P<key>[^*:]{1,60}):\*\*\s*(?P<value>.{0,300})")
_BOX = re.compile(r"[-*+]\s+\[(?P<mark>[ xX])\]\s+(?P<text>.+)")
_BULLET = re.compile(r"[-*+]\s+(?P<text>\S.*)")
_NUMBER = re.compile(r"\d{1,4}[.)]\s+(?P<text>\S.*)")
_REF = re.compile(r"\b[A-Z]{1,10}-\d{1,6}\b")
_PHASES: tuple[tuple[str, Role], ...] = (("pre", "pre"), ("post", "post"), ("deploy", "deploy"), ("roll", "deploy"))


@dataclass(slots=True)
class Told:
    """One line of a list."""

    text: str
    ticked: bool
    line: int
    refs: tuple[str, ...] = ()
    """Tasks that it or its heading names."""


@dataclass(slots=True)
class Part:
    """One section, in the order of the file."""

    title: str
    role: Role
    refs: tuple[str, ...] = ()
    lines: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class Listing:
    """A whole file."""

    title: str = ""
    parts: list[Part] = field(default_factory=list)
    meta: list[tuple[str, str]] = field(default_factory=list)
    """`**Key:** value` lines, in order."""
    scores: list[tuple[str, int]] = field(default_factory=list)
    """Rows of a table that claim a percentage."""
    prose: list[str] = field(default_factory=list)
    """Every other line of text: verdicts, signatures, remarks."""
    repaired: bool = False
    """Whether it was UTF-8 that somebody read as Windows-1252."""

    @property
    def ticked(self) -> int:
        return sum(line.ticked for part in self.parts for line in part.lines)

    @property
    def date(self) -> str:
        """When it says it was filled in, "" where it does not."""
        said = dict(self.meta)
        return next((said[key] for key in ("Completed", "Date", "Updated", "Created") if said.get(key)), "")


def decoded(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it had to be repaired. Raises UsageError for what is no text."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"the file is larger than {MAX_BYTES // 1024} KiB", hint="import it in parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the file is not UTF-8 text: byte {error.start}", hint="save it as UTF-8 and import it again"
        ) from error
    found = repaired(text)
    return (text, False) if found is None else (found.removeprefix("\ufeff"), True)


def repaired(text: str) -> str | None:
    """UTF-8 that was read as Windows-1252 and saved again, as it was before; None where that is not what happened."""
    if text.isascii():
        return None
    try:
        return b"".join(_windows(char) for char in text).decode("utf-8")
    except UnicodeError:
        return None


def _windows(char: str) -> bytes:
    # Five bytes have no character there; programs that read Windows-1252 pass them through.
    return bytes((ord(char),)) if char in "\x81\x8d\x8f\x90\x9d" else char.encode("cp1252")


def read_markdown(data: bytes) -> Listing:
    """The checklist of one file. Raises UsageError where it holds none."""
    text, mended = decoded(data)
    reader = _Reader(Listing(repaired=mended))
    fenced = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()[:2000]
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif line and not fenced:
            reader.take(line, number)
    found = reader.found
    found.parts = [part for part in found.parts if part.lines]
    if not found.parts:
        raise UsageError(
            "the file holds no line with a box", hint="captain imports lines such as - [ ] Backups verified"
        )
    return found


class _Reader:
    def __init__(self, found: Listing) -> None:
        self.found = found
        self.part: Part | None = None
        self.heading = ""
        self.above = ""
        """The last heading of the second level or higher."""
        self.listing = False
        """Whether bullets without a box are lines too."""
        self.count = 0

    def take(self, line: str, number: int) -> None:
        if match := _HEADING.fullmatch(line):
            self._heading(len(match[1]), _title(match[2].rstrip("#")))
        elif match := _BOX.fullmatch(line):
            self._line(match["text"], match["mark"] != " ", number)
        elif (row := _score(line)) is not None:
            self.found.scores.append(row)
        elif match := _META.fullmatch(line):
            self._meta(plain(match["key"]), match["value"].strip())
        elif (match := _BOLD.fullmatch(line)) and (match["number"] or match["end"] or match["colon"]):
            self._bold(_title(match["title"]), bool(match["number"]))
        elif (match := _NUMBER.fullmatch(line)) and self.part is not None and self.part.role in ("gap", "advice"):
            self._line(match["text"], "✅" in match["text"], number)
        elif (match := _BULLET.fullmatch(line)) and self.listing:
            self._line(match["text"], False, number)
        elif re.search(r"\w", line) and not line.startswith("|"):
            self.found.prose.append(line[:300])

    def _heading(self, level: int, title: str) -> None:
        if level == 1 and not self.found.title:
            self.found.title = title
        self.listing = False
        self.heading = title
        if level <= 2:
            self.above = title
        self._open(title, _role(title, self.above))

    def _bold(self, title: str, numbered: bool) -> None:
        self.listing = numbered
        role: Role = "addition" if numbered else _role(title, self.above)
        self._open(title, role)

    def _meta(self, key: str, value: str) -> None:
        """`**Pre-Deployment:**` with nothing behind it begins a group."""
        if value:
            self.found.meta.append((key, value))
        else:
            self._bold(key, numbered=False)

    def _open(self, title: str, role: Role) -> None:
        refs = tuple(_REF.findall(title))
        shown = re.sub(r"\s*\((?:[A-Z]{1,10}-\d{1,6})[^)]*\)", "", re.sub(r"^\d+[.)]\s*", "", title)).strip()
        self.part = Part(shown or title or "Checklist", role, refs)
        self.found.parts.append(self.part)

    def _line(self, text: str, ticked: bool, number: int) -> None:
        self.count += 1
        if self.count > MAX_LINES:
            raise UsageError(f"the file holds more than {MAX_LINES} lines with boxes", hint="import it in parts")
        if self.part is None:
            self._open("Checklist", "review")
        assert self.part is not None
        refs = dict.fromkeys((*self.part.refs, *_REF.findall(text)))
        self.part.lines.append(Told(plain(text) or "…", ticked, number, tuple(refs)))


def _role(title: str, above: str) -> Role:
    low, context = title.casefold(), above.casefold()
    if re.search(r"\b(remaining|open items|gaps?|to ?do)\b", low):
        return "gap"
    if re.search(r"\b(recommend\w*|next steps)\b", low):
        return "advice"
    if re.search(r"\bdeploy\w*|\brollout|\broll-out", low) and re.search(r"\bdeploy", context):
        return next(role for word, role in _PHASES if word in low)
    return "review"


def _title(text: str) -> str:
    return " ".join(plain(text[:300]).split())


def _score(line: str) -> tuple[str, int] | None:
    """What a row of a table claims: `| Security | 95% | …`."""
    cells = [cell.strip() for cell in line.split("|")[1:3]] if line.startswith("|") else []
    if len(cells) < 2 or not re.fullmatch(r"\d{1,3}\s{0,3}%", cells[1]):
        return None
    return _title(cells[0]), int(cells[1].rstrip("% "))


def plain(text: str) -> str:
    """A title without pictures around it, emphasis and code marks."""
    text = re.sub(r"\*\*|__|`", "", text).strip()
    start, end = 0, len(text)
    while start < end and _picture(text[start]):
        start += 1
    while end > start and (_picture(text[end - 1]) or text[end - 1] == ":"):
        end -= 1
    return text[start:end] or text


def _picture(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in ("So", "Sk", "Mn", "Cf")
