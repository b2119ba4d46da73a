"""Open a closed section again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field

if TYPE_CHECKING:
    from captain.checklist import Section
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Reopening:
    """Which section, and why."""

    section: str
    reason: str


class ReopenDialog(Dialog[Reopening]):
    """Asks before a closed section is opened again."""

    key = "enter"
    leaves = "esc leaves it closed"

    def __init__(self, view: View, section: Section) -> None:
        super().__init__(Heading.of(view))
        self.view = view
        self.section = section

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return f"Open again · {self.section.title}"

    def facts(self) -> Sequence[Content]:
        sections = self.view.target.checklist.sections
        later = [one.title for one in sections[sections.index(self.section) :] if one.id in self.view.run.decisions]
        return [
            *self.wrapped("lapses", "the go for " + ", ".join(later)),
            *self.paragraph("What was measured and signed stays. The way back is taken anew before the deployment."),
        ]

    def fields(self) -> Iterator[Widget]:
        yield self.label("reason")
        yield Field("reason")
        yield self.gap()

    def outcome(self) -> Sequence[Content]:
        return [self.fact("then", self.say(f"{self.section.title} is open"))]

    def blocked(self) -> str | None:
        return None if self.text("reason") else "reason missing"

    def verb(self) -> str:
        return "open it again"

    def answer(self) -> Reopening:
        return Reopening(self.section.id, self.text("reason"))
