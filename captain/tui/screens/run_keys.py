"""What the keys of the run screen do: the refusal that is said, or the command that is started. Draws nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.screen import ModalScreen, Screen
from textual.worker import WorkType

from captain.errors import CaptainError, Refusal
from captain.safe import safe
from captain.tui import chances, commands
from captain.tui.moment import Moment
from captain.tui.widgets.bars import VerdictBar
from captain.tui.widgets.checklist import Checklist
from captain.tui.widgets.filter import Filter

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine import Engine
    from captain.tui.app import CaptainApp


class RunKeys(Screen[None]):
    """Half of the run screen: it answers keys; `RunScreen` draws."""

    captain: CaptainApp
    engine: Engine | None
    moment: Moment | None
    small: bool
    checklist: Checklist
    filter: Filter
    verdict: VerdictBar

    def draw_soon(self) -> None:
        """Something may look different now."""
        raise NotImplementedError

    def draw_keys(self) -> None:
        """Other keys may be pressed now."""
        raise NotImplementedError

    def show_page(self, number: int) -> None:
        """Go to a panel; on a small terminal it takes the place of another."""
        raise NotImplementedError

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now, by its id; for the help screen."""
        return chances.dim(self.moment, self.checklist.step).get(key)

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

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        return self._step_of(self.checklist.step)

    def _step_of(self, name: str | None) -> Step | None:
        found = self.moment.view.step(name) if self.moment is not None and name is not None else None
        return None if found is None else found[1]

    def _may(self, key: str, step: str | None = None) -> bool:
        """Whether a key may be pressed on a step, the one under the cursor when none is given; else why not is said."""
        self.verdict.tell(None)
        reason = chances.dim(self.moment, step or self.checklist.step).get(key)
        if reason is not None:
            self.tell(reason)
            return False
        return self.engine is not None

    # keys

    @on(Checklist.Picked)
    def enter_on_row(self, event: Checklist.Picked) -> None:
        self._measure(event.step)

    def action_measure(self) -> None:
        self._measure(self.checklist.step)

    def _measure(self, name: str | None) -> None:
        step, engine = self._step_of(name), self.engine
        if not self._may("run.measure", name) or step is None or engine is None:
            return
        if chances.by_hand(step):
            self.work(partial(commands.sign, engine, self._ask, step), "dialog")
        else:
            self.work(partial(engine.measure, step.id), f"measure-{step.id}")

    def action_measure_section(self) -> None:
        section, engine = self.checklist.section, self.engine
        if self._may("run.measure_section") and section is not None and engine is not None:
            self.work(partial(engine.measure_section, section.id), f"section-{section.id}")

    def _with_step(self, key: str, command: Callable[..., Awaitable[Any]]) -> None:
        step, engine = self.step, self.engine
        if self._may(f"run.{key}") and step is not None and engine is not None:
            self.work(partial(command, engine, self._ask, step), "dialog")

    def action_sign(self) -> None:
        self._with_step("sign", commands.sign)

    def action_waive(self) -> None:
        self._with_step("waive", commands.waive)

    def action_not_applicable(self) -> None:
        self._with_step("not_applicable", commands.not_applicable)

    def action_countersign(self) -> None:
        self._with_step("countersign", commands.countersign)

    def action_withdraw(self) -> None:
        self._with_step("withdraw", commands.withdraw)

    def action_act(self) -> None:
        self._with_step("act", commands.act)

    def action_resolve(self) -> None:
        self._with_step("resolve", commands.resolve)

    def action_gate(self) -> None:
        section = chances.gate_of(self.moment, self.checklist.section)
        if self._may("run.gate") and section is not None and self.engine is not None:
            self.work(partial(commands.gate, self.engine, self._ask, section), "dialog")

    def action_roll_back(self) -> None:
        if self._may("run.roll_back") and self.engine is not None:
            self.work(partial(commands.roll_back, self.engine, self._ask), "dialog")

    def action_abort(self) -> None:
        if self._may("run.abort") and self.engine is not None:
            self.work(partial(commands.abort, self.engine, self._ask), "dialog")

    def action_note(self) -> None:
        if self._may("run.note") and self.engine is not None:
            self.work(partial(commands.note, self.engine, self._ask, self.step), "dialog")

    def action_reopen(self) -> None:
        section = self.checklist.section
        if self._may("run.reopen") and section is not None and self.engine is not None:
            self.work(partial(commands.reopen, self.engine, self._ask, section), "dialog")

    def action_trust(self) -> None:
        if self._may("run.trust") and self.engine is not None:
            self.work(partial(commands.trust, self.engine, self._ask), "dialog")

    def action_next_problem(self) -> None:
        self._jump(1)

    def action_previous_problem(self) -> None:
        self._jump(-1)

    def _jump(self, way: int) -> None:
        if self._may("run.next_problem") and self.moment is not None:
            self.checklist.go(chances.next_problem(self.moment, self.checklist.step, way))
            self.draw_keys()

    def action_section(self, way: int) -> None:
        if self.moment is None:
            return
        sections = self.moment.view.target.checklist.sections
        current = self.checklist.section
        at = next((index for index, one in enumerate(sections) if current is not None and one.id == current.id), 0)
        target = sections[max(0, min(len(sections) - 1, at + way))]
        open_ones = [step.id for step in target.steps if not self.moment.statuses[step.id].counts]
        self.checklist.go(next(iter(open_ones), target.steps[0].id if target.steps else None))

    def action_panel(self, number: int) -> None:
        self.show_page(number)

    def action_filter(self) -> None:
        self.filter.open()

    def action_close_filter(self) -> None:
        self.filter.close()
        self.checklist.focus()

    @on(Filter.Typed)
    def filtered(self, message: Filter.Typed) -> None:
        self.checklist.letters = message.letters
        self.checklist.draw()
        shown = self.checklist.visible_steps()
        if shown and self.checklist.step not in shown:
            self.checklist.go(shown[0])
        if message.done:
            self.checklist.focus()

    def action_history(self) -> None:
        self.captain.open_history()

    def action_help(self) -> None:
        self.captain.open_help(self)

    def action_leave(self) -> None:
        running = self.moment.running() if self.moment is not None else None
        if running is not None and self.moment is not None:
            what = self.moment.title(running.step) if running.step else f"the rollback of {running.part}"
            self.captain.farewell = f"{safe(what)} keeps running; `captain run` opens {safe(running.intent.run)} again"
        elif self.moment is not None and (drills := self._drills()):
            self.captain.farewell = f"{safe(drills)} was broken off; `captain show` says what is known of it"
        self.captain.leave(self)

    def _drills(self) -> str | None:
        """The title of a step that does more than read and is under way here: it does not outlive captain."""
        assert self.moment is not None
        view = self.moment.view
        running = (self.moment.title(name) for name in view.run.trials if name in view.asking)
        return next(running, None)
