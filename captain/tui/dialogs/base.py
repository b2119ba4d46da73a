"""What every dialog shares: the frame, the rows, the last line, and the refusal of typed-ahead keys.

Knows how a dialog is laid out between 80x24 and any size; knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, Static

from captain.tui.dialogs.fields import Choice, Field, Row
from captain.tui.keys import DIALOG, bindings, name_of
from captain.tui.present import Look, Role, cell, lines, spread

if TYPE_CHECKING:
    from captain.run.view import View

R = TypeVar("R")

LABEL = 9
"""Cells of a label in front of a fact."""
BARS = 3
"""Rows that stay readable around a dialog: header above, way back and keys below."""


@runtime_checkable
class HasLook(Protocol):
    """An app that says what its terminal can show."""

    look: Look


@dataclass(frozen=True, slots=True)
class Heading:
    """What every dialog names first: where it will happen, and to which release."""

    service: str
    environment: str
    protected: bool
    version: str | None = None
    commit: str | None = None

    @classmethod
    def of(cls, view: View) -> Heading:
        """The heading of a run's dialogs."""
        run = view.run
        return cls(run.service, run.environment, run.protected, run.release.version, run.release.commit)


class Dialog(ModalScreen[R | None]):
    """A question over the screen that asked it. `dismiss` gives the answer; escape gives None and changes nothing."""

    AUTO_FOCUS = ""
    CSS_PATH = Path(__file__).parents[1] / "dialogs.tcss"
    COMMANDS = set()
    BINDINGS: ClassVar[list[BindingType]] = bindings(DIALOG)

    guard: ClassVar[float] = 0.3
    """Seconds for which a new dialog ignores keys, and for which every held confirming key is ignored again."""
    key: ClassVar[str] = "ctrl+s"
    """The key that does it."""
    leaves: ClassVar[str] = "esc changes nothing"
    first: ClassVar[str | None] = None
    """The field in which the cursor starts; None is the first one."""

    def __init__(self, heading: Heading) -> None:
        super().__init__()
        self.heading = heading
        self._deaf_until = 0.0

    # What a dialog says about itself

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        """How loud the border is."""
        return "plain"

    def headline(self) -> str:
        """The title in the border."""
        raise NotImplementedError

    def about(self) -> Content:
        """What stands at the right of the first line."""
        return Content("")

    def facts(self) -> Sequence[Content]:
        """Rows to know before deciding, at most `width` cells each. They scroll when there are too many."""
        return ()

    def fewer(self, facts: Sequence[Content], room: int) -> Sequence[Content]:
        """The facts where there are `room` rows for them; more than that scroll."""
        return facts

    def fields(self) -> Iterator[Widget]:
        """What is to be filled in."""
        yield from ()

    def outcome(self) -> Sequence[Content]:
        """Rows after the fields: who signs, and what will be true then."""
        return ()

    def blocked(self) -> str | None:
        """Why it cannot be done yet, in a few words; None when it can."""
        return None

    def verb(self) -> str:
        """What the key does."""
        raise NotImplementedError

    def answer(self) -> R:
        """The result, once nothing is blocked."""
        raise NotImplementedError

    # For dialogs to use

    @property
    def look(self) -> Look:
        return self.app.look if isinstance(self.app, HasLook) else Look()

    @property
    def width(self) -> int:
        """Cells of a row inside the frame."""
        return min(80 if self.kind == "danger" else 76, self.app.size.width) - 6

    def say(self, text: object, role: Role = "plain") -> Content:
        return self.look.say(text, role)

    def fact(self, label: str, *parts: Content | str, right: Content | str = "") -> Content:
        """One labelled row, cut at the right."""
        return spread(self.width, Content.assemble(cell(self.say(label, "muted"), LABEL), *parts), right)

    def wrapped(self, label: str, text: object, role: Role = "plain", rows: int = 3) -> list[Content]:
        """A labelled text over at most `rows` rows."""
        found = self.say(text, role).wrap(self.width - LABEL)
        if len(found) > rows:
            rest = Content(" ").join(found[rows - 1 :])
            found = [*found[: rows - 1], cell(rest, self.width - LABEL)]
        return [self.fact(label if at == 0 else "", row) for at, row in enumerate(found)]

    def paragraph(self, text: str, role: Role = "muted") -> list[Content]:
        """Words of our own over as many rows as they need."""
        return list(self.say(text, role).wrap(self.width))

    def label(self, text: str, hint: str = "") -> Static:
        """The row above a field."""
        row = Content.assemble(self.say(text, "muted"), "  ", self.say(hint, "dim"))
        return Row(self.look.paint(row), classes="row")

    def gap(self) -> Static:
        """A blank row, which yields where there is no room."""
        return Static(classes="gap")

    def text(self, ident: str) -> str:
        """What was typed into a field, trimmed."""
        found = self.query(f"#{ident}").results(Field)
        return next((one.value.strip() for one in found), "")

    @property
    def confirms_with(self) -> str:
        """The key that does it, as people write it, after remapping."""
        return self.key_of("dialog.enter" if self.key == "enter" else "dialog.confirm", self.key)

    def key_of(self, ident: str, otherwise: str) -> str:
        """A key's name after remapping."""
        return name_of(ident, otherwise, getattr(self.app, "keys", {}))

    # Layout

    def compose(self) -> ComposeResult:
        with Vertical(classes=f"dlg -{self.kind}", id="box"):
            yield Row(id="head", classes="row")
            yield self.gap()
            with VerticalScroll(id="facts", can_focus=False):
                yield Row(id="rows")
            yield Static(classes="gap", id="after-facts")
            yield from self.fields()
            yield Row(id="outcome")
            yield Static(classes="gap", id="after-outcome")
            yield Row(id="foot", classes="row")

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title = self.look.paint(self.say(self.headline()))
        box.border_subtitle = self.look.paint(self.say(self.leaves))
        self._deaf_until = monotonic() + self.guard
        self.set_timer(self.guard, self.listen) if self.guard else self.call_after_refresh(self.listen)
        self.redraw()

    def listen(self) -> None:
        """Put the cursor into the first thing to fill in, once typed-ahead keys are gone."""
        if self.focused is not None:
            return
        shown = self._shown_fields()
        named = [one for one in shown if one.id == self.first]
        for one in named or shown or list(self.query(Choice).results(Widget)):
            one.focus()
            break

    def _shown_fields(self) -> list[Widget]:
        return [one for one in self.focus_chain if isinstance(one, Field)]

    def redraw(self) -> None:
        """Draw every row again, after a field changed or the terminal did."""
        paint = self.look.paint
        self.query_one("#head", Static).update(paint(spread(self.width, self._head(), self.about())))
        outcome = self.outcome()
        found = self.fewer(self.facts(), self._room - len(outcome) - sum(rows for rows, _ in self._frame()))
        rows = [cell(row, self.width) if row.cell_length > self.width else row for row in found]
        self.query_one("#facts").display = bool(rows)
        self.query_one("#after-facts").set_class(not rows, "-off")
        self.query_one("#rows", Static).update(paint(lines(rows)))
        self.query_one("#outcome", Static).update(paint(lines(outcome)))
        self.query_one("#outcome").display = bool(outcome)
        self.query_one("#after-outcome").set_class(not outcome, "-off")
        self.query_one("#foot", Static).update(paint(self._foot()))
        self._fit(len(rows), len(outcome))

    def _head(self) -> Content:
        heading, look = self.heading, self.look
        parts = [look.environment(heading.environment, heading.protected), look.say(heading.service)]
        if heading.version is not None:
            parts.append(look.say(heading.version, "bold"))
        if heading.commit is not None:
            parts.append(look.say(heading.commit[:7], "muted"))
        return Content(" ").join(parts)

    @property
    def _room(self) -> int:
        """Rows between the borders."""
        return self.app.size.height - BARS - 2

    def _frame(self) -> list[tuple[int, int]]:
        """Rows of text and blank rows of all that is neither facts nor outcome."""
        return [_rows(one) for one in self.query_one("#box").children if one.id not in ("facts", "outcome")]

    def _fit(self, facts: int, outcome: int) -> None:
        """Give the facts what the fields leave; blank rows yield before facts do."""
        box, room, frame = self.query_one("#box"), self._room, self._frame()
        fixed, gaps = outcome + sum(rows for rows, _ in frame), sum(blank for _, blank in frame)
        spare = room - fixed - facts
        box.set_class(spare < gaps + 2, "-snug")
        box.set_class(spare < gaps, "-tight")
        taken = gaps + 2 if spare >= gaps + 2 else gaps if spare >= gaps else 0
        self.query_one("#facts").styles.max_height = max(1, room - fixed - taken)
        self.call_after_refresh(self.fitted)

    def fitted(self) -> None:
        """Called when the facts have the room they get."""

    def extra_keys(self) -> list[tuple[str, str, str]]:
        """Further keys of the last line: key, word, action."""
        return []

    def _foot(self) -> Content:
        left = [self._key(self.key_of("dialog.leave", "escape"), "cancel", "screen.leave")]
        left += [self._key(*one) for one in self.extra_keys()]
        why = self.blocked()
        if why is None:
            chip = self.look.chip(self.confirms_with, "chip-hand")
            right = Content.assemble(chip, " ", self.say(self.verb(), "bold"))
            right = right.stylize(Style.from_meta({"@click": "screen.confirm"}))
        else:
            room = max(12, self.width - 14 - len(self.confirms_with) - len(self.verb()) - 4)
            reason = cell(self.say(why, "warning"), min(room, self.say(why).cell_length))
            right = Content.assemble(reason, "   ", self.say(f"{self.confirms_with} {self.verb()}", "dim"))
        return spread(self.width, Content("   ").join(left), right)

    def _key(self, key: str, word: str, action: str) -> Content:
        row = Content.assemble(self.say(key, "hand"), " ", self.say(word, "muted"))
        return row.stylize(Style.from_meta({"@click": action}))

    # Keys

    def settled(self) -> bool:
        """Whether a confirming key counts: not one that was typed ahead, nor one still held down since."""
        now = monotonic()
        if now < self._deaf_until:
            self._deaf_until = now + self.guard
            return False
        return True

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_confirm(self) -> None:
        if not self.settled() or not self.is_current:
            return
        if self.blocked() is None:
            self.dismiss(self.answer())
        else:
            self.app.bell()

    def action_enter(self) -> None:
        if self.key == "enter":
            self.action_confirm()
        elif self.settled():
            self.focus_next("Field, Choice")

    def action_cycle(self) -> None:
        choice = next(iter(self.query(Choice).results(Choice)), None)
        if choice is not None and self.settled():
            choice.step(1)

    def action_scroll(self, pages: int) -> None:
        facts = self.query_one("#facts")
        facts.scroll_relative(y=pages * max(1, facts.size.height - 1), animate=False)

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.settled():
            return
        after = self._shown_fields()
        after = after[after.index(event.input) + 1 :] if event.input in after else []
        if self.key_of("dialog.enter", "enter") != "enter":
            # What confirms is another key now: a field's own enter only goes on.
            for one in after[:1]:
                one.focus()
        elif not after or (self.key == "enter" and self.blocked() is None):
            self.action_confirm()
        else:
            after[0].focus()

    @on(Input.Changed)
    @on(Choice.Changed)
    def field_changed(self, event: Input.Changed | Choice.Changed) -> None:
        event.stop()
        self.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()


def _rows(widget: Widget) -> tuple[int, int]:
    """Rows of text and blank rows that a widget of the frame takes."""
    if widget.has_class("gap"):
        # Also one that is not displayed now, because it yielded to something: whether it must is asked here.
        return 0, 0 if widget.has_class("-off") else 1
    if not widget.display:
        return 0, 0
    if widget.has_class("pair"):
        return 2, 0
    if isinstance(widget, Vertical):
        inner = [_rows(one) for one in widget.children]
        return sum(rows for rows, _ in inner), sum(blank for _, blank in inner)
    return 1, 0
