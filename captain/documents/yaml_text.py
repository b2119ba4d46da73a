"""Untrusted YAML text as a bounded tree of nodes, from the parser's events with a stack of our own.

No implicit typing: a scalar is its text. Composing a tree in C would end the process on deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

from captain.documents.nodes import Document, Node, Style
from captain.errors import Problem
from captain.safe import safe

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_NODES = 50_000
MAX_REPAIRS = 20

Correct = Callable[[list[str], int], str | None]
"""Given all lines and the index of one that cannot be read: the line as its author meant it, or None."""

# Tabs and controls move text about, bidirectional overrides show another text than is read.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]")
_IN_VALUE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]")
_STYLES: dict[str | None, Style] = {"'": "single", '"': "double", "|": "literal", ">": "folded"}


def read_yaml(data: bytes, path: str, *, correct: Correct | None = None) -> Document:
    """The tree of one file. Never raises for what the bytes hold: that is in `problems`.

    `correct` offers a line that would parse in place of one that does not; the problem then shows that line, and
    reading goes on with it, so that the rest of the file is looked at too.
    """
    document = Document(path)
    text = _decode(data, document)
    if text is None:
        return document
    text = _without_controls(text, document)
    document.lines = text.split("\n")
    before = list(document.problems)
    for _ in range(MAX_REPAIRS):
        parse = _Parse(document, correct)
        if (repair := parse.run()) is None:
            break
        index, line, problem = repair
        before.append(problem)
        document.problems = list(before)
        document.lines[index] = line
    return document


def _decode(data: bytes, document: Document) -> str | None:
    if len(data) > MAX_BYTES:
        document.refuse(1, 1, f"is larger than {MAX_BYTES // 1024} KiB")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:4].count(0) >= 2:
        document.refuse(1, 1, "is not UTF-8 text", hint="save the file as UTF-8")
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        document.refuse(1, 1, "starts with a byte order mark", hint="save the file as UTF-8 without BOM")
        data = data[3:]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        line = good.count("\n") + 1
        column = len(good) - (good.rfind("\n") + 1) + 1
        document.refuse(line, column, f"byte 0x{data[error.start]:02x} is not UTF-8", hint="save the file as UTF-8")
        return data.decode("utf-8", "replace")


def _without_controls(text: str, document: Document) -> str:
    """The text with each refused character replaced by one harmless one, so that positions stay."""
    text = text.replace("\r\n", "\n")
    if not _CONTROL.search(text):
        return text
    for number, line in enumerate(text.split("\n"), 1):
        for match in _CONTROL.finditer(line):
            if match.group() == "\t":
                document.refuse(number, match.start() + 1, "a tab stands here", hint="use spaces")
                break
            what = f"control character {safe(match.group())}"
            document.refuse(number, match.start() + 1, f"{what} stands here", hint="remove it")
    return _CONTROL.sub(lambda match: " " if match.group() == "\t" else "\ufffd", text)


Repair = tuple[int, str, Problem]


class _Stop(Exception):
    """Reading ends here; the problem is noted."""


class _Repaired(Exception):
    """A line is to be read again as its author meant it."""

    def __init__(self, repair: Repair) -> None:
        super().__init__()
        self.repair = repair


class _Parse:
    """One walk over the events of one text."""

    def __init__(self, document: Document, correct: Correct | None) -> None:
        self.document = document
        self.correct = correct
        self.stack: list[Node] = []
        self.pending: list[str | Literal[False] | None] = []
        """Per open node the key whose value comes next: None = a key comes next, False = the value is dropped."""
        self.nodes = 0
        self.documents = 0

    def run(self) -> Repair | None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = self.document
        document.root = None
        events: Iterator[Any] = yaml.parse("\n".join(document.lines), loader)
        try:
            for event in events:
                self._take(event, yaml.events)
        except _Stop:
            pass
        except _Repaired as repaired:
            return repaired.repair
        except yaml.MarkedYAMLError as error:
            return self._syntax(error)
        except (yaml.YAMLError, ValueError, RecursionError, OverflowError, IndexError) as error:
            document.refuse(1, 1, f"cannot be read as YAML: {safe(error, 200)}")
        return None

    def _take(self, event: Any, kinds: Any) -> None:
        if isinstance(event, kinds.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._refuse(event, "a second document starts here", hint="one file holds one document")
                raise _Stop
        elif isinstance(event, kinds.AliasEvent):
            self._offer(event)
            self._refuse(event, f"alias *{safe(event.anchor, 60)} stands here", hint="write the value out")
            self._attach(self._node(event, None, "plain"))
        elif isinstance(event, kinds.ScalarEvent):
            self._marked(event)
            style = _STYLES.get(event.style, "plain")
            value = None if style == "plain" and event.value == "" else event.value
            node = self._attach(self._node(event, value, style))
            if _IN_VALUE.search(event.value):
                self._refuse(event, "the text holds a control character", key=node.path, hint="remove it")
        elif isinstance(event, kinds.SequenceStartEvent | kinds.MappingStartEvent):
            self._marked(event)
            is_list = isinstance(event, kinds.SequenceStartEvent)
            node = self._node(event, [] if is_list else {}, "list" if is_list else "mapping")
            self._attach(node)
            self.stack.append(node)
            self.pending.append(None)
            if len(self.stack) > MAX_DEPTH:
                self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels")
                raise _Stop
        elif isinstance(event, kinds.SequenceEndEvent | kinds.MappingEndEvent):
            self.stack.pop()
            self.pending.pop()

    def _node(self, event: Any, value: Any, style: Style) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._refuse(event, f"holds more than {MAX_NODES} values")
            raise _Stop
        mark = event.start_mark
        return Node(value, style, mark.line + 1, mark.column + 1, self.document)

    def _marked(self, event: Any) -> None:
        """Refuses anchors and tags."""
        if event.anchor is not None:
            self._refuse(event, f"anchor &{safe(event.anchor, 60)} stands here", hint="write the value out")
        if event.tag is not None:
            self._offer(event)
            self._refuse(event, f"tag {safe(event.tag, 60)} stands here", hint="quote the value if the ! belongs to it")

    def _attach(self, node: Node) -> Node:
        """Hang a node where it belongs: below a key, into a list, or as the key of what follows."""
        if not self.stack:
            self.document.root = self.document.root or node
            return node
        top, key = self.stack[-1], self.pending[-1]
        node.parent = top
        if isinstance(top.value, list):
            node.name = len(top.value)
            top.value.append(node)
        elif key is None:
            node.name = node.value if isinstance(node.value, str) else "?"
            self.pending[-1] = self._key(top, node)
        else:
            self.pending[-1] = None
            if key is not False and isinstance(top.value, dict):
                node.name = key
                top.value[key] = node
        return node

    def _key(self, top: Node, node: Node) -> str | Literal[False]:
        key = node.value
        if not isinstance(key, str):
            self._at(node, "a key must be a plain text", key=top.path)
            return False
        if key == "<<" and node.style == "plain":
            self._at(node, "merge key << stands here", key=top.path, hint="write the keys out")
            return False
        if key in top.keys:
            line, _ = top.keys[key]
            self._at(node, f'key "{safe(key, 60)}" is written twice, first on line {line}', key=node.path)
            return False
        top.keys[key] = (node.line, node.column)
        return key

    def _refuse(self, event: Any, message: str, *, key: str | None = None, hint: str | None = None) -> None:
        mark = event.start_mark
        where = self.stack[-1].path if key is None and self.stack else key or ""
        self.document.refuse(mark.line + 1, mark.column + 1, message, key=where, hint=hint)

    def _at(self, node: Node, message: str, *, key: str, hint: str | None = None) -> None:
        self.document.refuse(node.line, node.column, message, key=key, hint=hint)

    def _offer(self, event: Any) -> None:
        """Where the line makes sense quoted, read it so."""
        mark = event.start_mark
        if repair := self._corrected(mark.line, mark.column, mark.line):
            raise _Repaired(repair)

    def _corrected(self, line: int, column: int, *candidates: int) -> Repair | None:
        lines = self.document.lines
        for index in candidates:
            if self.correct is None or not 0 <= index < len(lines):
                continue
            corrected = self.correct(lines, index)
            if corrected is not None and corrected != lines[index]:
                shown = corrected.strip()
                where = column if index == line else len(lines[index]) - len(lines[index].lstrip())
                key = self.stack[-1].path if self.stack else ""
                problem = Problem(
                    *(self.document.path, index + 1, where + 1, "error", key),
                    *("quote this expression", f"write: {safe(shown, 400)}"),
                )
                return index, corrected, problem
        return None

    def _syntax(self, error: Any) -> Repair | None:
        mark = error.problem_mark or error.context_mark
        context = error.context_mark or mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        around = (line, *(() if context is None else (context.line,)), line - 1)
        if repair := self._corrected(line, column, *around):
            return repair
        if "nesting depth" in (error.problem or ""):
            # libyaml reads ahead of its events, and newer ones have a limit of their own.
            self.document.refuse(line + 1, column + 1, f"is nested deeper than {MAX_DEPTH} levels")
            return None
        said = ", ".join(part for part in (error.context, error.problem) if part)
        key = self.stack[-1].path if self.stack else ""
        self.document.refuse(line + 1, column + 1, f"is not YAML: {safe(said, 200)}", key=key)
        return None
