"""Panel 2: one step in detail, scrolling, following the output of an action that runs."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from captain.tui.detail import Detail, Seen
from captain.tui.keys import MOVE_DETAIL, bindings
from captain.tui.moment import Moment
from captain.tui.present import Look, join, lines


class StepPanel(VerticalScroll, can_focus=True):
    """The detail under the list."""

    BINDINGS = bindings(MOVE_DETAIL)
    HELP = "What the step asks, what was seen, and who signed. j and k scroll, end follows output."

    def __init__(self, look: Look, *, title: str = "2 Step", pages: str = "3 watch · 4 log") -> None:
        """`pages` names the other panels that take its place on a small terminal."""
        super().__init__(id="step", classes="panel")
        self.look = look
        self._title = title
        self._pages = pages
        self.moment: Moment | None = None
        self.step: str | None = None
        self.seen: Seen | None = None
        self.small = False
        self._body = Static("", id="detail", markup=False)

    def compose(self) -> ComposeResult:
        yield self._body

    def on_mount(self) -> None:
        self.border_title = self._title

    def say(self, content: Content) -> None:
        """Show this instead of a step: why nothing could be opened."""
        self._body.update(self.look.paint(content))

    def show(self, moment: Moment, step: str | None) -> None:
        """Draw a step."""
        changed = step != self.step
        self.moment, self.step = moment, step
        self.draw()
        if changed:
            self.scroll_to(y=0, animate=False, immediate=True)

    def evidence(self, seen: Seen) -> None:
        """What the log keeps of the newest result."""
        self.seen = seen
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        if self.moment is None or not self.is_mounted:
            return
        found = self.moment.view.step(self.step) if self.step is not None else None
        width = self.scrollable_content_region.width or self.content_size.width
        if found is None:
            self._body.update(self.look.paint(self.look.say("No steps in this checklist.", "muted")))
            return
        # With the focus elsewhere output ends at the last row; with the focus here all of it can be scrolled.
        reading = self.has_focus
        follows = self.is_vertical_scroll_end
        height = None if reading else self.content_size.height or None
        detail = Detail(self.look, self.moment, found[1], width, tight=self.small, seen=self.seen, height=height)
        self._body.update(self.look.paint(lines(detail.rows())))
        running = detail.found.state == "running"
        if running and reading and follows:
            self.call_after_refresh(self.scroll_end, animate=False)
        notes = []
        if running and reading and not follows:
            notes.append(self.look.say("end follow", "muted"))
        if self.small:
            notes.append(self.look.say(self._pages, "muted"))
        self.border_subtitle = self.look.paint(join(notes, " · "))

    def on_focus(self) -> None:
        self.draw()

    def on_blur(self) -> None:
        self.scroll_to(y=0, animate=False, immediate=True)
        self.draw()
