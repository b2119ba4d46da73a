"""What is filled in inside a dialog: a line of text that cannot carry anything but text, and a row of choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.style import Style
from textual.widgets import Input, Static

from captain.safe import safe
from captain.tui.keys import CHOICE, bindings, name_of
from captain.tui.present import Look, Role

CAP = 4096
"""Bytes of one text in the log."""


def clean(text: str, cap: int = CAP) -> str:
    """Typed or pasted text as one displayable line of at most `cap` bytes. Lines are joined with a space."""
    line = " ".join(text[: 2 * cap].split("\n")).replace("\r", "").replace("\t", " ")
    return safe(line, cap).encode("utf-8")[:cap].decode("utf-8", "ignore")


class Field(Input):
    """One line of text. Whatever is pasted, only displayable characters stay, bounded."""

    def __init__(self, ident: str, *, value: str = "", hint: str = "", cap: int = CAP) -> None:
        self.cap = cap
        super().__init__(
            clean(value, cap),
            placeholder=clean(hint, 200),
            id=ident,
            select_on_focus=False,
            max_length=cap,
            classes="field",
        )
        # Nothing on this screen blinks.
        self.set_reactive(Input.cursor_blink, False)

    def validate_value(self, value: str) -> str:
        return value if value.isascii() and value.isprintable() and len(value) <= self.cap else clean(value, self.cap)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        start, end = sorted(self.selection)
        self.replace(clean(event.text, self.cap), start, end)


class Row(Static):
    """Rows that are ours to style: what can be clicked in them is not drawn as a link."""

    auto_links = False


class Choice(Row, can_focus=True):
    """One of a few words: `(●) approve  ( ) reject`. Arrows, a click, or the key beside it move it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(CHOICE)
    at: reactive[int] = reactive(0, init=False)

    @dataclass
    class Changed(Message):
        """Another word was chosen."""

        choice: Choice

        @property
        def control(self) -> Choice:
            return self.choice

    def __init__(
        self, ident: str, options: Sequence[tuple[str, str]], look: Look, *, chosen: str | None = None
    ) -> None:
        """`options` are (value, word)."""
        super().__init__(id=ident, classes="row")
        self.options = tuple(options)
        self.look = look
        self.set_reactive(Choice.at, next((at for at, one in enumerate(self.options) if one[0] == chosen), 0))

    @property
    def value(self) -> str:
        return self.options[self.at][0]

    def render(self) -> Content:
        parts = [self._option(at, word) for at, (_, word) in enumerate(self.options)]
        key = name_of("dialog.cycle", "ctrl+r", getattr(self.app, "keys", {}))
        tail = self.look.say(f"   {key}", "dim") if len(parts) > 1 else Content("")
        return self.look.paint(Content.assemble(Content("   ").join(parts), tail))

    def _option(self, at: int, word: str) -> Content:
        chosen = at == self.at
        role: Role = ("hand" if self.has_focus else "bold") if chosen else "muted"
        row = Content.assemble(
            ("(●) " if chosen else "( ) ", self.look.style("hand" if chosen else "muted")), self.look.say(word, role)
        )
        return row.stylize(Style.from_meta({"@click": f"choose({at})"}))

    def step(self, by: int) -> None:
        """Move on, round and round."""
        self.at = (self.at + by) % len(self.options)

    def action_step(self, by: int) -> None:
        self.step(by)

    def action_choose(self, at: int) -> None:
        self.at = at

    def watch_at(self) -> None:
        self.post_message(self.Changed(self))
