"""Write a note into the log: a remark, or the cause after a rollback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field


@dataclass(frozen=True, slots=True)
class Noted:
    """What to write down."""

    text: str
    step: str | None


class NoteDialog(Dialog[Noted]):
    """Asks for a note on the run, or on a step: (id, title)."""

    key = "enter"
    leaves = "esc writes nothing"

    def __init__(self, heading: Heading, step: tuple[str, str] | None = None) -> None:
        super().__init__(heading)
        self.step = step

    def headline(self) -> str:
        return f"Note · {self.step[1] if self.step else 'this run'}"

    def fields(self) -> Iterator[Widget]:
        yield self.label("note")
        yield Field("note")
        yield self.gap()

    def blocked(self) -> str | None:
        return None if self.text("note") else "note missing"

    def verb(self) -> str:
        return "write it down"

    def answer(self) -> Noted:
        return Noted(self.text("note"), self.step[0] if self.step else None)


class CauseDialog(NoteDialog):
    """Asks why the rollback was needed. An empty cause is no note: the answer's text is then empty."""

    leaves = "esc writes nothing; c asks again"

    def headline(self) -> str:
        return "Cause · why was the rollback needed?"

    def facts(self) -> Sequence[Content]:
        return self.paragraph("One sentence is enough. Whoever starts the next release reads it first.")

    def blocked(self) -> str | None:
        return None

    def verb(self) -> str:
        return "write it down" if self.text("note") else "leave it open"

    def answer(self) -> Noted:
        text = self.text("note")
        return Noted(f"cause: {text}" if text else "", None)
