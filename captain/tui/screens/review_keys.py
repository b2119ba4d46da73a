"""What the keys of the readiness screen do: measure, go to what is open, look closer, go back. Draws nothing."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from captain.tui import commands
from captain.tui.review import Group, Review, dim
from captain.tui.screens.step_keys import StepKeys
from captain.tui.widgets.rows import Rows


class ReviewKeys(StepKeys):
    """Half of the readiness screen: it answers keys; `ReadinessScreen` draws."""

    KEYS: ClassVar[str] = "review"
    categories: Rows
    items: Rows
    advice: Rows
    review: Review | None = None
    page = 2
    """What stands below the categories: 2 items, 3 advice, 4 one item."""
    _came_from = 2

    @property
    def group(self) -> Group | None:
        """The category under the cursor."""
        raise NotImplementedError

    def turn_to(self, page: int) -> None:
        """Show the items, the advice or one item below the categories."""
        raise NotImplementedError

    @property
    def where(self) -> str:
        """What has the focus: categories, items, item or advice."""
        if self._step.has_focus:
            return "item"
        return "advice" if self.advice.has_focus else "items" if self.items.has_focus else "categories"

    @property
    def step_id(self) -> str | None:
        if self.advice.has_focus:
            return (self.advice.current or "").partition(":")[2] or None
        return self.items.current

    def reasons(self, step: str | None) -> dict[str, str]:
        return dim(self.review, step, self.group, self.where)

    # keys

    def action_measure(self) -> None:
        # In a list the row says what enter is about; here the focus is on one item, or on nothing.
        if self.where == "item":
            self.measure_step(self.step_id)
        else:
            self.pick(None)

    def pick(self, row: str | None) -> None:
        """Enter: measure the category of the row, or look at its item."""
        if not self._may("measure"):
            return
        if self.where == "categories":
            group, engine = self.review.group(row or self.categories.current) if self.review else None, self.engine
            if group is not None and engine is not None:
                self.work(partial(engine.measure_section, group.section.id), f"section-{group.section.id}")
            return
        step = row.rpartition(":")[2] if row is not None else self.step_id
        if step is not None:
            self._came_from = self.page if self.page != 4 else self._came_from
            self.go(step)
            self._show(4)

    def action_measure_stale(self) -> None:
        if self._may("measure_stale") and self.engine is not None:
            self.work(self.engine.check_again, "measure-all")

    def action_next_problem(self) -> None:
        self._jump(1)

    def action_previous_problem(self) -> None:
        self._jump(-1)

    def _jump(self, way: int) -> None:
        if not self._may("next_problem") or self.review is None:
            return
        # From the categories the first open item of this one is next, which is under the other cursor already.
        here = None if self.review.group_of(self.step_id) is None else self.step_id
        first = self.group.open[0].step.id if self.group is not None and self.group.open else None
        at_rest = self.where == "categories" and first is not None and way > 0
        step = first if at_rest else self.review.next_problem(here, way)
        if step is not None:
            self.go(step)
            if self.page != 4:
                self._show(2)

    def go(self, step: str) -> None:
        """Put both cursors on an item."""
        group = self.review.group_of(step) if self.review is not None else None
        if group is None:
            return
        self.items.current = step
        self.categories.go(group.section.id)
        self.draw_items()
        self.items.go(step)
        self.draw_keys()
        self.read_evidence()

    def draw_items(self) -> None:
        """Whatever stands below the categories."""
        raise NotImplementedError

    def action_gate(self) -> None:
        group, engine = self.group, self.engine
        if self._may("gate") and group is not None and engine is not None:
            self.work(partial(commands.gate, engine, self._ask, group.section), "dialog")

    def action_advice(self) -> None:
        self._show(2 if self.page == 3 and self.advice.has_focus else 3)

    def action_panel(self, number: int) -> None:
        if number == 1:
            self.turn_to(2 if self.small else self.page)
            self.categories.focus()
        else:
            self._show(number)

    def _show(self, page: int) -> None:
        self.turn_to(page)
        {2: self.items, 3: self.advice, 4: self._step}[page].focus()

    def action_back(self) -> None:
        if self.failure is not None:
            self.action_leave()
        elif self.where == "item" and self.page == 4:
            self._show(self._came_from)
        elif self.where != "categories" or self.page != 2:
            self.turn_to(2)
            self.categories.focus()
        else:
            self.action_leave()
