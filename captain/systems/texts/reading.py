"""Documents as their headings, links, code and words: Markdown, reStructuredText, AsciiDoc, and diagrams as text. Pure.

Line by line and tolerant: what only looks like markup stays a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import unquote

MAX_LINE = 2000
MAX_LINKS = 2000
TEXT = (".md", ".markdown", ".mdx", ".rst", ".adoc", ".asciidoc", ".txt")
DIAGRAMS = (".mmd", ".mermaid", ".puml", ".plantuml", ".drawio", ".dot", ".svg", ".d2", ".dsl", ".excalidraw", ".html")

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*([^`]*)$")
_ADOC_HEADING = re.compile(r"(={1,6})[ \t]+(\S.*)$")
_ADOC_FENCE = re.compile(r"(-{4,}|\.{4,})[ \t]*$")
_ADOC_SOURCE = re.compile(r"\[source,[ \t]*(\w+)")
_RST_RULE = re.compile(r"([=\-`:'\"~^_*+#<>.])\1{2,}[ \t]*$")
_RST_CODE = re.compile(r"([ \t]*)\.\. (?:code-block|code|sourcecode|prompt)::[ \t]*(\w*)")
_RST_FILE = re.compile(r"[ \t]*\.\. (?:image|figure|include|literalinclude)::[ \t]*(\S+)")
_MD_LINK = re.compile(r"\]\(\s{0,3}<?([^)\s<>]{1,1000})>?(?:\s[^)]{0,300})?\)")
_MD_REFERENCE = re.compile(r" {0,3}\[[^\]]{1,200}\]:[ \t]+<?(\S{1,1000}?)>?(?:[ \t]|$)")
_HTML_LINK = re.compile(r"<(?:a|img)\s[^>]{0,500}?(?:href|src)=[\"']([^\"'\s]{1,1000})[\"']", re.IGNORECASE)
_HTML_ANCHOR = re.compile(r"<[a-z0-9]{1,10}\s[^>]{0,300}?(?:name|id)=[\"']([^\"'\s]{1,200})[\"']", re.IGNORECASE)
_AUTO_LINK = re.compile(r"https?://[^\s<>()\[\]\"'`]{1,1000}")
_RST_LINK = re.compile(r"`[^`<>]{0,300}<([^`<>\s]{1,1000})>`__?")
_RST_TARGET = re.compile(r"[ \t]*\.\. _[^:]{1,200}:[ \t]+(\S+)")
_ADOC_LINK = re.compile(r"(?:link|xref|image|include):{1,2}([^\s\[\]]{1,1000})\[")
_CODE_SPAN = re.compile(r"(`{1,2})([^`]{1,300})\1")
_WORD = re.compile(r"\w+(?:[-'.]\w+)*")
_TODO = re.compile(r"\b(?:TODO|TBD|FIXME|XXX)\b")
_MARKUP = re.compile(r"!?\[([^\]]{0,300})\]\([^)]{0,1000}\)|[*_`]{1,3}|<[^>]{1,300}>")
_NOT_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of code."""

    language: str
    """Lower case, "" where none is given."""
    line: int
    """Of its first line."""
    lines: tuple[str, ...]


@dataclass(slots=True)
class Text:
    """What one document holds."""

    path: str
    headings: list[str] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)
    """Where they lead, and the line."""
    spans: list[tuple[str, int]] = field(default_factory=list)
    """Code within sentences."""
    blocks: list[Block] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    slugs: dict[str, int] = field(default_factory=dict)
    """How often a heading's name came up again."""
    words: int = 0
    todo: int = 0
    cut: bool = False
    """Whether it has more links than are kept."""
    content: str = ""
    """All of it, as it was read."""

    def prose(self, line: str, number: int) -> None:
        """One line that is no code."""
        bare = _CODE_SPAN.sub(lambda match: " " * len(match[0]), line)
        self.spans += [(match[2].strip(), number) for match in _CODE_SPAN.finditer(line)]
        self.todo += len(_TODO.findall(bare))
        for pattern in (_MD_LINK, _HTML_LINK, _ADOC_LINK, _AUTO_LINK):
            self.links += [(unescape(match[match.re.groups]), number) for match in pattern.finditer(bare)]
        # reStructuredText writes links in backquotes.
        self.links += [(match[1], number) for match in _RST_LINK.finditer(line)]
        for pattern in (_MD_REFERENCE, _RST_TARGET, _RST_FILE):
            if (match := pattern.match(bare)) is not None:
                self.links.append((match[1], number))
        self.anchors |= {match[1] for match in _HTML_ANCHOR.finditer(line)}
        self.words += len(_WORD.findall(_AUTO_LINK.sub(" ", line)))

    def heading(self, text: str) -> None:
        """One heading, its markup taken away."""
        plain = _MARKUP.sub(lambda match: match[1] or "", text).strip()
        if not plain:
            return
        self.headings.append(plain)
        slug = _NOT_SLUG.sub("", plain.lower()).replace(" ", "-")
        count = self.slugs[slug] = self.slugs.get(slug, -1) + 1
        self.anchors.add(f"{slug}-{count}" if count else slug)


