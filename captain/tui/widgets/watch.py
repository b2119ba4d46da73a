"""Panel 3: what moves right now. Watches come later; until then the tail of what runs and the holds that count."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from captain.tui.detail_pieces import output_row
from captain.tui.moment import Moment
from captain.tui.present import Look, lines, running_clock, spread

BAR = 16
MOST = 9
"""Rows with the border."""


class Watch(Widget, can_focus=True):
    """The small panel under the checklist."""

    HELP = "The output of the action that runs and the holds that count."

    def __init__(self, look: Look) -> None:
        super().__init__(id="watch", classes="panel", markup=False)
        self.look = look
        self.moment: Moment | None = None
        self.small = False
        self.failed = False

    def on_mount(self) -> None:
        self.border_title = "3 Watch"

    def show(self, moment: Moment) -> None:
        """Draw this moment; the panel is as high as it has rows."""
        self.moment = moment
        # As high as it has rows, so that the checklist keeps the rest; at 80 columns it is a page of its own.
        self.styles.height = "1fr" if self.small else min(MOST, len(self._rows(40)) + 2)
        self.refresh()

    def render(self) -> Content:
        size = self.content_size
        rows = self._rows(size.width)
        return self.look.paint(lines(rows[-size.height :] if size.height else rows))

    def _rows(self, width: int) -> list[Content]:
        moment, look = self.moment, self.look
        if moment is None:
            return [] if self.failed else [look.say("opening…", "muted")]
        rows = []
        for step, (held, of) in moment.live.holds.items():
            full = min(BAR, held * BAR // max(1, of))
            said = Content.assemble(
                look.say("━" * full, "primary"),
                look.say("━" * (BAR - full), "dim"),
                look.say(f" {running_clock(held)} of {running_clock(of)}", "muted"),
            )
            rows.append(spread(width, look.say(moment.title(step)), said))
        attempt = moment.running()
        if attempt is not None:
            spent = look.say(running_clock(moment.elapsed_ms(attempt)), "primary")
            what = moment.title(attempt.step) if attempt.step else f"rollback of {attempt.part}"
            rows.append(spread(width, look.say(what, "bold"), spent))
            tail = list(moment.live.output.get(attempt.id, ()))[-6:]
            rows += [output_row(look, width, line, bright=at >= len(tail) - 1) for at, line in enumerate(tail)]
        return rows or [look.say("no watch", "muted")]
