"""Say what an action did that nobody knows about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from textual.content import Content
from textual.widget import Widget

from captain.run.status import status
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Choice, Field
from captain.tui.dialogs.forecast import forecast
from captain.tui.present import age, mark

if TYPE_CHECKING:
    from captain.run.view import View

Outcome = Literal["applied", "not_applied", "partial"]
_OPTIONS = (("applied", "applied"), ("not_applied", "not applied"), ("partial", "applied in part"))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the action did, by the word of the person."""

    step: str
    outcome: Outcome
    note: str


class ResolveDialog(Dialog[Resolution]):
    """Asks what became of a step's newest attempt."""

    leaves = "esc leaves it unknown"

    def __init__(self, view: View, step: str) -> None:
        super().__init__(Heading.of(view))
        found = view.step(step)
        attempt = view.run.attempt_of(step)
        assert found is not None and attempt is not None, "the caller asked captain.run.allowed first"
        self.section, self.step = found
        self.attempt = attempt
        self.view = view
        self.status = status(view, self.step)

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return f"What did it do? · {self.step.title}"

    def about(self) -> Content:
        return self.look.mark(mark(self.status)).rstrip()

    def facts(self) -> Sequence[Content]:
        data = self.attempt.intent.data
        when = self.say(
            f"{age(self.attempt.intent.at, self.view.now)} ago, by {self.attempt.intent.actor.name}", "muted"
        )
        rows = [self.fact("started", when)]
        rows += self.wrapped("command", " ".join(data["argv"]) or "by somebody else", "bold", 2)
        rows += self.wrapped("known", self.status.message, "warning", 2)
        rows += self.paragraph("Look at the system first. Your word is recorded as yours, not as a measurement.")
        return rows

    def fields(self) -> Iterator[Widget]:
        yield Choice("outcome-choice", _OPTIONS, self.look)
        yield self.gap()
        yield self.label("note", "how do you know?")
        yield Field("note")
        yield self.gap()

    @property
    def outcome_chosen(self) -> Outcome:
        found = next(iter(self.query(Choice).results(Choice)), None)
        return cast("Outcome", found.value if found else "applied")

    def outcome(self) -> Sequence[Content]:
        supposed: dict[str, Any] = {
            "attempt": self.attempt.id,
            "outcome": self.outcome_chosen,
            "by": "person",
            "of": None,
            "note": "",
            "evidence": [],
        }
        then = forecast(self.view, self.section, "action.resolved", supposed).sentence
        means = {
            "applied": "warn, by your word",
            "not_applied": "todo: it may be started again",
            "partial": "FAIL: roll back, or put it right and go on",
        }[self.outcome_chosen]
        return [self.fact("then", self.say(f"{means}; {then}"))]

    def blocked(self) -> str | None:
        return None if self.text("note") else "note missing"

    def verb(self) -> str:
        return next(word for value, word in _OPTIONS if value == self.outcome_chosen)

    def answer(self) -> Resolution:
        return Resolution(self.step.id, self.outcome_chosen, self.text("note"))
