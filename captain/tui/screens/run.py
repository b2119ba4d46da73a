"""The run screen: five places that never move, and the keys that walk a release.

It draws what the engine published and asks run.status, run.gates and run.allowed; it computes no verdict.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content

from captain.errors import CaptainError
from captain.events import Recorded
from captain.tui import chances
from captain.tui.keys import RUN, bindings
from captain.tui.moment import Known, Moment
from captain.tui.screens.aboard import Opener
from captain.tui.screens.run_keys import RunKeys
from captain.tui.wayback import of_targets
from captain.tui.widgets.bars import HeaderBar, WayBackBar
from captain.tui.widgets.checklist import Checklist
from captain.tui.widgets.filter import Filter
from captain.tui.widgets.journal import Journal
from captain.tui.widgets.keybar import KeyBar
from captain.tui.widgets.watch import Watch

if TYPE_CHECKING:
    from captain.engine import Engine
    from captain.tui.app import CaptainApp

SMALL_WIDTH = 100
SMALL_HEIGHT = 30
WAY_EVERY = 60.0
"""Seconds between two proofs that the way back exists."""
PROVES = ("rollback.point", "gate.decision", "trust.given", "rollback.end", "run.end")
"""Entries after which another way back may exist, or none."""


class RunScreen(RunKeys):
    """One run."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(RUN)
    AUTO_FOCUS = "#checklist"

    def __init__(self, app: CaptainApp, known: Known, opener: Opener) -> None:
        super().__init__(app, known, opener, id="run")
        look = app.look
        self._header = HeaderBar(look, known)
        self.checklist = Checklist(look)
        self._watch = Watch(look)
        self._journal = Journal(look)
        self._way = WayBackBar(look)
        self._keys = KeyBar(look, RUN, app.keys)
        self.filter = Filter(look)

    def compose(self) -> ComposeResult:
        yield self._header
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self.checklist
                yield self._watch
            with Vertical(id="right"):
                yield self._step
                yield self._journal
        yield self.filter
        with Container(id="bottom"):
            yield self.verdict
            yield self._way
            yield self._keys

    def on_mount(self) -> None:
        self.add_class("-page-2")
        self._fit()
        self.draw_keys()
        self.call_after_refresh(self.begin)

    # opening

    def recall(self) -> None:
        from captain.tui.recalled import recalled

        found = recalled(self.captain.log_path, self.known)
        if found is not None:
            self.checklist.recalled = found
            self.checklist.draw()

    def settled(self) -> None:
        if not self._look.calm:
            self.set_interval(0.25, self.checklist.tick)
        self.set_interval(WAY_EVERY, self._prove)
        self._prove()

    def failed(self, said: Content) -> None:
        self._header.failed = self._way.failed = self._watch.failed = True
        for widget in (self._header, self._way, self._watch):
            widget.refresh()
        super().failed(said)

    def trusted(self) -> None:
        self._prove()

    # events

    def recorded(self, event: Recorded) -> None:
        self._journal.add(event)
        if event.type in PROVES:
            self._prove()

    def show(self, now: Moment) -> None:
        checklist = now.view.target.checklist
        titles = {section.id: section.title for section in checklist.sections}
        self._journal.retitle({**titles, **{step.id: step.title for _, step in checklist.steps()}})
        self._header.show(now)
        self.checklist.show(now)
        self._step.show(now, self.checklist.step)
        self._watch.show(now)
        self._journal.flush(self.live.health)
        self.verdict.show(now)
        self._way.show(now)

    def draw_keys(self) -> None:
        step = self.checklist.step
        dimmed = chances.dim(self.moment, step)
        chosen = chances.chosen(self.moment, step, dimmed) if self.failure is None else "run.leave"
        self._keys.show(chosen, chances.words(self.moment, step), dimmed)

    @on(Checklist.Chosen)
    def chosen(self) -> None:
        self.verdict.tell(None)
        if self.moment is not None:
            self._step.show(self.moment, self.checklist.step)
        self.draw_keys()
        self.read_evidence()

    def _prove(self) -> None:
        """Look whether the way back exists, in the background."""
        engine = self.engine
        if engine is None or not self._settled or engine.run is None or engine.run.ended:
            return
        if engine.run.kind == "check" or engine.run.standing:
            return
        if engine.run.rollback is None:
            self.start(partial(self._way_back, engine), "way", exclusive=True)

    async def _way_back(self, engine: Engine) -> None:
        try:
            ways = await engine.way_back()
        except CaptainError as error:
            self.live.way_error = error.message
        except Exception as error:
            self.live.way_error = f"captain itself failed: {type(error).__name__}: {error}"
            self.captain.keep(error)
        else:
            self.live.way_error = None
            self.live.way = of_targets([(one.taken.to, one.taken.ready, one.taken.why) for one in ways])
        self.draw_soon()

    # layout

    def show_page(self, number: int) -> None:
        if self.small and number > 1:
            for page in (2, 3, 4):
                self.set_class(page == number, f"-page-{page}")
        {1: self.checklist, 2: self._step, 3: self._watch, 4: self._journal}[number].focus()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        size = self.app.size
        self.small = size.width < SMALL_WIDTH or size.height < SMALL_HEIGHT
        self.set_class(self.small, "-small")
        self.checklist.small = self.small
        self._step.small = self.small
        self._watch.small = self.small
        self.checklist.draw()
        self._step.draw()
