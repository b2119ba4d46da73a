"""Say that a step does not apply to this run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content
from textual.widget import Widget

from captain.run.status import status
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field
from captain.tui.dialogs.forecast import forecast, second, sign_off, someone
from captain.tui.present import mark

if TYPE_CHECKING:
    from captain.events import Actor
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Which step, and why it does not apply."""

    step: str
    reason: str


class NotApplicableDialog(Dialog[NotApplicable]):
    """Asks why a step does not apply."""

    key = "enter"
    leaves = "esc leaves it as it is"

    def __init__(self, view: View, step: str, actor: Actor) -> None:
        super().__init__(Heading.of(view))
        found = view.step(step)
        assert found is not None, "the caller asked captain.run.allowed first"
        self.section, self.step = found
        self.view = view
        self.actor = actor
        self.status = status(view, self.step)

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return f"Not applicable · {self.step.title}"

    def about(self) -> Content:
        return self.look.mark(mark(self.status)).rstrip()

    def facts(self) -> Sequence[Content]:
        rows = self.wrapped("asks", self.step.manual or self.step.why or self.step.title)
        rows += self.wrapped("seen", self.status.message, "muted", 2)
        rows.append(self.say("It will not count in this run. It never becomes a pass.", "muted"))
        if self.step.severity == "blocker":
            rows += self.wrapped("blocker", second(self.view, self.step), "muted")
        return rows

    def fields(self) -> Iterator[Widget]:
        yield self.label("reason")
        yield Field("reason", hint="Why does it not apply to this release?")
        yield self.gap()

    def outcome(self) -> Sequence[Content]:
        supposed = sign_off(self.view, "step", self.step.id, "not_applicable", evidence=False)
        then = forecast(self.view, self.section, "signoff", supposed).sentence
        return [self.fact("signs as", self.say(someone(self.actor))), self.fact("then", self.say(then))]

    def blocked(self) -> str | None:
        return None if self.text("reason") else "reason missing"

    def verb(self) -> str:
        return "not applicable"

    def answer(self) -> NotApplicable:
        return NotApplicable(self.step.id, self.text("reason"))
