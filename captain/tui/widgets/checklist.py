"""Panel 1: every step of the checklist as one row, sections folded where there is no room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from captain.run.view import section_state
from captain.tui.keys import MOVE, bindings
from captain.tui.moment import Moment
from captain.tui.present import Look, Mark, age, join, running_clock, spread, till

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.tui.recalled import Recalled


@dataclass(frozen=True, slots=True)
class _Row:
    id: str | None
    """A step's id, or None for a head or a blank line."""
    content: Content
    """Without the cursor column."""


class Checklist(OptionList):
    """The list under the eye."""

    BINDINGS = bindings(MOVE)
    BORDER_TITLE = "1 Checklist"
    HELP = "The steps of this run. j and k move, n goes to the next problem, [ and ] change the section."

    @dataclass
    class Chosen(Message):
        """The cursor stands on another step."""

        step: str

    @dataclass
    class Picked(Message):
        """Enter was pressed on this step."""

        step: str

    def __init__(self, look: Look) -> None:
        super().__init__(id="checklist", classes="panel list", markup=False)
        self.look = look
        self.moment: Moment | None = None
        self.step: str | None = None
        """Where the cursor is."""
        self.letters = ""
        """The filter."""
        self.small = False
        """Show one section only."""
        self.frame = 0
        self.recalled: Recalled | None = None
        """What is drawn until there is a moment."""
        self._rows: list[_Row] = []
        self._drawing = False

    def show(self, moment: Moment) -> None:
        """Draw this moment; the cursor stays on its step."""
        first = self.moment is None
        before = self.moment.view.section if self.moment is not None else None
        here, after = self.section, moment.view.section
        self.moment = moment
        # A go closes the section one was in: what comes next is in the one it opened.
        moved_on = before is not None and after is not None and before.id != after.id
        if moved_on and here is not None and before is not None and here.id == before.id:
            self.step = None
        if first or self.step is None or moment.view.step(self.step) is None:
            self.step = self._first(moment)
        self.draw()

    def _first(self, moment: Moment) -> str | None:
        """Where the cursor starts: the first step of the open section that does not count yet."""
        section = moment.view.section
        sections = moment.view.target.checklist.sections
        steps = (section or sections[-1]).steps if sections else ()
        open_ones = [step.id for step in steps if not moment.statuses[step.id].counts]
        return next(iter(open_ones), steps[0].id if steps else None)

    def go(self, step: str | None) -> None:
        """Put the cursor on a step."""
        if step is not None and step != self.step:
            self.step = step
            self.draw()
            self.post_message(self.Chosen(step))

    @property
    def section(self) -> Section | None:
        """The section of the step under the cursor."""
        found = self.moment.view.step(self.step) if self.moment is not None and self.step is not None else None
        return found[0] if found is not None else None

    def visible_steps(self) -> list[str]:
        return [row.id for row in self._rows if row.id is not None]

    # drawing

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Draw every row that differs from what is there."""
        if self.moment is None and self.recalled is not None and self.is_mounted:
            self._draw_recalled(self.recalled)
        if self.moment is None or not self.is_mounted:
            return
        rows = self._layout(self.scrollable_content_region.width or self.size.width)
        self._titles()
        before, self._rows = self._rows, rows
        self._drawing = True
        try:
            if [row.id for row in before] != [row.id for row in rows] or len(before) != self.option_count:
                self.set_options(
                    Option(self._prompt(row), id=row.id and f"step-{row.id}", disabled=row.id is None) for row in rows
                )
            else:
                for index, row in enumerate(rows):
                    prompt = self._prompt(row)
                    if not _same(self.get_option_at_index(index).prompt, prompt):
                        self.replace_option_prompt_at_index(index, prompt)
            at = next((index for index, row in enumerate(rows) if row.id is not None and row.id == self.step), None)
            if at is not None and self.highlighted != at:
                self.highlighted = at
        finally:
            self._drawing = False

    def _draw_recalled(self, found: Recalled) -> None:
        width = (self.scrollable_content_region.width or self.size.width) - 2
        rows = found.rows(self.look, width, datetime.now(UTC))
        self.set_options(Option(self.look.paint(Content.assemble(" ", row)), disabled=True) for row in rows)

    def _prompt(self, row: _Row) -> Content:
        mine = row.id is not None and row.id == self.step
        return self.look.paint(Content.assemble(self.look.say("▌", "hand") if mine else " ", row.content))

    def _layout(self, width: int) -> list[_Row]:
        moment = self.moment
        assert moment is not None
        sections = moment.view.target.checklist.sections
        width -= 2  # the cursor's column and one free at the right
        if self.letters:
            found = [(one, step) for one in sections for step in one.steps if self._matches(one, step)]
            return [_Row(step.id, self._step(one, step, width)) for one, step in found] or [
                _Row(None, self.look.say("No step holds these letters.  esc all steps", "muted"))
            ]
        if self.small:
            current = self.section or moment.view.section or (sections[-1] if sections else None)
            return [_Row(step.id, self._step(current, step, width)) for step in current.steps] if current else []
        return self._all(sections, width)

    def _all(self, sections: tuple[Section, ...], width: int) -> list[_Row]:
        moment = self.moment
        assert moment is not None
        needed = sum(len(section.steps) + 2 for section in sections) - 1
        height = self.size.height
        tight, mine = needed > height > 0, self.section
        rows: list[_Row] = []
        for section in sections:
            if rows and not tight:
                rows.append(_Row(None, Content("")))
            rows.append(_Row(None, self._head(section, width)))
            closed = section_state(moment.view.run, moment.view.target, section.id) == "closed"
            if tight and closed and (mine is None or mine.id != section.id):
                continue
            rows += [_Row(step.id, self._step(section, step, width)) for step in section.steps]
        return rows

    def _matches(self, section: Section, step: Step) -> bool:
        assert self.moment is not None
        text = f"{step.id} {step.title} {section.title} {self.moment.mark(step).word} {step.severity}".casefold()
        return all(word in text for word in self.letters.casefold().split())

    def _head(self, section: Section, width: int) -> Content:
        moment = self.moment
        assert moment is not None
        look, view = self.look, moment.view
        state = section_state(view.run, view.target, section.id)
        taking = [step for step in section.steps if step.disabled is None]
        good = sum(moment.statuses[step.id].counts for step in taking)
        right = look.say(f"{good}/{len(taking)}", "muted")
        decision = view.run.decisions.get(section.id)
        if decision is not None:
            word = "go" if decision.go else "no-go"
            glyph = look.say("✓" if decision.go else "✗", "success" if decision.go else "error")
            said = Content.assemble(glyph, look.say(f" {word} {decision.event.at:%H:%M}   ", "muted"))
            right = Content.assemble(said, right)
        return spread(width, look.say(section.title, "bold" if state == "open" else "muted"), right)

    def _step(self, section: Section, step: Step, width: int) -> Content:
        moment = self.moment
        assert moment is not None
        look = self.look
        mark = moment.mark(step)
        quiet = section_state(moment.view.run, moment.view.target, section.id) == "closed" and not mark.loud
        drawn = look.mark(mark, self.frame)
        if quiet and mark.role == "success":
            # Of what is long past only the glyph stays green.
            drawn = Content.assemble(drawn[:1], look.say(drawn.plain[1:], "muted"))
        title = look.say(step.title, "bold" if mark.loud else "muted" if quiet or mark.role == "dim" else "plain")
        return spread(width, Content.assemble("  ", drawn, title), self._age(step, mark))

    def _age(self, step: Step, mark: Mark) -> Content:
        moment = self.moment
        assert moment is not None
        look, found, now = self.look, moment.statuses[step.id], moment.view.now
        if found.state == "waived" and found.waiver is not None:
            return look.say(till(found.waiver.expires, now), "muted")
        if step.id in moment.live.holds and found.state == "measuring":
            return look.say(running_clock(moment.live.holds[step.id][0]), "primary")
        if found.state == "running" and found.attempt is not None:
            return look.say(running_clock(moment.elapsed_ms(found.attempt)), "primary")
        if found.state in ("todo", "measuring", "not-applicable", "not-run", "disabled"):
            return Content("")
        if found.result is not None and found.age is not None:
            half = found.result.max_age_ms / 2
            old = found.state == "stale" or 0 < half < found.age.total_seconds() * 1000
            return look.say(age(found.result.at, now), "warning" if old and not found.counts else "muted")
        newest = max((one.event.at for one in found.signed), default=None)
        return Content("") if newest is None else look.say(age(newest, now), "muted")

    def _titles(self) -> None:
        moment = self.moment
        assert moment is not None
        good, total = moment.counted
        paint, say = self.look.paint, self.look.say
        section = self.section
        if self.small and section is not None and not self.letters:
            taking = [step for step in section.steps if step.disabled is None]
            passed = sum(moment.statuses[step.id].counts for step in taking)
            self.border_title = paint(say(f"1 {section.title} {passed}/{len(taking)}"))
        elif self.letters:
            self.border_title = paint(say(f"1 Checklist  / {self.letters}"))
        else:
            self.border_title = paint(say("1 Checklist"))
        pieces = [say(f"{good} of {total}", "muted")]
        if self.small:
            pieces.append(say("[ ] section", "muted"))
        self.border_subtitle = paint(join(pieces, " · "))

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Called at once, so that a key typed ahead acts on the row it stands on and not on the one before."""
        super().watch_highlighted(highlighted)
        step = self._rows[highlighted].id if highlighted is not None and highlighted < len(self._rows) else None
        if self._drawing or step is None or step == self.step:
            return
        before, self.step = self.step, step
        for index, row in enumerate(self._rows):
            if row.id is not None and row.id in (before, step):
                self.replace_option_prompt_at_index(index, self._prompt(row))
        self.post_message(self.Chosen(step))

    def action_select(self) -> None:
        """Enter, or a click: on this step, wherever the cursor is when the screen hears of it."""
        if self.highlighted is not None and self.step is not None:
            self.post_message(self.Picked(self.step))

    def tick(self) -> None:
        """The next frame of the spinner, on rows that run and nowhere else."""
        if self.moment is None or self.look.calm:
            return
        busy = [step for _, step, found in self.moment.steps() if found.state in ("measuring", "running")]
        if busy:
            self.frame += 1
            self.draw()


def _same(one: object, other: Content) -> bool:
    return isinstance(one, Content) and one.is_same(other)
