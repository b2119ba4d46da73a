"""A screen over one engine: opened once, followed, and drawn from one moment at a time.

Knows how events, work and refusals travel; what there is to see and which keys there are, the screens know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.worker import WorkType

from captain.errors import CaptainError, NeedsInputs, ProblemsError, Refusal, UsageError
from captain.events import Recorded, Stopped
from captain.tui import commands
from captain.tui.bridge import Bridge, Happened, Stirred
from captain.tui.detail import Seen
from captain.tui.moment import Known, Live, Moment, moment
from captain.tui.present import lines
from captain.tui.widgets.bars import VerdictBar
from captain.tui.widgets.step import StepPanel

if TYPE_CHECKING:
    from captain.engine import Engine
    from captain.tui.app import CaptainApp

Opener = Callable[..., Awaitable["Engine"]]
"""Imports and opens everything, given where events go, and as `inputs` what was answered.

Blocking parts run in a thread of its own."""

DRAW_EVERY = 0.1
SETTLE = 0.05
"""Seconds between the first frame of a run and what goes on in the background."""


class Aboard(Screen[None]):
    """One run, whatever is shown of it."""

    draw_every: ClassVar[float] = DRAW_EVERY
    """Seconds between two drawings at least, however much happens."""

    def __init__(self, app: CaptainApp, known: Known, opener: Opener, *, id: str) -> None:
        super().__init__(id=id)
        self.captain = app
        self.known = known
        self.engine: Engine | None = None
        self.live = Live()
        self.moment: Moment | None = None
        self.failure: CaptainError | None = None
        """Why nothing could be opened."""
        self.small = False
        self._opener = opener
        self._bridge = Bridge(self)
        self._due = False
        self._reading: int | None = None
        self._begun = False
        self._settled = False
        self._look = app.look
        self._step = StepPanel(app.look)
        self.verdict = VerdictBar(app.look)

    # what a screen says of itself

    @property
    def step_id(self) -> str | None:
        """The step that keys are about."""
        raise NotImplementedError

    def show(self, now: Moment) -> None:
        """Draw every panel."""
        raise NotImplementedError

    def draw_keys(self) -> None:
        """Other keys may be pressed now."""
        raise NotImplementedError

    def recall(self) -> None:
        """Show what is known before anything that could judge it is loaded."""

    def settled(self) -> None:
        """The first moment is drawn: begin what goes on beside it."""

    def recorded(self, event: Recorded) -> None:
        """An entry was recorded."""

    def failed(self, said: Content) -> None:
        """Nothing could be opened; `said` is why, in rows."""
        self._step.say(said)

    # opening

    def begin(self) -> None:
        """Open the run, once the first frame is drawn. Calling it again does nothing."""
        if not self._begun:
            self._begun = True
            self.recall()
            self.call_after_refresh(self.start, self._open, "engine")

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
        if not engine.view().read_only:
            self.work(self._questions, "questions")
        self.settled()
        self.read_evidence()

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
        self.verdict.refresh()
        self.draw_keys()
        self.failed(lines(said))

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
            self.trusted()

    def trusted(self) -> None:
        """Somebody was asked about the commands of these files."""

    # events

    @on(Happened)
    def happened(self, message: Happened) -> None:
        self.recorded(message.event)
        self.draw_soon()

    @on(Stirred)
    def stirred(self) -> None:
        self.draw_soon()

    def draw_soon(self) -> None:
        """Draw, soon and not too often."""
        if not self._due:
            self._due = True
            self.set_timer(self.draw_every, self.draw)

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
        self.moment = moment(engine.view(), self.live)
        self.show(self.moment)
        self.draw_keys()
        self.read_evidence()

    def read_evidence(self) -> None:
        """Fetch what was asked and what came back, once per result under the cursor."""
        step = self.step_id
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

    # work

    def start(self, work: Callable[[], Coroutine[None, None, None]], group: str, *, exclusive: bool = False) -> None:
        typed: WorkType[None] = work
        self.run_worker(typed, group=group, exclusive=exclusive, exit_on_error=False)

    def work(self, work: Callable[[], Awaitable[Any]], group: str) -> None:
        """Do something with the engine beside drawing. What it refuses or breaks is said, never lost."""
        self.start(partial(self._guarded, work), group)

    async def _guarded(self, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            await work()
        except Refusal as refusal:
            self.tell(refusal)
        except CaptainError as error:
            self.tell(error, grave=True)
        except Exception as error:
            self.captain.keep(error)
            self.verdict.tell(f"captain itself failed: {type(error).__name__}: {error}", "error")
        self.draw_soon()

    def tell(self, error: CaptainError | str, *, grave: bool = False) -> None:
        """One sentence in the verdict bar, until the cursor moves or the next key."""
        if isinstance(error, str):
            self.verdict.tell(error)
            return
        hint = f"  {error.hint}" if error.hint else ""
        self.verdict.tell(f"{error.message}{hint}", "error" if grave else "warning")

    async def _ask(self, dialog: Screen[Any]) -> Any:
        if isinstance(self.captain.screen, ModalScreen):
            # Keys typed faster than a dialog opens: one question at a time, the others were not asked.
            return None
        return await self.captain.push_screen_wait(dialog)
