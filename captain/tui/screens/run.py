"""The run screen: five places that never move, and the keys that walk a release.

It draws what the engine published and asks run.status, run.gates and run.allowed; it computes no verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import OptionList
from textual.worker import WorkType

from captain.errors import CaptainError, ProblemsError, Refusal
from captain.events import Event, Stopped
from captain.safe import safe
from captain.tui import chances, commands
from captain.tui.bridge import Bridge, Happened, Stirred
from captain.tui.detail import Seen
from captain.tui.keys import RUN, bindings
from captain.tui.moment import Known, Live, Moment, moment
from captain.tui.present import Look, lines
from captain.tui.wayback import of_targets
from captain.tui.widgets.bars import HeaderBar, VerdictBar, WayBackBar
from captain.tui.widgets.checklist import Checklist
from captain.tui.widgets.filter import Filter
from captain.tui.widgets.journal import Journal
from captain.tui.widgets.keybar import KeyBar
from captain.tui.widgets.step import StepPanel
from captain.tui.widgets.watch import Watch

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine import Engine
    from captain.tui.app import CaptainApp

Opener = Callable[[Callable[[Event], None]], Awaitable["Engine"]]
"""Imports and opens everything, given where events go. Blocking parts run in a thread of its own."""

SMALL_WIDTH = 100
SMALL_HEIGHT = 30
DRAW_EVERY = 0.1
WAY_EVERY = 60.0
"""Seconds between two proofs that the way back exists."""


class RunScreen(Screen[None]):
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
        self._small = False
        self._reading: int | None = None
        look = app.look
        self._look: Look = look
        self._header = HeaderBar(look, known)
        self._checklist = Checklist(look)
        self._step = StepPanel(look)
        self._watch = Watch(look)
        self._journal = Journal(look)
        self._verdict = VerdictBar(look)
        self._way = WayBackBar(look)
        self._keys = KeyBar(look, RUN, app.keys)
        self._filter = Filter(look)

    def compose(self) -> ComposeResult:
        yield self._header
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._checklist
                yield self._watch
            with Vertical(id="right"):
                yield self._step
                yield self._journal
        yield self._filter
        with Container(id="bottom"):
            yield self._verdict
            yield self._way
            yield self._keys

    def on_mount(self) -> None:
        self.add_class("-page-2")
        self._fit()
        self._draw_keys()
        self.call_after_refresh(self._begin)

    # opening

    def _begin(self) -> None:
        self._start(self._open, "engine")

    async def _open(self) -> None:
        try:
            self.engine = await self._opener(self._bridge.publish)
        except CaptainError as error:
            self._cannot_open(error)
            return
        except Exception as error:  # the screen must say it: nothing else will
            self._cannot_open(CaptainError(f"captain itself failed: {type(error).__name__}: {error}"))
            self.captain.keep(error)
            return
        self.captain.engines.append(self.engine)
        self.draw()
        self._work(self.engine.follow, "follow")
        self.set_interval(1.0, self._tick)
        if not self._look.calm:
            self.set_interval(0.25, self._checklist.tick)
        self.set_interval(WAY_EVERY, self._prove)
        if not self.engine.view().read_only:
            self._work(self._questions, "questions")
        self._prove()

    def _cannot_open(self, error: CaptainError) -> None:
        self.failure = error
        self.captain.failure = error
        said = [self._look.say(error.message, "error")]
        if isinstance(error, ProblemsError):
            said += [self._look.say(problem, "plain") for problem in error.problems]
        if error.hint:
            said.append(self._look.say(error.hint, "muted"))
        self._verdict.failed = error.message
        self._header.failed = self._way.failed = self._watch.failed = True
        for widget in (self._verdict, self._header, self._way, self._watch):
            widget.refresh()
        self._draw_keys()
        self._step.say(lines(said))

    async def _questions(self) -> None:
        """What must be answered before anything else: changed files, commands nobody accepted yet."""
        engine = self.engine
        assert engine is not None
        if engine.view().run.ended:
            return
        if engine.changed_files() is not None:
            await commands.changed(engine, self._ask)
        if engine.trust() is not None:
            await commands.trust(engine, self._ask)
            self._prove()

    # events

    @on(Happened)
    def happened(self, message: Happened) -> None:
        self._journal.add(message.event)
        if message.event.type in ("rollback.point", "gate.decision", "trust.given", "rollback.end", "run.end"):
            self._prove()
        self._soon()

    @on(Stirred)
    def stirred(self) -> None:
        self._soon()

    def _soon(self) -> None:
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
                self._verdict.tell(event.why, "error")
            self.live.take(event)
        engine = self.engine
        if engine is None or engine.run is None or not self.is_attached:
            return
        now = self.moment = moment(engine.view(), self.live)
        checklist = now.view.target.checklist
        titles = {section.id: section.title for section in checklist.sections}
        self._journal.retitle({**titles, **{step.id: step.title for _, step in checklist.steps()}})
        self._header.show(now)
        self._checklist.show(now)
        self._step.show(now, self._checklist.step)
        self._watch.show(now)
        self._journal.flush(self.live.health)
        self._verdict.show(now)
        self._way.show(now)
        self._draw_keys()
        self._read_evidence()

    def _draw_keys(self) -> None:
        step = self._checklist.step
        dimmed = chances.dim(self.moment, step)
        chosen = chances.chosen(self.moment, step, dimmed) if self.failure is None else "run.leave"
        self._keys.show(chosen, chances.words(self.moment, step), dimmed)

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now, by its id; for the help screen."""
        return chances.dim(self.moment, self._checklist.step).get(key)

    @on(Checklist.Chosen)
    def chosen(self) -> None:
        self._verdict.tell(None)
        if self.moment is not None:
            self._step.show(self.moment, self._checklist.step)
        self._draw_keys()
        self._read_evidence()

    def _read_evidence(self) -> None:
        """Fetch what was asked and what came back, once per result under the cursor."""
        step = self._checklist.step
        found = self.moment.statuses.get(step) if self.moment is not None and step is not None else None
        result = found.result if found is not None else None
        if result is None or self._reading == result.seq:
            return
        self._reading = result.seq
        self._start(partial(self._evidence, result), "evidence", exclusive=True)

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
        if engine is None or engine.run is None or engine.run.kind == "check" or engine.run.ended:
            return
        if engine.run.rollback is None:
            self._start(partial(self._way_back, engine), "way", exclusive=True)

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
        self._soon()

    # work

    def _start(self, work: Callable[[], Coroutine[None, None, None]], group: str, *, exclusive: bool = False) -> None:
        typed: WorkType[None] = work
        self.run_worker(typed, group=group, exclusive=exclusive, exit_on_error=False)

    def _work(self, work: Callable[[], Awaitable[Any]], group: str) -> None:
        """Do something with the engine beside drawing. What it refuses or breaks is said, never lost."""
        self._start(partial(self._guarded, work), group)

    async def _guarded(self, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            await work()
        except Refusal as refusal:
            self.tell(refusal)
        except CaptainError as error:
            self.tell(error, grave=True)
        except Exception as error:
            self.captain.keep(error)
            self._verdict.tell(f"captain itself failed: {type(error).__name__}: {error}", "error")
        self._soon()

    def tell(self, error: CaptainError | str, *, grave: bool = False) -> None:
        """One sentence in the verdict bar, until the cursor moves or the next key."""
        if isinstance(error, str):
            self._verdict.tell(error)
            return
        hint = f"  {error.hint}" if error.hint else ""
        self._verdict.tell(f"{error.message}{hint}", "error" if grave else "warning")

    async def _ask(self, dialog: Screen[Any]) -> Any:
        return await self.captain.push_screen_wait(dialog)

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        name = self._checklist.step
        found = self.moment.view.step(name) if self.moment is not None and name is not None else None
        return None if found is None else found[1]

    def _may(self, key: str) -> bool:
        """Whether a key may be pressed; else its reason is said."""
        self._verdict.tell(None)
        reason = self.why_not(key)
        if reason is not None:
            self.tell(reason)
            return False
        return self.engine is not None

    # keys

    @on(OptionList.OptionSelected, "#checklist")
    def enter_on_row(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_measure()

    def action_measure(self) -> None:
        step, engine = self.step, self.engine
        if not self._may("run.measure") or step is None or engine is None:
            return
        if chances.by_hand(step):
            self._work(partial(commands.sign, engine, self._ask, step), "dialog")
        else:
            self._work(partial(engine.measure, step.id), f"measure-{step.id}")

    def action_measure_section(self) -> None:
        section, engine = self._checklist.section, self.engine
        if self._may("run.measure_section") and section is not None and engine is not None:
            self._work(partial(engine.measure_section, section.id), f"section-{section.id}")

    def _with_step(self, key: str, command: Callable[..., Awaitable[Any]]) -> None:
        step, engine = self.step, self.engine
        if self._may(f"run.{key}") and step is not None and engine is not None:
            self._work(partial(command, engine, self._ask, step), "dialog")

    def action_sign(self) -> None:
        self._with_step("sign", commands.sign)

    def action_waive(self) -> None:
        self._with_step("waive", commands.waive)

    def action_not_applicable(self) -> None:
        self._with_step("not_applicable", commands.not_applicable)

    def action_withdraw(self) -> None:
        self._with_step("withdraw", commands.withdraw)

    def action_act(self) -> None:
        self._with_step("act", commands.act)

    def action_resolve(self) -> None:
        self._with_step("resolve", commands.resolve)

    def action_gate(self) -> None:
        section = self.moment.view.section if self.moment is not None else None
        if self._may("run.gate") and section is not None and self.engine is not None:
            self._work(partial(commands.gate, self.engine, self._ask, section), "dialog")

    def action_roll_back(self) -> None:
        if self._may("run.roll_back") and self.engine is not None:
            self._work(partial(commands.roll_back, self.engine, self._ask), "dialog")

    def action_abort(self) -> None:
        if self._may("run.abort") and self.engine is not None:
            self._work(partial(commands.abort, self.engine, self._ask), "dialog")

    def action_note(self) -> None:
        if self._may("run.note") and self.engine is not None:
            self._work(partial(commands.note, self.engine, self._ask, self.step), "dialog")

    def action_reopen(self) -> None:
        section = self._checklist.section
        if self._may("run.reopen") and section is not None and self.engine is not None:
            self._work(partial(commands.reopen, self.engine, self._ask, section), "dialog")

    def action_trust(self) -> None:
        if self._may("run.trust") and self.engine is not None:
            self._work(partial(commands.trust, self.engine, self._ask), "dialog")

    def action_next_problem(self) -> None:
        self._jump(1)

    def action_previous_problem(self) -> None:
        self._jump(-1)

    def _jump(self, way: int) -> None:
        if self._may("run.next_problem") and self.moment is not None:
            self._checklist.go(chances.next_problem(self.moment, self._checklist.step, way))
            self._draw_keys()

    def action_section(self, way: int) -> None:
        if self.moment is None:
            return
        sections = self.moment.view.target.checklist.sections
        current = self._checklist.section
        at = next((index for index, one in enumerate(sections) if current is not None and one.id == current.id), 0)
        target = sections[max(0, min(len(sections) - 1, at + way))]
        open_ones = [step.id for step in target.steps if not self.moment.statuses[step.id].counts]
        self._checklist.go(next(iter(open_ones), target.steps[0].id if target.steps else None))

    def action_panel(self, number: int) -> None:
        if self._small and number > 1:
            for page in (2, 3, 4):
                self.set_class(page == number, f"-page-{page}")
        {1: self._checklist, 2: self._step, 3: self._watch, 4: self._journal}[number].focus()

    def action_filter(self) -> None:
        self._filter.open()

    def action_close_filter(self) -> None:
        self._filter.close()
        self._checklist.focus()

    @on(Filter.Typed)
    def filtered(self, message: Filter.Typed) -> None:
        self._checklist.letters = message.letters
        self._checklist.draw()
        shown = self._checklist.visible_steps()
        if shown and self._checklist.step not in shown:
            self._checklist.go(shown[0])
        if message.done:
            self._checklist.focus()

    def action_history(self) -> None:
        self.captain.open_history()

    def action_help(self) -> None:
        self.captain.open_help(self)

    def action_leave(self) -> None:
        running = self.moment.running() if self.moment is not None else None
        if running is not None and self.moment is not None:
            what = self.moment.title(running.step) if running.step else f"the rollback of {running.part}"
            self.captain.farewell = f"{safe(what)} keeps running; `captain run` opens {safe(running.intent.run)} again"
        self.captain.leave(self)

    # layout

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        size = self.app.size
        self._small = size.width < SMALL_WIDTH or size.height < SMALL_HEIGHT
        self.set_class(self._small, "-small")
        self._checklist.small = self._small
        self._step.small = self._small
        self._watch.small = self._small
        self._checklist.draw()
        self._step.draw()
