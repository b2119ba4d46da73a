"""Panel 4: what was recorded, one sentence per entry, newest last."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from captain.events import LogHealth, Recorded
from captain.events.sentences import sentence
from captain.tui.keys import MOVE, bindings
from captain.tui.present import Look, Role, cell, count

MOST = 2000
"""Entries kept on the screen; `h` and `captain show` have all of them."""
WHO = 9
_ROLES: Mapping[str, Role] = {
    "plain": "plain",
    "quiet": "muted",
    "good": "plain",
    "warning": "warning",
    "bad": "error",
    "loud": "hand",
}


class Journal(OptionList):
    """The timeline of this run."""

    BINDINGS = bindings(MOVE)
    HELP = "Everything that was recorded in this run. j and k move, end goes to the newest."

    def __init__(self, look: Look) -> None:
        super().__init__(id="log", classes="panel list", markup=False)
        self.look = look
        self.titles: Mapping[str, str] = {}
        self._entries: list[Recorded] = []
        self._total = 0
        self._drawn = 0

    def on_mount(self) -> None:
        self.border_title = "4 Log"

    def add(self, event: Recorded) -> None:
        """One more entry; drawn with the next `flush`."""
        self._entries.append(event)
        self._total += 1

    def flush(self, health: LogHealth | None) -> None:
        """Draw what was added, and stay at the end where the end was in sight."""
        at_end = self.is_vertical_scroll_end or self.option_count == 0
        if len(self._entries) > MOST:
            self._entries = self._entries[-MOST // 2 :]
            self._drawn = 0
            self.clear_options()
        fresh = self._entries[self._drawn :]
        if fresh:
            self.add_options(Option(self._row(event)) for event in fresh)
            self._drawn = len(self._entries)
            if at_end:
                self.scroll_end(animate=False, immediate=False)
        state = "" if health is None else f" · {health.state}"
        self.border_subtitle = self.look.paint(
            self.look.say(f"{count(self._total, 'entry', 'entries')}{state}", "muted")
        )

    def retitle(self, titles: Mapping[str, str]) -> None:
        """Steps and sections have these titles from now on."""
        if titles != self.titles:
            self.titles = titles
            self._again()

    def on_resize(self) -> None:
        self._again()

    def _again(self) -> None:
        self._drawn = 0
        self.clear_options()
        if self._entries:
            self.add_options(Option(self._row(event)) for event in self._entries)
            self._drawn = len(self._entries)
            self.scroll_end(animate=False, immediate=False)

    def _row(self, event: Recorded) -> Content:
        look = self.look
        told = sentence(event, self.titles)
        who = told.who.partition("@")[0]
        row = Content.assemble(
            " ",
            look.say(f"{event.at:%H:%M:%S}", "muted"),
            "  ",
            cell(look.say(who, "muted", 60), WHO),
            look.say(told.text, _ROLES[told.tone]),
        )
        width = self.scrollable_content_region.width or self.size.width
        return look.paint(cell(row, max(1, width - 1)))
