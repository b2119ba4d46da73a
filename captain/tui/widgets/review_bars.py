"""The bars of the readiness screen: header, total, and what is not a pass."""

from __future__ import annotations

from collections import Counter

from textual.content import Content
from textual.widget import Widget

from captain.tui import review_rows
from captain.tui.moment import Known
from captain.tui.present import Look, Role, age, count, join, lines, spread
from captain.tui.review import Review
from captain.tui.widgets.bars import Bar, VerdictBar

_KINDS: tuple[tuple[str, str, Role], ...] = (
    ("fail", "FAIL", "fail"),
    ("unknown", "unknown", "unknown"),
    ("stale", "stale", "warning"),
    ("lapsed", "lapsed", "warning"),
    ("waiting", "to sign", "muted"),
    ("measuring", "asked now", "primary"),
    ("todo", "todo", "muted"),
    ("warn", "warn", "muted"),
    ("waived", "waived", "muted"),
)
_CHIPS: dict[str, Role] = {
    "GO": "chip-success",
    "GO WITH RISK": "chip-warning",
    "NO-GO": "chip-error",
    "NO-GO: unverified": "chip-warning",
}


class ReviewHeader(Bar):
    """Service, environment, commit; right when it was checked last, and the log's health."""

    def __init__(self, look: Look, known: Known) -> None:
        super().__init__(look, id="header", classes="bar")
        self.known = known
        self.review: Review | None = None
        self.failed = False

    def show(self, review: Review) -> None:
        self.review = review
        self.refresh()

    def row(self, width: int) -> Content:
        look, known = self.look, self.known
        parts = [look.say("captain", "muted")] if width >= 100 else []
        parts += [look.say(known.service, "bold"), look.environment(known.environment, known.protected)]
        if self.review is None:
            parts.append(look.say("readiness", "muted"))
            return spread(width, join(parts, " "), look.say("not opened" if self.failed else "opening…", "muted"))
        view = self.review.moment.view
        parts.append(look.say(view.run.checklist, "bold"))
        if view.run.release.commit:
            parts.append(look.say(view.run.release.commit[:7], "muted"))
        return spread(width, join(parts, " "), self._right(width), gap=2)

    def _right(self, width: int) -> Content:
        assert self.review is not None
        look, moment = self.look, self.review.moment
        view, health = moment.view, moment.live.health
        pieces = []
        if view.target.tier and width >= 100:
            pieces.append(look.say(f"tier {view.target.tier}", "muted"))
        if self.review.past:
            pieces.append(look.say(f"checked {age(self.review.past[-1].at, view.now)} ago", "muted"))
        if health is not None and health.state not in ("checking", "intact"):
            pieces.append(look.say(f"log {health.state.upper()}", "fail"))
        elif width >= 100:
            pieces.append(
                look.say("log intact" if health is not None and health.state == "intact" else "log checking", "muted")
            )
        return join(pieces, " · ", look.style("muted"))


class Total(Widget, can_focus=False):
    """What the whole review comes to; one row where there is no room for three."""

    def __init__(self, look: Look) -> None:
        super().__init__(id="total", classes="panel", markup=False)
        self.look = look
        self.review: Review | None = None
        self.small = False
        self.failed = False

    def on_mount(self) -> None:
        self.border_title = "Score"

    def show(self, review: Review) -> None:
        self.review = review
        self.refresh()

    def render(self) -> Content:
        look, review, width = self.look, self.review, self.content_size.width
        if review is None:
            return look.paint(look.say("No score: nothing was opened." if self.failed else "opening…", "muted"))
        rows = (
            [review_rows.total_line(look, review, width)] if self.small else review_rows.total_rows(look, review, width)
        )
        return look.paint(lines(rows))


class ReviewBar(VerdictBar):
    """What may happen now, and everything that is open in all categories together."""

    review: Review | None = None

    def chip(self) -> tuple[str, Role]:
        assert self.review is not None
        view = self.review.moment.view
        if view.stopped is not None:
            return "STOPPED", "chip-error"
        if view.run.ended:
            return view.run.state.upper(), "chip-warning"
        if view.read_only:
            return "READ-ONLY", "chip-warning"
        word = self.review.decision.word
        return word.partition(":")[0], _CHIPS[word]

    def counts(self) -> list[tuple[str, Role]]:
        assert self.review is not None
        found = Counter(line.kind for line in self.review.lines if line.open)
        out: list[tuple[str, Role]] = [(f"{found[kind]} {word}", role) for kind, word, role in _KINDS if found[kind]]
        if doubts := len(self.review.contradictions):
            out.append((f"{count(doubts, 'contradiction')} (r)", "warning"))
        return out
