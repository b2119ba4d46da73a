"""A list of rows that know how to draw themselves for a width, and a sheet of rows that nobody chooses from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from captain.tui.keys import MOVE, bindings
from captain.tui.present import Look, lines

Draw = Callable[[int], Content]
"""One row, or two, for so many cells."""


class Rows(OptionList):
    """Rows with a cursor in column 1; the cursor stays on its row when others come and go."""

    BINDINGS = bindings(MOVE)

    @dataclass
    class Moved(Message):
        """The cursor stands on another row, or another list has the focus."""

        row: str | None

    @dataclass
    class Picked(Message):
        """Enter was pressed on this row."""

        row: str

    def __init__(self, look: Look, ident: str, title: str) -> None:
        super().__init__(id=ident, classes="panel list", markup=False)
        self.look = look
        self.current: str | None = None
        self.border_title = look.paint(look.say(title))
        self._draws: list[tuple[str | None, Draw]] = []
        self._empty = Content("")
        self._drawing = False

    def fill(self, rows: Sequence[tuple[str | None, Draw]], *, empty: Content) -> None:
        """These rows from now on; `empty` where there are none. A row without a name is only read."""
        self._draws, self._empty = list(rows), empty
        names = [name for name, _ in self._draws if name is not None]
        if self.current not in names:
            self.current = names[0] if names else None
        self.draw()

    def draw(self) -> None:
        if not self.is_mounted:
            return
        self._drawing = True
        try:
            if not self._draws:
                self.set_options([Option(self.look.paint(Content(" ") + self._empty), disabled=True)])
                return
            prompts = [self._prompt(name, draw) for name, draw in self._draws]
            names = [None if name is None else f"row-{name}" for name, _ in self._draws]
            if self.options and [option.id for option in self.options] == names:
                for index, prompt in enumerate(prompts):
                    self.replace_option_prompt_at_index(index, prompt)
            else:
                self.set_options(
                    Option(prompt, id=name, disabled=name is None) for name, prompt in zip(names, prompts, strict=True)
                )
            at = (index for index, (name, _) in enumerate(self._draws) if name is not None and name == self.current)
            self.highlighted = next(at, None)
        finally:
            self._drawing = False

    def go(self, row: str) -> None:
        """Put the cursor on a row that is there."""
        if row != self.current:
            self.current = row
            self.draw()

    def _prompt(self, name: str | None, draw: Draw) -> Content:
        width = (self.scrollable_content_region.width or self.size.width) - 2
        bar = self.look.say("▌", "hand") if name is not None and name == self.current else Content(" ")
        return self.look.paint(lines(Content.assemble(bar, row) for row in draw(max(10, width)).split("\n")))

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Called at once, so that a key typed ahead acts on the row it stands on and not on the one before."""
        super().watch_highlighted(highlighted)
        if self._drawing or highlighted is None or highlighted >= len(self._draws):
            return
        name = self._draws[highlighted][0]
        if name is None or name == self.current:
            return
        before, self.current = self.current, name
        for index, (row, draw) in enumerate(self._draws):
            if row in (before, name):
                self.replace_option_prompt_at_index(index, self._prompt(row, draw))
        self.post_message(self.Moved(name))

    def action_select(self) -> None:
        """Enter, or a click: on this row, wherever the cursor is when the screen hears of it."""
        if self.highlighted is not None and self.current is not None:
            self.post_message(self.Picked(self.current))

    def on_focus(self) -> None:
        self.post_message(self.Moved(self.current))

    def on_resize(self) -> None:
        self.draw()


class Sheet(Widget):
    """Rows to read."""

    def __init__(self, look: Look, ident: str, title: str) -> None:
        super().__init__(id=ident, classes="panel", markup=False)
        self.look = look
        self.border_title = look.paint(look.say(title))
        self._rows: Callable[[int], list[Content]] = lambda width: []

    def fill(self, rows: Callable[[int], list[Content]]) -> None:
        self._rows = rows
        self.refresh()

    def render(self) -> Content:
        found = self._rows(self.content_size.width)
        return self.look.paint(lines(found[: max(1, self.content_size.height)]))
