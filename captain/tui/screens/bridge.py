"""The bridge: open and recent runs, what ends soon, what runs where; and the way into a release."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.worker import WorkType

from captain.errors import CaptainError
from captain.run import Run
from captain.tui import bridge_rows as rows
from captain.tui.harbour import Harbour, Reviewed, Sight
from captain.tui.keys import BRIDGE, bindings
from captain.tui.moment import Known
from captain.tui.present import Look, Role, spread
from captain.tui.widgets.bars import Bar
from captain.tui.widgets.filter import Filter
from captain.tui.widgets.keybar import KeyBar
from captain.tui.widgets.rows import Rows, Sheet

if TYPE_CHECKING:
    from captain.tui.app import CaptainApp

LOOK_EVERY = 5.0
"""Seconds between two readings of the log."""
SMALL_WIDTH = 100


class BridgeHeader(Bar):
    """Service and clock."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, id="header")
        self.sight: Sight | None = None
        self.read_only = False

    def row(self, width: int) -> Content:
        look, sight = self.look, self.sight
        left = [look.say("captain", "muted"), look.say(sight.service if sight and sight.service else "", "bold")]
        if self.read_only:
            left.append(look.chip("READ-ONLY", "chip-warning"))
        right = look.say(f"{sight.now:%H:%M} UTC", "muted") if sight is not None else look.say("opening…", "muted")
        return spread(width, Content(" ").join(left), right)


class BridgeState(Bar):
    """The run under the cursor in one sentence, or what went wrong."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, id="verdict")
        self.run: Run | None = None
        self.sight: Sight | None = None
        self.message: tuple[str, Role] | None = None

    def row(self, width: int) -> Content:
        if self.message is not None:
            return spread(width, self.look.say(*self.message))
        if self.sight is not None and self.sight.trouble is not None:
            return spread(width, self.look.say(self.sight.trouble, "error"))
        return rows.state(self.look, width, self.run, self.sight)


class BridgeReadiness(Bar):
    """The review in one row, where there is no room for its panel."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, id="readiness-line")
        self.sight: Sight | None = None
        self.reviewed: Reviewed | None = None

    def row(self, width: int) -> Content:
        return Content("") if self.sight is None else rows.readiness_line(self.look, self.sight, self.reviewed, width)


