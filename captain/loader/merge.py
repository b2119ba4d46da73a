"""Lays one node tree over another: key by key, lists replaced, sections and steps matched by their id."""

from __future__ import annotations

from collections.abc import Callable

from captain.checklist.base import PHASES
from captain.documents import Node

BY_ID = frozenset(("sections", "steps"))
CONDITIONS = ("expect", "warn")


def overlay(base: Node, over: Node, asking: Callable[[str], bool] | None = None) -> Node:
    """`over` over `base`, as a new node; values keep the places they were written at.

    With `asking` (does a key say what a step asks?) the lists of `BY_ID` are merged, and a step that asks something
    else than its base loses the base's question and conditions.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    left = _without_question(base, over, asking) if asking and base.parent and base.parent.name == "steps" else base
    merged = Node(dict(left.mapping), "mapping", base.line, base.column, base.document, base.parent, base.name)
    merged.keys = {**left.keys}
    for key, child in over.mapping.items():
        below = left.mapping.get(key)
        if below is None:
            value = child
        elif key == "running" and below.mapping and not set(child.mapping) - {"version"} <= set(below.mapping):
            value = overlay(without(below, *(name for name in below.mapping if name != "version")), child)
        elif asking and key in BY_ID and isinstance(below.value, list) and isinstance(child.value, list):
            value = _by_id(below, child, asking)
        else:
            value = overlay(below, child, asking)
        merged.mapping[key] = value
        if below is None or value is child:
            merged.keys[key] = over.keys[key]
    return merged


def without(node: Node, *keys: str) -> Node:
    """The mapping without those keys."""
    kept = {key: child for key, child in node.mapping.items() if key not in keys}
    copy = Node(kept, "mapping", node.line, node.column, node.document, node.parent, node.name)
    copy.keys = node.keys
    return copy


def _without_question(base: Node, over: Node, asking: Callable[[str], bool]) -> Node:
    asked = {key for key in over.mapping if asking(key)}
    if not asked or asked <= set(base.mapping):
        return base
    return without(base, *(key for key in base.mapping if asking(key)), *CONDITIONS, "observe")


def _by_id(base: Node, over: Node, asking: Callable[[str], bool]) -> Node:
    merged = Node([], "list", base.line, base.column, base.document, base.parent, base.name)
    left = list(base.items)
    for child in over.items:
        name = _id(child)
        index = next((at for at, one in enumerate(left) if name and _id(one) == name), None)
        if index is None:
            left.insert(_place(left, child), child)
        else:
            left[index] = overlay(left[index], child, asking)
    merged.value = left
    return merged


def _place(left: list[Node], added: Node) -> int:
    """Where something new goes: to the end, a section behind the last one of its phase or of an earlier phase."""
    phase = _phase(added)
    if phase is None:
        return len(left)
    fitting = [at for at, one in enumerate(left) if (found := _phase(one)) is not None and found <= phase]
    return fitting[-1] + 1 if fitting else 0


def _phase(node: Node) -> int | None:
    phase = node.get("phase")
    return PHASES.index(phase.text) if phase is not None and phase.text in PHASES else None


def _id(node: Node) -> str | None:
    name = node.get("id")
    return name.text if name is not None else None
