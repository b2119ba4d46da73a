"""Where conditions stand in files: a list, one text, or a block with one per line. Compiles none of them."""

from __future__ import annotations

from dataclasses import dataclass

from captain.documents import Node
from captain.loader.problems import Problems
from captain.loader.quoting import CONDITION_KEYS, balanced, corrected
from captain.safe import safe

__all__ = ["CONDITION_KEYS", "CONDITION_LIST", "Condition", "conditions"]

CONDITION_LIST = tuple[str, ...]
"""How the models annotate a list of conditions."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as written."""

    text: str
    node: Node
    offset: int = 0
    """Where its text starts in the node's."""


def conditions(node: Node, problems: Problems) -> list[Condition]:
    """The conditions below a condition key; what YAML made something else of is noted."""
    if isinstance(node.value, list):
        if not node.value:
            problems.error(node, f"{node.name} is an empty list", hint="leave the key out or give a condition")
        if any(child.style == "plain" and not balanced(child.text or "") for child in node.value):
            _quote(node, node.value[0], problems)
            return []
        return [condition for child in node.value for condition in _texts(child, problems)]
    return _texts(node, problems)


def _texts(node: Node, problems: Problems) -> list[Condition]:
    if isinstance(node.value, dict | list):
        _quote(node, node, problems)
        return []
    text = node.text
    if text is None or not text.strip():
        problems.error(node, "a condition is empty", hint="leave it out or write one")
        return []
    if node.style != "literal":
        return [_condition(text, 0, node)]
    found, start = [], 0
    for line in text.split("\n"):
        if line.strip():
            found.append(_condition(line, start, node))
        start += len(line) + 1
    return found


def _condition(text: str, start: int, node: Node) -> Condition:
    return Condition(text.strip(), node, start + len(text) - len(text.lstrip()))


def _quote(node: Node, at: Node, problems: Problems) -> None:
    lines = at.document.lines
    mended = corrected(lines, at.line - 1) if at.line <= len(lines) else None
    hint = f"write: {safe(mended.strip(), 400)}" if mended else "put it in single quotes"
    problems.error(at, "quote this expression", hint=hint)
