"""Earlier runs: a list with a filter, and what happened in the one under the cursor. Needs no engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import WorkType

from captain.errors import CaptainError
from captain.tui.dialogs.base import HasLook
from captain.tui.history_rows import fact_rows, run_row, timeline_rows
from captain.tui.keys import HISTORY, MOVE, bindings
from captain.tui.past import Detail, PastRun, read_run, read_runs, timeline
from captain.tui.present import Look, count, lines, spread
from captain.tui.widgets.filter import Filter
from captain.tui.widgets.keybar import KeyBar

SMALL_WIDTH = 100


class Rows(OptionList):
    """A list of whole rows, which must be drawn anew for another width."""

    BINDINGS = bindings(MOVE)

    @dataclass
    class Resized(Message):
        """The list has another width now."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class HistoryScreen(Screen[None]):
    """Reads the log in a thread; a broken log is said, never raised."""

    CSS_PATH = Path(__file__).parents[1] / "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(HISTORY)
    AUTO_FOCUS = "#past-runs"

    def __init__(self, log: Path, *, now: datetime | None = None) -> None:
        """`now` stands still, for pictures; else the clock's."""
        super().__init__(id="history")
        self.log_path = log
        self._now = now
        self.runs: Sequence[PastRun] | None = None
        self.shown: list[PastRun] = []
        self.detail: Detail | None = None
        self.everything = False
        self.letters = ""
        self.failure: str | None = None

    @property
    def look(self) -> Look:
        return self.app.look if isinstance(self.app, HasLook) else Look()

    @property
    def now(self) -> datetime:
        return self._now or datetime.now(UTC)

    def compose(self) -> ComposeResult:
        yield Static(id="title", classes="bar", markup=False)
        with Horizontal(id="past"):
            yield Rows(id="past-runs", classes="panel list", markup=False)
            with Vertical(id="detail-of-run"):
                yield Static(id="facts-of-run", classes="panel rows")
                yield Rows(id="timeline", classes="panel list", markup=False)
        yield Filter(self.look)
        with Container(id="bottom"):
            yield KeyBar(self.look, HISTORY, getattr(self.app, "keys", {}))

    def on_mount(self) -> None:
        self.query_one("#past-runs").border_title = "1 Runs"
        self.query_one("#timeline").border_title = "3 Timeline"
        self.draw()
        load: WorkType[None] = self._load
        self.run_worker(load, group="history", exit_on_error=False)

    async def _load(self) -> None:
        try:
            self.runs = await asyncio.to_thread(read_runs, self.log_path)
        except CaptainError as error:
            self.runs, self.failure = (), error.message
        self.draw()

    @property
    def chosen(self) -> PastRun | None:
        at = self.query_one("#past-runs", Rows).highlighted
        return self.shown[at] if at is not None and at < len(self.shown) else None

    # drawing

    def draw(self) -> None:
        """The list anew, the cursor on the run it was on."""
        kept = self.chosen
        self.shown = [one for one in self.runs or () if one.matches(self.letters)]
        options = self.query_one("#past-runs", Rows)
        width = max(20, (options.scrollable_content_region.width or 44) - 1)
        with self.prevent(OptionList.OptionHighlighted):
            options.clear_options()
            options.add_options(
                Option(self.look.paint(run_row(self.look, one, self.now, width, one == kept))) for one in self.shown
            )
            if not self.shown:
                options.add_option(Option(self._empty(), disabled=True))
        self.query_one("#past-runs").border_subtitle = count(len(self.shown), "run")
        if self.shown:
            options.highlighted = self.shown.index(kept) if kept in self.shown else 0
        self._bars()
        self.draw_detail()

    def _empty(self) -> Content:
        if self.failure is not None:
            return self.look.say(f" {self.failure}", "error")
        if self.runs is None:
            return self.look.say(" reading the log …", "muted")
        return self.look.say(" No run has these letters." if self.runs else " No runs yet.", "muted")

    def draw_detail(self) -> None:
        """Facts and timeline of the run under the cursor, as far as it was read."""
        facts, options = self.query_one("#facts-of-run", Static), self.query_one("#timeline", Rows)
        detail = self.detail
        facts.border_title = "2 Run" if detail is None else f"2 {detail.run.id}"
        options.clear_options()
        if detail is None:
            facts.update("")
            return
        width = max(20, facts.content_size.width)
        facts.update(self.look.paint(lines(fact_rows(self.look, detail, self.now, width))))
        told = timeline(detail.events, everything=self.everything)
        room = max(20, (options.scrollable_content_region.width or width) - 1)
        options.add_options(Option(self.look.paint(row)) for row in timeline_rows(self.look, told, room))
        hidden = "" if self.everything or len(told) == len(detail.events) else f" · {len(told)} shown · v all"
        options.border_subtitle = self.look.paint(
            self.look.say(f"{count(len(detail.events), 'entry', 'entries')}{hidden}")
        )

    def _bars(self) -> None:
        look = self.look
        left = Content.assemble(look.say("captain", "muted"), " ", look.say("history", "bold"))
        right = look.say(f"{self.now:%H:%M} UTC", "muted")
        self.query_one("#title", Static).update(look.paint(spread(max(20, self.app.size.width - 2), left, right)))
        dim = {key.id: reason for key in HISTORY if (reason := self.why_not(key.id)) is not None}
        self.query_one(KeyBar).show(None if "history.open" in dim else "history.open", {}, dim)

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now."""
        if key in ("history.open", "history.all") and not self.shown:
            return "there is no run here"
        return None

    # events

    @on(OptionList.OptionHighlighted, "#past-runs")
    def highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        options = self.query_one("#past-runs", Rows)
        width = max(20, options.scrollable_content_region.width - 1)
        for at, one in enumerate(self.shown):
            if at == event.option_index or one is self._marked:
                row = run_row(self.look, one, self.now, width, at == event.option_index)
                options.replace_option_prompt_at_index(at, self.look.paint(row))
        self._marked = self.chosen
        if self.chosen is not None:
            read: WorkType[None] = partial(self._read, self.chosen.run)
            self.run_worker(read, group="run", exclusive=True, exit_on_error=False)

    _marked: PastRun | None = None

    async def _read(self, run: str) -> None:
        try:
            self.detail = await asyncio.to_thread(read_run, self.log_path, run)
        except CaptainError as error:
            self.detail = None
            self.query_one("#facts-of-run", Static).update(self.look.say(error.message, "error"))
            return
        self.draw_detail()

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_open()

    @on(Filter.Typed)
    def filtered(self, message: Filter.Typed) -> None:
        self.letters = message.letters
        self.draw()
        if message.done:
            self.query_one("#past-runs").focus()

    @on(Rows.Resized)
    def resized(self, event: Rows.Resized) -> None:
        event.stop()
        self.draw()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width < SMALL_WIDTH, "-small")

    # keys

    def action_open(self) -> None:
        if self.chosen is not None:
            self.add_class("-reading")
            self.call_after_refresh(self.query_one("#timeline").focus)

    def action_filter(self) -> None:
        self.query_one(Filter).open()

    def action_everything(self) -> None:
        self.everything = not self.everything
        self.draw_detail()

    def action_leave(self) -> None:
        if self.query_one(Filter).has_class("-open"):
            self.query_one(Filter).close()
            self.query_one("#past-runs").focus()
        elif self.has_class("-reading"):
            self.remove_class("-reading")
            self.query_one("#past-runs").focus()
        else:
            self.dismiss(None)

    def action_help(self) -> None:
        from captain.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self))
