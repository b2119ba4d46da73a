"""What the keys of the run screen do: the refusal that is said, or the command that is started. Draws nothing."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on

from captain.tui import chances, commands
from captain.tui.screens.step_keys import StepKeys
from captain.tui.widgets.checklist import Checklist
from captain.tui.widgets.filter import Filter


class RunKeys(StepKeys):
    """Half of the run screen: it answers keys; `RunScreen` draws."""

    KEYS: ClassVar[str] = "run"
    checklist: Checklist
    filter: Filter

    def show_page(self, number: int) -> None:
        """Go to a panel; on a small terminal it takes the place of another."""
        raise NotImplementedError

    @property
    def step_id(self) -> str | None:
        return self.checklist.step

    def reasons(self, step: str | None) -> dict[str, str]:
        return chances.dim(self.moment, step)

    # keys

    @on(Checklist.Picked)
    def enter_on_row(self, event: Checklist.Picked) -> None:
        self.measure_step(event.step)

    def action_measure(self) -> None:
        self.measure_step(self.checklist.step)

    def action_measure_section(self) -> None:
        section, engine = self.checklist.section, self.engine
        if self._may("measure_section") and section is not None and engine is not None:
            self.work(partial(engine.measure_section, section.id), f"section-{section.id}")

    def action_resolve(self) -> None:
        self._with_step("resolve", commands.resolve)

    def action_gate(self) -> None:
        section = chances.gate_of(self.moment, self.checklist.section)
        if self._may("gate") and section is not None and self.engine is not None:
            self.work(partial(commands.gate, self.engine, self._ask, section), "dialog")

    def action_roll_back(self) -> None:
        if self._may("roll_back") and self.engine is not None:
            self.work(partial(commands.roll_back, self.engine, self._ask), "dialog")

    def action_reopen(self) -> None:
        section = self.checklist.section
        if self._may("reopen") and section is not None and self.engine is not None:
            self.work(partial(commands.reopen, self.engine, self._ask, section), "dialog")

    def action_next_problem(self) -> None:
        self._jump(1)

    def action_previous_problem(self) -> None:
        self._jump(-1)

    def _jump(self, way: int) -> None:
        if self._may("next_problem") and self.moment is not None:
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
