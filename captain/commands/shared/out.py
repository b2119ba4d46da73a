"""Writes results on stdout: text made displayable, JSON as one document. Narration belongs to diagnostics."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from captain.diagnostics import colour
from captain.safe import safe, uncommanding, uncommanding_json

_COLOURS = {"good": "32", "warning": "33", "bad": "31", "quiet": "2", "strong": "1"}


def as_json(value: Any) -> str:
    """One document, readable, with a newline at its end. Escaped like this nothing in it moves a cursor."""
    return uncommanding_json(json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False)) + "\n"


def put(text: str) -> None:
    """Write to stdout, whatever encoding it has."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), nl=False)


def line(*parts: str | tuple[str, str]) -> None:
    """One line of text or (text, colour name) parts; none of them can hold more than one line."""
    coloured = colour(sys.stdout)
    shown = []
    for part in parts:
        text, tone = part if isinstance(part, tuple) else (part, "")
        text = safe(text)
        shown.append(f"\x1b[{_COLOURS[tone]}m{text}\x1b[0m" if coloured and tone else text)
    # The colours are captain's own; click would keep or drop them by rules of its own.
    encoding = sys.stdout.encoding or "utf-8"
    whole = "".join(shown).rstrip()
    whole = whole if coloured else uncommanding(whole)
    click.echo(whole.encode(encoding, "replace").decode(encoding), color=coloured)


def many(number: int, one: str, more: str) -> str:
    """How many there are: 1 entry, 2 entries."""
    return f"{number} {one if number == 1 else more}"


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """What is written meanwhile goes into a text instead."""
    kept = io.StringIO()
    with contextlib.redirect_stdout(kept):
        yield kept


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)
json_option = click.option("--json", "form", flag_value="json", help="Short for --format json.")
