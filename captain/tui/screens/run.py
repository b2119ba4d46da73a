"""The run screen: five places that never move, and the keys that walk a release.

It draws what the engine published and asks run.status, run.gates and run.allowed; it computes no verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical

from captain.errors import CaptainError, NeedsInputs, ProblemsError, UsageError
from captain.events import Stopped
from captain.tui import chances, commands
from captain.tui.bridge import Bridge, Happened, Stirred
from captain.tui.detail import Seen
from captain.tui.keys import RUN, bindings
from captain.tui.moment import Known, Live, Moment, moment
from captain.tui.present import Look, lines
from captain.tui.screens.run_keys import RunKeys
from captain.tui.wayback import of_targets
from captain.tui.widgets.bars import HeaderBar, VerdictBar, WayBackBar
from captain.tui.widgets.checklist import Checklist
from captain.tui.widgets.filter import Filter
from captain.tui.widgets.journal import Journal
from captain.tui.widgets.keybar import KeyBar
from captain.tui.widgets.step import StepPanel
from captain.tui.widgets.watch import Watch

if TYPE_CHECKING:
    from captain.engine import Engine
    from captain.tui.app import CaptainApp

Opener = Callable[..., Awaitable["Engine"]]
"""Imports and opens everything, given where events go, and as `inputs` what was answered.

Blocking parts run in a thread of its own."""

SMALL_WIDTH = 100
SMALL_HEIGHT = 30
DRAW_EVERY = 0.1
SETTLE = 0.05
"""Seconds between the first frame of a run and what goes on in the background."""
WAY_EVERY = 60.0
"""Seconds between two proofs that the way back exists."""


class RunScreen(RunKeys):
    """One run."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(RUN)
    AUTO_FOCUS = "#checklist"

    def __init__(self, app: CaptainApp, known: Known, opener: Opener) -> None:
        super().__init__(id="run")
        self.captain = app
        self.known = known
        self.engine: Engine | None = None
        self.live = Live()
        self.moment: Moment | None = None
        self.failure: CaptainError | None = None
        """Why nothing could be opened."""
        self._opener = opener
        self._bridge = Bridge(self)
        self._due = False
        self.small = False
        self._reading: int | None = None
        self._begun = False
        self._settled = False
        look = app.look
        self._look: Look = look
        self._header = HeaderBar(look, known)
        self.checklist = Checklist(look)
        self._step = StepPanel(look)
        self._watch = Watch(look)
        self._journal = Journal(look)
        self.verdict = VerdictBar(look)
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

    def begin(self) -> None:
        """Open the run, once the first frame is drawn. Calling it again does nothing."""
        if not self._begun:
            self._begun = True
            self._recall()
            self.call_after_refresh(self.start, self._open, "engine")

    def _recall(self) -> None:
        """What the log has of this run, before anything that could judge it is loaded."""
        from captain.tui.recalled import recalled

        found = recalled(self.captain.log_path, self.known)
        if found is not None:
            self.checklist.recalled = found
            self.checklist.draw()

    async def _open(self) -> None:
        try:
            self.engine = await self._opened()
        except CaptainError as error:
            self._cannot_open(error)
            return
        except Exception as error:  # the screen must say it: nothing else will
            self._cannot_open(CaptainError(f"captain itself failed: {type(error).__name__}: {error}"))
            self.captain.keep(error)
            return
        self.captain.engines.append(self.engine)
        self.draw()
        # Every step with its verdict is painted before anything else is read, asked or verified.
        self.set_timer(SETTLE, self._settle)

    async def _opened(self) -> Engine:
        """The engine, once what captain.yaml asks is answered."""
        from captain.tui.dialogs.base import Heading

        answers: dict[str, str] = {}
        asked: dict[str, str] = {}
        while True:
            trouble: str | None = None
            try:
                return await (
                    self._opener(self._bridge.publish, inputs=answers)
                    if answers
                    else self._opener(self._bridge.publish)
                )
            except NeedsInputs as needed:
                asked = dict(needed.questions)
            except UsageError as error:
                if not answers:
                    raise
                trouble = error.message
            from captain.tui.dialogs.inputs import InputsDialog

            known = self.known
            heading = Heading(known.service, known.environment, known.protected, known.version)
            given = await self.captain.push_screen_wait(InputsDialog(heading, asked, trouble))
            if given is None:
                raise NeedsInputs(asked)
            answers = given

    def _settle(self) -> None:
        engine = self.engine
        assert engine is not None
        self._settled = True
        self.captain.settled()
        self.work(engine.follow, "follow")
        self.set_interval(1.0, self._tick)
        if not self._look.calm:
            self.set_interval(0.25, self.checklist.tick)
        self.set_interval(WAY_EVERY, self._prove)
        if not engine.view().read_only:
            self.work(self._questions, "questions")
        self._prove()
        self._read_evidence()

    def _cannot_open(self, error: CaptainError) -> None:
        self.failure = error
        self.captain.failure = error
        self.captain.settled()
        said = [self._look.say(error.message, "error")]
        if isinstance(error, ProblemsError):
            said += [self._look.say(problem, "plain") for problem in error.problems]
        if error.hint:
            said.append(self._look.say(error.hint, "muted"))
        self.verdict.failed = error.message
        self._header.failed = self._way.failed = self._watch.failed = True
        for widget in (self.verdict, self._header, self._way, self._watch):
            widget.refresh()
        self.draw_keys()
        self._step.say(lines(said))

    async def _questions(self) -> None:
        """What must be answered before anything else: changed files, commands nobody accepted yet."""
        engine = self.engine
        assert engine is not None
        if engine.view().run.ended:
            return
        if engine.changed_files() is not None:
            await commands.changed(engine, self.captain.push_screen_wait)
        if engine.trust() is not None:
            await commands.trust(engine, self.captain.push_screen_wait)
            self._prove()

    # events

    @on(Happened)
    def happened(self, message: Happened) -> None:
        self._journal.add(message.event)
        if message.event.type in ("rollback.point", "gate.decision", "trust.given", "rollback.end", "run.end"):
            self._prove()
        self.draw_soon()

    @on(Stirred)
    def stirred(self) -> None:
        self.draw_soon()

    def draw_soon(self) -> None:
        """Draw, at most ten times a second."""
        if not self._due:
            self._due = True
            self.set_timer(DRAW_EVERY, self.draw)

    def _tick(self) -> None:
        if not self._due:
            self.draw()

    def draw(self) -> None:
        """Everything, from one moment."""
        self._due = False
        for event in self._bridge.take():
            if isinstance(event, Stopped):
                self.verdict.tell(event.why, "error")
            self.live.take(event)
        engine = self.engine
        if engine is None or engine.run is None or not self.is_attached:
            return
        now = self.moment = moment(engine.view(), self.live)
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
        self.draw_keys()
        self._read_evidence()

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
        self._read_evidence()

    def _read_evidence(self) -> None:
        """Fetch what was asked and what came back, once per result under the cursor."""
        step = self.checklist.step
        found = self.moment.statuses.get(step) if self.moment is not None and step is not None else None
        result = found.result if found is not None else None
        if result is None or self._reading == result.seq or not self._settled:
            return
        self._reading = result.seq
        self.start(partial(self._evidence, result), "evidence", exclusive=True)

    async def _evidence(self, result: Any) -> None:
        import asyncio

        from captain.tui.reading import evidence_of

        try:
            seen = await asyncio.to_thread(evidence_of, self.captain.log_path, result)
        except CaptainError as error:
            seen = Seen(result.seq, errors=(error.message,))
        self._step.evidence(seen)

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
