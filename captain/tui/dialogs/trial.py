"""Run a step that does more than read: what it will do, line by line, once more before it does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Heading
from captain.tui.dialogs.typed import TypedDialog
from captain.tui.present import age

if TYPE_CHECKING:
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Trying:
    """Run it."""

    step: str
    confirmed: str | None


class TrialDialog(TypedDialog[Trying]):
    """Asks before a drill or an active step runs. `does` is what it will do now, secrets as references."""

    leaves = "esc does nothing"

    def __init__(self, view: View, step: str, does: Sequence[str]) -> None:
        found = view.step(step)
        assert found is not None, "the caller asked captain.run.allowed first"
        self.step = found[1]
        self.does = does
        self.view = view
        self.known = view.run.trials.get(step)
        super().__init__(Heading.of(view), view.run.environment if view.run.protected else None)

    def headline(self) -> str:
        return f"{'Drill' if self.step.safety == 'drill' else 'Run'} · {self.step.title}"

    def about(self) -> Content:
        drill = self.step.safety == "drill"
        return self.say("changes what runs" if drill else "does more than read", "warning" if drill else "muted")

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        for at, line in enumerate(self.does):
            rows += self.wrapped("does" if at == 0 else "", line, "bold", 6)
        if self.known is not None:
            when = f"started {age(self.known.intent.at, self.view.now)} ago by {self.known.intent.actor.name}"
            lost = self.known.end is None
            rows.append(
                self.fact(
                    "before", self.say(f"{when}{', its end unseen' if lost else ''}", "warning" if lost else "muted")
                )
            )
        if self.step.why:
            rows += self.wrapped("why", self.step.why, "muted", 2)
        return rows

    def fields(self) -> Iterator[Widget]:
        yield from self.name_field()

    def outcome(self) -> Sequence[Content]:
        return self.wrapped("then", "it is recorded before and after; leaving captain breaks it off and cleans up")

    def blocked(self) -> str | None:
        return self.unconfirmed()

    def verb(self) -> str:
        return "run the drill" if self.step.safety == "drill" else "run it"

    def answer(self) -> Trying:
        return Trying(self.step.id, self.confirmed)
