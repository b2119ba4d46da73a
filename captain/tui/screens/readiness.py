"""The readiness screen: how ready the service is, category by category, what is left, and what to do next.

It draws what `captain.tui.review` derives from a moment; it computes no score and no verdict.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import DescendantFocus

from captain.errors import CaptainError
from captain.events import Recorded
from captain.tui import advice_rows, review_rows
from captain.tui.keys import REVIEW, bindings
from captain.tui.moment import Known, Moment
from captain.tui.present import count, join
from captain.tui.review import Group, Review, chosen, dim, words
from captain.tui.screens.aboard import Opener
from captain.tui.screens.review_keys import ReviewKeys
from captain.tui.widgets.keybar import KeyBar
from captain.tui.widgets.review_bars import ReviewBar, ReviewHeader, Total
from captain.tui.widgets.rows import Draw, Rows
from captain.tui.widgets.step import StepPanel

if TYPE_CHECKING:
    from captain.score.past import Then
    from captain.tui.app import CaptainApp

SMALL_WIDTH = 100
SMALL_HEIGHT = 30
TITLES = 44
"""Cells of a title at most, where a message stands beside it."""


class ReadinessScreen(ReviewKeys):
    """The review of one service in one environment."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(REVIEW)
    AUTO_FOCUS = "#categories"
    draw_every: ClassVar[float] = 0.25
    """A score of seventy items takes a while to work out, and nobody reads it faster."""

    def __init__(self, app: CaptainApp, known: Known, opener: Opener) -> None:
        super().__init__(app, known, opener, id="review")
        look = app.look
        self._header = ReviewHeader(look, known)
        self._total = Total(look)
        self.categories = Rows(look, "categories", "1 Categories")
        self.items = Rows(look, "items", "2 Items")
        self.advice = Rows(look, "advice", "3 Advice")
        self._step = StepPanel(look, title="4 Item", pages="esc items")
        self.verdict: ReviewBar = ReviewBar(look)
        self._keys = KeyBar(look, REVIEW, app.keys)
        self._past: tuple[Then, ...] = ()
        self._frame = 0

    def compose(self) -> ComposeResult:
        yield self._header
        yield self._total
        with Vertical(id="body"):
            yield self.categories
            yield self.items
            yield self.advice
            yield self._step
        with Container(id="bottom"):
            yield self.verdict
            yield self._keys

    def on_mount(self) -> None:
        self.turn_to(2)
        self._fit()
        opening = self._look.say("opening…", "muted")
        for one in (self.categories, self.items, self.advice):
            one.fill([], empty=opening)
        self.draw_keys()
        self.call_after_refresh(self.begin)

    # opening

    def settled(self) -> None:
        self._look_back()
        if not self._look.calm:
            self.set_interval(0.25, self._spin)

    def recorded(self, event: Recorded) -> None:
        if event.type in ("run.checked", "checklist.changed") and self._settled:
            self._look_back()

    def failed(self, said: Content) -> None:
        self._header.failed = self._total.failed = True
        self._header.refresh()
        self._total.refresh()
        nothing = self._look.say("Nothing was opened.", "muted")
        for one in (self.categories, self.items, self.advice):
            one.fill([], empty=nothing)
        self.turn_to(4)
        self._step.focus()
        super().failed(said)

    def _look_back(self) -> None:
        self.start(self._read_past, "past", exclusive=True)

    async def _read_past(self) -> None:
        import asyncio

        from captain.tui.reading import past_of

        if self.moment is None:
            return
        try:
            self._past = await asyncio.to_thread(past_of, self.captain.log_path, self.moment.view)
        except CaptainError as error:
            self.tell(f"earlier checks cannot be read: {error.message}")
        except Exception as error:  # a trend is no reason to lose the screen
            self.captain.keep(error)
            self.tell(f"captain itself failed: {type(error).__name__}: {error}")
        self.draw_soon()

    # drawing

    def show(self, now: Moment) -> None:
        self.review = review = Review(now, self._past)
        self._header.show(review)
        self._total.show(review)
        self.verdict.review = review
        self.verdict.show(now)
        self._draw_categories()
        self.draw_items()

    def _draw_categories(self) -> None:
        review, look = self.review, self._look
        assert review is not None
        rows: list[tuple[str | None, Draw]] = []
        beside = False
        for group in review.groups:
            if not group.counted and not beside and rows and not self.small:
                rows.append((None, lambda width: Content("")))
            beside = beside or not group.counted
            rows.append((group.section.id, partial(review_rows.category, look, review, group)))
        if not self.small:
            rows.insert(0, (None, partial(review_rows.head, look, review)))
        self.categories.fill(rows, empty=look.say("No items in this checklist.", "muted"))
        if not self.small:
            self.categories.styles.height = min(len(rows) + 2, max(6, self.app.size.height - 18))
        counted = sum(group.counted for group in review.groups)
        said = f"{count(counted, 'category', 'categories')}, {count(len(review.score.items), 'item')}"
        self.categories.border_subtitle = look.paint(look.say(said, "muted"))

    @property
    def group(self) -> Group | None:
        """The category under the cursor."""
        return None if self.review is None else self.review.group(self.categories.current)

    def draw_items(self) -> None:
        """Whatever stands below the categories."""
        review, group = self.review, self.group
        if review is None:
            return
        if self.page == 3:
            self.advice.fill(
                advice_rows.rows(self._look, review),
                empty=self._look.say("Nothing is open, and everything fits together.", "muted"),
            )
            doubts = count(len(review.contradictions), "contradiction")
            self.advice.border_subtitle = self._look.paint(self._look.say(doubts, "muted"))
        if group is not None:
            if self.where == "categories" and self.page == 2 and group.lines:
                # Nobody chose an item: the keys are about the one that is worst.
                self.items.current = group.lines[0].step.id
            self._draw_group(review, group)
        self._step.show(review.moment, self.step_id)

    def _draw_group(self, review: Review, group: Group) -> None:
        look = self._look
        titles = min(TITLES, max((len(line.step.title) for line in group.open), default=0))
        rows: list[tuple[str | None, Draw]] = []
        blank: list[tuple[str | None, Draw]] = [] if self.small else [(None, lambda width: Content(""))]
        best = review.best(group)
        for line in group.lines:
            if not line.open and rows and best is not None:
                rows += [*blank, (None, partial(self._best, review)), *blank]
                best = None
            rows.append((line.step.id, partial(review_rows.item, look, review, line, titles, frame=self._frame)))
        if best is not None:
            rows += [*blank, (None, partial(self._best, review))]
        self.items.fill(rows, empty=look.say("No items here.", "muted"))
        known = group.range
        pieces = [look.say(f"2 {group.section.title}")]
        if known is not None and group.category is not None:
            number = f"{known[0]} %" if known[0] == known[1] else f"{known[0]}–{known[1]} %"
            pieces.append(look.say(f"{number}  {group.category.label if group.counted else 'not counted'}"))
        self.items.border_title = look.paint(join(pieces, "  "))
        left = [look.say(f"{len(group.open)} remaining" if group.open else "nothing remains", "muted")]
        if self.small:
            left.append(look.say("3 advice · 4 item", "muted"))
        self.items.border_subtitle = look.paint(join(left, " · "))

    def _best(self, review: Review, width: int) -> Content:
        group = self.group
        best = None if group is None else review.best(group)
        if best is None:
            return Content("")
        return Content("\n").join(review_rows.next_best(self._look, best, width))

    def draw_keys(self) -> None:
        step, group, where = self.step_id, self.group, self.where
        dimmed = dim(self.review, step, group, where)
        next_key = chosen(self.review, step, dimmed, where) if self.failure is None else "review.back"
        self._keys.show(next_key, words(self.review, step, group, where), dimmed)

    def _spin(self) -> None:
        """The next frame of the spinner, where something is asked and nowhere else."""
        if self.review is not None and self.group is not None and self.review.moment.view.asking:
            self._frame += 1
            self._draw_group(self.review, self.group)

    # events

    @on(Rows.Moved)
    def moved(self) -> None:
        self.verdict.tell(None)
        self.draw_items()
        self.draw_keys()
        self.read_evidence()

    @on(DescendantFocus)
    def focus_moved(self) -> None:
        self.draw_keys()

    @on(Rows.Picked)
    def picked(self, event: Rows.Picked) -> None:
        self.pick(event.row)

    # layout

    def turn_to(self, page: int) -> None:
        """Show the items, the advice or one item below the categories."""
        self.page = page
        for one in (2, 3, 4):
            self.set_class(one == page, f"-page-{one}")
        self.draw_items()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        size = self.app.size
        self.small = size.width < SMALL_WIDTH or size.height < SMALL_HEIGHT
        self.set_class(self.small, "-small")
        self._step.small = self._total.small = self.small
        if self.small:
            self.categories.styles.height = None
        if self.review is not None:
            self._draw_categories()
            self.draw_items()