class BridgeScreen(Screen[None]):
    """Where captain starts without a verb."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(BRIDGE)
    AUTO_FOCUS = "#open"

    def __init__(self, app: CaptainApp, harbour: Harbour) -> None:
        super().__init__(id="bridge")
        self.captain = app
        self.harbour = harbour
        self.sight: Sight | None = None
        self.reviewed: Reviewed | None = None
        self.letters = ""
        self._small = False
        look = self._look = app.look
        self._header = BridgeHeader(look)
        self._header.read_only = harbour.read_only
        self._open = Rows(look, "open", "1 Open runs")
        self._recent = Rows(look, "recent", "2 Recent runs")
        self._readiness = Sheet(look, "readiness", "3 Readiness")
        self._line = BridgeReadiness(look)
        self._ends = Sheet(look, "ends", "4 Ends soon")
        self._out = Sheet(look, "out", "Running now")
        self._filter = Filter(look)
        self._state = BridgeState(look)
        self._keys = KeyBar(look, BRIDGE, app.keys)

    def compose(self) -> ComposeResult:
        yield self._header
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._open
                yield self._recent
            with Vertical(id="right"):
                yield self._readiness
                yield self._ends
                yield self._out
        yield self._filter
        with Container(id="bottom"):
            yield self._line
            yield self._state
            yield self._keys

    def on_mount(self) -> None:
        self._fit()
        self._draw_keys()
        self.call_after_refresh(self.refresh_runs)
        self.set_interval(LOOK_EVERY, self.refresh_runs)

    def refresh_runs(self) -> None:
        """Read the log and captain.yaml again."""
        if self.is_current:
            work: WorkType[None] = self._read
            self.run_worker(work, group="look", exclusive=True, exit_on_error=False)

    def on_screen_resume(self) -> None:
        self.refresh_runs()

    async def _read(self) -> None:
        try:
            self.sight = await asyncio.to_thread(self.harbour.look)
        except Exception as error:  # nothing else would say it
            self.captain.keep(error)
            self.tell(f"captain itself failed: {type(error).__name__}: {error}", "error")
            return
        self.captain.settled()
        self.draw()
        if self.sight.review is not None:
            score: WorkType[None] = partial(self._score, self.sight.review)
            self.run_worker(score, group="score", exclusive=True, exit_on_error=False)

    async def _score(self, run: Run) -> None:
        """The review's score, after everything else is on the screen: its checklist takes a while to load."""
        try:
            self.reviewed = await self.harbour.reviewed(run)
        except Exception as error:  # nothing else would say it
            self.captain.keep(error)
            self.tell(f"captain itself failed: {type(error).__name__}: {error}", "error")
            return
        self._draw_review()

    def _draw_review(self) -> None:
        sight = self.sight
        if sight is None:
            return
        self._readiness.fill(partial(rows.readiness, self._look, sight, self.reviewed))
        self._readiness.styles.height = 4 if self.reviewed is None or self.reviewed.view is None else 14
        where = "" if sight.review is None else f"{sight.review.environment} · r open"
        self._readiness.border_subtitle = self._look.paint(self._look.say(where))
        self._line.sight, self._line.reviewed = sight, self.reviewed
        self._line.refresh()

    def draw(self) -> None:
        """Everything, from what was read last."""
        sight = self.sight
        if sight is None:
            return
        self._header.sight = self._state.sight = sight
        self._header.refresh()
        look = self._look
        self._open.fill(
            [(run.id, partial(rows.open_run, look, run, sight)) for run in self._matching(sight.open)],
            empty=rows.nothing_open(look, sight),
        )
        self._recent.fill(
            [(run.id, partial(rows.recent_run, look, run, sight)) for run in self._matching(sight.recent)],
            empty=look.say("No run has ended yet.", "muted"),
        )
        say = look.say
        self._open.border_subtitle = look.paint(say(f"{len(sight.open)} open"))
        self._recent.border_subtitle = look.paint(
            say(f"{sight.total} run{'' if sight.total == 1 else 's'} · h history")
        )
        self._draw_review()
        self._ends.fill(partial(rows.ends, look, sight))
        self._out.fill(partial(rows.out, look, sight))
        # Two rows a run, and never more than half of the screen.
        self._open.styles.height = max(3, min(2 * max(1, len(sight.open)) + 2, self.size.height // 2))
        self._show_state()

    def _matching(self, runs: Sequence[Run]) -> list[Run]:
        words = self.letters.casefold().split()
        return [run for run in runs if all(word in rows.letters(run) for word in words)]

    def _show_state(self) -> None:
        self._state.run = self.selected
        self._state.refresh()
        self._draw_keys()

    @property
    def selected(self) -> Run | None:
        """The run under the cursor of the list that has the focus."""
        focused = self._recent if self._recent.has_focus else self._open
        return self._run(focused.current)

    def _run(self, name: str | None) -> Run | None:
        runs = [] if self.sight is None else [*self.sight.open, *self.sight.recent]
        return next((run for run in runs if run.id == name), None)

    def _draw_keys(self) -> None:
        run, sight = self.selected, self.sight
        words: dict[str, str] = {}
        dim: dict[str, str] = {}
        chosen: str | None = None
        if run is None:
            dim["bridge.resume"] = "there is no run here"
        elif not run.ended:
            what = run.checklist if run.standing else run.release.label
            words["bridge.resume"] = f"resume {run.environment} {what}"
            chosen = "bridge.resume"
        why = self._why_no_new()
        if why is not None:
            dim["bridge.new"] = why
        elif chosen is None and sight is not None and not sight.open:
            chosen = "bridge.new"
        if (review := self._why_no_review()) is not None:
            dim["bridge.readiness"] = review
        self._keys.show(chosen, words, dim)

    def _why_no_new(self) -> str | None:
        sight = self.sight
        if sight is None:
            return "captain is still reading"
        if self.harbour.read_only:
            return "read-only: this captain only looks"
        if not sight.declared:
            return "no captain.yaml here: captain init"
        return None if sight.environments and sight.checklists else "captain.yaml names no environment or no checklist"

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now, by its id; for the help screen."""
        return self._keys.dim.get(key)

    def tell(self, message: str | None, role: Role = "warning") -> None:
        self._state.message = None if message is None else (message, role)
        self._state.refresh()

    # keys

    @on(Rows.Moved)
    def moved(self) -> None:
        self.tell(None)
        self._show_state()

    @on(Rows.Picked)
    def enter_on_row(self, event: Rows.Picked) -> None:
        self._resume(self._run(event.row))

    def action_resume(self) -> None:
        self._resume(self.selected)

    def _resume(self, run: Run | None) -> None:
        if run is None:
            self.tell("there is no run here")
            return
        known = Known(run.service, run.environment, run.protected, run.release.label, run.standing)
        self.captain.open_run(
            known,
            partial(self.harbour.open, checklist=run.checklist, environment=run.environment, run=run.id),
        )

    def action_new(self) -> None:
        why = self._why_no_new()
        if why is not None:
            self.tell(why)
            return
        work: WorkType[None] = self._new
        self.run_worker(work, group="dialog", exit_on_error=False)

    def action_readiness(self) -> None:
        """The review that is shown; the first one is opened by the same question as a release."""
        if self.sight is not None and self.sight.review is not None:
            self._resume(self.sight.review)
            return
        why = self._why_no_review()
        if why is not None:
            self.tell(why)
            return
        work: WorkType[None] = partial(self._new, reviews=True)
        self.run_worker(work, group="dialog", exit_on_error=False)

    def _why_no_review(self) -> str | None:
        """Why no review can be opened; None where one is there or can be."""
        sight = self.sight
        if sight is not None and sight.review is not None:
            return None
        why = self._why_no_new()
        if why is None and sight is not None and not sight.standing:
            return "captain.yaml names no review: captain init writes one"
        return why

    async def _new(self, *, reviews: bool = False) -> None:
        from captain.tui.dialogs.new_run import NewRunDialog

        sight = self.sight
        assert sight is not None and sight.service is not None
        try:
            offered = [one for one in sight.checklists if not reviews or one in sight.standing]
            dialog: Screen[Any] = NewRunDialog(sight.service, sight.environments, offered, standing=sight.standing)
            answer = await self.captain.push_screen_wait(dialog)
        except CaptainError as error:
            self.tell(error.message)
            return
        if answer is None:
            return
        known = Known(
            sight.service,
            answer.environment,
            dict(sight.environments)[answer.environment],
            answer.version or None,
            answer.checklist in sight.standing,
        )
        opener = partial(
            self.harbour.open, checklist=answer.checklist, environment=answer.environment, version=answer.version
        )
        self.captain.open_run(known, opener)

    def action_history(self) -> None:
        self.captain.open_history()

    def action_help(self) -> None:
        self.captain.open_help(self)

    def action_leave(self) -> None:
        self.captain.exit()

    def action_panel(self, number: int) -> None:
        (self._open if number == 1 else self._recent).focus()
        self.call_after_refresh(self._show_state)

    def action_filter(self) -> None:
        self._filter.open()

    def action_close_filter(self) -> None:
        self._filter.close()
        self._open.focus()

    @on(Filter.Typed)
    def filtered(self, message: Filter.Typed) -> None:
        self.letters = message.letters
        self.draw()
        if message.done:
            (self._open if self._open.current is not None else self._recent).focus()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self._small = self.app.size.width < SMALL_WIDTH
        self.set_class(self._small, "-small")
        self.draw()
