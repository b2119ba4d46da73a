"""Stand behind what another person let a blocker go with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content
from textual.widget import Widget

from captain.run import Waiver
from captain.run.status import status
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field
from captain.tui.dialogs.forecast import forecast, sign_off, someone
from captain.tui.present import age, mark, till

if TYPE_CHECKING:
    from captain.events import Actor
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Countersigning:
    """Which step, and a word to it."""

    step: str
    note: str


class CountersignDialog(Dialog[Countersigning]):
    """Shows what waits for a second person. `allowed.countersign` must have been asked."""

    leaves = "esc leaves it waiting"

    def __init__(self, view: View, step: str, actor: Actor) -> None:
        super().__init__(Heading.of(view))
        found = view.step(step)
        assert found is not None, "the caller asked captain.run.allowed first"
        self.section, self.step = found
        self.view = view
        self.actor = actor
        self.status = status(view, self.step)
        assert self.status.owed is not None, "the caller asked captain.run.allowed first"
        self.owed = self.status.owed

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return f"Countersign · {self.step.title}"

    def about(self) -> Content:
        return self.look.mark(mark(self.status)).rstrip()

    def facts(self) -> Sequence[Content]:
        one, now = self.owed, self.view.now
        rows = self.wrapped("seen", self.status.message, "plain", 3)
        when = self.say(f"{age(one.event.at, now)} ago", "muted")
        if isinstance(one, Waiver):
            rows.append(self.fact("waived", self.say(f"by {one.by}, {till(one.expires, now)}"), right=when))
            rows += self.wrapped("reason", one.event.data["reason"], "plain", 3)
            rows.append(self.fact("owner", self.say(one.event.data["owner"])))
            rows += [self.fact("covers", self.say(condition)) for condition in sorted(one.covers)]
        else:
            rows.append(self.fact("n/a", self.say(f"says {one.by}"), right=when))
            rows += self.wrapped("reason", one.note, "plain", 3)
        return rows

    def fields(self) -> Iterator[Widget]:
        yield self.label("note", "optional")
        yield Field("note")
        yield self.gap()

    def outcome(self) -> Sequence[Content]:
        supposed = sign_off(self.view, "step", self.step.id, "countersign", evidence=False) | {"of": self.owed.seq}
        then = forecast(self.view, self.section, "signoff", supposed).sentence
        return [self.fact("signs as", self.say(someone(self.actor))), self.fact("then", self.say(then))]

    def verb(self) -> str:
        return "countersign"

    def answer(self) -> Countersigning:
        return Countersigning(self.step.id, self.text("note"))
