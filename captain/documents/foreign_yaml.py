"""YAML that other tools define, as bounded trees of nodes: anchors, merge keys, tags and several documents are read.

No implicit typing here either: `on` is a key like any other, and a scalar is its text. A tag such as `!reference`
becomes a mapping of that one key, so that whoever knows it can act on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from captain.documents.nodes import Document, Node, Style
from captain.documents.yaml_text import MAX_BYTES, MAX_NODES
from captain.safe import safe

MAX_DEPTH = 50
MAX_DOCUMENTS = 20
_MERGE = "<<"
_STYLES: dict[str | None, Style] = {"'": "single", '"': "double", "|": "literal", ">": "folded"}


def read_foreign_yaml(data: bytes, path: str) -> list[Node]:
    """The root of each document of one file. Raises ValueError with `line:column: sentence` for what is none.

    Aliases share the node they name, so nothing grows; together they may stand for no more values than a file may
    hold, so walking over a tree is bounded too.
    """
    import yaml

    if len(data) > MAX_BYTES:
        raise ValueError(f"1:1: is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"1:1: is not UTF-8 text: byte {error.start}") from error
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = Document(path, lines=text.replace("\r\n", "\n").split("\n"))
    try:
        return _Reader(document, yaml.events).run(yaml.parse(text, loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ValueError(f"{where}: is not YAML: {safe(said, 200)}") from error
    except (yaml.YAMLError, RecursionError, OverflowError, IndexError) as error:
        raise ValueError(f"1:1: cannot be read as YAML: {safe(error, 200)}") from error


class _Reader:
    """One walk over the events of one text."""

    def __init__(self, document: Document, kinds: Any) -> None:
        self.document = document
        self.kinds = kinds
        self.anchors: dict[str, Node] = {}
        self.weights: dict[int, int] = {}
        """How many values stand below a finished node, aliases counted each time."""
        self.stack: list[tuple[Node, str | None, str | None, str | None]] = []
        """Open collections, each with its anchor, its tag and the key whose value comes next."""
        self.roots: list[Node] = []

    def run(self, events: Iterator[Any]) -> list[Node]:
        kinds = self.kinds
        for event in events:
            if isinstance(event, kinds.DocumentStartEvent):
                self.anchors = {}
            elif isinstance(event, kinds.AliasEvent):
                target = self.anchors.get(event.anchor)
                if target is None:
                    raise self._wrong(event, f"alias *{safe(event.anchor, 60)} names nothing that is complete")
                self._attach(event, target)
            elif isinstance(event, kinds.ScalarEvent):
                style = _STYLES.get(event.style, "plain")
                value = None if style == "plain" and event.value == "" else event.value
                self._done(event, self._node(event, value, style), event.anchor, event.tag, 1)
            elif isinstance(event, kinds.SequenceStartEvent | kinds.MappingStartEvent):
                if len(self.stack) >= MAX_DEPTH:
                    raise self._wrong(event, f"is nested deeper than {MAX_DEPTH} levels")
                is_list = isinstance(event, kinds.SequenceStartEvent)
                node = self._node(event, [] if is_list else {}, "list" if is_list else "mapping")
                self.stack.append((node, event.anchor, event.tag, None))
            elif isinstance(event, kinds.SequenceEndEvent | kinds.MappingEndEvent):
                node, anchor, tag, _ = self.stack.pop()
                self._done(event, node, anchor, tag, 1 + self.weights.pop(-id(node), 0))
        return self.roots

    def _node(self, event: Any, value: Any, style: Style) -> Node:
        mark = event.start_mark
        return Node(value, style, mark.line + 1, mark.column + 1, self.document)

    def _done(self, event: Any, node: Node, anchor: str | None, tag: str | None, weight: int) -> None:
        """A value is complete: remember it under its anchor and hang it where it belongs."""
        if tag is not None and tag.startswith("!") and len(tag) > 1:
            inner, node = node, Node({}, "mapping", node.line, node.column, self.document)
            node.value = {tag: inner}
        self.weights[id(node)] = weight
        if anchor is not None:
            self.anchors[anchor] = node
        self._attach(event, node)

    def _attach(self, event: Any, node: Node) -> None:
        if not self.stack:
            if len(self.roots) >= MAX_DOCUMENTS:
                raise self._wrong(event, f"holds more than {MAX_DOCUMENTS} documents")
            self.roots.append(node)
            return
        top, anchor, tag, key = self.stack[-1]
        below = self.weights.get(-id(top), 0) + self.weights[id(node)]
        if below > MAX_NODES:
            raise self._wrong(event, f"holds more than {MAX_NODES} values, aliases counted each time")
        self.weights[-id(top)] = below
        if isinstance(top.value, list):
            top.value.append(node)
        elif isinstance(top.value, dict):
            if key is None:
                if node.text is None:
                    raise self._wrong(event, "a key must be a plain text")
                self.stack[-1] = (top, anchor, tag, node.text)
                return
            self.stack[-1] = (top, anchor, tag, None)
            if key == _MERGE:
                self._merge(event, top, node)
            elif key in top.keys:
                raise self._wrong(event, f'key "{safe(key, 60)}" is written twice')
            else:
                top.value[key] = node
                top.keys[key] = (node.line, node.column)

    def _merge(self, event: Any, top: Node, node: Node) -> None:
        """Keys of a merged mapping hold where the mapping itself does not give them."""
        for source in node.items if isinstance(node.value, list) else [node]:
            if not isinstance(source.value, dict):
                raise self._wrong(event, "<< takes a mapping or a list of mappings")
            for name, value in source.value.items():
                if isinstance(top.value, dict) and name not in top.value:
                    top.value[name] = value

    def _wrong(self, event: Any, sentence: str) -> ValueError:
        mark = event.start_mark
        return ValueError(f"{mark.line + 1}:{mark.column + 1}: {sentence}")
