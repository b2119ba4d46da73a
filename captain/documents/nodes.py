"""The tree of a YAML file as values with positions, and where to note what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from captain.errors import Problem
from captain.safe import safe

MAX_PROBLEMS = 200
"""Problems kept of one file; the rest would only bury them."""

Style = Literal["plain", "single", "double", "literal", "folded", "list", "mapping"]


@dataclass(slots=True, eq=False)
class Node:
    """One value of a YAML file with the place it was written at."""

    value: str | list[Node] | dict[str, Node] | None
    """Text of a scalar (None where nothing was written), a list or a mapping."""
    style: Style
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    document: Document
    parent: Node | None = None
    name: str | int = ""
    """Its key or index in the parent."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of each key of a mapping."""

    @property
    def path(self) -> str:
        """Dotted key path from the root of its file: `sections[0].steps[2].http.url`."""
        names: list[str] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            names.append(f"[{node.name}]" if isinstance(node.name, int) else f".{safe(node.name, 80)}")
            node = node.parent
        return "".join(reversed(names)).removeprefix(".")

    @property
    def plain(self) -> Any:
        """The bare tree of texts, None, lists and dicts."""
        if isinstance(self.value, dict):
            return {key: child.plain for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain for child in self.value]
        return self.value

    def get(self, *names: str | int) -> Node | None:
        """The node below those keys and indices, None where one is missing."""
        node: Node | None = self
        for name in names:
            if node is None:
                return None
            if isinstance(node.value, dict) and isinstance(name, str):
                node = node.value.get(name)
            elif isinstance(node.value, list) and isinstance(name, int) and 0 <= name < len(node.value):
                node = node.value[name]
            else:
                return None
        return node

    @property
    def mapping(self) -> dict[str, Node]:
        """The children of a mapping, {} of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The children of a list, [] of anything else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        """The text of a scalar, None of anything else."""
        return self.value if isinstance(self.value, str) else None

    def spot(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset` of a scalar's text; its start where that cannot be told."""
        text, lines = self.text, self.document.lines
        if text is None or not 0 <= offset <= len(text):
            return self.line, self.column
        if self.style == "literal":
            row = text.count("\n", 0, offset)
            column = offset - (text.rfind("\n", 0, offset) + 1)
            content = text.split("\n")[row]
            index = self.line + row
            if index < len(lines) and (indent := lines[index].find(content)) >= 0:
                return index + 1, indent + column + 1
            return self.line, self.column
        source = lines[self.line - 1] if self.line <= len(lines) else ""
        start = self.column - 1
        if self.style == "plain" and source[start : start + offset] == text[:offset]:
            return self.line, self.column + offset
        quote = {"single": "'", "double": '"'}.get(self.style, "")
        written = text[:offset].replace("'", "''") if quote == "'" else text[:offset]
        if quote and source[start + 1 : start + 1 + len(written)] == written:
            return self.line, self.column + 1 + len(written)
        return self.line, self.column


@dataclass(slots=True, eq=False)
class Document:
    """One YAML file: its tree as far as it could be read, and every problem met."""

    path: str
    """As it is shown."""
    lines: list[str] = field(default_factory=list)
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, column: int, message: str, *, key: str = "", hint: str | None = None) -> None:
        """Note one thing that a file may not hold."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self.path, line, column, "error", key, message, hint))
