"""The rollback: the question, then its parts and its proof as they happen, then what it came to.

Draws what was recorded; the engine goes back whether or not this screen is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from captain.errors import CaptainError
from captain.measurement import Verdict
from captain.tui.dialogs.base import HasLook, Heading
from captain.tui.keys import ROLLBACK, bindings
from captain.tui.moment import Known, Live, Moment, moment
from captain.tui.present import Look, count, lines
from captain.tui.rollback_rows import entries, output_rows, parts, plan_rows, verify_rows
from captain.tui.widgets.bars import HeaderBar, VerdictBar, WayBackBar
from captain.tui.widgets.journal import Journal
from captain.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from captain.engine import Engine
    from captain.run.status import Status

DRAW_EVERY = 0.25
READ_FOR = 4.0
"""Seconds that the reason why a key is dim stays, however often the bar is drawn meanwhile."""

Ask = Callable[[Screen[Any]], Awaitable[Any]]
Wanted = Literal["cause", "again"]


async def roll_back(engine: Engine, ask: Ask) -> None:
    """Plan, ask, go back, and ask for the cause. One that is under way is only shown."""
    from captain.tui.dialogs.note import CauseDialog
    from captain.tui.dialogs.rollback import RollbackDialog

    while True:
        view = engine.view()
        heading = Heading.of(view)
        work: asyncio.Task[None] | None = None
        if not under_way(engine):
            plan = await engine.plan_rollback()
            answer = await ask(RollbackDialog(heading, plan, because=because(engine), look_again=engine.plan_rollback))
            if answer is None:
                return
            work = asyncio.create_task(engine.roll_back(answer.plan, confirmed=answer.confirmed))
        wanted = await ask(RollbackScreen(engine, work))
        if wanted == "again":
            if work is not None:
                await asyncio.wait([work])
            continue
        if wanted == "cause" and (said := await ask(CauseDialog(heading))) is not None and said.text:
            await engine.note(said.text)
        if work is not None:
            # What it refused or broke is said by whoever asked for it.
            await work
        return


def under_way(engine: Engine) -> bool:
    """Whether a rollback of this run is at work now."""
    view = engine.view()
    rollback = view.run.rollback
    if rollback is None or rollback.end is not None:
        return False
    return any(name in view.alive for name in rollback.attempts) or bool(view.asking)


def because(engine: Engine) -> str | None:
    """What fails now, worst first, in one line: the verdict bar is behind the dialog.

    What is asked now, waits or was not looked at yet is no reason to go back.
    """
    found = moment(engine.view(), Live())
    if found.readiness is None:
        return None
    bad = [one for one in found.readiness.unmet if one.step is None or _bad(found.statuses[one.step])]
    worst = sorted((one for one in bad if one.exit_code in (1, 3)), key=lambda one: one.exit_code)
    more = f", and {len(worst) - 1} more" if len(worst) > 1 else ""
    return f"{worst[0].sentence}{more}" if worst else None


def _bad(found: Status) -> bool:
    """Whether a step failed, was rejected or nobody can tell. A failure stays one while it is asked again."""
    if found.rejected is not None or found.verdict is Verdict.FAIL:
        return True
    return found.verdict is Verdict.UNKNOWN and found.state == "measured"


@runtime_checkable
class HasMoment(Protocol):
    """A screen below that keeps what passes: output, elapsed times."""

    @property
    def live(self) -> Live: ...


class RollbackScreen(Screen[Wanted | None]):
    """Parts, proof, output and entries of one rollback."""

    CSS_PATH = Path(__file__).parents[1] / "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(ROLLBACK)
    AUTO_FOCUS = "#log"

    def __init__(self, engine: Engine, work: asyncio.Task[None] | None = None) -> None:
        super().__init__(id="rollback")
        self.engine = engine
        self.work = work
        self.frame = 0
        self._seen = 0
        self._refused: str | None = None

    @property
    def look(self) -> Look:
        return self.app.look if isinstance(self.app, HasLook) else Look()

    def compose(self) -> ComposeResult:
        look = self.look
        run = self.engine.view().run
        yield HeaderBar(look, Known(run.service, run.environment, run.protected, run.release.version))
        yield Static(id="plan", classes="panel rows")
        yield Static(id="proof", classes="panel rows")
        yield Static(id="output", classes="panel rows")
        yield Journal(look)
        with Container(id="bottom"):
            yield VerdictBar(look)
            yield WayBackBar(look)
            yield KeyBar(look, ROLLBACK, getattr(self.app, "keys", {}))

    def on_mount(self) -> None:
        for ident, title in (("plan", "1 Plan"), ("proof", "2 Verification"), ("output", "3 Output")):
            self.query_one(f"#{ident}").border_title = title
        checklist = self.engine.view().target.checklist
        titles = {section.id: section.title for section in checklist.sections}
        self.query_one(Journal).retitle({**titles, **{step.id: step.title for _, step in checklist.steps()}})
        self.set_interval(DRAW_EVERY, self.draw)
        self.draw()

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < 30, "-small")
        self.call_after_refresh(self.draw)

    @property
    def live(self) -> Live:
        """What passes is kept by the run's own screen below."""
        below = next(
            (one for one in reversed(self.app.screen_stack) if one is not self and isinstance(one, HasMoment)), None
        )
        return below.live if below is not None else Live()

    def draw(self) -> None:
        """Everything, from one moment."""
        if not self.is_attached:
            return
        self.frame += 1
        now = moment(self.engine.view(), self.live)
        look = self.look
        for ident, rows in (
            ("plan", plan_rows(look, now, self._width("plan"), self.frame)),
            ("proof", verify_rows(look, now, self._width("proof"), self.frame)),
            ("output", output_rows(look, now, self._width("output"), self.query_one("#output").content_size.height)),
        ):
            shown = rows or [self._waiting(ident)]
            self.query_one(f"#{ident}", Static).update(look.paint(lines(shown)))
        done = [one.state for one in parts(now)]
        self.query_one("#plan").border_subtitle = look.paint(
            look.say(
                f"{done.count('pass')} of {len(done)}"
                + (" · this machine may close, a part runs on" if "running" in done else "")
            )
        )
        verified = now.view.run.verified.values()
        self.query_one("#proof").border_subtitle = look.paint(
            look.say(f"{sum(one.verdict.good for one in verified)} of {len(verify_rows(look, now, 80))}")
        )
        journal = self.query_one(Journal)
        for event in entries(now):
            if event.seq > self._seen:
                journal.add(event)
                self._seen = event.seq
        journal.flush(now.live.health)
        self._bars(now)

    def _width(self, ident: str) -> int:
        return max(20, self.query_one(f"#{ident}").content_size.width)

    def _waiting(self, ident: str) -> Content:
        words = {"plan": "taking the lock …", "proof": "nothing is declared that would prove it"}
        return self.look.say(words.get(ident, ""), "muted")

    def _bars(self, now: Moment) -> None:
        self.query_one(HeaderBar).show(now)
        verdict = self.query_one(VerdictBar)
        verdict.show(now)
        self.query_one(WayBackBar).show(now)
        run, why = now.view.run, self._failed()
        ended = run.rollback is not None and run.rollback.end is not None
        if self._refused is not None:
            verdict.tell(self._refused)
        elif why is not None:
            verdict.tell(why, "error")
        elif ended and run.rollback is not None and run.rollback.end is not None:
            verdict.tell(_came_to(run.rollback.end.data), "muted" if run.state == "rolled_back" else "error")
        elif run.rollback is not None and now.running() is None:
            if self.work is not None or under_way(self.engine):
                verdict.tell(f"proving it: {count(len(run.verified), 'step')} measured so far", "plain")
            else:
                verdict.tell("stopped halfway; R goes on where it stopped", "error")
        else:
            verdict.tell(None)
        dim = {key.id: reason for key in ROLLBACK if (reason := self.why_not(key.id)) is not None}
        chosen = (
            "rollback.cause"
            if run.state == "rolled_back"
            else "rollback.again"
            if "rollback.again" not in dim
            else None
        )
        self.query_one(KeyBar).show(chosen, {"rollback.leave": "leave" if ended else "leave, it goes on"}, dim)

    def _failed(self) -> str | None:
        """Why the work ended without an end being recorded."""
        if self.work is None or not self.work.done() or self.work.cancelled():
            return None
        error = self.work.exception()
        if error is None:
            return None
        if isinstance(error, CaptainError):
            return f"{error.message}{f'  {error.hint}' if error.hint else ''}"
        return f"captain itself failed: {type(error).__name__}: {error}"

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now."""
        run = self.engine.view().run
        if key == "rollback.cause" and (run.rollback is None or run.rollback.end is None):
            return "the rollback has not ended yet"
        if key == "rollback.again":
            if run.state == "rolled_back":
                return "this run is rolled back already"
            if self.work is not None and not self.work.done():
                return "the rollback is under way"
            if under_way(self.engine):
                return "the rollback is under way"
        return None

    def _may(self, key: str) -> bool:
        self._refused = self.why_not(key)
        if self._refused is None:
            return True
        self.query_one(VerdictBar).tell(self._refused)
        self.set_timer(READ_FOR, self._forget)
        return False

    def _forget(self) -> None:
        self._refused = None
        self.draw()

    def action_cause(self) -> None:
        if self._may("rollback.cause"):
            self.dismiss("cause")

    def action_again(self) -> None:
        if self._may("rollback.again"):
            self.dismiss("again")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_panel(self, number: int) -> None:
        self.set_class(number == 3, "-output")
        if number == 4:
            self.query_one(Journal).focus()

    def action_help(self) -> None:
        from captain.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self))


def _came_to(data: Any) -> str:
    verified = data["verified"]
    good = sum(one["verdict"] in ("pass", "warn") for one in verified)
    took = data["duration_ms"] // 1000
    said = f"{good} of {len(verified)} verified in {took // 60}:{took % 60:02d}"
    return said if data["why"] is None else f"{data['why']} · {said}"
