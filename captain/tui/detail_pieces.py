"""Pieces of panel 2's rows: columns, lines of output, sentences without what stands elsewhere. Pure; knows no step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from textual.content import Content

from captain.events import Output
from captain.tui.present import Look, Role, cell, count, took

LABEL = 8
"""Cells of a label in front of a fact."""


def output_head(look: Look, width: int, printed: int, *, live: bool) -> Content:
    """The rule above output."""
    right = look.say(f" {'live' if live else 'ended'} · {count(printed, 'line')}", "muted")
    rule = "─" * max(0, width - LABEL - right.cell_length)
    return Content.assemble(cell(look.say("output", "muted"), LABEL), look.say(rule, "dim"), right)


def output_row(look: Look, width: int, line: Output, *, bright: bool) -> Content:
    """One line of output with the time since the start."""
    at = cell(look.say(took(line.at_ms // 1000 * 1000) if line.at_ms >= 1000 else "0 s", "dim"), LABEL - 1, right=True)
    role: Role = "plain" if bright else "muted"
    return cell(Content.assemble(at, "  ", look.say(line.text, role)), width)


def column(content: Content, width: int) -> Content:
    """A column of `width` cells, of which the last two stay blank: it never touches the next one."""
    return cell(cell(content, width - 2), width)


def told(message: str, conditions: Collection[Mapping[str, Any]]) -> bool:
    """Whether a message says nothing that the rows of these conditions do not say."""
    known = {str(one["resolved"]) for one in conditions}
    known |= {f"{one['expect']}: {one['resolved']}" for one in conditions}
    known |= {f"{one['expect']} is false" for one in conditions}
    for piece in sorted(filter(None, known), key=len, reverse=True):
        message = message.replace(piece, "")
    return not message.strip(" ,;")


def without(message: str, questions: Collection[str]) -> str:
    """A message without the questions that it begins its causes with: in a narrow row the cause must be seen."""
    for question in sorted(filter(None, questions), key=len, reverse=True):
        message = message.replace(f"{question}: ", "")
    return message


def actual(expect: str, resolved: str) -> str:
    """The value alone where the resolved text repeats one name: `latency = 812 ms` is `812 ms`."""
    name, sign, value = resolved.partition(" = ")
    alone = sign and "," not in resolved and expect.startswith(name)
    return value if alone else resolved
