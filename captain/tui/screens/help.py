"""Every key of a screen in a sentence; for a dim one, why it is dim."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from captain.tui.dialogs.base import HasLook
from captain.tui.dialogs.fields import Row
from captain.tui.keys import HELP, bindings, name_of
from captain.tui.present import Look, cell, lines, spread

KEY = 8
WORD = 15


@runtime_checkable
class HasReasons(Protocol):
    """A screen that knows why a key is dim."""

    def why_not(self, key: str) -> str | None: ...


class HelpScreen(ModalScreen[None]):
    """Over the screen it explains."""

    CSS_PATH = Path(__file__).parents[1] / "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(HELP)
    AUTO_FOCUS = ""

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self.about = about

    @property
    def look(self) -> Look:
        return self.app.look if isinstance(self.app, HasLook) else Look()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dlg -plain", id="box"):
            with VerticalScroll(id="facts", can_focus=False):
                yield Row(id="rows")
            yield Static(classes="gap")
            yield Row(id="foot", classes="row")

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title = "Keys"
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    @property
    def width(self) -> int:
        return min(100, self.app.size.width) - 6

    def draw(self) -> None:
        """The keys in their order; those that may be pressed first say what they do, dim ones why not."""
        box = self.query_one("#box")
        box.styles.width = min(100, self.app.size.width)
        self.query_one("#facts").styles.max_height = max(3, self.app.size.height - 8)
        self.query_one("#rows", Static).update(self.look.paint(lines(self.rows())))
        key = name_of("help.leave", "escape", getattr(self.app, "keys", {}))
        left = Content.assemble(self.look.say(key, "hand"), " ", self.look.say("back", "muted"))
        right = self.look.say("dim keys say why; nothing here needs the mouse", "muted")
        self.query_one("#foot", Static).update(self.look.paint(spread(self.width, left, right)))

    def rows(self) -> list[Content]:
        """One row a key, and one more for a reason."""
        remapped = getattr(self.app, "keys", {})
        rows: list[Content] = []
        for binding in self.about.BINDINGS:
            if not isinstance(binding, Binding) or not binding.description:
                continue
            reason = self.about.why_not(binding.id or "") if isinstance(self.about, HasReasons) else None
            rows += self._row(binding, remapped.get(binding.id, binding.key), reason)
        return rows

    def _row(self, binding: Binding, key: str, reason: str | None) -> list[Content]:
        look, dim = self.look, reason is not None
        name = name_of("", key, {})
        head = Content.assemble(
            cell(look.say(name, "dim" if dim else "hand"), KEY),
            cell(look.say(binding.description, "dim" if dim else "bold"), WORD),
        )
        room = self.width - KEY - WORD
        tooltip = look.say(binding.tooltip or "", "dim" if dim else "plain")
        rows = [
            Content.assemble(head if at == 0 else " " * (KEY + WORD), piece)
            for at, piece in enumerate(tooltip.wrap(room))
        ]
        if reason is not None:
            pieces = look.say(f"not now: {reason}", "warning").wrap(room)
            rows += [Content.assemble(" " * (KEY + WORD), piece) for piece in pieces]
        return rows

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, pages: int) -> None:
        facts = self.query_one("#facts")
        facts.scroll_relative(y=pages * max(1, facts.size.height - 2), animate=False)
