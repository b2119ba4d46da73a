"""Give a run up, and say what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Heading
from captain.tui.dialogs.fields import Field
from captain.tui.dialogs.typed import TypedDialog
from captain.tui.present import count

if TYPE_CHECKING:
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Aborting:
    """Why the run ends, and what is left running."""

    reason: str
    left_running: str | None
    """None where the run had started nothing."""
    confirmed: str | None


class AbortDialog(TypedDialog[Aborting]):
    """Asks before a run is given up."""

    leaves = "esc keeps the run open"
    purpose = "to give up"

    def __init__(self, view: View) -> None:
        self.started = view.run.started_anything
        super().__init__(Heading.of(view), view.target.confirms if self.started else None)
        self.view = view

    def headline(self) -> str:
        return f"Give up · {self.view.run.id}"

    def about(self) -> Content:
        return self.say(count(self.view.run.entries, "entry", "entries"), "muted")

    def facts(self) -> Sequence[Content]:
        if not self.started:
            return self.paragraph("This run has started nothing: nothing is left behind.")
        started = dict.fromkeys(one.step for one in self.view.run.attempts.values() if one.step is not None)
        titles = [found[1].title for step in started if (found := self.view.step(step))]
        return [
            *self.wrapped("started", ", ".join(titles) or "an action", "warning", 2),
            *self.paragraph("Giving up changes nothing that runs. After it, R of this run is gone."),
        ]

    def fields(self) -> Iterator[Widget]:
        yield self.label("reason")
        yield Field("reason", hint="Why does this run end here?")
        yield self.gap()
        if self.started:
            yield self.label("what is left running", "the next run reads this first")
            yield Field("left-running", hint=f"{self.heading.version or 'it'} on all hosts, migration applied")
            yield self.gap()
        yield from self.name_field()

    def outcome(self) -> Sequence[Content]:
        return [self.fact("then", self.say("the run is aborted; it takes notes only"))]

    def blocked(self) -> str | None:
        if not self.text("reason"):
            return "reason missing"
        if self.started and not self.text("left-running"):
            return "what is left running?"
        return self.unconfirmed()

    def verb(self) -> str:
        return "give the run up"

    def answer(self) -> Aborting:
        return Aborting(self.text("reason"), self.text("left-running") if self.started else None, self.confirmed)
