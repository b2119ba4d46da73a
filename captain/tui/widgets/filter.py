"""The line under the panels in which letters narrow a list."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message
from textual.widget import Widget

from captain.safe import safe
from captain.tui.present import Look


class Filter(Widget):
    """Hidden until `/`. The input inside it is made when it is first opened."""

    @dataclass
    class Typed(Message):
        """Other letters; `done` when enter was pressed."""

        letters: str
        done: bool = False

    def __init__(self, look: Look) -> None:
        super().__init__(id="filter", markup=False)
        self.look = look

    def open(self) -> None:
        """Show the line and put the cursor there."""
        from textual.widgets import Input

        self.add_class("-open")
        there = self.query(Input)
        if there:
            there.first().focus()
            return
        line = Input(placeholder="letters of a title, an id or a state", classes="field", select_on_focus=False)
        self.mount(line)
        self.call_after_refresh(line.focus)

    def close(self) -> None:
        """Hide the line and show everything again."""
        self.remove_class("-open")
        self.remove_children()
        self.post_message(self.Typed(""))

    def on_input_changed(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Typed(safe(getattr(event, "value", ""), 80)))

    def on_input_submitted(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Typed(safe(getattr(event, "value", ""), 80), done=True))