def is_text(path: str) -> bool:
    """Whether a document is one to read: by the end of its name."""
    return path.lower().endswith(TEXT)


def is_diagram(path: str) -> bool:
    """Whether it is a diagram that is kept as text."""
    return path.lower().endswith(DIAGRAMS)


def read_text(content: str, path: str) -> Text:
    """The parts of one document."""
    found = Text(path, content=content)
    lines = [line[:MAX_LINE] for line in content.replace("\r\n", "\n").split("\n")]
    if not is_text(path):
        found.words = sum(len(_WORD.findall(line)) for line in lines)
        return found
    lowered = path.lower()
    if lowered.endswith(".rst"):
        _rst(lines, found)
    elif lowered.endswith((".adoc", ".asciidoc")):
        _adoc(lines, found)
    else:
        _markdown(lines, found)
    # An address within a link was met twice.
    links = list(dict.fromkeys((target.rstrip(".,;:!?"), line) for target, line in found.links))
    found.links, found.cut = links[:MAX_LINKS], len(links) > MAX_LINKS
    return found


def local(target: str) -> tuple[str, str] | None:
    """Path and anchor of a link within the repository; None where it leads elsewhere."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|\{|<|\$", target) or not target:
        return None
    path, _, anchor = target.partition("#")
    return unquote(path.partition("?")[0]), unquote(anchor)


def _markdown(lines: Sequence[str], found: Text) -> None:
    at, before = _front_matter(lines), ""
    while at < len(lines):
        line = lines[at]
        if (fence := _FENCE.match(line)) is not None:
            language = fence[2].strip().split(" ")[0].lower().strip("{}.")
            at = _fenced(lines, at + 1, fence[1], language, found)
            before = ""
            continue
        if (heading := _ATX.match(line)) is not None:
            found.heading(heading[2] or "")
        elif before.strip() and _SETEXT.match(line) and not before.lstrip().startswith(("|", "-", "*", ">", "#")):
            found.heading(before)
        found.prose(line, at + 1)
        before = line
        at += 1


def _front_matter(lines: Sequence[str]) -> int:
    if lines and lines[0].strip() == "---":
        for at, line in enumerate(lines[1:100], 1):
            if line.strip() in ("---", "..."):
                return at + 1
    return 0


def _fenced(lines: Sequence[str], at: int, mark: str, language: str, found: Text) -> int:
    """The line after a fence's end; without an end the rest is code, as Markdown says."""
    first = at
    held: list[str] = []
    while at < len(lines):
        closing = lines[at].strip(" \t>")
        at += 1
        if closing.startswith(mark) and not closing.strip(mark[0]):
            break
        held.append(lines[at - 1])
    found.blocks.append(Block(language, first + 1, tuple(held)))
    return at


def _adoc(lines: Sequence[str], found: Text) -> None:
    at, language = 0, ""
    while at < len(lines):
        line = lines[at]
        at += 1
        if (source := _ADOC_SOURCE.match(line)) is not None:
            language = source[1].lower()
        elif (fence := _ADOC_FENCE.match(line)) is not None:
            at = _fenced(lines, at, fence[1], language, found)
            language = ""
        elif (heading := _ADOC_HEADING.match(line)) is not None:
            found.heading(heading[2])
            found.prose(line, at)
        elif not line.startswith("//"):
            found.prose(line, at)


def _rst(lines: Sequence[str], found: Text) -> None:
    at = 0
    while at < len(lines):
        line = lines[at]
        code = _RST_CODE.match(line)
        if code is not None or (line.rstrip().endswith("::") and not line.lstrip().startswith("..")):
            indent = len(line) - len(line.lstrip())
            if code is None:
                found.prose(line, at + 1)
            at = _indented(lines, at + 1, indent, code[2].lower() if code else "", found)
            continue
        if at and _RST_RULE.match(line) and lines[at - 1].strip() and not _RST_RULE.match(lines[at - 1]):
            if len(line.rstrip()) >= len(lines[at - 1].rstrip()):
                found.heading(lines[at - 1])
        else:
            found.prose(line, at + 1)
        at += 1


def _indented(lines: Sequence[str], at: int, indent: int, language: str, found: Text) -> int:
    first = at
    held: list[str] = []
    while at < len(lines):
        line = lines[at]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        held.append("" if line.strip().startswith(":") and not any(held) else line)
        at += 1
    found.blocks.append(Block(language, first + 1, tuple(held)))
    return at
